// V4, V8-V12, V15: a voter's answers, and what may leave before a record is durable.
#include <catch2/catch.hpp>

#include "unit/membership/daemon.h"

namespace vsync::test {
namespace {

const View kFive = view_of(5, {1, 2, 3});

TEST_CASE("V4d, P1: a promise wedges at once and leaves when it is durable") {
  Daemon two(2);
  two.join(kFive);
  two.world.holds = {4, 0, 7};
  two.durable = false;
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  CHECK(two->role() == Role::wedged);
  CHECK(two.events() == "wedge");
  CHECK(two.sent().empty());
  REQUIRE(two.world.persisted.size() == 1);
  CHECK(two.world.persisted.back().second.promised == Ballot{1, 1});
  two.persist();
  const auto promise = two.last<Promise>();
  CHECK(two.sent() == "PROMISE>1");
  CHECK(promise.ballot == Ballot{1, 1});
  CHECK(promise.vote_epoch == 72);
  CHECK(promise.held == Counts{4, 0, 7});
  CHECK(promise.reach == std::vector<bool>{true, true, true});
  CHECK_FALSE(promise.accepted);
  CHECK_FALSE(promise.leaving);
}

TEST_CASE("V4: there is no way back from wedged, and a repeated PREPARE is answered again without the disk") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  two.forget();
  two.durable = false;
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  CHECK(two.sent() == "PROMISE>1");
  CHECK(two.world.persisted.empty());
  CHECK(two.events().empty());  // wedged once
  CHECK(two->role() == Role::wedged);
}

TEST_CASE("V6: the reach bits say who is linked") {
  Daemon two(2);
  two.join(kFive);
  two.close(3);
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  CHECK(two.last<Promise>().reach == std::vector<bool>{true, true, false});
}

TEST_CASE("V4a: whoever prepares a replaced view gets what was decided since; a stranger learns that it is out") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Install{shared(view_of(6, {1, 2, 3}, {0, 0, 0}))});
  two.receive(1, Install{shared(view_of(7, {1, 2, 3}, {0, 0, 0}))});
  two.forget();
  two.receive(3, Prepare{{9, 3}, shared(kFive)});
  CHECK(two.sent() == "INSTALL>3 INSTALL>3");
  CHECK(two->role() == Role::member);

  two.open(pid(9));
  two.forget();
  two.receive(9, Prepare{{9, 9}, shared(view_of(6, {1, 2, 3}))});
  CHECK(two.sent() == "INSTALL>9 EVICTED>9");
}

TEST_CASE("M4: no promise to a view of the same id with another content, and no wedge") {
  Daemon two(2);
  two.join(kFive);
  two.receive(3, Prepare{{1, 3}, shared(view_of(5, {2, 3}))});
  CHECK(two.sent().empty());
  CHECK(two.emitted<InputRefused>());
  CHECK(two.world.persisted.empty());
  CHECK(two->role() == Role::member);
  two.receive(3, Prepare{{1, 3}, shared(kFive)});
  CHECK(two.sent() == "PROMISE>3");
}

TEST_CASE("V4b: a PREPARE of a view that is not installed yet waits for its install, and then has holdings") {
  Daemon two(2);
  two.join(kFive);
  two.durable = false;
  const auto six = shared(view_of(6, {1, 2, 3}, {2, 0, 0}));
  two.receive(3, Prepare{{1, 3}, six});
  CHECK(two.events() == "close 5 [2,0,0]; install 6 from 5; wedge");
  CHECK(two.count<Promise>() == 0);
  two.persist();
  const auto promise = two.last<Promise>();
  CHECK(promise.view == 6);
  CHECK(promise.held == Counts{0, 0, 0});
}

TEST_CASE("V4b: a restarted voter learns the view and votes without holdings") {
  Config config;
  config.restored.decided = shared(view_of(4, {1, 2, 3}));
  config.self = member(2, 2);
  Daemon two(2, config);
  two.start();
  two.open(pid(1));
  two.forget();
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  const auto promise = two.last<Promise>();
  CHECK(promise.view == 5);
  CHECK(promise.vote_epoch == 72);
  CHECK_FALSE(promise.held);
  CHECK(two->decided()->id() == 5);
  CHECK(two->role() == Role::joining);
}

TEST_CASE("P1, P2: a restarted voter is bound by what it had promised and accepted") {
  const auto value = shared(view_of(6, {1, 3}));
  Config config;
  config.restored = {shared(kFive), nullptr, {3, 1}, AcceptedValue{{2, 1}, value}};
  config.self = member(2, 2);
  Daemon two(2, config);
  two.start();
  two.open(pid(3));
  two.forget();
  two.receive(3, Prepare{{2, 3}, shared(kFive)});
  CHECK(two.last<Nack>() == Nack{5, {3, 1}});
  two.receive(3, Prepare{{3, 3}, shared(kFive)});
  const auto promise = two.last<Promise>();
  REQUIRE(promise.accepted);
  CHECK(promise.accepted->ballot == Ballot{2, 1});
  CHECK(promise.accepted->value == value);
}

TEST_CASE("V4c: a lower ballot gets a NACK that names the promised one") {
  Daemon two(2);
  two.join(kFive);
  two.receive(3, Prepare{{2, 3}, shared(kFive)});
  two.forget();
  two.receive(1, Prepare{{2, 1}, shared(kFive)});
  CHECK(two.last<Nack>() == Nack{5, {2, 3}});
  CHECK(two.sent() == "NACK>1");
}

TEST_CASE("V4d: a higher ballot makes a flush forgotten") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  two.receive(1, Flush{5, {1, 1}, {2, 0, 0}, {{0, 1, 2, 2, 1}}});
  two.receive(3, Prepare{{1, 3}, shared(kFive)});
  two.forget();
  two.receive(3, Forward{5, {1, 1}, 0, {World::run(1), World::run(2)}});  // of the abandoned ballot
  CHECK(two.world.holds == Counts{0, 0, 0});
  two.receive(3, Forward{5, {1, 3}, 0, {World::run(1), World::run(2)}});  // before its FLUSH: kept
  CHECK(two.world.holds == Counts{2, 0, 0});
  CHECK(two.sent().empty());  // no HAVE_ALL: the new ballot has asked nothing
}

TEST_CASE("V8, P2: ACCEPTED leaves when the value is durable, and wedges a member") {
  Daemon two(2);
  two.join(kFive);
  two.durable = false;
  const auto value = shared(view_of(6, {1, 2}, {0, 0, 0}));
  two.receive(1, Accept{5, {1, 1}, value});
  CHECK(two->role() == Role::wedged);
  CHECK(two.sent().empty());
  REQUIRE(two.world.persisted.size() == 1);
  REQUIRE(two.world.persisted.back().second.accepted);
  CHECK(two.world.persisted.back().second.accepted->value == value);
  two.persist();
  CHECK(two.last<Accepted>() == Accepted{5, {1, 1}, 72});
}

TEST_CASE("V8: an ACCEPT below the promise gets a NACK, even one that was accepted before") {
  Daemon two(2);
  two.join(kFive);
  const auto value = shared(view_of(6, {1, 2}, {0, 0, 0}));
  two.receive(1, Accept{5, {1, 1}, value});
  two.receive(3, Prepare{{2, 3}, shared(kFive)});
  REQUIRE(two.last<Promise>().accepted);
  two.receive(3, Flush{5, {2, 3}, {1, 0, 0}, {{0, 1, 1, 2, 1}}});
  two.forget();
  two.receive(1, Accept{5, {1, 1}, value});
  CHECK(two.last<Nack>() == Nack{5, {2, 3}});
  CHECK(two.sent() == "NACK>1");
  two.receive(3, Forward{5, {2, 3}, 0, {World::run(1)}});
  CHECK(two.sent() == "HAVE_ALL>3");  // the flush of the higher ballot goes on
}

TEST_CASE("V8: an ACCEPT of another instance") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Accept{7, {1, 1}, shared(view_of(8, {1, 2}))});
  CHECK(two.last<ViewRequest>() == ViewRequest{5});
  two.forget();
  two.receive(1, Accept{4, {1, 1}, shared(view_of(5, {1}))});
  CHECK(two.sent() == "INSTALL>1");
}

TEST_CASE("P3: a decided view is installed at once, and its record is written meanwhile") {
  Daemon two(2);
  two.join(kFive);
  two.world.holds = {1, 1, 1};
  two.durable = false;
  two.receive(1, Install{shared(view_of(6, {1, 2}, {1, 1, 0}))});
  REQUIRE_FALSE(two.world.persisted.empty());
  CHECK(two.world.persisted.back().second.decided->id() == 6);
  CHECK(two.events() == "close 5 [1,1,0]; install 6 from 5");
  CHECK(two.count<Installed>() == 0);  // J8: the leavers that wait for it may take the only durable record along
  two.receive(1, Install{shared(view_of(6, {1, 2}, {1, 1, 0}))});
  CHECK(two.count<Installed>() == 0);
  two.persist();
  CHECK(two.last<Installed>().view == 6);
  CHECK(two.sent() == "INSTALLED>1 INSTALLED>1");
  two.receive(1, Install{shared(view_of(6, {1, 2}, {1, 1, 0}))});  // S36: again
  CHECK(two.events().empty());
  CHECK(two.sent() == "INSTALLED>1");
}

TEST_CASE("V12: a view without this member excludes it, with the cut when that is known") {
  Daemon two(2);
  two.join(kFive);
  auto six = view_of(6, {1, 3}, {4, 2, 0});
  two.receive(1, Install{shared(six)});
  CHECK(two.events() == "excluded by 6 [4,2,0]");
}

TEST_CASE("V15: a later view without this member excludes it without a cut") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Evicted{shared(view_of(9, {1, 3})), std::nullopt, 0});
  CHECK(two.events() == "excluded");
}

TEST_CASE("EVICTED that names this member, or an old view, says nothing") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Evicted{shared(view_of(9, {1, 2})), std::nullopt, 0});
  two.receive(1, Evicted{shared(view_of(4, {1})), std::nullopt, 0});
  CHECK(two.events().empty());
  CHECK(two->decided()->id() == 5);
  CHECK(two->role() == Role::member);
}

TEST_CASE("I4: who has seen a view of one cluster learns none of another") {
  Daemon nine(9);
  nine->join(nine.now);
  nine.open(pid(1), Role::member, 5, {1, 2});
  nine.open(pid(2), Role::member, 7, {7, 7});  // both links are older than our own uuid
  nine.receive(1, Install{shared(kFive)});
  nine.forget();
  auto foreign = view_of(7, {2, 9});
  foreign.uuid = {7, 7};
  nine.receive(2, Install{shared(foreign)});
  nine.receive(2, Evicted{shared(foreign), std::nullopt, 0});
  nine.receive(2, Prepare{{1, 2}, shared(foreign)});
  CHECK(nine->decided()->id() == 5);
  CHECK(nine->uuid() == Uuid{1, 2});
  CHECK(nine.count<Promise>() == 0);
}

TEST_CASE("contact: the higher decided view wins") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Install{shared(view_of(6, {1, 2}, {0, 0, 0}))});
  two.forget();

  SECTION("a member that was left behind is told when it comes back") {
    two.close(3);
    two.open(pid(3), Role::member, 5);
    CHECK(two.sent() == "INSTALL>3 EVICTED>3");
  }
  SECTION("a member of another cluster is not") {
    two.open(pid(8), Role::member, 5, {7, 7});
    CHECK(two.sent().empty());
  }
  SECTION("one that was paused on an open link is told by its heartbeats") {
    two->peer_state(pid(3), Role::member, 5, two.now);
    CHECK(two.sent() == "INSTALL>3 EVICTED>3");
  }
  SECTION("who knows more is asked, not more often than rto") {
    two->peer_state(pid(1), Role::member, 7, two.now);
    two->peer_state(pid(1), Role::member, 7, two.now);
    CHECK(two.last<ViewRequest>() == ViewRequest{6});
    CHECK(two.sent() == "VIEW_REQ>1");
  }
  SECTION("asked for successors: those that are kept") {
    two.receive(1, ViewRequest{4});
    CHECK(two.sent() == "INSTALL>1 INSTALL>1");
    two.receive(1, ViewRequest{6});
    CHECK(two.sent().empty());
  }
}

TEST_CASE("V2: a member says yes when it could do without everybody more senior") {
  struct Row {
    const char* what;
    NodeId from;
    bool leader_suspected;
    Duration leader_silent;
    bool yes;
  };
  using std::chrono::milliseconds;
  const Row rows[] = {{"the leader is well", 2, false, {}, false},
                      {"the leader is suspected", 2, true, {}, true},
                      {"the leader has been silent for half of T_host", 2, false, milliseconds(500), true},
                      {"not that long", 2, false, milliseconds(499), false},
                      {"the leader asks itself", 1, false, {}, true}};
  for (const auto& row : rows) {
    INFO(row.what);
    Daemon three(3);
    three.join(kFive);
    if (row.leader_suspected) {
      three->suspicion(pid(1), Evidence::soft, {}, three.now);
    }
    three.world.silent[pid(1)] = row.leader_silent;
    three.forget();
    three.receive(row.from, PreVote{5, {pid(1)}});
    CHECK(three.last<PreVoteReply>() == PreVoteReply{5, row.yes});
  }
}

TEST_CASE("V2: a member says yes when it has had no link to the leader for T_host") {
  Daemon three(3);
  three.join(kFive);
  three.close(1);
  three.suspect(1, Evidence::link);
  three.receive(2, PreVote{5, {pid(1)}});
  CHECK_FALSE(three.last<PreVoteReply>().yes);
  three.wait(three.config().limits.suspect_after);
  three.receive(2, PreVote{5, {pid(1)}});
  CHECK(three.last<PreVoteReply>().yes);
}

TEST_CASE("V2: a pre-vote for an old view is answered with the new one; for a stranger not at all") {
  Daemon three(3);
  three.join(kFive);
  three.receive(2, PreVote{4, {}});
  CHECK(three.sent() == "INSTALL>2");
  three.open(pid(9));
  three.forget();
  three.receive(9, PreVote{5, {}});
  CHECK(three.sent().empty());
}

}  // namespace
}  // namespace vsync::test
