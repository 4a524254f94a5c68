// Section 11: founding, joining and leaving.
#include <catch2/catch.hpp>

#include "unit/membership/daemon.h"

namespace vsync::test {
namespace {

using std::chrono::milliseconds;

const View kFive = view_of(5, {1, 2, 3});

Config joining() {
  Config config;
  config.join = true;
  return config;
}

// ---------------------------------------------------------------- B1

TEST_CASE("B1: a founder is alone in view 1, when that is durable") {
  Config config;
  config.bootstrap = true;
  config.config_hash = 77;
  Daemon one(1, config);
  one.durable = false;
  one.start();
  CHECK(one->role() == Role::joining);
  CHECK(one.events().empty());
  one.persist();
  CHECK(one.events() == "install 1");
  CHECK(one->view()->summary() == "1 <1>");
  CHECK(one->view()->config_hash == 77);
  CHECK(one->view()->tiebreak == 1);
  CHECK_FALSE(one->uuid().none());
}

TEST_CASE("B1: nobody hears of a founder's view before it is durable") {
  Config config;
  config.bootstrap = true;
  Daemon one(1, config);
  one.durable = false;
  one.start();
  one.open(pid(2), Role::joining, 0, {});
  one.receive(2, ViewRequest{0});
  CHECK(one.count<Install>() + one.count<Evicted>() == 0);  // a founder that crashes now founds another cluster
  one.persist();
  CHECK(one.count<Install>() == 1);
}

TEST_CASE("J1: who asks a founder before it has founded is admitted; what others ask for is not kept") {
  Config config;
  config.bootstrap = true;
  Daemon one(1, config);
  one.durable = false;
  one.start();
  one.open(pid(2), Role::joining, 0, {});
  one.open(pid(3), Role::joining, 0, {});
  one.receive(2, Join{member(2), {}, 0, 1});
  one.receive(2, Join{member(3), {}, 0, 1});
  one.forget();
  one.persist();
  CHECK(one->role() == Role::member);
  CHECK(one.sent() == "READY>2");
}

TEST_CASE("B1: who has stored state, or lost it, founds nothing") {
  Config config;
  config.bootstrap = true;
  SECTION("stored") {
    config.restored.decided = shared(kFive);
  }
  SECTION("lost") {
    config.amnesiac = true;
  }
  Daemon one(1, config);
  one.start();
  CHECK(one.events().empty());
  CHECK(one->role() == (config.amnesiac ? Role::out : Role::joining));
}

TEST_CASE("B1: two founders make two clusters") {
  Config config;
  config.bootstrap = true;
  config.seed = 1;
  Daemon one(1, config);
  config.seed = 2;
  Daemon other(1, config);
  one.start();
  other.start();
  CHECK(one->uuid() != other->uuid());
}

TEST_CASE("B1: the first line of the hosts file founds only when everybody was asked and nobody knows a cluster") {
  Config config;
  config.found_if_alone = true;
  Daemon one(1, config);
  one.start();
  CHECK(one->role() == Role::joining);
  SECTION("alone") {
    one.open(pid(2), Role::joining, 0, {});  // one that belongs to no cluster yet
    one->seeds_tried(one.now);
    one.settle();
    CHECK(one->view()->summary() == "1 <1>");
  }
  SECTION("a running cluster") {
    one.open(pid(2));
    one->seeds_tried(one.now);
    one.settle();
    CHECK(one->role() == Role::joining);
  }
}

TEST_CASE("Q1: a founder with static voters breaks ties for the lowest configured node") {
  Config config;
  config.bootstrap = true;
  config.quorum = QuorumPolicy::fixed;
  config.static_voters = {{1, 0, 1}, {2, 0, 1}, {3, 0, 1}};
  Daemon two(2, config);
  two.start();
  CHECK(two->view()->voters.size() == 1);
  CHECK(two->view()->tiebreak == 1);
}

// ---------------------------------------------------------------- J1-J4: asking

TEST_CASE("J1: a joiner asks everybody it is linked to, again and again; who is no candidate passes it on") {
  Daemon four(4, joining());
  four.start();
  four.open(pid(1));
  CHECK(four.sent() == "JOIN>1 VIEW_REQ>1");
  four.open(pid(2));
  CHECK(four.count<Join>() == 2);
  four.forget();
  four.wait(4 * four.config().limits.rto);
  CHECK(four.count<Join>() == 2);

  Daemon two(2);
  two.join(kFive);
  two.open(pid(4), Role::joining);
  two.forget();
  two.receive(4, join_of(member(4)));
  CHECK(two.sent() == "JOIN>1");
  two.receive(3, join_of(member(4)));  // passed on once only
  CHECK(two.sent().empty());
  two.receive(1, Reject{pid(4), RejectReason::full, 0, 0});  // the answer goes back
  CHECK(two.last<Reject>().reason == RejectReason::full);
  CHECK(two.sent() == "REJECT>4");
}

TEST_CASE("J3: why a JOIN is refused") {
  struct Row {
    const char* what;
    Join join;
    RejectReason reason;
    NodeId node;
    std::uint64_t incarnation;
  };
  Join foreign = join_of(member(4));
  foreign.uuid = {9, 9};
  Join configured = join_of(member(4));
  configured.config_hash = 1;
  Join old = join_of(member(4));
  old.proto = 0;
  Join unnamed = join_of(member(0, 555));
  const Row rows[] = {
      {"another cluster", foreign, RejectReason::uuid, 0, 0},
      {"another configuration", configured, RejectReason::config, 0, 0},
      {"an older protocol", old, RejectReason::proto, 0, 0},
      {"no id yet: above all that were ever used or configured", unnamed, RejectReason::assign_id, 13, 0},
      {"an incarnation that was named before", join_of(member(9, 4)), RejectReason::incarnation_used, 0, 4},
      {"no room", join_of(member(4)), RejectReason::full, 0, 0},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Config config;
    config.highest_configured_node = 12;
    config.limits.max_members = row.reason == RejectReason::full ? 3 : 64;
    Daemon one(1, config);
    auto view = kFive;
    view.history[9] = 4;
    one.join(view);
    one.open(row.join.joiner.pid, Role::joining, 0, {});
    one.forget();
    one.receive(row.join.joiner.pid, row.join);
    CHECK(one.last<Reject>() == Reject{row.join.joiner.pid, row.reason, row.node, row.incarnation});
    CHECK(one.world.sent.size() == 1);
  }
}

TEST_CASE("a joiner without an id gets the same one again, and two get two") {
  Daemon one(1);
  one.join(kFive);
  const auto ask = [&](std::uint64_t incarnation) {
    one.open(pid(0, incarnation), Role::joining, 0, {});
    one.receive(pid(0, incarnation), join_of(member(0, incarnation)));
    return one.last<Reject>().node;
  };
  const auto first = ask(555);
  CHECK(first == 4);
  CHECK(ask(556) == 5);
  CHECK(ask(555) == first);
}

TEST_CASE("J3: a member that asks again has not heard of its view") {
  Daemon one(1);
  one.join(kFive);
  one.receive(2, join_of(member(2)));
  CHECK(one.last<Install>().value->id() == 5);
}

TEST_CASE("J1: JOINs passed on for joiners that nobody has seen do not pile up") {
  Daemon one(1);
  one.join(kFive);
  one.open(pid(4), Role::joining, 0, {});
  one.receive(4, join_of(member(4)));
  for (NodeId invented = 100; invented < 400; ++invented) {
    one.now += milliseconds(1);
    one.receive(2, join_of(member(invented)));
  }
  CHECK(one.world.wanted.size() == 2 + 1 + one.config().limits.max_members);
  const auto wanted = [&](NodeId node) {
    return std::any_of(one.world.wanted.begin(), one.world.wanted.end(), [&](const Member& m) { return m.pid == pid(node); });
  };
  CHECK(wanted(4));          // it is linked
  CHECK(wanted(399));        // the newest
  CHECK_FALSE(wanted(100));  // the oldest
}

TEST_CASE("a joiner acts on its own REJECT, not on an old one") {
  Daemon four(4, joining());
  four.start();
  four.open(pid(1));
  four.receive(1, Reject{pid(4), RejectReason::incarnation_used, 0, 0});  // of an earlier incarnation
  CHECK(four.events().empty());
  four.receive(1, Reject{pid(4), RejectReason::incarnation_used, 0, 8});
  CHECK(four.events() == "refused 0 0 8");
  four.receive(1, Reject{pid(4), RejectReason::assign_id, 6, 0});
  CHECK(four.events() == "refused 6 6 0");
}

// ---------------------------------------------------------------- J5

TEST_CASE("J5: a joiner is a cause only when it is linked to all members; the change waits for the batch") {
  Daemon one(1);
  one.join(kFive);
  one.open(pid(4), Role::joining);
  one.forget();
  one.receive(4, join_of(member(4)));
  CHECK(one.last<Ready>().members.size() == 3);
  CHECK(one.sent() == "READY>4");
  one.wait(one.config().limits.rto);
  CHECK(one.sent() == "READY>4");
  one.receive(4, ReadyOk{4});  // of another view
  one.receive(4, ReadyOk{5});
  CHECK(one.sent().empty());
  one.wait(one.config().limits.join_batch);
  CHECK(one.count<Prepare>() == 2);
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.receive(3, promise(kFive, {1, 1}, 3, {0, 0, 0}));
  CHECK(one.last<Accept>().value->summary() == "6 <1,2,3,4>");
}

TEST_CASE("J5: a joiner whose link is lost in time is not named, and one that fell silent is forgotten") {
  Daemon one(1);
  one.join(kFive);
  one.open(pid(4), Role::joining);
  one.receive(4, join_of(member(4)));
  SECTION("lost") {
    one.receive(4, ReadyOk{5});
    one.close(4);
    one.forget();
    one.wait(one.config().limits.join_batch);
    CHECK(one.count<Prepare>() == 0);
  }
  SECTION("silent") {
    one.wait(5 * one.config().limits.suspect_after);
    one.forget();
    one.wait(one.config().limits.rto);
    CHECK(one.count<Ready>() == 0);
  }
}

TEST_CASE("J5: the joiner answers READY when it has a link to each member, not before") {
  Daemon four(4, joining());
  four.start();
  four.open(pid(1));
  four.forget();
  four.receive(1, Ready{5, kFive.members});
  CHECK(four.sent().empty());
  CHECK(four.world.wanted.size() == 3);
  CHECK(four.world.seeking);
  four.open(pid(2));
  CHECK(four.count<ReadyOk>() == 0);
  four.open(pid(3));
  CHECK(four.last<ReadyOk>() == ReadyOk{5});
}

// ---------------------------------------------------------------- J6

struct Named : Daemon {
  Named() : Daemon(4, joining()) {
    start();
    for (const NodeId node : {1U, 2U}) {
      open(pid(node));
    }
    auto six = view_of(6, {1, 2, 4});
    six.origins.front().survivors.pop_back();
    receive(1, Install{shared(six)});
  }
};

TEST_CASE("J6: a named joiner fetches the table and installs with it, never before") {
  Named four;
  CHECK(four.last<TableRequest>() == TableRequest{6});
  CHECK(four.events().empty());
  CHECK(four->role() == Role::joining);
  four.receive(1, Table{6, 5, 0, 5, Slice::copy_of("abc")});
  CHECK(four.events().empty());
  four.receive(1, Table{6, 5, 3, 5, Slice::copy_of("de")});
  CHECK(four.events() == "install 6");
  CHECK(four.world.own_table == "abcde");
  CHECK(four.last<Installed>().view == 6);
}

TEST_CASE("J6: pieces that do not fit are ignored; a damaged table is asked for anew, from the next one") {
  Named four;
  CHECK(four.sent().ends_with("TABREQ>1"));
  SECTION("not the next piece") {
    four.receive(1, Table{6, 5, 2, 5, Slice::copy_of("cde")});
  }
  SECTION("of another view") {
    four.receive(1, Table{5, 5, 0, 5, Slice::copy_of("abcde")});
  }
  SECTION("more than it says") {
    four.receive(1, Table{6, 5, 0, 5, Slice::copy_of("abcdef")});
  }
  SECTION("too large") {
    four.receive(1, Table{6, std::uint64_t{1} << 40U, 0, 5, Slice::copy_of("a")});
  }
  SECTION("another hash") {
    four.receive(1, Table{6, 5, 0, 9, Slice::copy_of("abcde")});
  }
  SECTION("unreadable") {
    four.world.damaged_table = true;
    four.receive(1, Table{6, 5, 0, 5, Slice::copy_of("abcde")});
    four.world.damaged_table = false;
  }
  CHECK(four.events().empty());
  four.wait(4 * four.config().limits.rto);
  CHECK(four.sent().find("TABREQ>2") != std::string::npos);
  four.receive(2, Table{6, 2, 0, 2, Slice::copy_of("ok")});
  CHECK(four.events() == "install 6");
}

TEST_CASE("J6: when nobody can give the table the incarnation is over") {
  Named four;
  four.close(1);
  four.close(2);
  std::string events;
  for (int i = 0; i < 60 && events.empty(); ++i) {
    four.wait(2 * four.config().limits.rto);
    events = four.events();
  }
  CHECK(events == "excluded");
}

TEST_CASE("J6: a joiner that has no table yet promises nothing for the view that names it") {
  Named four;
  four.forget();
  four.receive(2, Prepare{{1, 2}, four->decided()});
  CHECK(four.count<Promise>() == 0);
  four.receive(1, Table{6, 2, 0, 2, Slice::copy_of("ok")});
  CHECK(four.last<Promise>().held == Counts{0, 0, 0});
}

TEST_CASE("J3: a joiner that was named and excluded before it installed comes no more") {
  Named four;
  auto seven = view_of(7, {1, 2});
  seven.history[4] = 1;
  four.receive(2, Install{shared(seven)});
  CHECK(four.events() == "excluded");
}

TEST_CASE("J6: a member gives its table in pieces, and tells what it knows about other views") {
  Daemon one(1);
  one.join(kFive);
  one.world.own_table = std::string((std::size_t{256} << 10U) + 1, 't');
  one.receive(2, TableRequest{5});
  REQUIRE(one.count<Table>() == 2);
  const auto last = one.last<Table>();
  CHECK(last.total == one.world.own_table.size());
  CHECK(last.offset == std::size_t{256} << 10U);
  CHECK(last.bytes.size() == 1);
  one.forget();
  one.world.own_table.clear();
  one.receive(2, TableRequest{5});
  CHECK(one.last<Table>().total == 0);  // an empty table is one empty piece
  one.forget();
  one.receive(2, TableRequest{4});
  CHECK(one.sent() == "INSTALL>2");
}

// ---------------------------------------------------------------- J7-J9

TEST_CASE("J7: a leaver tells the candidate and says so in its promise") {
  Daemon two(2);
  two.join(kFive);
  two->leave(two.now);
  CHECK(two.sent() == "LEAVE>1");
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  CHECK(two.last<Promise>().leaving);
}

TEST_CASE("J8: a leaver delivers the cut and lingers until a quorum has installed") {
  Daemon two(2);
  two.join(kFive);
  two->leave(two.now);
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  auto six = view_of(6, {1, 3}, {0, 2, 0});
  six.origins.front().survivors = {pid(1), pid(2), pid(3)};
  two.forget();
  two.receive(1, Install{shared(six)});
  CHECK(two.events() == "close 5 [0,2,0]; left 6");
  CHECK(two->role() == Role::left);
  two.forget();
  two.receive(3, Prepare{{2, 3}, shared(kFive)});
  CHECK(two.sent() == "INSTALL>3");  // it still answers who missed it
  SECTION("a quorum") {
    two.receive(3, Installed{6, 0});
    two.receive(3, Installed{6, 0});
    CHECK(two.events().empty());
    two.receive(1, Installed{6, 0});
    CHECK(two.events() == "finished 6");
  }
  SECTION("time") {
    two.wait(two.config().limits.linger - milliseconds(1));
    CHECK(two.events().empty());
    two.wait(milliseconds(1));
    CHECK(two.events() == "finished 6");
  }
  CHECK(two->role() == Role::out);
}

TEST_CASE("J8: static voters that are down do not keep a leaver; all members are enough") {
  Daemon two(2);
  auto five = view_of(5, {1, 2});
  five.policy = QuorumPolicy::fixed;
  five.voters.push_back({3, 73, 1});
  two.join(five);
  two->leave(two.now);
  two.receive(1, Prepare{{1, 1}, shared(five)});
  auto six = view_of(6, {1}, {0, 0});
  six.policy = QuorumPolicy::fixed;
  six.voters = five.voters;
  six.origins.front().survivors = {pid(1), pid(2)};
  two.receive(1, Install{shared(six)});
  two.forget();
  two->leave(two.now);  // asked again while it lingers
  CHECK_FALSE(two->leaving());
  CHECK(two.events().empty());
  two.receive(1, Installed{6, 0});
  CHECK(two.events() == "finished 6");
}

TEST_CASE("J8: a witness that leaves counts who installed before it heard of the view without it") {
  Config config = joining();
  config.self = member(3);
  config.self.witness = true;
  Daemon three(3, config);
  auto five = view_of(5, {1, 2});
  five.witnesses = {config.self};
  five.voters.push_back({3, 73, 1});
  three->join(three.now);
  three.open(pid(1), Role::member, 5);
  three.open(pid(2), Role::member, 5);
  three.receive(1, Install{shared(five)});
  CHECK(three.events() == "witness 5");
  three->leave(three.now);
  three.receive(2, Installed{6, 0});
  three.receive(1, Installed{6, 0});
  SECTION("of the view that it waits for") {
    three.receive(1, Install{shared(view_of(6, {1, 2}))});
    CHECK(three.events() == "left 6; finished 6");
  }
  SECTION("not of one before") {
    five.ref.epoch = 6;
    three.receive(1, Install{shared(five)});
    three.receive(1, Install{shared(view_of(7, {1, 2}))});
    CHECK(three.events() == "witness 6; left 7");
  }
}

TEST_CASE("J8: a leader leaves in the same way, and rank 1 leads") {
  Daemon one(1);
  one.join(kFive);
  one->leave(one.now);
  one.settle();
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.receive(3, promise(kFive, {1, 1}, 3, {0, 0, 0}));
  CHECK(one.last<Accept>().value->summary() == "6 <2,3>");
  one.receive(2, Accepted{5, {1, 1}, 72});
  CHECK(one->role() == Role::left);
  one.forget();
  one.wait(one.config().limits.rto);
  CHECK(one.count<Install>() == 2);  // it announces what it decided
}

TEST_CASE("J9: when all survivors leave, nothing is decided and all may stop") {
  Daemon one(1);
  one.join(view_of(5, {1, 2}));
  one->leave(one.now);
  one.settle();
  one.forget();
  auto leaving = promise(view_of(5, {1, 2}), {1, 1}, 2, {0, 0});
  leaving.leaving = true;
  one.receive(2, leaving);
  CHECK(one.last<Leave>().everyone);
  CHECK(one.events() == "finished 5");
  CHECK(one->decided()->id() == 5);

  Daemon two(2);
  two.join(view_of(5, {1, 2}));
  two.receive(1, Leave{5, true});
  CHECK(two.events().empty());  // it does not want to leave
  two->leave(two.now);
  two.receive(1, Prepare{{1, 1}, shared(view_of(5, {1, 2}))});
  two.forget();
  two.receive(1, Leave{5, true});
  CHECK(two.events() == "finished 5");
}

TEST_CASE("J9: the only member leaves alone") {
  Daemon one(1);
  one.join(view_of(5, {1}));
  one->leave(one.now);
  one.settle();
  CHECK(one.events() == "wedge; finished 5");
}

TEST_CASE("J8: a leave that nobody can decide ends after linger") {
  Daemon two(2);
  two.join(kFive);
  two->leave(two.now);
  two.close(1);
  two.close(3);
  two.forget();
  two.wait(two.config().limits.linger);
  CHECK(two.events() == "finished 5");
}

TEST_CASE("leaving from outside is done at once") {
  Daemon four(4, joining());
  four.start();
  four->leave(four.now);
  CHECK(four.events() == "finished 0");
  CHECK(four->role() == Role::out);
  four.wait(four.config().limits.rto);
  CHECK(four.sent().empty());
}

}  // namespace
}  // namespace vsync::test
