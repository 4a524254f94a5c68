// Section 11: starting again after a total failure (B2).
#include <catch2/catch.hpp>

#include "unit/membership/daemon.h"

namespace vsync::test {
namespace {

const View kFive = view_of(5, {1, 2, 3});

/// Node `node` of the dead view 5 <1,2,3> is back.
struct Restarted : Daemon {
  static Config config_of(NodeId node, ColdStart policy) {
    Config config;
    config.self = member(node, 2);
    config.join = true;
    config.cold_start = policy;
    config.restored.decided = shared(kFive);
    return config;
  }
  Restarted(NodeId node, ColdStart policy) : Daemon(node, config_of(node, policy)) { start(); }
};

TEST_CASE("B2: wait_all: the most senior one starts anew when all voters are back, all agree, and no holder is left") {
  Restarted one(1, ColdStart::wait_all);
  one.open(pid(2, 2), Role::joining, 5);
  CHECK(one.count<Prepare>() == 0);
  one.open(pid(3, 2), Role::joining, 5);
  CHECK(one.last<Prepare>().ballot == Ballot{1, 1});
  for (const NodeId node : {2U, 3U}) {
    one.receive(pid(node, 2), Promise{5, {1, 1}, 70 + node, std::nullopt, std::nullopt, {}, false});
  }
  const auto value = one.last<Accept>().value;
  CHECK(value->cold);
  CHECK(value->summary() == "6 <1,2,3>");
  CHECK(value->starts_empty());
  one.receive(pid(2, 2), Accepted{5, {1, 1}, 72});
  CHECK(one.events() == "install 6");  // without anybody's table
}

TEST_CASE("B2: not while a holder is known, and not over a holder that answers") {
  Restarted one(1, ColdStart::wait_all);
  one.open(pid(2), Role::wedged, 5);
  one.open(pid(3, 2), Role::joining, 5);
  CHECK(one.count<Prepare>() == 0);

  Restarted other(1, ColdStart::wait_all);
  other.open(pid(2), Role::joining, 5);  // it says nothing of its holdings in HELLO
  other.open(pid(3, 2), Role::joining, 5);
  REQUIRE(other.count<Prepare>() == 2);
  other.receive(2, promise(kFive, {1, 1}, 2, {0, 0, 0}));
  other.receive(pid(3, 2), Promise{5, {1, 1}, 73, std::nullopt, std::nullopt, {}, false});
  CHECK(other.count<Accept>() == 0);
}

TEST_CASE("B2: only one drives it") {
  Restarted two(2, ColdStart::wait_all);
  two.open(pid(1, 2), Role::joining, 5);
  two.open(pid(3, 2), Role::joining, 5);
  CHECK(two.count<Prepare>() == 0);
}

TEST_CASE("B2: a node without a vote in the last view does not drive it, however long the others take") {
  Restarted four(4, ColdStart::wait_all);
  for (const NodeId node : {1U, 2U, 3U}) {
    four.open(pid(node, 2), Role::joining, 5);
  }
  for (int i = 0; i < 10; ++i) {
    four.wait(four.config().limits.view_change_timeout());
  }
  CHECK(four.count<Prepare>() == 0);
}

TEST_CASE("B2: quorum: enough voters after a while; manual: when the operator says so") {
  SECTION("quorum") {
    Restarted one(1, ColdStart::quorum);
    one.open(pid(2, 2), Role::joining, 5);
    CHECK(one.count<Prepare>() == 0);
    one.wait(5 * one.config().limits.suspect_after);
    CHECK(one.count<Prepare>() > 0);
  }
  SECTION("manual") {
    Restarted one(1, ColdStart::manual);
    one.open(pid(2, 2), Role::joining, 5);
    one.open(pid(3, 2), Role::joining, 5);
    one.wait(10 * one.config().limits.suspect_after);
    CHECK(one.count<Prepare>() == 0);
    one->cold_start(one.now);
    one.settle();
    CHECK(one.count<Prepare>() > 0);
  }
  SECTION("never without a quorum, whoever says so") {
    Restarted one(1, ColdStart::manual);
    one->cold_start(one.now);
    one.wait(10 * one.config().limits.suspect_after);
    CHECK(one.count<Prepare>() == 0);
    CHECK(one->role() == Role::joining);
  }
}

}  // namespace
}  // namespace vsync::test
