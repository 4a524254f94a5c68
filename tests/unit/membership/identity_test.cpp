// I1 to I3, J2, J3: who a joiner is, and who else claims to be it.
#include <catch2/catch.hpp>

#include "unit/membership/daemon.h"

namespace vsync::test {
namespace {

const View kFive = view_of(5, {1, 2, 3});

}  // namespace

TEST_CASE("I3: another installation under the id of a living member is refused, of a dead one admitted") {
  Daemon one(1);
  one.join(kFive);
  auto other = member(2, 7);
  other.vote_epoch = 99;
  one.open(other.pid, Role::joining, 0, {});
  one.forget();
  SECTION("living") {
    one.receive(other.pid, join_of(other));
    CHECK(one.last<Reject>().reason == RejectReason::node_in_use);
    one.wait(one.config().limits.rto);
    CHECK(one.count<Prepare>() == 0);
  }
  SECTION("dead") {
    one.close(2);
    one.receive(other.pid, join_of(other));
    CHECK(one.count<Reject>() == 0);
    CHECK(one.count<Ready>() + one.count<Prepare>() > 0);
  }
}

TEST_CASE("I3: of two joiners under one pid, as two leaders may give it, the second takes another incarnation") {
  Daemon one(1);
  one.join(kFive);
  const auto first = member(4);
  auto second = first;
  second.vote_epoch = 99;
  const auto reconnect = [&](const Member& who) {
    one.close(4);  // its link takes the other's place
    one.open(who.pid, Role::joining, 0, {}, who.vote_epoch);
  };
  one.open(first.pid, Role::joining, 0, {});
  one.receive(4, join_of(first));
  reconnect(second);
  one.forget();
  SECTION("it asks") {
    one.receive(4, join_of(second));
    CHECK(one.last<Reject>() == Reject{first.pid, RejectReason::incarnation_used, 0, 1});
    reconnect(first);
    one.receive(4, join_of(first));
    CHECK(one.count<Reject>() == 1);
    CHECK(one.count<Ready>() > 0);
  }
  SECTION("others pass on what it asks: who is linked here may be the first") {
    one.receive(2, join_of(second));
    CHECK(one.count<Reject>() + one.count<Ready>() == 0);
  }
  SECTION("it does not speak for the first") {
    one.receive(4, ReadyOk{5});
    one.wait(one.config().limits.join_batch);
    CHECK(one.count<Ready>() + one.count<Prepare>() == 0);
  }
  SECTION("it is not taken for the first, that had its links") {
    reconnect(first);
    one.receive(4, join_of(first));
    one.receive(4, ReadyOk{5});
    reconnect(second);
    one.wait(one.config().limits.join_batch);
    CHECK(one.count<Prepare>() == 0);
  }
  SECTION("the first was only spoken of") {
    auto ghost = member(6);
    one.receive(2, join_of(ghost));
    ghost.vote_epoch = 99;
    one.open(ghost.pid, Role::joining, 0, {}, ghost.vote_epoch);
    one.receive(6, join_of(ghost));
    CHECK(one.count<Reject>() == 0);
    CHECK(one.last<Ready>().view == 5);
  }
  SECTION("what is said of another does not take the place of one that is linked") {
    auto third = member(6);
    one.open(third.pid, Role::joining, 0, {});
    one.receive(2, join_of(third));
    auto other = third;
    other.vote_epoch = 99;
    one.receive(2, join_of(other));
    one.receive(6, ReadyOk{5});
    one.forget();
    one.wait(one.config().limits.join_batch);
    CHECK(one.count<Prepare>() == 0);  // it is not the one that is known now
  }
  SECTION("the first does not come back") {
    one.close(4);
    const auto wanted = one.world.wanted.size();
    one.wait(5 * one.config().limits.suspect_after);
    CHECK(one.world.wanted.size() == wanted - 1);
    one.open(second.pid, Role::joining, 0, {}, second.vote_epoch);
    one.receive(4, join_of(second));
    CHECK(one.count<Reject>() == 0);
    CHECK(one.count<Ready>() > 0);
  }
}

TEST_CASE("a name is unique: another member's is refused while that one lives, and waited for while it is dying") {
  Daemon one(1);
  one.join(kFive);
  auto twin = member(4);
  twin.name = "n2";
  one.open(twin.pid, Role::joining, 0, {});
  one.forget();
  SECTION("living") {
    one.receive(twin.pid, join_of(twin));
    CHECK(one.last<Reject>().reason == RejectReason::name_in_use);
    CHECK(one.last<Reject>().node == 2);
  }
  SECTION("our own") {
    twin.name = "n1";
    one.receive(twin.pid, join_of(twin));
    CHECK(one.last<Reject>().node == 1);
  }
  SECTION("dying") {
    one.close(2);
    one.forget();
    one.receive(twin.pid, join_of(twin));
    CHECK(one.count<Reject>() + one.count<Ready>() == 0);
  }
}

TEST_CASE("J3: who lost its disk learns from a view which incarnation is free") {
  Config config;
  config.join = true;
  Daemon two(2, config);
  two.start();
  two.open(pid(1), Role::member, 5);
  auto five = kFive;
  five.members[1].pid = pid(2, 70000);
  five.history[2] = 70000;
  two.receive(1, Install{shared(five)});
  CHECK(two.events() == "refused 0 0 70000");
}

TEST_CASE("J2: a member's next incarnation is evidence that the old one is dead") {
  Daemon one(1);
  one.join(kFive);
  one.open(pid(2, 2), Role::joining);
  one.forget();
  one.receive(pid(2, 2), join_of(member(2, 2)));
  CHECK(one.count<Prepare>() > 0);
  CHECK(one->role() == Role::wedged);
}

}  // namespace vsync::test
