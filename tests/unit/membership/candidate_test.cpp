// V1-V9, V13, V14: one daemon drives a view change.
#include <catch2/catch.hpp>

#include "unit/membership/daemon.h"

namespace vsync::test {
namespace {

using std::chrono::milliseconds;

const View kFive = view_of(5, {1, 2, 3});

/// Node 1 leads view 5 and has sent PREPARE because node 3 is dead. Its own promise is in.
struct Leader : Daemon {
  explicit Leader(const View& view = kFive, const Counts& holds = {0, 0, 0}) : Daemon(1) {
    join(view);
    world.holds = holds;
    suspect(3, Evidence::firm);
  }
};

// ---------------------------------------------------------------- V1, V2

TEST_CASE("V1: the most senior member that is not suspected is the candidate; others report to it") {
  Daemon three(3);
  three.join(view_of(5, {1, 2, 3, 4}));
  three.suspect(4, Evidence::soft);
  CHECK(three.last<Suspect>().suspect == pid(4));
  CHECK(three.last<Suspect>().health == 1);
  CHECK(three.sent() == "SUSPECT>1");
  three.suspect(1, Evidence::soft);
  CHECK(three.last<Suspect>().suspect == pid(1));
  CHECK(three.sent() == "SUSPECT>2");
  three.wait(three.config().limits.rto);
  CHECK(three.sent() == "SUSPECT>2 SUSPECT>2");  // repeated until a new view
  three.suspect(1, Evidence::none);
  CHECK(three.last<Suspect>().evidence == Evidence::none);
  CHECK(three.sent() == "SUSPECT>1");
}

TEST_CASE("V1: the leader acts on what others report, if it is enough") {
  Daemon one(1);
  one.join(view_of(5, {1, 2, 3, 4}));
  one.receive(2, Suspect{5, pid(4), Evidence::soft, 0, {}});
  CHECK(one.sent().empty());
  SECTION("a second reporter") {
    one.receive(3, Suspect{5, pid(4), Evidence::soft, 0, {}});
    CHECK(one.count<Prepare>() == 3);
    CHECK(one->role() == Role::wedged);
  }
  SECTION("of another view") {
    one.receive(3, Suspect{4, pid(4), Evidence::soft, 0, {}});
    CHECK(one.sent().empty());
  }
  SECTION("by somebody who is no member") {
    one.open(pid(9));
    one.receive(9, Suspect{5, pid(4), Evidence::soft, 0, {}});
    CHECK(one.count<Prepare>() == 0);
  }
  SECTION("about the leader itself") {
    one.receive(3, Suspect{5, pid(1), Evidence::hard, 0, {}});
    CHECK(one.sent().empty());
  }
}

TEST_CASE("V1: a pair of members that cannot reach each other is a cause when it lasts") {
  Daemon one(1);
  one.join(kFive);
  one.receive(2, Suspect{5, pid(3), Evidence::link, 0, {}});
  one.wait(one.config().limits.suspect_after - milliseconds(1));
  CHECK(one.count<Prepare>() == 0);
  one.wait(milliseconds(1));
  CHECK(one.count<Prepare>() == 2);
}

TEST_CASE("V1: a leader that others hear but that nobody can reach does not lead for ever") {
  Daemon two(2);
  two.join(kFive);
  SECTION("its link is gone: it could not even send PREPARE") {
    two.close(1);
    two.suspect(1, Evidence::link);
    two.wait(two.config().limits.suspect_after - milliseconds(1));
    CHECK(two.count<PreVote>() == 0);
    two.wait(milliseconds(1));
    CHECK(two.sent() == "PREVOTE>3");
    two.receive(3, PreVoteReply{5, true});
    CHECK(two->role() == Role::wedged);
  }
  SECTION("only its heartbeats do not come: it sees to that itself") {
    two.suspect(1, Evidence::link);
    two.wait(two.config().limits.suspect_after);
    CHECK(two.count<PreVote>() == 0);
  }
}

TEST_CASE("V1: leave and eviction requests are causes; they come from members about members") {
  Daemon one(1);
  one.join(kFive);
  SECTION("a leave") {
    one.receive(2, Leave{5, false});
    CHECK(one.count<Prepare>() == 2);
  }
  SECTION("a leave of another view") {
    one.receive(2, Leave{4, false});
    CHECK(one.sent().empty());
  }
  SECTION("an eviction") {
    one.receive(2, EvictRequest{5, pid(3), "slow"});
    CHECK(one.count<Prepare>() == 2);
  }
  SECTION("an eviction of somebody unknown") {
    one.receive(2, EvictRequest{5, pid(9), "slow"});
    CHECK(one.sent().empty());
  }
}

TEST_CASE("V6: evictions never leave nobody") {
  SECTION("of the only member") {
    Daemon one(1);
    one.join(view_of(5, {1}));
    one->evict(pid(1), "by mistake", one.now);
    one.settle();
    CHECK(one->role() == Role::member);
    CHECK(node_list(*one->view()) == "1");
    one.forget();
    one.wait(one.config().limits.rto);
    CHECK(one->role() == Role::member);  // and it is not tried again
  }
  SECTION("of both members by each other") {
    Daemon one(1);
    one.join(view_of(5, {1, 2}));
    one->evict(pid(2), "you", one.now);
    one.receive(2, EvictRequest{5, pid(1), "no, you"});
    one.receive(2, Promise(promise(view_of(5, {1, 2}), {1, 1}, 2, {0, 0})));
    one.receive(2, Accepted{5, {1, 1}, 72});
    CHECK(one->view()->id() == 6);
    CHECK(node_list(*one->view()) == "1");
  }
}

TEST_CASE("V2: a candidate that is not the leader asks first") {
  Daemon two(2);
  two.join(view_of(5, {1, 2, 3, 4, 5}));
  two.suspect(1, Evidence::soft);
  CHECK(two.sent() == "PREVOTE>3 PREVOTE>4 PREVOTE>5");
  CHECK(two->role() == Role::member);  // nothing is wedged by asking
  two.receive(3, PreVoteReply{5, false});
  two.receive(4, PreVoteReply{4, true});  // of another view
  two.receive(9, PreVoteReply{5, true});  // no member
  two.receive(3, PreVoteReply{5, true});
  CHECK(two.count<Prepare>() == 0);  // two of four: not more than half
  two.receive(5, PreVoteReply{5, true});
  CHECK(two.count<Prepare>() == 4);
  CHECK(two->role() == Role::wedged);
}

TEST_CASE("V2: an unanswered pre-vote is repeated, given up, and tried again") {
  Daemon two(2);
  two.join(kFive);
  two.suspect(1, Evidence::soft);
  two.forget();
  two.wait(two.config().limits.rto);
  CHECK(two.sent() == "PREVOTE>3");
  two.wait(two.config().limits.flush_timeout);
  two.forget();
  bool again = false;
  for (int i = 0; i < 40 && !again; ++i) {
    two.wait(two.config().limits.rto);
    again = two.count<PreVote>() > 0;
  }
  CHECK(again);
  CHECK(two->role() == Role::member);
}

// ---------------------------------------------------------------- V3, V5

TEST_CASE("V3, P1: PREPARE leaves when the own promise is durable") {
  Daemon one(1);
  one.join(kFive);
  one.durable = false;
  one.suspect(3, Evidence::firm);
  CHECK(one.sent().empty());
  CHECK(one->role() == Role::member);  // its own PREPARE comes by the same way
  one.persist();
  CHECK(one.last<Prepare>().ballot == Ballot{1, 1});
  CHECK(one.last<Prepare>().view->id() == 5);
  CHECK(one.sent() == "PREPARE>2 PREPARE>3");
  CHECK(one->role() == Role::wedged);
}

TEST_CASE("V5: only promises of this ballot count, and the unsuspected are waited for") {
  Daemon one(1);
  one.join(kFive);
  one.receive(2, EvictRequest{5, pid(3), "slow"});
  one.forget();
  one.receive(2, promise(kFive, {9, 1}, 2, {0, 0, 0}));
  CHECK(one.sent().empty());
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  CHECK(one.sent().empty());  // 3 is to go but not suspected: its holdings may matter
  one.receive(3, promise(kFive, {1, 1}, 3, {0, 0, 0}));
  CHECK(one.last<Accept>().value->summary() == "6 <1,2>");
  CHECK(one.last<Accept>().value->left.front().reason == LeaveReason::evicted);
}

TEST_CASE("V5: who is silent until flush_to is left behind, given a quorum") {
  Leader one(view_of(5, {1, 2, 3, 4, 5}), {0, 0, 0, 0, 0});
  one.forget();
  one.world.silent[pid(5)] = one.config().limits.suspect_after / 2;
  one.receive(2, promise(view_of(5, {1, 2, 3, 4, 5}), {1, 1}, 2, {0, 0, 0, 0, 0}));
  one.wait(one.config().limits.flush_timeout);
  CHECK(one.count<Accept>() == 0);  // two of five
  CHECK(one.count<Prepare>() > 0);  // repeated
  one.receive(4, promise(view_of(5, {1, 2, 3, 4, 5}), {1, 1}, 4, {0, 0, 0, 0, 0}));
  CHECK(one.last<Accept>().value->summary() == "6 <1,2,4>");
  CHECK(one.last<Accept>().value->left.front().reason == LeaveReason::crashed);
  CHECK(one.last<Accept>().value->left.back().reason == LeaveReason::silent);
}

TEST_CASE("V5: who is linked and heard is waited for longer, but not for ever") {
  Leader one(view_of(5, {1, 2, 3, 4, 5}), {0, 0, 0, 0, 0});
  one.forget();
  one.receive(2, promise(view_of(5, {1, 2, 3, 4, 5}), {1, 1}, 2, {0, 0, 0, 0, 0}));
  one.receive(4, promise(view_of(5, {1, 2, 3, 4, 5}), {1, 1}, 4, {0, 0, 0, 0, 0}));
  one.wait(one.config().limits.flush_timeout);
  CHECK(one.count<Accept>() == 0);
  one.wait(one.config().limits.view_change_timeout() * 3 / 4 - one.config().limits.flush_timeout);
  CHECK(one.last<Accept>().value->summary() == "6 <1,2,4>");
}

TEST_CASE("V5: a promise of an older ballot completes nothing") {
  Leader one;
  one.forget();
  one.receive(2, promise(kFive, {1, 0}, 2, {0, 0, 0}));
  CHECK(one.sent().empty());
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  CHECK(one.count<Accept>() > 0);
}

TEST_CASE("V5: a promise with holdings of another size is not counted") {
  Leader one;
  one.forget();
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0}));
  CHECK(one.sent().empty());
}

TEST_CASE("V6: a promise after the choice makes no survivor") {
  Leader one;
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  REQUIRE(one.last<Accept>().value->summary() == "6 <1,2>");
  one.receive(3, promise(kFive, {1, 1}, 3, {0, 0, 9}));
  CHECK(one.world.steps.contains("late_flush"));
  one.receive(2, Accepted{5, {1, 1}, 72});
  CHECK(one->view()->summary() == "6 <1,2>");
}

// ---------------------------------------------------------------- V7

TEST_CASE("V7: FLUSH before ACCEPT, and ACCEPT only when every receiver has all") {
  Leader one(kFive, {2, 0, 0});
  one.forget();
  one.receive(2, promise(kFive, {1, 1}, 2, {1, 4, 0}));
  const auto flush = one.last<Flush>();
  CHECK(flush.cut == Counts{2, 4, 0});
  CHECK(flush.plan == std::vector<PlanEntry>{{1, 1, 4, 1, 0}, {0, 2, 2, 0, 1}});
  CHECK(one.sent() == "FLUSH>2 FORWARD>2");
  one.receive(2, HaveAll{5, {9, 9}});  // of another ballot
  one.receive(2, HaveAll{5, {1, 1}});
  CHECK(one.sent().empty());  // the leader itself misses four
  one.receive(2, Forward{5, {1, 1}, 1, {World::run(1), World::run(2), World::run(3), World::run(4)}});
  CHECK(one.sent() == "ACCEPT>2 ACCEPT>3");
}

TEST_CASE("V7: FLUSH is repeated to whoever has not answered") {
  Leader one(kFive, {2, 0, 0});
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.forget();
  one.wait(one.config().limits.rto);
  CHECK(one.count<Flush>() == 1);
}

TEST_CASE("V7: when a holder or receiver is lost the ballot is given up for a higher one") {
  const View view = view_of(5, {1, 2, 3, 4, 5});
  Leader one(view, {0, 0, 0, 0, 0});
  for (const NodeId node : {2U, 4U, 5U}) {
    one.receive(node, promise(view, {1, 1}, node, {0, node == 4U ? Seq{3} : Seq{0}, 0, 0, 0}));
  }
  REQUIRE(one.last<Flush>().cut == Counts{0, 3, 0, 0, 0});
  one.forget();
  SECTION("its link is gone") {
    one.close(4);
  }
  SECTION("it is suspected") {
    one.suspect(4, Evidence::firm);
  }
  SECTION("a receiver says so") {
    one.receive(2, HolderLost{5, {1, 1}, 3});
  }
  SECTION("time is up") {
    one.wait(one.config().limits.flush_timeout + milliseconds(1));
  }
  CHECK(one.last<Prepare>().ballot == Ballot{2, 1});
  CHECK(one.count<Accept>() == 0);
}

TEST_CASE("V7: HOLDER_LOST of another ballot or about nobody changes nothing") {
  Leader one(kFive, {2, 0, 0});
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.forget();
  one.receive(2, HolderLost{5, {9, 9}, 0});
  one.receive(2, HolderLost{5, {1, 1}, 77});
  one.receive(2, HolderLost{4, {1, 1}, 0});
  CHECK(one.sent().empty());
}

// ---------------------------------------------------------------- V8, V9

TEST_CASE("V8, V9, P3: a quorum decides; INSTALL leaves at once and the record is written meanwhile") {
  Leader one;
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.forget();
  one.durable = false;
  one.receive(2, Accepted{5, {9, 1}, 72});  // of another ballot
  one.receive(2, Accepted{5, {1, 1}, 99});  // of another life of the voter
  CHECK(one.world.persisted.empty());
  CHECK(one.sent().empty());
  one.receive(2, Accepted{5, {1, 1}, 72});
  REQUIRE_FALSE(one.world.persisted.empty());
  CHECK(one.world.persisted.back().second.decided->id() == 6);
  CHECK(one.events() == "close 5 [0,0,0]; install 6 from 5");
  CHECK(one.count<Install>() == 2);
}

TEST_CASE("V9: INSTALL is repeated until INSTALLED, three times to those who are out") {
  Leader one;
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  one.receive(2, Accepted{5, {1, 1}, 72});
  one.forget();
  for (int i = 0; i < 5; ++i) {
    one.wait(one.config().limits.rto);
  }
  std::map<NodeId, int> installs;
  for (const auto& sent : one.world.sent) {
    installs[sent.to.node] += std::holds_alternative<Install>(*sent.frame) ? 1 : 0;
  }
  CHECK(installs[2] == 5);
  CHECK(installs[3] == 3);
  one.receive(2, Installed{6, 0});
  one.forget();
  one.wait(one.config().limits.rto);
  CHECK(one.count<Install>() == 0);
}

TEST_CASE("V6, V16: an accepted value goes on unchanged, with its cut, though a member of it is dead") {
  Leader one;
  auto accepted = promise(kFive, {1, 1}, 2, {7, 7, 7});
  const auto value = shared(view_of(6, {1, 2, 3}, {0, 0, 0}));
  accepted.accepted = AcceptedValue{{1, 0}, value};
  one.forget();
  one.receive(2, accepted);
  CHECK(one.last<Accept>().value == value);
  CHECK(one.count<Flush>() == 0);
  one.receive(2, Accepted{5, {1, 1}, 72});
  CHECK(one->view()->id() == 6);
  // V16: the next instance follows at once, without the dead member.
  CHECK(one->role() == Role::wedged);
  CHECK(one.last<Prepare>().view->id() == 6);
}

// ---------------------------------------------------------------- V13, V14

TEST_CASE("V13: a candidate steps back for a higher ballot, and comes again above it") {
  Leader one;
  one.forget();
  one.receive(2, Nack{5, {7, 2}});
  one.wait(one.config().limits.rto);
  CHECK(one.count<Prepare>() == 0);
  one.wait(one.config().limits.flush_timeout);  // the longest random delay of rank 0
  CHECK(one.last<Prepare>().ballot == Ballot{8, 1});
}

TEST_CASE("V13: a NACK of a lower ballot or another view is no reason to step back") {
  Leader one;
  one.receive(2, Nack{5, {1, 0}});
  one.receive(2, Nack{4, {9, 9}});
  one.forget();
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  CHECK(one.count<Accept>() == 2);
}

TEST_CASE("V13: a candidate that promises another's higher ballot gives up its own") {
  Leader one;
  one.receive(2, Prepare{{1, 2}, shared(kFive)});
  one.forget();
  one.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  CHECK(one.sent().empty());
}

TEST_CASE("V14: without INSTALL for vc_to a wedged member suspects the candidate") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Prepare{{4, 1}, shared(kFive)});
  two.forget();
  two.wait(two.config().limits.view_change_timeout() - milliseconds(1));
  CHECK(two.count<PreVote>() == 0);
  two.wait(milliseconds(1));
  CHECK(two.count<PreVote>() == 1);
  two.receive(3, PreVoteReply{5, true});
  CHECK(two.last<Prepare>().ballot == Ballot{5, 2});
}

TEST_CASE("S33: a candidate without a quorum keeps asking and decides nothing") {
  Leader one;
  one.close(2);
  one.forget();
  for (int i = 0; i < 100; ++i) {
    one.wait(one.config().limits.rto);
  }
  CHECK(one->role() == Role::wedged);
  CHECK(one->view()->id() == 5);
  CHECK(one.count<Accept>() == 0);
}

TEST_CASE("section 15: ballots do not wrap: a daemon that runs out of them stops") {
  Leader one;
  one.receive(2, Nack{5, {(1U << 31U) - 1, 2}});
  one.wait(one.config().limits.flush_timeout);
  CHECK(one.emitted<Fatal>());
}

// ---------------------------------------------------------------- the survivor's part of V7

TEST_CASE("V7: a holder forwards, a receiver reports when it has all, fetches once, then reports the holder") {
  Daemon two(2);
  two.join(kFive);
  two.world.holds = {1, 5, 0};
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  two.forget();
  two.receive(1, Flush{5, {1, 1}, {3, 5, 0}, {{0, 2, 3, 2, 1}, {1, 3, 5, 1, 2}}});
  CHECK(two.last<Forward>().runs.size() == 3);
  CHECK(two.sent() == "FORWARD>3");
  two.wait(two.config().limits.fetch_timeout);
  CHECK(two.last<Fetch>() == Fetch{5, {1, 1}, 0, 2, 3});
  CHECK(two.count<Fetch>() == 1);
  two.forget();
  SECTION("it comes") {
    two.receive(3, Forward{5, {1, 1}, 0, {World::run(2)}});
    CHECK(two.sent().empty());
    two.receive(3, Forward{5, {1, 1}, 0, {World::run(2), World::run(3)}});  // what is held already does no harm
    CHECK(two.last<HaveAll>() == HaveAll{5, {1, 1}});
    CHECK(two.sent() == "HAVE_ALL>1");
    two.receive(1, Flush{5, {1, 1}, {3, 5, 0}, {{0, 2, 3, 2, 1}, {1, 3, 5, 1, 2}}});  // asked again: so it was lost
    CHECK(two.sent() == "HAVE_ALL>1");
  }
  SECTION("it does not") {
    two.wait(two.config().limits.fetch_timeout);
    CHECK(two.last<HolderLost>() == HolderLost{5, {1, 1}, 2});
    CHECK(two.count<HolderLost>() == 1);
    two.wait(two.config().limits.fetch_timeout);
    CHECK(two.count<HolderLost>() == 1);  // once
    CHECK(two.count<Fetch>() == 0);
  }
}

TEST_CASE("V7: what is forwarded beyond the cut or out of sequence is not stored") {
  Daemon two(2);
  two.join(kFive);
  two.receive(1, Prepare{{1, 1}, shared(kFive)});
  two.receive(1, Flush{5, {1, 1}, {2, 0, 0}, {{0, 1, 2, 2, 1}}});
  two.forget();
  two.receive(3, Forward{5, {1, 1}, 0, {World::run(2)}});
  CHECK(two.world.holds == Counts{0, 0, 0});
  two.receive(3, Forward{5, {1, 1}, 0, {World::run(1), World::run(2), World::run(3)}});
  CHECK(two.world.holds == Counts{2, 0, 0});
  CHECK(two.sent() == "HAVE_ALL>1");
}

TEST_CASE("V7: FLUSH, FORWARD and FETCH are for the promised ballot of a wedged member") {
  Daemon two(2);
  two.join(kFive);
  const Flush flush{5, {1, 1}, {0, 1, 0}, {{1, 1, 1, 1, 2}}};
  two.receive(1, flush);
  two.receive(3, Fetch{5, {1, 1}, 1, 1, 1});
  two.receive(3, Forward{5, {1, 1}, 0, {World::run(1)}});
  CHECK(two.sent().empty());  // not wedged
  two.receive(3, Prepare{{2, 3}, shared(kFive)});
  two.forget();
  two.receive(1, flush);
  two.receive(3, Fetch{5, {1, 1}, 1, 1, 1});
  two.receive(3, Forward{5, {1, 1}, 0, {World::run(1)}});
  CHECK(two.sent().empty());  // another ballot
  CHECK(two.world.holds == Counts{0, 0, 0});
  two.receive(3, Fetch{5, {2, 3}, 1, 1, 1});
  CHECK(two.sent() == "FORWARD>3");
  two.receive(3, Flush{5, {2, 3}, {0, 1}, {}});  // a cut of another size
  for (const PlanEntry& stranger : {PlanEntry{3, 1, 1, 2, 1}, PlanEntry{0, 1, 1, 3, 1}, PlanEntry{0, 1, 1, 1, 3}}) {
    two.receive(3, Flush{5, {2, 3}, {0, 0, 0}, {stranger}});  // a rank that nobody has
  }
  CHECK(two.sent().empty());
}

}  // namespace
}  // namespace vsync::test
