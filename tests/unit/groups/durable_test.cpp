// K1, K2 beside the other services of groups: what is a part of a durable group's history, and what fails with it.
#include <catch2/catch.hpp>

#include "unit/groups/cluster.h"

namespace vsync::core {
namespace {

constexpr ClientId kKeeper = 10;  // at daemon 1, with state
constexpr ClientId kOther = 20;   // at daemon 2, without

constexpr ClientId kNew = 30;

/// The disk of this daemon promises the era that it was asked for last.
void promise(Cluster& cluster, NodeId node) {
  const auto proposed = all<EraProposed>(cluster[node].effects).back();
  cluster[node].groups.promised({proposed.id, proposed.era});
  cluster.settle();
}

void join(Cluster& cluster, NodeId node, ClientId client, std::uint32_t disks, KeptHistory kept = {}) {
  ClientJoin join{client, 1, "d", "member", {.total_only = true, .disks = disks}};
  join.state.wanted = true;
  join.state.kept = std::move(kept);
  cluster[node].groups.request(std::move(join), cluster[node].effects);
  cluster.settle();
}

/// The daemon was asked, and says what its disk has.
void tell(Cluster& cluster, NodeId node, const KeptHistory& kept = {}) {
  const auto asked = only<HistoryAsked>(cluster[node].take());
  CHECK(asked.group == "d");
  cluster[node].groups.told({asked.id, kept});
  cluster.settle();
}

KeptHistory kept_by(const std::vector<NodeId>& keepers, std::uint64_t origin = 7, HistoryPosition position = {9, 3}) {
  return {position, origin, keepers};
}

std::string refusal(Cluster& cluster, NodeId node) {
  return std::string(only<RequestRefused>(cluster[node].take()).code);
}

/// Group "d" on `disks` nodes of which one is there; group "h" beside it.
Cluster kept_on(std::uint32_t disks) {
  Cluster cluster(2);
  join(cluster, 1, kKeeper, disks);
  for (const NodeId node : {1U, 2U}) {
    if (disks == 1) {
      tell(cluster, node);
    }
  }
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

/// What comes of a message of this client at its own daemon.
const Effects& say_hello(Cluster& cluster, NodeId node, ClientId client = kNew) {
  cluster[node].take();
  cluster[node].send(client, "d", Service::total, {"hello"});
  cluster.settle();
  return cluster[node].effects;
}

bool goes_on(Cluster& cluster, NodeId node, ClientId client = kNew) {
  return only<SendOutcome>(say_hello(cluster, node, client)).outcome == Outcome::delivered;
}

HistoryPosition next_place(Cluster& cluster, NodeId node, ClientId client = kNew) {
  return only<DeliverMessages>(say_hello(cluster, node, client)).history;
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

TEST_CASE("K3 a group goes on where it is kept, also after its last member has left") {
  auto cluster = kept_on(1);
  cluster[1].leave(kKeeper, "d", 5);
  cluster[2].leave(kOther, "d", 5);
  cluster.settle();
  cluster[2].take();
  join(cluster, 2, kNew, 1);
  CHECK(refusal(cluster, 2) == "not_a_keeper");
  cluster[2].join(kNew + 1, "d");  // without state it may come first
  cluster.settle();
  cluster[2].take();
  join(cluster, 2, kNew + 2, 1);
  CHECK(refusal(cluster, 2) == "not_a_keeper");
  join(cluster, 2, kNew + 3, 2);
  CHECK(refusal(cluster, 2) == "other_policy");
  cluster[2].leave(kNew + 1, "d", 5);
  cluster.settle();
  cluster[2].take();
  cluster.add_daemon(3);
  cluster.change_view({1});
  join(cluster, 3, kNew + 4, 1);  // known from the table
  CHECK(refusal(cluster, 3) == "not_a_keeper");
  CHECK(all<HistoryAsked>(cluster[2].effects).empty());
}

TEST_CASE("K3 a group that its members do not know begins when no disk in the view knows it") {
  Cluster cluster(3);
  join(cluster, 2, kNew, 1);
  tell(cluster, 2);
  tell(cluster, 3);
  CHECK_FALSE(goes_on(cluster, 2));
  SECTION("the last disk has nothing") {
    tell(cluster, 1);
    CHECK(goes_on(cluster, 2));
  }
  SECTION("the last one goes away, and does not answer") {
    cluster.change_view({1});
    CHECK(goes_on(cluster, 2));
  }
  SECTION("a daemon that comes is asked too") {
    cluster.add_daemon(4);
    cluster.change_view({});
    CHECK(all<HistoryAsked>(cluster[3].take()).empty());
    tell(cluster, 1);
    CHECK_FALSE(goes_on(cluster, 2));
    tell(cluster, 4);
    CHECK(goes_on(cluster, 2));
  }
  SECTION("the last disk has the group") {
    tell(cluster, 1, kept_by({1}));
    const auto dismissed = only<ClientDismissed>(cluster[2].take());
    CHECK(dismissed.client == kNew);
    CHECK(dismissed.reason == LeaveReason::not_a_keeper);
    CHECK(all<GroupViewInstalled>(cluster[3].take()).back().group_view->members.empty());
    join(cluster, 1, kNew + 1, 1, kept_by({1}));
    CHECK(all<HistoryAsked>(cluster[1].effects).empty());
    join(cluster, 2, kNew + 2, 1);
    CHECK(refusal(cluster, 2) == "not_a_keeper");
  }
}

TEST_CASE("K3 who waits with a lost disk goes on waiting when another disk has the group") {
  Cluster cluster(3);
  join(cluster, 1, kNew, 1);
  tell(cluster, 2, kept_by({1, 2, 3}));
  CHECK(all<ClientDismissed>(cluster[1].take()).empty());
  join(cluster, 1, kNew + 1, 1);
  CHECK(refusal(cluster, 1) == "other_policy");
  join(cluster, 3, kNew + 2, 3, kept_by({1, 2, 3}));
  join(cluster, 2, kNew + 3, 3, kept_by({1, 2, 3}, 7, {9, 4}));
  promise(cluster, 1);
  promise(cluster, 3);
  CHECK(next_place(cluster, 2, kNew + 3).index == 5);
}

TEST_CASE("K3 histories of two groups under one name are never mixed") {
  Cluster cluster(2);
  join(cluster, 1, kNew, 3, kept_by({1, 2, 3}, 7));
  CHECK(all<RequestRefused>(cluster[1].take()).empty());
  join(cluster, 2, kNew + 1, 3, kept_by({1, 2, 3}, 8));
  CHECK(refusal(cluster, 2) == "other_history");
  join(cluster, 2, kNew + 2, 3, kept_by({1, 2, 3}, 7));
  CHECK(all<RequestRefused>(cluster[2].take()).empty());
}

TEST_CASE("K3 the first disk that tells fixes where a group is kept, and later answers change nothing") {
  Cluster cluster(7);
  join(cluster, 4, kNew, 2);
  join(cluster, 5, kNew, 2);  // now all are asked
  join(cluster, 1, kNew, 2, kept_by({1, 2}, 7));
  for (const NodeId node : {4U, 5U}) {
    CHECK(only<ClientDismissed>(cluster[node].take()).reason == LeaveReason::not_a_keeper);
  }
  tell(cluster, 6, kept_by({6, 7}, 8, {11, 5}));
  CHECK(all<ClientDismissed>(cluster[1].take()).empty());
  join(cluster, 6, kNew, 2, kept_by({6, 7}, 8, {11, 5}));
  CHECK(refusal(cluster, 6) == "not_a_keeper");
  join(cluster, 2, kNew, 2, kept_by({1, 2}, 9));
  CHECK(refusal(cluster, 2) == "other_history");
  join(cluster, 2, kNew + 1, 2);  // that disk was replaced
  promise(cluster, 1);
  promise(cluster, 2);
  CHECK(next_place(cluster, 2, kNew + 1).index == 4);
}

TEST_CASE("K3 members that wait with nothing decide nothing once a disk tells") {
  Cluster cluster(4);
  join(cluster, 4, kNew, 4);
  join(cluster, 1, kNew, 3);
  CHECK(refusal(cluster, 1) == "other_policy");  // as long as that is all that is known
  join(cluster, 2, kNew, 3, kept_by({1, 2, 3}));
  CHECK(only<ClientDismissed>(cluster[4].take()).reason == LeaveReason::not_a_keeper);
  join(cluster, 4, kNew + 1, 4);
  CHECK(refusal(cluster, 4) == "other_policy");
  join(cluster, 1, kNew + 1, 3);
  CHECK(all<RequestRefused>(cluster[1].take()).empty());
}

TEST_CASE("K3 a member that contradicts its own disk is refused") {
  Cluster cluster(4);
  join(cluster, 1, kNew, 1, kept_by({1, 2, 3}));
  CHECK(refusal(cluster, 1) == "other_policy");
  join(cluster, 4, kNew, 3, kept_by({1, 2, 3}));
  CHECK(refusal(cluster, 4) == "not_a_keeper");
  join(cluster, 2, kNew, 2, kept_by({1, 2}, 8));  // nothing has come of either
  CHECK(all<RequestRefused>(cluster[2].take()).empty());
}

TEST_CASE("K3 a member that came during a flush gets no state on another node") {
  Cluster cluster(4);
  cluster[3].join(kOther, "d");  // not yet durable
  cluster.settle();
  const auto joins = [&](NodeId node, KeptHistory kept) {
    ClientJoin join{kNew, 1, "d", "member", {.total_only = true, .disks = 3}};
    join.state.wanted = true;
    join.state.kept = std::move(kept);
    cluster[node].groups.request(std::move(join), cluster[node].effects);
    REQUIRE(cluster.bind_one(cluster[node]));
  };
  joins(4, {});
  joins(1, kept_by({1, 2, 3}));
  SECTION("it does not count") {
    joins(2, {});
    cluster.settle();
    CHECK(only<SendOutcome>(say_hello(cluster, 1)).code == "no_state");
  }
  SECTION("it goes when the others have begun") {
    joins(2, kept_by({1, 2, 3}));
    cluster.settle();
    CHECK(all<HistoryRequested>(cluster[4].take()).empty());
    CHECK(all<HistoryAdopted>(cluster[4].take()).empty());
  }
  join(cluster, 3, kNew, 3);
  CHECK(only<ClientDismissed>(cluster[4].take()).reason == LeaveReason::not_a_keeper);
}

TEST_CASE("K3 a join says what its disk has when it is bound") {
  Cluster cluster(1);
  ClientJoin join{kNew, 1, "d", "member", {.total_only = true, .disks = 1}};
  join.state.wanted = true;
  join.state.kept = kept_by({1});
  cluster[1].groups.request(std::move(join), cluster[1].effects);
  cluster[1].groups.synced({"d", {9, 5}});  // by a member before
  cluster.settle();
  promise(cluster, 1);
  CHECK(next_place(cluster, 1).index == 6);
}

TEST_CASE("K2 only the disks of keepers count for what is durable") {
  GroupHistory history;
  history.learn(kept_by({1, 2, 3}));
  history.synced(1, {9, 3});
  history.synced(4, {9, 3});
  CHECK(history.durable().index == 0);
  history.synced(2, {9, 2});
  CHECK(history.durable().index == 2);
}

TEST_CASE("K3 of too many groups without members the one of the oldest era is forgotten") {
  GroupTable table;
  View view;
  view.ref.epoch = 1;
  for (const NodeId node : {1U, 2U}) {
    view.members.push_back({pid(node), 0, "1", {}});
  }
  table.install(view);
  const auto join = [&](NodeId node, const std::string& group, KeptHistory kept) {
    JoinBody body{group, "member", {.total_only = true, .disks = 1}};
    body.state.wanted = true;
    body.state.kept = std::move(kept);
    return table.join(pid(node), kNew, body);
  };
  for (std::size_t i = 0; i <= GroupTable::kMaxPast; ++i) {
    const auto id = join(1, "g" + std::to_string(i), kept_by({1})).group;
    table.synced(pid(1), id, {table.find(id)->history.proposed(), 0});
    REQUIRE(table.leave(pid(1), kNew, id, LeaveReason::left).installed->members.empty());
  }
  CHECK(join(2, "g0", {}).refused.empty());
  CHECK(join(2, "g1", {}).refused == "not_a_keeper");
  CHECK(join(2, "g" + std::to_string(GroupTable::kMaxPast), {}).refused == "not_a_keeper");
}

TEST_CASE("K1 an era is larger than all that the disks know, and an origin is of one cluster") {
  Cluster cluster(1);
  const HistoryPosition old{std::uint64_t{1} << 50U, 5};
  join(cluster, 1, kNew, 1, kept_by({1}, 7, old));
  promise(cluster, 1);
  const auto place = next_place(cluster, 1);
  CHECK(place.era > old.era);
  CHECK(place.index == 6);

  const auto origin = [](const Uuid& uuid) {
    GroupTable table;
    View view;
    view.uuid = uuid;
    view.ref.epoch = 1;
    view.members.push_back({pid(1), 0, "1", {}});
    table.install(view);
    JoinBody body{"d", "member", {.total_only = true, .disks = 1}};
    body.state.wanted = true;
    table.told(pid(1), table.join(pid(1), kNew, body).group, {});
    return table.find("d")->history.now().origin;
  };
  CHECK(origin({1, 2}) == origin({1, 2}));
  CHECK(origin({1, 2}) != origin({1, 3}));
}

TEST_CASE("K1 an era waits for the promises of the disks whose members wait") {
  Cluster cluster(3);
  const auto proposed = [&](NodeId node) { return !all<EraProposed>(cluster[node].effects).empty(); };
  join(cluster, 1, kNew, 3, kept_by({1, 2, 3}));
  CHECK_FALSE(proposed(1));
  join(cluster, 2, kNew, 3, kept_by({1, 2, 3}));
  CHECK(proposed(1));
  CHECK_FALSE(proposed(3));
  promise(cluster, 1);
  CHECK_FALSE(goes_on(cluster, 1));
  const auto table = cluster[1].groups.save_table();
  Groups joiner(pid(4), {}, false);
  REQUIRE(joiner.load_table(table));
  CHECK(joiner.save_table() == table);
  SECTION("one that comes is asked too") {
    join(cluster, 3, kNew, 3, kept_by({1, 2, 3}));
    CHECK_FALSE(proposed(1));  // once
    promise(cluster, 3);
    CHECK(goes_on(cluster, 1));
  }
  SECTION("one that comes and has promised more is asked for more, and all others again") {
    auto later = kept_by({1, 2, 3});
    later.promised = std::uint64_t{1} << 50U;
    join(cluster, 3, kNew, 3, later);
    promise(cluster, 2);
    CHECK_FALSE(goes_on(cluster, 1));
    promise(cluster, 3);
    CHECK(goes_on(cluster, 1));
    CHECK(only<DeliverMessages>(cluster[1].effects).history.era == later.promised + 1);
  }
}

TEST_CASE("K1 a join says what its disk has promised since it was asked for") {
  Cluster cluster(2);
  const auto kept = kept_by({1, 2}, 7, {std::uint64_t{1} << 50U, 3});
  join(cluster, 1, kNew, 2, kept);
  join(cluster, 2, kNew, 2, kept);
  const auto era = only<EraProposed>(cluster[1].effects).era;
  cluster[1].leave(kNew, "d", 5);
  cluster[2].leave(kNew, "d", 5);
  cluster.settle();
  join(cluster, 1, kNew + 1, 2, kept);
  join(cluster, 2, kNew + 1, 2, kept);
  CHECK(all<EraProposed>(cluster[1].effects).back().era == era + 1);
}

TEST_CASE("K1 a member that comes and goes keeps no era from beginning, and its disk is asked each time") {
  Cluster cluster(3);
  for (const NodeId node : {1U, 2U, 3U}) {
    join(cluster, node, kNew, 3, kept_by({1, 2, 3}));
  }
  const auto first = only<EraProposed>(cluster[1].effects);
  for (ClientId client = kNew; client < kNew + 5; ++client) {
    cluster[3].take();
    cluster[3].leave(client, "d", 5);
    cluster.settle();
    join(cluster, 3, client + 1, 3, kept_by({1, 2, 3}));
    CHECK(only<EraProposed>(cluster[3].effects).era == first.era);  // nobody had it open when it was asked before
  }
  CHECK(only<EraProposed>(cluster[1].effects).era == first.era);
  promise(cluster, 1);
  promise(cluster, 3);
  cluster[1].take();
  cluster[1].send(kNew, "d", Service::total, {"hello"});
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[1].effects).history.era == first.era);
}

TEST_CASE("T2 nobody is given up for a piece of a transfer that is over, and at once for one of no history") {
  Cluster cluster(3);
  for (const NodeId node : {1U, 2U, 3U}) {
    join(cluster, node, kNew, 3, kept_by({1, 2, 3}, 7, {9, node == 1 ? 6U : 5U}));
  }
  promise(cluster, 1);
  promise(cluster, 2);
  carry(cluster);
  const auto asked = all<HistoryRequested>(cluster[1].effects).back();
  cluster[1].groups.request(ClientState{kNew, 50, "d", asked.token, false, false, Slice::copy_of("a piece")}, cluster[1].effects);
  carry(cluster);
  CHECK(only<StateArrived>(cluster[2].take()).body.size() == 7);
  SECTION("its donor is dead") {
    cluster.change_view({1});
    cluster.settle();
    REQUIRE(all<EraProposed>(cluster[2].effects).size() == 1);  // its keeper drops what came, and says no more of it
    CHECK(cluster[2].groups.transfers().next_deadline() == kNever);
  }
  SECTION("it is none, and its members may come again with what their disk has") {
    cluster[2].groups.taken({"d", asked.token, 0, true}, cluster[2].effects);
    cluster.settle();
    CHECK(only<ClientDismissed>(cluster[2].take()).client == kNew);
    join(cluster, 2, kNew, 3, kept_by({1, 2, 3}, 7, {9, 5}));
    CHECK(all<RequestRefused>(cluster[2].effects).empty());
  }
}

TEST_CASE("T2 of a member that is gone nothing is given, also when its leave is on its way") {
  Cluster cluster(2);
  join(cluster, 1, kNew, 2, kept_by({1, 2}, 7, {9, 6}));
  join(cluster, 2, kNew, 2, kept_by({1, 2}, 7, {9, 5}));
  for (const NodeId node : {1U, 2U}) {
    const auto proposed = only<EraProposed>(cluster[node].effects);
    cluster[node].groups.promised({proposed.id, proposed.era});
    REQUIRE(cluster.bind_one(cluster[node]));
  }
  cluster[1].groups.client_gone(kNew, cluster[1].effects);
  for (const NodeId node : {1U, 2U}) {
    cluster.deliver_all(cluster[node]);
  }
  carry(cluster);
  const auto asked = only<HistoryRequested>(cluster[1].take());
  const auto pieces = [&] {
    cluster[1].groups.request(ClientState{kNew, 50, "d", asked.token, false, false, Slice::copy_of("a piece")},
                              cluster[1].effects);
    return all<SendFrame>(cluster[1].effects).size();
  };
  CHECK(pieces() == 0);
  while (cluster.bind_one(cluster[1])) {
  }
  CHECK(pieces() == 0);  // it would be taken for the beginning
  CHECK(refusal(cluster, 1) == "no_transfer");
}

TEST_CASE("K2 a promise does not take the place of what the disk has written: by that it is judged") {
  Cluster cluster(2);
  join(cluster, 2, kNew, 3, kept_by({1, 2, 3}, 7, {9, 3}));
  join(cluster, 1, kNew, 3, kept_by({1, 2, 3}, 7, {9, 2}));
  const auto proposed = only<EraProposed>(cluster[1].effects);
  cluster[1].groups.synced({"d", {9, 3}});
  cluster[1].groups.promised({proposed.id, proposed.era});
  promise(cluster, 2);
  CHECK(only<HistoryRequested>(cluster[2].effects).known == std::vector<HistoryPosition>{{9, 3}, {9, 3}});
}

TEST_CASE("K1 a disk is asked again when the group ended before it had promised, and comes to the same era") {
  Cluster cluster(3);
  const auto kept = kept_by({1, 2, 3}, 7, {std::uint64_t{1} << 50U, 3});
  constexpr ClientId kFirst = 40;
  constexpr ClientId kSecond = 41;
  join(cluster, 2, kFirst, 3, kept);
  const auto ask = [&](NodeId node, ClientId client) {
    ClientJoin join{client, 1, "d", "member", {.total_only = true, .disks = 3}};
    join.state.wanted = true;
    join.state.kept = kept;
    cluster[node].groups.request(std::move(join), cluster[node].effects);
    REQUIRE(cluster.bind_one(cluster[node]));
  };
  ask(1, kNew);  // node 2 has not got it yet
  cluster.deliver_all(cluster[1]);
  cluster[2].groups.client_gone(kFirst, cluster[2].effects);
  REQUIRE(cluster.bind_one(cluster[2]));
  cluster[1].leave(kNew, "d", 5);
  REQUIRE(cluster.bind_one(cluster[1]));
  ask(2, kSecond);
  cluster.settle();
  const auto first = only<EraProposed>(cluster[2].effects);
  cluster[2].groups.promised({first.id, first.era});  // of the group that has ended
  cluster.settle();
  join(cluster, 3, kNew, 3, kept);
  REQUIRE(all<EraProposed>(cluster[2].effects).size() == 2);
  promise(cluster, 3);
  promise(cluster, 2);
  CHECK(goes_on(cluster, 3));
}

TEST_CASE("K1 members without state do not decide how a group is kept") {
  Limits limits;
  limits.max_run_bytes = 1024;
  Cluster cluster(2, limits);
  cluster[2].join(kOther, "d");
  cluster.settle();
  cluster[2].take();
  cluster[2].send(kOther, "d", Service::fifo, {std::string(3 * limits.max_run_bytes, 'x')});
  REQUIRE(cluster.bind_one(cluster[2]));  // the first fragment
  ClientJoin durable{kKeeper, 1, "d", "keeper", {.total_only = true, .disks = 1}};
  durable.state.wanted = true;
  cluster[1].groups.request(std::move(durable), cluster[1].effects);
  REQUIRE(cluster.bind_one(cluster[1]));
  cluster.deliver_all(cluster[1]);
  cluster.deliver_all(cluster[2]);  // G4: the rest is bound in the next view
  const auto table = cluster[2].groups.save_table();
  Groups joiner(pid(3), limits, false);
  REQUIRE(joiner.load_table(table));
  CHECK(joiner.save_table() == table);
  cluster.settle();
  tell(cluster, 1);
  const auto effects = cluster[2].effects;
  CHECK(only<SendOutcome>(effects).outcome == Outcome::not_delivered);
  CHECK(only<SendOutcome>(effects).code == "total_only");
  tell(cluster, 2);

  CHECK(goes_on(cluster, 2, kOther));
  CHECK(index_at_keeper(cluster) == 1);
  cluster[2].take();
  cluster[2].send(kOther, "d", Service::fifo, {"hello"});
  CHECK(refusal(cluster, 2) == "total_only");
  join(cluster, 2, kNew, 2);
  CHECK(refusal(cluster, 2) == "other_policy");
}

TEST_CASE("K1 a group whose members have a state without disks stays so") {
  Cluster cluster(2);
  ClientJoin replica{kOther, 1, "d", "replica", {.total_only = true}};
  replica.state.wanted = true;
  cluster[2].groups.request(std::move(replica), cluster[2].effects);
  cluster.settle();
  join(cluster, 1, kNew, 1);
  CHECK(refusal(cluster, 1) == "other_policy");
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
