// K1, K2 beside the other services of groups: what is a part of a durable group's history, and what fails with it.
#include <catch2/catch.hpp>

#include "unit/groups/cluster.h"

namespace vsync::core {
namespace {

constexpr ClientId kKeeper = 10;  // at daemon 1, with state
constexpr ClientId kOther = 20;   // at daemon 2, without

/// Group "d" on `disks` nodes of which one is there; group "h" beside it.
Cluster kept_on(std::uint32_t disks) {
  Cluster cluster(2);
  ClientJoin join{kKeeper, 1, "d", "keeper", {.total_only = true, .disks = disks}};
  join.state.wanted = true;
  cluster[1].groups.request(std::move(join), cluster[1].effects);
  cluster.settle();
  RequestId request = 1;
  for (const auto* group : {"d", "h"}) {
    cluster[2].join(kOther, group, request++, true);
    cluster.settle();
  }
  cluster[1].take();
  cluster[2].take();
  return cluster;
}

void send(Cluster& cluster, const std::string& group, const SendWish& wish, bool durable = false) {
  ClientSend send{kOther, 100, group, Service::total, true, 1, 0, body_of({"hello"})};
  send.wish = std::make_shared<const SendWish>(wish);
  send.durable = durable;
  cluster[2].groups.request(std::move(send), cluster[2].effects);
  cluster.settle();
}

SendWish to_keeper() {
  SendWish wish;
  wish.to = ClientRef{pid(1), kKeeper};
  return wish;
}

SendWish also(const std::string& group) {
  SendWish wish;
  wish.more_groups = {group};
  return wish;
}

SendWish ask() {
  SendWish wish;
  wish.wait = Wait::all;
  wish.answer_within = std::chrono::seconds(1);
  return wish;
}

std::uint64_t index_at_keeper(Cluster& cluster) {
  return only<DeliverMessages>(cluster[1].take()).history.index;
}

}  // namespace

TEST_CASE("K1 a message for one member takes no index, all others one") {
  auto cluster = kept_on(1);
  cluster[2].send(kOther, "d", Service::total, {"one"});
  cluster.settle();
  CHECK(index_at_keeper(cluster) == 1);
  send(cluster, "d", to_keeper());
  CHECK(index_at_keeper(cluster) == 0);
  send(cluster, "d", ask());
  CHECK(index_at_keeper(cluster) == 2);
  send(cluster, "h", also("d"));
  CHECK(index_at_keeper(cluster) == 3);
}

TEST_CASE("K1 while nobody has the state of one group a message for several is delivered in none") {
  auto cluster = kept_on(2);
  const std::vector<std::pair<std::string, SendWish>> sends{{"h", also("d")}, {"d", also("h")}, {"d", to_keeper()}};
  for (const auto& [group, wish] : sends) {
    send(cluster, group, wish);
    const auto effects = cluster[2].take();
    CHECK(only<SendOutcome>(effects).outcome == Outcome::not_delivered);
    CHECK(only<SendOutcome>(effects).code == "no_state");
    CHECK(all<DeliverMessages>(effects).empty());
    CHECK(all<DeliverMessages>(cluster[1].take()).empty());
  }
  send(cluster, "d", ask());
  CHECK(only<RequestAnswered>(cluster[2].take()).code == "no_state");
}

TEST_CASE("K2 the answer waits for the disks, but not for what they do not get") {
  auto cluster = kept_on(1);
  cluster[2].take();
  for (const auto& wish : {to_keeper(), also("h"), ask()}) {
    send(cluster, "d", wish, true);
    CHECK(only<RequestRefused>(cluster[2].take()).code == "bad_request");
  }
  send(cluster, "d", {}, true);
  const auto place = only<DeliverMessages>(cluster[1].take()).history;
  CHECK(all<SendOutcome>(cluster[2].take()).empty());
  cluster[1].groups.synced({"d", place});
  cluster.settle();
  const auto outcome = only<SendOutcome>(cluster[2].take());
  CHECK(outcome.outcome == Outcome::delivered);
  CHECK(outcome.durable);
  CHECK(outcome.history == place);
}

TEST_CASE("G10 a group is held until both the client and the disk of its node keep up") {
  auto cluster = kept_on(1);
  cluster[2].send(kOther, "d", Service::total, {"one"});
  cluster.settle();
  const auto group = only<DeliverMessages>(cluster[1].take()).group;
  const auto says = [&](bool held, bool disk) {
    cluster[1].groups.request(ClientHold{kKeeper, group, held, disk});
    cluster.settle();
    const auto told = all<GroupHeld>(cluster[2].take());
    return told.empty() ? std::string("nothing") : std::to_string(told.back().by.size());
  };
  cluster[2].take();
  CHECK(says(true, true) == "1");
  CHECK(says(true, false) == "nothing");
  CHECK(says(false, true) == "nothing");
  CHECK(says(false, false) == "0");
}

TEST_CASE("K1 to K3 stand in the group table, also when the group is held") {
  auto cluster = kept_on(1);
  send(cluster, "d", {}, true);
  const auto delivered = only<DeliverMessages>(cluster[1].take());
  cluster[1].groups.synced({"d", delivered.history});
  cluster[2].groups.request(ClientHold{kOther, delivered.group, true});
  cluster.settle();
  CHECK(all<GroupHeld>(cluster[1].take()).size() == 1);
  const auto table = cluster[1].groups.save_table();
  Groups joiner(pid(3), {}, false);
  REQUIRE(joiner.load_table(table));
  CHECK(joiner.save_table() == table);
}

}  // namespace vsync::core
