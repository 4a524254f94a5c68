// T1, T2: who gives the state to whom, what waits for it, and what is said when it cannot be had.
#include "unit/groups/cluster.h"

#include <set>

namespace vsync::core {
namespace {

constexpr ClientId kFirst = 1;
constexpr ClientId kSecond = 2;

Limits limits() {
  Limits limits;
  limits.state_window = 100;
  limits.max_run_bytes = 60;
  limits.state_queue_bytes = 2000;
  return limits;
}

void replica(Daemon& daemon, ClientId client, std::uint64_t offer = 0, std::uint32_t replicas = 1) {
  daemon.groups.request(ClientJoin{client, 1, "g", "c", {}, false, StateWish{true, offer, replicas}}, daemon.effects);
}

void give(Daemon& daemon, const StateRequested& asked, RequestId request, const std::string& bytes, bool last,
          bool refused = false) {
  daemon.groups.request(ClientState{asked.client, request, "g", asked.token, last, refused, Slice::copy_of(bytes)},
                        daemon.effects);
}

/// Daemon 1 has the state, daemon 2 waits for it.
struct Pair {
  Cluster cluster{2, limits()};
  StateRequested asked;

  Pair() {
    replica(cluster[1], kFirst);
    cluster.settle();
    REQUIRE(only<StateArrived>(cluster[1].effects).cold);
    replica(cluster[2], kSecond);
    cluster.settle();
    carry(cluster);
    asked = only<StateRequested>(cluster[1].take());
    cluster[2].take();
  }
};

/// Daemons 1 and 2 have the state, daemon 3 waits for it.
struct Trio {
  Cluster cluster{3, limits()};

  explicit Trio(const std::string& state) {
    replica(cluster[1], kFirst);
    cluster.settle();
    replica(cluster[2], kSecond);
    cluster.settle();
    carry(cluster);
    give(cluster[1], only<StateRequested>(cluster[1].take()), 20, state, true);
    carry(cluster);
    cluster.settle();  // daemon 2 says that it arrived
    replica(cluster[3], 3);
    cluster.settle();
    carry(cluster);
  }
};

TEST_CASE("the first member is told that nobody has the state") {
  Cluster cluster(1, limits());
  replica(cluster[1], kFirst);
  cluster.settle();
  const auto arrived = only<StateArrived>(cluster[1].effects);
  CHECK(arrived.cold);
  CHECK(arrived.last);
  CHECK(arrived.clients == std::vector{kFirst});
}

TEST_CASE("messages wait behind the state, and follow it to the joiner alone") {
  Pair pair;
  auto& cluster = pair.cluster;
  cluster[1].send(kFirst, "g", Service::total, {"while it is under way"});
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[1].effects).audience.later.empty());
  CHECK(only<DeliverMessages>(cluster[2].effects).audience.later == std::vector{kSecond});
  cluster[2].take();

  give(cluster[1], pair.asked, 20, "a state", true);
  carry(cluster);
  const auto effects = cluster[2].take();
  CHECK(only<StateArrived>(effects).body.view() == "a state");
  CHECK(only<DeliverMessages>(effects).audience.only == std::vector{kSecond});

  cluster[2].groups.transfers().read(kSecond, cluster[2].effects);
  carry(cluster);
  CHECK(only<RequestDone>(cluster[1].take()).request == 20);
  cluster.settle();
  cluster[2].send(kSecond, "g", Service::total, {"later"}, 30);
  cluster.settle();
  const auto live = only<DeliverMessages>(cluster[2].effects);
  CHECK(live.audience.later.empty());
  CHECK(live.audience.only.empty());
}

TEST_CASE("a message for the joiner alone, and a request, wait behind its state") {
  Pair pair;
  auto& cluster = pair.cluster;
  const auto say = [&](RequestId request, SendWish wish) {
    ClientSend send{kFirst, request, "g", Service::total, true, 1, 0, body_of({"early"})};
    send.wish = std::make_shared<const SendWish>(std::move(wish));
    cluster[1].groups.request(std::move(send), cluster[1].effects);
    cluster.settle();
    CHECK(all<DeliverMessages>(cluster[1].effects).size() == (request == 31 ? 1 : 0));
    CHECK(only<DeliverMessages>(cluster[2].take()).audience.later == std::vector{kSecond});
  };
  say(30, {{}, ClientRef{pid(2), kSecond}, 0, {}, {}});
  say(31, {{}, {}, 0, Wait::all, std::chrono::seconds(1)});
  cluster[1].take();

  give(cluster[1], pair.asked, 20, "a state", true);
  carry(cluster);
  const auto direct = only<DeliverMessages>(cluster[2].take());
  CHECK(direct.direct == kSecond);
  CHECK(direct.audience.only == std::vector{kSecond});
  cluster[2].groups.transfers().read(kSecond, cluster[2].effects);
  const auto request = only<DeliverMessages>(cluster[2].take());
  CHECK(request.request == 31);
  CHECK(request.audience.only == std::vector{kSecond});

  for (const NodeId node : {1U, 2U}) {  // it was asked, and its reply counts
    CHECK(all<RequestAnswered>(cluster[1].take()).empty());
    ClientSend reply{node == 1 ? kFirst : kSecond, 40, "", Service::fifo, true, 1, 0, body_of({"late"})};
    reply.wish = std::make_shared<const SendWish>(SendWish{{}, ClientRef{pid(1), kFirst}, 31, {}, {}});
    cluster[node].groups.request(std::move(reply), cluster[node].effects);
    cluster.settle();
  }
  CHECK(only<RequestAnswered>(cluster[1].take()).complete);
}

TEST_CASE("a donor's pieces are answered when they are taken, and bounded until then") {
  Pair pair;
  auto& [cluster, asked] = pair;
  give(cluster[1], asked, 20, std::string(60, 'a'), false);
  give(cluster[1], asked, 21, std::string(41, 'b'), false);
  CHECK(only<RequestRefused>(cluster[1].effects).code == "too_many");
  carry(cluster);
  CHECK(all<RequestDone>(cluster[1].effects).empty());
  cluster[2].groups.transfers().read(kSecond, cluster[2].effects);
  carry(cluster);
  CHECK(only<RequestDone>(cluster[1].take()).request == 20);
  give(cluster[1], asked, 22, std::string(61, 'c'), true);
  CHECK(only<RequestRefused>(cluster[1].take()).code == "too_large");
  give(cluster[1], asked, 23, "", false);
  CHECK(only<RequestRefused>(cluster[1].take()).code == "bad_request");
}

TEST_CASE("pieces that were lost with a link are sent again, and taken once") {
  Pair pair;
  auto& [cluster, asked] = pair;
  give(cluster[1], asked, 20, "first ", false);
  carry(cluster);
  give(cluster[1], asked, 21, "second", true);
  cluster[1].take();  // lost
  cluster[1].groups.transfers().link_opened(pid(2), cluster[1].effects);
  carry(cluster);
  std::string state;
  for (const auto& arrived : all<StateArrived>(cluster[2].effects)) {
    state += arrived.body.view();
  }
  CHECK(state == "first second");
}

TEST_CASE("T1: what a joiner said of the next transfer is not lost when it says again what it took of the last") {
  const auto next = Pair().asked.token;
  Cluster cluster(2, limits());
  replica(cluster[1], kFirst);
  cluster.settle();
  const auto group = cluster[1].groups.views().front()->group;
  for (const auto token : {next, next - 1}) {
    cluster[1].groups.transfers().received(pid(2), StateAck{group, token, 0}, cluster[1].effects);
  }
  replica(cluster[2], kSecond);
  cluster.settle();
  const auto asked = only<StateRequested>(cluster[1].take());
  REQUIRE(asked.token == next);
  give(cluster[1], asked, 20, "a state", true);
  CHECK(std::holds_alternative<StatePiece>(*only<SendFrame>(cluster[1].take()).frame));
}

TEST_CASE("when the donor dies, the next member gives another state from its beginning") {
  Trio trio("old");
  auto& cluster = trio.cluster;
  give(cluster[1], only<StateRequested>(cluster[1].take()), 21, "a part of", false);
  carry(cluster);
  CHECK(cluster[3].groups.views().front()->without_state.size() == 1);
  cluster[3].take();
  cluster[2].take();
  cluster.change_view({1});
  const auto asked = only<StateRequested>(cluster[2].take());
  carry(cluster);
  give(cluster[2], asked, 22, "anew", true);
  carry(cluster);
  const auto arrived = only<StateArrived>(cluster[3].take());
  CHECK(arrived.token == asked.token);
  CHECK(arrived.offset == 0);
  CHECK(arrived.body.view() == "anew");
}

TEST_CASE("when all refuse, the joiner is told; the next one may ask again") {
  Pair pair;
  auto& [cluster, asked] = pair;
  give(cluster[1], asked, 20, "", false, true);
  cluster.settle();
  CHECK(only<ClientDismissed>(cluster[2].take()).client == kSecond);
  const auto view = all<GroupViewInstalled>(cluster[1].take()).back().group_view;
  REQUIRE(view->left.size() == 1);
  CHECK(view->left.front().reason == LeaveReason::no_state);
  replica(cluster[2], 3);
  cluster.settle();
  CHECK(only<StateRequested>(cluster[1].effects).token > asked.token);
}

TEST_CASE("a donor that does nothing is given up after a time, as if it had refused") {
  Pair pair;
  auto& [cluster, asked] = pair;
  const auto deadline = cluster[1].groups.next_deadline();
  CHECK(deadline == limits().state_timeout);
  cluster[1].groups.transfers().at(deadline);
  cluster[1].groups.transfers().tick(cluster[1].effects);
  cluster.settle();
  CHECK(all<ClientDismissed>(cluster[2].effects).size() == 1);
}

TEST_CASE("a joiner for which too much waits is dismissed, and costs nothing more") {
  Pair pair;
  auto& cluster = pair.cluster;
  for (RequestId i = 0; i < 10; ++i) {
    cluster[1].send(kFirst, "g", Service::total, {std::string(50, 'x')}, 20 + i);
  }
  cluster.settle();
  CHECK(only<ClientDismissed>(cluster[2].effects).name == "g");
  CHECK(cluster[1].groups.views().front()->members.size() == 1);
}

TEST_CASE("T1: who is about to be dismissed gives no state") {
  Pair pair;
  auto& cluster = pair.cluster;
  const auto flood = [&](RequestId first) {
    for (RequestId i = 0; i < 10; ++i) {
      cluster[1].send(kFirst, "g", Service::total, {std::string(50, 'x')}, first + i);
      cluster.bind_one(cluster[1]);
      cluster.deliver_all(cluster[1]);
      cluster.deliver_all(cluster[2]);
    }
  };
  cluster[1].send(kFirst, "g", Service::total, {"one"}, 30);
  cluster[1].send(kFirst, "g", Service::total, {"two"}, 31);
  cluster.settle();
  give(cluster[1], pair.asked, 20, "a state", true);
  carry(cluster);
  cluster.settle();  // all know that the second one has it; but it does not read what has waited
  flood(40);         // and now it is given up, before its leave is bound
  replica(cluster[1], 3);
  cluster[1].leave(kFirst, "g", 60);
  cluster[2].take();
  for (int i = 0; i < 2; ++i) {  // the join, and the leave: a flush goes before everything else that waits to be bound
    for (const NodeId node : {1U, 2U, 1U}) {
      cluster.bind_one(cluster[node]);
      cluster.deliver_all(cluster[1]);
      cluster.deliver_all(cluster[2]);
    }
  }
  CHECK(cluster[1].groups.views().front()->members.size() == 2);
  cluster.settle();
  CHECK(all<StateRequested>(cluster[2].effects).empty());
  CHECK(only<ClientDismissed>(cluster[2].effects).client == kSecond);
}

TEST_CASE("T1: who was to give its state when it has caught up, and is given up before, gives none") {
  constexpr ClientId kThird = 3;
  Cluster cluster(2, limits());
  replica(cluster[1], kFirst);
  cluster.settle();
  replica(cluster[1], 9);
  cluster.settle();
  replica(cluster[2], kSecond);
  replica(cluster[2], kThird);
  cluster.settle();  // they wait together for the next transfer
  give(cluster[1], only<StateRequested>(cluster[1].take()), 20, "a state", true);
  cluster[1].groups.transfers().read(9, cluster[1].effects);
  carry(cluster);
  cluster.settle();
  carry(cluster);
  const auto asked = only<StateRequested>(cluster[1].take());
  cluster[1].send(kFirst, "g", Service::total, {"one"}, 30);
  cluster[1].send(kFirst, "g", Service::total, {"two"}, 31);
  cluster.settle();
  give(cluster[1], asked, 21, "a state", true);
  carry(cluster);
  cluster.settle();
  cluster[2].groups.transfers().read(kThird, cluster[2].effects);  // the other one does not read
  replica(cluster[1], 5);
  cluster[1].leave(kFirst, "g", 60);
  cluster[1].leave(9, "g", 61);
  cluster.settle();
  CHECK(cluster[1].groups.views().front()->members.front().client == kSecond);
  CHECK(all<StateRequested>(cluster[2].take()).empty());  // it is to give its state behind what it has not read
  for (RequestId i = 0; i < 10; ++i) {
    cluster[1].send(5, "g", Service::total, {std::string(50, 'x')}, 70 + i);
    cluster.bind_one(cluster[1]);
    cluster.deliver_all(cluster[1]);
    cluster.deliver_all(cluster[2]);
    for (int read = 0; read < 20; ++read) {
      cluster[2].groups.transfers().read(kThird, cluster[2].effects);  // all that it is given
    }
  }
  cluster.settle();
  const auto effects = cluster[2].take();
  CHECK(only<ClientDismissed>(effects).client == kSecond);
  for (const auto& request : all<StateRequested>(effects)) {
    CHECK(request.client != kSecond);
  }
}

TEST_CASE("G4: a joiner that is dismissed does not go on with the large message that it had begun") {
  Pair pair;
  auto& cluster = pair.cluster;
  cluster[2].send(kSecond, "g", Service::fifo, {std::string(500, 'f')}, 40);
  cluster.bind_one(cluster[2]);
  for (RequestId i = 0; i < 10; ++i) {
    cluster[1].send(kFirst, "g", Service::total, {std::string(50, 'x')}, 20 + i);
    cluster.bind_one(cluster[1]);
  }
  cluster.deliver_all(cluster[1]);
  cluster.deliver_all(cluster[2]);
  CHECK(cluster[1].groups.table_hash() != Hasher{}.add(cluster[1].groups.save_table()).value());
  cluster.bind_one(cluster[2]);  // it leaves
  cluster.deliver_all(cluster[1]);
  cluster.deliver_all(cluster[2]);
  cluster.settle();
  const auto effects = cluster[2].take();
  CHECK(only<ClientDismissed>(effects).name == "g");
  const auto outcome = only<SendOutcome>(effects);
  CHECK(outcome.request == 40);
  CHECK(outcome.outcome == Outcome::not_delivered);
  CHECK(outcome.code == "not_member");
  for (const auto& message : all<DeliverMessages>(cluster[1].take())) {
    CHECK(message.service == Service::total);
  }
  CHECK(cluster[1].groups.table_hash() == Hasher{}.add(cluster[1].groups.save_table()).value());  // no beginning is kept
}

/// Daemon 1 has the state, and clients 3 and 4 of daemon 2 share the transfer under way.
struct Neighbours {
  Pair pair;
  Cluster& cluster = pair.cluster;
  StateRequested asked;

  Neighbours() {
    replica(cluster[2], 3);
    replica(cluster[2], 4);
    cluster.settle();
    finish();
    asked = all<StateRequested>(cluster[1].take()).back();
    cluster[2].take();
  }
  /// The transfer to the first joiner.
  void finish() {
    give(cluster[1], pair.asked, 20, "", true);
    carry(cluster);
    cluster.settle();
    carry(cluster);
    read(kSecond);
    cluster.settle();
  }
  void read(ClientId client) {
    cluster[2].groups.transfers().read(client, cluster[2].effects);
    carry(cluster);
  }
};

TEST_CASE("a joiner that takes nothing leaves alone: its neighbour goes on") {
  Neighbours story;
  auto& cluster = story.cluster;
  give(cluster[1], story.asked, 21, "piece", false);
  carry(cluster);
  story.read(3);
  const auto deadline = cluster[2].groups.next_deadline();
  CHECK(deadline == limits().state_timeout);
  cluster[2].groups.transfers().at(deadline);
  cluster[2].groups.transfers().tick(cluster[2].effects);
  carry(cluster);
  CHECK(only<RequestDone>(cluster[1].take()).request == 21);
  cluster[2].take();
  cluster.settle();
  CHECK(only<ClientDismissed>(cluster[2].take()).client == 4);
  give(cluster[1], story.asked, 22, "and the rest", true);
  carry(cluster);
  CHECK(only<StateArrived>(cluster[2].take()).clients == std::vector<ClientId>{3});
}

TEST_CASE("when too much waits behind a state those leave who do not take it") {
  Neighbours story;
  auto& cluster = story.cluster;
  cluster[1].send(kFirst, "g", Service::total, {"first"});
  cluster[1].send(kFirst, "g", Service::total, {std::string(700, 'x')}, 11);
  cluster.settle();
  give(cluster[1], story.asked, 21, "a state", true);
  carry(cluster);
  story.read(3);
  for (RequestId i = 0; i < 20 && all<ClientDismissed>(cluster[2].effects).empty(); ++i) {
    cluster[1].send(kFirst, "g", Service::total, {std::string(50, 'x')}, 30 + i);
    cluster.settle();
  }
  CHECK(only<ClientDismissed>(cluster[2].take()).client == 4);
  for (int i = 0; i < 40; ++i) {
    story.read(3);
  }
  cluster[2].take();
  cluster[1].send(kFirst, "g", Service::total, {"it is a member like the others"}, 60);
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[2].effects).audience.later.empty());
}

TEST_CASE("what waits for a joiner that is gone does not stop the others") {
  Neighbours story;
  auto& cluster = story.cluster;
  ClientSend send{kFirst, 30, "g", Service::total, true, 1, 0, body_of({"for 4 alone"})};
  send.wish = std::make_shared<const SendWish>(SendWish{{}, ClientRef{pid(2), 4}, 0, {}, {}});
  cluster[1].groups.request(std::move(send), cluster[1].effects);
  cluster.settle();
  cluster[1].send(kFirst, "g", Service::total, {"for all"}, 31);
  cluster.settle();
  cluster[2].groups.client_gone(4, cluster[2].effects);
  cluster[2].take();
  give(cluster[1], story.asked, 21, "a state", true);
  carry(cluster);
  CHECK(only<DeliverMessages>(cluster[2].take()).direct == 0);
}

TEST_CASE("G7, G8: what is for one member alone waits for its boundary; what is for all is in its state") {
  Pair pair;
  auto& cluster = pair.cluster;
  replica(cluster[2], 3);
  cluster.settle();
  cluster[2].take();
  const auto say = [&](RequestId request, SendWish wish) {
    ClientSend send{kFirst, request, "g", Service::total, true, 1, 0, body_of({"early"})};
    send.wish = std::make_shared<const SendWish>(std::move(wish));
    cluster[1].groups.request(std::move(send), cluster[1].effects);
    cluster.settle();
  };
  say(30, {{}, ClientRef{pid(2), 3}, 0, {}, {}});
  CHECK(only<SendOutcome>(cluster[1].take()).outcome == Outcome::delivered);
  say(31, {{}, ClientRef{pid(2), 3}, 0, Wait::all, std::chrono::seconds(9)});
  say(32, {{}, {}, 0, Wait::all, std::chrono::seconds(1)});
  cluster[1].groups.open_requests().end_of_turn(Time{}, cluster[1].effects);
  cluster[1].take();
  give(cluster[1], pair.asked, 20, "", true);
  carry(cluster);
  cluster.settle();
  carry(cluster);
  cluster[2].take();
  give(cluster[1], only<StateRequested>(cluster[1].take()), 21, "a state", true);
  carry(cluster);
  std::vector<DeliverMessages> got;
  for (int i = 0; i < 5; ++i) {
    for (const auto& message : all<DeliverMessages>(cluster[2].take())) {
      if (message.audience.only == std::vector<ClientId>{3}) {
        got.push_back(message);
      }
    }
    cluster[2].groups.transfers().read(3, cluster[2].effects);
  }
  REQUIRE(got.size() == 2);
  CHECK(got[0].request == 0);
  CHECK(got[1].request == 31);

  cluster[1].groups.open_requests().end_of_turn(std::chrono::seconds(1), cluster[1].effects);
  const auto answer = only<RequestAnswered>(cluster[1].effects);
  CHECK(answer.request == 32);
  REQUIRE(answer.missing.size() == 3);
  CHECK(answer.missing[1].reason == "no_reply");
  CHECK(answer.missing[2].member.client == 3);
  CHECK(answer.missing[2].reason == "no_state");
}

TEST_CASE("G7, G8: a transfer that begins anew loses nothing that is for its joiner alone") {
  Trio trio("");
  auto& cluster = trio.cluster;
  const auto say = [&](RequestId request, SendWish wish) {
    ClientSend send{kSecond, request, "g", Service::total, true, 1, 0, body_of({"early"})};
    send.wish = std::make_shared<const SendWish>(std::move(wish));
    cluster[2].groups.request(std::move(send), cluster[2].effects);
    cluster.settle();
  };
  say(30, {{}, ClientRef{pid(3), 3}, 0, {}, {}});
  say(31, {{}, {}, 0, Wait::first, std::chrono::seconds(9)});
  cluster[2].take();
  cluster[3].take();
  const bool dies = GENERATE(true, false);
  if (dies) {
    cluster.change_view({1});  // who has the state and did not reply is still awaited
  } else {
    cluster[1].leave(kFirst, "g", 9);
    cluster.settle();
  }
  CHECK(all<RequestAnswered>(cluster[2].effects).empty());
  const auto asked = only<StateRequested>(cluster[2].take());
  carry(cluster);
  give(cluster[2], asked, 22, "anew", true);
  carry(cluster);
  const auto effects = cluster[3].take();
  CHECK(only<StateArrived>(effects).body.view() == "anew");
  CHECK(only<DeliverMessages>(effects).direct == 3);
  cluster[2].leave(kSecond, "g", 9);
  cluster.settle();
  const auto answer = only<RequestAnswered>(cluster[2].effects);
  REQUIRE(answer.missing.size() == 3);
  CHECK(answer.missing[2].reason == "no_state");
}

TEST_CASE("G7: who waits for others to begin gets what is for it alone behind its own state") {
  Cluster cluster(2, limits());
  replica(cluster[1], kFirst, 7, 2);
  cluster.settle();
  ClientSend send{9, 30, "g", Service::total, true, 1, 0, body_of({"early"})};
  send.wish = std::make_shared<const SendWish>(SendWish{{}, ClientRef{pid(1), kFirst}, 0, {}, {}});
  cluster[2].groups.request(std::move(send), cluster[2].effects);
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[1].take()).audience.later == std::vector{kFirst});
  replica(cluster[2], kSecond, 5, 2);
  cluster.settle();
  const auto effects = cluster[1].take();
  CHECK(only<StateArrived>(effects).cold);
  CHECK(only<DeliverMessages>(effects).audience.only == std::vector{kFirst});
}

/// In a group of totals alone. What daemon 1 says until its joiner is given up is bound, and delivered nowhere.
struct Crowded {
  Cluster cluster{2, limits()};

  Crowded() {
    for (const NodeId node : {1U, 2U}) {
      cluster[node].groups.request(ClientJoin{node, 1, "g", "c", {.total_only = true}, false, StateWish{true}},
                                   cluster[node].effects);
      cluster.settle();
    }
    carry(cluster);
    for (RequestId i = 0; i < 10; ++i) {
      cluster[1].send(kFirst, "g", Service::total, {std::string(50, 'x')}, 20 + i);
    }
    while (cluster.bind_one(cluster[1])) {
    }
    cluster[2].take();
  }
};

TEST_CASE("a joiner that leaves while it is given up is answered for what it asked") {
  Crowded crowded;
  auto& cluster = crowded.cluster;
  cluster[2].leave(kSecond, "g", 41);
  cluster[2].join(kSecond, "another", 42);
  cluster.bind_one(cluster[2]);
  for (int i = 0; i < 10; ++i) {
    REQUIRE(cluster.deliver_one(cluster[2]));
  }
  REQUIRE(cluster.bind_one(cluster[2]));  // it is given up, behind its own leave
  cluster.deliver_one(cluster[2]);
  CHECK(only<RequestDone>(cluster[2].take()).request == 41);
  REQUIRE(cluster.bind_one(cluster[2]));
  cluster.settle();
  const auto effects = cluster[2].take();
  CHECK(all<RequestRefused>(effects).empty());
  CHECK(only<RequestDone>(effects).request == 42);
}

TEST_CASE("G10: a member that is dismissed holds nobody when it comes again") {
  Crowded crowded;
  auto& cluster = crowded.cluster;
  const auto group = cluster[1].groups.views().front()->group;
  const auto hold = [&] {
    cluster[2].groups.request(ClientHold{kSecond, group, true});
    cluster.settle();
    return all<GroupHeld>(cluster[2].take());
  };
  CHECK(hold().size() == 2);  // it is held, and no more when it is dismissed
  replica(cluster[2], kSecond);
  cluster.settle();
  cluster[2].take();
  CHECK(hold().size() == 1);
}

TEST_CASE("a member that is about to be dismissed hears of no view in between") {
  Pair pair;
  auto& [cluster, asked] = pair;
  const auto say = [&, &daemon = cluster[1]](int count) {
    for (int i = 0; i < count; ++i) {
      daemon.send(kFirst, "g", Service::total, {std::string(50, 'x')});
    }
  };
  say(4);
  cluster.settle();
  give(cluster[1], asked, 20, "a state", true);
  carry(cluster);
  cluster.settle();  // all know that it has the state, but it reads nothing of what waited
  cluster[2].take();
  say(10);
  cluster[1].groups.request(ClientJoin{3, 1, "g", "c", {}, false, {}}, cluster[1].effects);
  cluster.settle();
  const auto views = all<GroupViewInstalled>(cluster[2].effects);
  REQUIRE(views.size() == 2);
  CHECK(views[0].group_view->members.size() == 3);
  CHECK(views[0].audience.later == std::vector{kSecond});
  CHECK(only<ClientDismissed>(cluster[2].effects).client == kSecond);
}

TEST_CASE("a donor does not wait for a joiner that went while it had something to read") {
  Pair pair;
  auto& [cluster, asked] = pair;
  cluster[1].send(kFirst, "g", Service::total, {"makes the next view a boundary"});
  replica(cluster[2], 3);
  replica(cluster[2], 4);
  give(cluster[1], asked, 20, "", true);
  carry(cluster);
  cluster.settle();
  carry(cluster);
  cluster[2].groups.transfers().read(kSecond, cluster[2].effects);
  cluster.settle();
  carry(cluster);
  const auto next = all<StateRequested>(cluster[1].take()).back();
  give(cluster[1], next, 21, "piece", false);
  carry(cluster);
  cluster[2].groups.transfers().read(3, cluster[2].effects);
  carry(cluster);
  CHECK(all<RequestDone>(cluster[1].effects).empty());
  const bool dies = GENERATE(false, true);
  dies ? cluster[2].groups.client_gone(4, cluster[2].effects) : cluster[2].leave(4, "g", 9);
  cluster.settle();
  carry(cluster);
  CHECK(only<RequestDone>(cluster[1].effects).request == 21);
}

TEST_CASE("the newest checkpoint wins when enough are there and nobody has the state") {
  Cluster cluster(3, limits());
  const std::uint64_t offers[] = {5, 9, 7};
  for (NodeId node = 1; node <= 3; ++node) {
    replica(cluster[node], node, offers[node - 1], 3);
    cluster.settle();
    CHECK(all<StateArrived>(cluster[2].effects).size() == (node == 3 ? 1 : 0));
  }
  CHECK(only<StateArrived>(cluster[2].effects).cold);
  CHECK(all<StateArrived>(cluster[1].effects).empty());
  CHECK(only<StateRequested>(cluster[2].effects).client == 2);
}

TEST_CASE("a daemon that joins learns of the transfers from the table") {
  Pair pair;
  auto& cluster = pair.cluster;
  const auto table = cluster[1].groups.save_table();
  CHECK(table == cluster[2].groups.save_table());
  Groups joiner(pid(3), limits(), false);
  REQUIRE(joiner.load_table(table));
  CHECK(joiner.save_table() == table);
  auto damaged = table;
  damaged[damaged.size() - 1] ^= 1;
  CHECK_FALSE(joiner.load_table(damaged));
}

}  // namespace
}  // namespace vsync::core
