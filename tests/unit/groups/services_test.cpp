// G6-G9: several groups, one member, requests, stability.
#include <catch2/catch.hpp>

#include "core/groups/envelope.h"
#include "unit/groups/cluster.h"

namespace vsync::core {
namespace {

/// Groups by daemon: one client of number 10 * node in each group that is named.
Cluster three_in(const std::vector<std::string>& groups) {
  Cluster cluster(3);
  for (NodeId node = 1; node <= 3; ++node) {
    RequestId request = 1;
    for (const auto& group : groups) {
      cluster[node].join(10 * node, group, request++);
      cluster.settle();
    }
  }
  for (auto& [node, daemon] : cluster.daemons()) {
    daemon->take();
  }
  return cluster;
}

void send(Daemon& daemon, const std::string& group, Service service, SendWish wish, RequestId request = 100) {
  const bool reply = wish.reply_to != 0;
  ClientSend send{10 * daemon.id.node, request, reply ? "" : group, service, true, 1, 0, body_of({"hello"})};
  send.wish = std::make_shared<const SendWish>(std::move(wish));
  daemon.groups.request(std::move(send), daemon.effects);
}

SendWish also(std::vector<std::string> groups) {
  SendWish wish;
  wish.more_groups = std::move(groups);
  return wish;
}

SendWish to(NodeId node) {
  SendWish wish;
  wish.to = ClientRef{pid(node), 10 * node};
  return wish;
}

SendWish ask(Wait wait) {
  SendWish wish;
  wish.wait = wait;
  wish.answer_within = std::chrono::seconds(1);
  return wish;
}

SendWish reply(const ClientRef& asker, RequestId request) {
  SendWish wish;
  wish.to = asker;
  wish.reply_to = request;
  return wish;
}

constexpr ClientRef kAsker{{1, 1, 0}, 10};
constexpr RequestId kRequest = 100;

std::vector<std::string> reasons(const RequestAnswered& answer) {
  std::vector<std::string> all;
  for (const auto& missing : answer.missing) {
    all.push_back(std::to_string(missing.member.pid.node) + " " + std::string(missing.reason));
  }
  return all;
}

}  // namespace

TEST_CASE("an envelope is what was put in, or nothing") {
  for (const auto& envelope : {Envelope{.more_groups = {2, 3}}, Envelope{.to = ClientRef{{7, 2, 0}, 5}},
                               Envelope{.kind = Envelope::Kind::request, .request = 9},
                               Envelope{.kind = Envelope::Kind::reply, .request = 9, .to = ClientRef{{7, 2, 0}, 5}}}) {
    const auto bytes = encode(envelope);
    CHECK(decode_envelope(bytes.view()) == envelope);
    for (std::size_t size = 1; size < bytes.size(); ++size) {
      CHECK_FALSE(decode_envelope(bytes.view().substr(0, size)));
    }
    CHECK_FALSE(decode_envelope(std::string(bytes.view()) + "x"));
  }
  CHECK(decode_envelope("") == Envelope{});
  CHECK_FALSE(decode_envelope(encode(Envelope{.kind = Envelope::Kind::reply, .request = 9}).view()));
  CHECK_FALSE(decode_envelope(encode(Envelope{.kind = Envelope::Kind::request}).view()));
  CHECK_FALSE(decode_envelope(encode(Envelope{.to = ClientRef{}, .more_groups = {2}}).view()));
  CHECK_FALSE(decode_envelope(encode(Envelope{.more_groups = std::vector<GroupId>(kMaxGroupsOfSend + 1, 4)}).view()));
}

TEST_CASE("G6 one message is delivered in all its groups, with a position in each") {
  auto cluster = three_in({"g", "h"});
  cluster[1].send(10, "h", Service::total, {"before"});
  cluster.settle();
  cluster[1].take();
  send(cluster[2], "g", Service::total, also({"h"}));
  cluster.settle();
  for (const NodeId node : {1U, 3U}) {
    const auto got = all<DeliverMessages>(cluster[node].take());
    REQUIRE(got.size() >= 2);
    CHECK(got[got.size() - 2].position == 1);
    CHECK(got[got.size() - 1].position == 2);
    CHECK(got[got.size() - 2].group != got[got.size() - 1].group);
  }
  CHECK(only<SendOutcome>(cluster[2].take()).outcome == Outcome::delivered);
}

TEST_CASE("G6 a message is delivered in none of its groups if one has no members at its place") {
  auto cluster = three_in({"g"});
  cluster[1].join(10, "h", 7, true);
  cluster.settle();
  for (const NodeId node : {1U, 2U, 3U}) {
    cluster[node].take();
  }
  cluster[1].leave(10, "h", 8);
  cluster.bind_one(cluster[1]);
  send(cluster[2], "g", Service::total, also({"h"}));
  cluster.settle();
  const auto effects = cluster[2].take();
  CHECK(only<SendOutcome>(effects).outcome == Outcome::not_delivered);
  CHECK(only<SendOutcome>(effects).code == "no_such_group");
  CHECK(all<DeliverMessages>(effects).empty());
  send(cluster[2], "g", Service::total, also({"h"}), 101);
  CHECK(only<RequestRefused>(cluster[2].take()).code == "no_such_group");
}

TEST_CASE("G6-G8 wishes that make no sense are refused") {
  auto cluster = three_in({"g", "h"});
  auto both = to(2);
  both.more_groups = {"h"};
  auto asks_twice = ask(Wait::all);
  asks_twice.more_groups = {"h"};
  for (const auto& wish : {also({"g"}), also({"h", "h"}), both, asks_twice, also(std::vector<std::string>(16, "h"))}) {
    send(cluster[1], "g", Service::total, wish);
    CHECK(only<RequestRefused>(cluster[1].take()).code == "bad_request");
  }
  for (const auto& wish : {also({"h"}), ask(Wait::first)}) {
    send(cluster[1], "g", Service::fifo, wish);
    CHECK(only<RequestRefused>(cluster[1].take()).code == "bad_request");
  }
  for (std::size_t i = 0; i < OpenRequests::kMaxOpen; ++i) {
    send(cluster[1], "g", Service::total, ask(Wait::all), 200 + i);
  }
  CHECK(all<RequestRefused>(cluster[1].take()).empty());
  send(cluster[1], "g", Service::total, ask(Wait::all), 500);
  CHECK(only<RequestRefused>(cluster[1].take()).code == "too_many");
}

TEST_CASE("G7 only one member gets it, and it takes no position") {
  for (const auto service : {Service::total, Service::causal, Service::fifo}) {
    auto cluster = three_in({"g"});
    send(cluster[1], "g", service, to(2));
    cluster[1].send(10, "g", service, {"for all"});
    cluster.settle();
    for (const NodeId node : {1U, 2U, 3U}) {
      const auto effects = cluster[node].take();
      const auto got = all<DeliverMessages>(effects);
      REQUIRE(got.size() == (node == 2 ? 2 : 1));
      CHECK(got.back().position == 1);
      CHECK(got.back().direct == 0);
      if (node == 2) {
        CHECK(got.front().direct == 20);
        CHECK(got.front().position == 0);
      }
      if (node == 1) {
        CHECK(all<SendOutcome>(effects).size() == 2);
      }
    }
    send(cluster[1], "g", service, to(9));
    CHECK(only<RequestRefused>(cluster[1].take()).code == "no_such_member");
  }
}

TEST_CASE("G8 a request ends when all have replied") {
  auto cluster = three_in({"g"});
  send(cluster[1], "g", Service::total, ask(Wait::all), kRequest);
  cluster.settle();
  for (const NodeId node : {1U, 2U, 3U}) {
    CHECK(only<DeliverMessages>(cluster[node].take()).request == kRequest);
    send(cluster[node], "", Service::fifo, reply(kAsker, kRequest), 300);
    cluster.settle();
    const auto effects = cluster[1].take();
    CHECK(all<RequestAnswered>(effects).size() == (node == 3 ? 1 : 0));
    CHECK(all<DeliverMessages>(effects).empty());
    if (node == 3) {
      const auto answer = only<RequestAnswered>(effects);
      CHECK(answer.complete);
      CHECK(answer.outcome == Outcome::delivered);
      REQUIRE(answer.replies.size() == 3);
      CHECK(answer.replies[0].body.view() == "hello");
      CHECK(answer.missing.empty());
    }
  }
}

TEST_CASE("G8 whose replies are waited for") {
  auto cluster = three_in({"g"});
  send(cluster[1], "g", Service::total, ask(Wait::first), 100);
  send(cluster[1], "g", Service::total, ask(Wait::majority), 101);
  cluster.settle();
  cluster[1].take();
  send(cluster[3], "", Service::fifo, reply(kAsker, 100), 300);
  send(cluster[3], "", Service::fifo, reply(kAsker, 101), 301);
  send(cluster[3], "", Service::fifo, reply(kAsker, 101), 302);  // once is enough
  cluster.settle();
  const auto first = only<RequestAnswered>(cluster[1].take());
  CHECK(first.request == 100);
  CHECK(first.complete);
  CHECK(reasons(first) == std::vector<std::string>{"1 no_reply", "2 no_reply"});
  send(cluster[2], "", Service::fifo, reply(kAsker, 101), 300);
  cluster.settle();
  CHECK(only<RequestAnswered>(cluster[1].take()).replies.size() == 2);
}

TEST_CASE("G8 who leaves, and who dies, is not waited for") {
  auto cluster = three_in({"g"});
  send(cluster[1], "g", Service::total, ask(Wait::all), 100);
  send(cluster[1], "g", Service::total, ask(Wait::majority), 101);
  cluster.settle();
  cluster[1].take();
  send(cluster[1], "", Service::fifo, reply(kAsker, 100), 300);
  cluster[2].leave(20, "g");
  cluster.settle();
  CHECK(all<RequestAnswered>(cluster[1].take()).empty());
  cluster.change_view({3});
  const auto answers = all<RequestAnswered>(cluster[1].take());
  REQUIRE(answers.size() == 2);
  CHECK_FALSE(answers[0].complete);
  CHECK(answers[0].replies.size() == 1);
  CHECK(reasons(answers[0]) == std::vector<std::string>{"2 left", "3 left"});
  CHECK_FALSE(answers[1].complete);  // one of three is not the majority of those who were asked
}

TEST_CASE("G8 a request ends with its deadline, whatever became of it") {
  auto cluster = three_in({"g"});
  auto& groups = cluster[1].groups;
  send(cluster[1], "g", Service::total, ask(Wait::all), 100);
  cluster.settle();
  send(cluster[1], "g", Service::total, ask(Wait::all), 101);  // is not delivered
  cluster[1].take();
  CHECK(groups.open_requests().next_deadline() == kNever);
  groups.open_requests().end_of_turn(Time(std::chrono::seconds(5)), cluster[1].effects);
  CHECK(cluster[1].take().empty());
  CHECK(groups.open_requests().next_deadline() == Time(std::chrono::seconds(6)));
  groups.open_requests().end_of_turn(Time(std::chrono::seconds(6)), cluster[1].effects);
  const auto answers = all<RequestAnswered>(cluster[1].take());
  REQUIRE(answers.size() == 2);
  CHECK(reasons(answers[0]) == std::vector<std::string>{"1 no_reply", "2 no_reply", "3 no_reply"});
  CHECK(answers[1].outcome == Outcome::unknown);
  CHECK(answers[1].code == "timeout");
  CHECK(groups.open_requests().next_deadline() == kNever);
  cluster.settle();  // its delivery is of no interest any more
  CHECK(all<RequestAnswered>(cluster[1].take()).empty());
}

TEST_CASE("G8 a reply may overtake the request") {
  auto cluster = three_in({"g"});
  send(cluster[1], "g", Service::total, ask(Wait::first), 100);
  cluster.bind_all();
  cluster.deliver_all(cluster[2]);
  send(cluster[2], "", Service::fifo, reply(kAsker, 100), 300);
  cluster.bind_all();
  cluster.overtake(cluster[1], pid(2));
  CHECK(all<RequestAnswered>(cluster[1].effects).empty());
  cluster.settle();
  CHECK(only<RequestAnswered>(cluster[1].take()).complete);
}

TEST_CASE("G8 who was not asked takes no room from the replies") {
  OpenRequests requests;
  Effects effects;
  GroupView view;
  view.group = 7;
  view.members = {{pid(1), 10, "a"}};
  const auto big = Slice::copy_of(std::string(OpenRequests::kMaxBytes / 4, 'x'));
  const auto strangers = [&](ClientId from) {
    for (ClientId client = from; client < from + 4; ++client) {
      requests.replied(kAsker, kRequest, {pid(2), client}, false, big, effects);
    }
  };
  requests.open(kAsker.client, kRequest, Wait::all, std::chrono::seconds(1));
  strangers(1);
  requests.delivered(kAsker.client, kRequest, view, std::nullopt, {});
  strangers(5);
  requests.replied(kAsker, kRequest, {pid(1), 10}, false, big, effects);
  requests.outcome(kAsker.client, kRequest, Outcome::delivered, 1, 1, "", effects);
  const auto answer = only<RequestAnswered>(effects);
  CHECK(answer.complete);
  CHECK(answer.replies.size() == 1);
}

TEST_CASE("G9 totals are stable when delivered, the others when they are settled") {
  Cluster cluster(2);
  ClientJoin join{10, 1, "g", "a", {}};
  join.stability = true;
  cluster[1].groups.request(join, cluster[1].effects);
  cluster.settle();
  cluster[2].join(20, "g");
  cluster.settle();
  cluster[1].take();
  cluster[2].send(20, "g", Service::total, {"one", "two"});
  cluster[2].send(20, "g", Service::fifo, {"three"});
  cluster[2].send(20, "g", Service::fifo, {"four"});
  cluster.settle();
  const auto last = cluster.last_of(pid(2));
  auto& stability = cluster[1].groups.stability();
  cluster[1].take();
  stability.tell(cluster[1].effects);
  auto told = only<StableReached>(cluster[1].take());
  CHECK(told.clients == std::vector<ClientId>{10});
  CHECK(told.position == 2);
  CHECK(told.others.empty());
  cluster[2].groups.stability().tell(cluster[2].effects);
  CHECK(all<StableReached>(cluster[2].take()).empty());  // it did not ask
  const auto third = last - 1;                           // of the stream of 2
  stability.advance([&](const Pid& sender) { return sender == pid(2) ? third : 0; });
  stability.tell(cluster[1].effects);
  told = only<StableReached>(cluster[1].take());
  REQUIRE(told.others.size() == 1);
  CHECK(told.others.front() == std::pair(pid(2), std::uint64_t{1}));
  stability.tell(cluster[1].effects);
  CHECK(cluster[1].take().empty());  // no news
  cluster.change_view({});
  CHECK(only<StableReached>(cluster[1].take()).others.front().second == 2);
  cluster[1].leave(10, "g");
  cluster.settle();
  cluster[1].take();
  stability.tell(cluster[1].effects);
  CHECK(cluster[1].take().empty());
}

}  // namespace vsync::core
