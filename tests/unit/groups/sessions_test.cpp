// C6: a client that comes back learns what became of its sends.
#include "core/groups/sessions.h"

#include "unit/groups/cluster.h"

namespace vsync::core {
namespace {

constexpr SessionId kSession = 77;

void open(Daemon& daemon, ClientId client, RequestId request = 1) {
  daemon.groups.request(ClientSession{client, request, kSession}, daemon.effects);
}

void say(Daemon& daemon, ClientId client, std::uint64_t number, std::uint32_t count = 1, std::uint64_t in_view = 0) {
  const std::vector<std::string> messages(count, "x");
  daemon.groups.request(
      ClientSend{client, number, "g", Service::total, false, count, in_view, body_of(messages), nullptr, number}, daemon.effects);
}

View view_of(std::initializer_list<NodeId> nodes) {
  View view;
  view.ref.epoch = 9;
  for (const auto node : nodes) {
    view.members.push_back({pid(node), 0, std::to_string(node), {}});
  }
  return view;
}

/// Daemon 2 has a member of the group; the client of the session is at daemon 1 and sent numbers 1 to 3, of which 3 was lost with
/// it.
struct Story {
  Cluster cluster{3};

  Story() {
    cluster[2].join(1, "g", 1, true);
    cluster.settle();
    open(cluster[1], 5);
    cluster.settle();
    REQUIRE_FALSE(only<SessionOpened>(cluster[1].take()).fates.known);
    say(cluster[1], 5, 1, 2);
    cluster.settle();
    say(cluster[1], 5, 3);
    cluster.bind_all();
  }
};

}  // namespace

TEST_CASE("sends of a connection that died with its daemon have outcomes") {
  Story story;
  auto& cluster = story.cluster;
  const bool lost = GENERATE(true, false);
  cluster.change_view({1}, lost ? 0 : SIZE_MAX);
  open(cluster[3], 8, 4);
  cluster.settle();
  const auto opened = only<SessionOpened>(cluster[3].effects);
  CHECK(opened.request == 4);
  CHECK(opened.fates == SessionFates{true, 0, {{1, lost ? 2U : 3U}}});
}

TEST_CASE("a session waits until its last connection is over") {
  Story story;
  auto& cluster = story.cluster;
  open(cluster[3], 8);
  cluster.settle();
  CHECK(only<RequestRefused>(cluster[3].take()).code == "busy");
  cluster[1].groups.client_gone(5, cluster[1].effects);
  open(cluster[3], 8);
  cluster.settle();
  CHECK(all<RequestRefused>(cluster[3].take()).size() + all<SessionOpened>(cluster[3].effects).size() <= 1);
  open(cluster[3], 8);
  cluster.settle();
  CHECK(only<SessionOpened>(cluster[3].effects).fates.delivered == std::vector<NumberRange>{{1, 3}});
}

TEST_CASE("what came to nothing in its place is not called delivered") {
  Story story;
  auto& cluster = story.cluster;
  const auto token = cluster[1].groups.views().front()->token;
  cluster.settle();
  cluster[2].join(2, "g", 1, true);
  cluster.bind_all();
  say(cluster[1], 5, 4, 1, token);  // bound behind the join
  say(cluster[1], 5, 5);
  cluster.settle();
  cluster.change_view({1});
  open(cluster[3], 8);
  cluster.settle();
  CHECK(only<SessionOpened>(cluster[3].effects).fates.delivered == std::vector<NumberRange>{{1, 3}, {5, 5}});
}

TEST_CASE("nothing is known of a session after a total failure") {
  Story story;
  auto& cluster = story.cluster;
  cluster.change_view({1}, SIZE_MAX, LeaveReason::crashed, true);
  open(cluster[3], 8);
  cluster.settle();
  const auto fates = only<SessionOpened>(cluster[3].effects).fates;
  CHECK_FALSE(fates.known);
  CHECK(fates.from(1).outcome == Outcome::unknown);
}

TEST_CASE("of a session that was forgotten, sends before it was opened again stay unknown") {
  Sessions sessions;
  const ClientRef owner{pid(1), 5};
  REQUIRE(sessions.open(kSession, owner, 10) == Sessions::Opening::done);
  sessions.delivered(owner, 10, 1);
  CHECK(sessions.fates(kSession).from(9).outcome == Outcome::unknown);
  CHECK(sessions.fates(kSession).from(10).outcome == Outcome::delivered);
  CHECK(sessions.fates(kSession).from(11).outcome == Outcome::not_delivered);
}

TEST_CASE("numbers are kept as ranges, the newest of them") {
  Sessions sessions;
  const ClientRef owner{pid(1), 5};
  REQUIRE(sessions.open(kSession, owner) == Sessions::Opening::done);
  sessions.delivered(owner, 10, 5);
  sessions.delivered(owner, 15, 1);
  sessions.delivered(owner, 20, 1);
  sessions.delivered(owner, 5, 1);
  sessions.delivered({pid(1), 6}, 7, 1);  // somebody else's
  CHECK(sessions.fates(kSession) == SessionFates{true, 0, {{5, 5}, {10, 15}, {20, 20}}});
  sessions.delivered(owner, 6, 4);
  CHECK(sessions.fates(kSession) == SessionFates{true, 0, {{5, 15}, {20, 20}}});
  for (std::uint64_t number = 30; number < 30 + 2 * Sessions::kMaxRanges; number += 2) {
    sessions.delivered(owner, number, 1);
  }
  const auto fates = sessions.fates(kSession);
  CHECK(fates.delivered.size() == Sessions::kMaxRanges);
  CHECK(fates.forgotten == 20);
  CHECK(fates.from(3).outcome == Outcome::unknown);
  CHECK(fates.from(21).outcome == Outcome::not_delivered);
  CHECK(fates.from(21).last == 29);
  CHECK(fates.from(30).outcome == Outcome::delivered);
}

TEST_CASE("numbers end where the one behind the last is a number too") {
  CHECK(valid_numbers(kLastNumber, 1));
  CHECK_FALSE(valid_numbers(kLastNumber, 2));
  CHECK_FALSE(valid_numbers(0, 1));
  CHECK_FALSE(valid_numbers(~std::uint64_t{0}, 1));
  Story story;
  auto& client = story.cluster[1];
  story.cluster.settle();
  client.take();
  say(client, 5, ~std::uint64_t{0});
  say(client, 5, kLastNumber, 2);
  client.groups.request(ClientSession{6, 1, 78, kLastNumber + 2}, client.effects);
  const auto refused = all<RequestRefused>(client.take());
  REQUIRE(refused.size() == 3);
  for (const auto& why : refused) {
    CHECK(why.code == "bad_request");
  }
  say(client, 5, kLastNumber);
  story.cluster.settle();
  story.cluster.change_view({1});
  open(story.cluster[3], 8);
  story.cluster.settle();
  CHECK(only<SessionOpened>(story.cluster[3].effects).fates.delivered ==
        std::vector<NumberRange>{{1, 3}, {kLastNumber, kLastNumber}});
}

TEST_CASE("sessions that closed first are forgotten first; the open ones never") {
  Sessions sessions;
  const ClientRef stays{pid(2), 1};
  REQUIRE(sessions.open(1, stays) == Sessions::Opening::done);
  for (SessionId id = 2; id < 3 + Sessions::kMaxClosed; ++id) {
    const ClientRef owner{pid(1), static_cast<ClientId>(id)};
    REQUIRE(sessions.open(id, owner) == Sessions::Opening::done);
    sessions.close(id, owner);
  }
  CHECK(sessions.fates(1).known);
  CHECK_FALSE(sessions.fates(2).known);
  CHECK(sessions.fates(3).known);
  CHECK(sessions.open(1, {pid(3), 1}) == Sessions::Opening::busy);
  sessions.install(view_of({1, 3}));
  CHECK(sessions.open(1, {pid(3), 1}) == Sessions::Opening::done);
}

TEST_CASE("sessions as bytes") {
  Sessions sessions;
  const ClientRef owner{pid(1), 5};
  REQUIRE(sessions.open(kSession, owner) == Sessions::Opening::done);
  REQUIRE(sessions.open(kSession + 1, {pid(2), 5}) == Sessions::Opening::done);
  sessions.delivered(owner, 3, 4);
  sessions.close(kSession, owner);
  Writer writer;
  sessions.save(writer);
  const auto bytes = writer.take();
  Reader reader(bytes);
  auto loaded = Sessions::load(reader);
  REQUIRE(loaded);
  CHECK(reader.done());
  CHECK(loaded->fates(kSession) == sessions.fates(kSession));
  CHECK(loaded->open(kSession + 1, {pid(3), 1}) == Sessions::Opening::busy);
  CHECK(loaded->open(kSession, {pid(3), 1}) == Sessions::Opening::done);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader cut(std::string_view(bytes).substr(0, size));
    CHECK_FALSE(Sessions::load(cut).has_value());
  }
}

}  // namespace vsync::core
