// P1-P3: what an acceptor promises, accepts and forgets.
#include <catch2/catch.hpp>

#include "core/membership/acceptor.h"
#include "unit/membership/people.h"

namespace vsync::test {
namespace {

TEST_CASE("P1: a promise never goes back; the same ballot may be promised again") {
  Acceptor acceptor({shared(view_of(5, {1, 2})), nullptr, {}, {}}, 16);
  CHECK(acceptor.promise({1, 2}));
  CHECK(acceptor.promise({1, 2}));
  CHECK_FALSE(acceptor.promise({1, 1}));
  CHECK(acceptor.promised() == Ballot{1, 2});
  CHECK(acceptor.promise({2, 1}));
  CHECK(acceptor.record().promised == Ballot{2, 1});
}

TEST_CASE("P2: accepting is promising, and a higher promise forbids it") {
  const auto value = shared(view_of(6, {1}));
  const auto other = shared(view_of(6, {2}));
  Acceptor acceptor({shared(view_of(5, {1, 2})), nullptr, {}, {}}, 16);
  CHECK(acceptor.accept({2, 1}, value));
  CHECK(acceptor.promised() == Ballot{2, 1});
  REQUIRE(acceptor.accepted());
  CHECK(acceptor.accepted()->value == value);

  CHECK(acceptor.promise({3, 2}));
  CHECK_FALSE(acceptor.accept({2, 9}, other));
  CHECK(acceptor.accepted()->value == value);
  CHECK(acceptor.accepted()->ballot == Ballot{2, 1});  // promising drops nothing
  CHECK(acceptor.accept({3, 2}, other));
  CHECK(acceptor.accepted()->value == other);
}

TEST_CASE("P3: a decision replaces the whole record and is taken once") {
  const auto five = shared(view_of(5, {1, 2}));
  const auto six = shared(view_of(6, {1}));
  Acceptor acceptor({five, nullptr, {4, 1}, AcceptedValue{{4, 1}, six}}, 16);
  CHECK(acceptor.promised() == Ballot{4, 1});  // as restored
  CHECK(acceptor.decide(six));
  CHECK(acceptor.decided() == six);
  CHECK(acceptor.record().previous == five);
  CHECK(acceptor.promised() == Ballot{});  // ballots belong to one instance
  CHECK_FALSE(acceptor.accepted());
  CHECK_FALSE(acceptor.decide(six));
  CHECK_FALSE(acceptor.decide(five));
  CHECK(acceptor.decided_id() == 6);
}

TEST_CASE("P3: the first view is decided from nothing") {
  Acceptor acceptor({}, 16);
  CHECK(acceptor.decided_id() == 0);
  CHECK(acceptor.decide(shared(view_of(1, {1}))));
  CHECK(acceptor.decided_id() == 1);
  CHECK(acceptor.record().previous == nullptr);
}

TEST_CASE("V15: the last decided views are kept for laggards, not more") {
  Acceptor acceptor({shared(view_of(5, {1})), shared(view_of(4, {1})), {}, {}}, 3);
  CHECK(acceptor.kept(4));
  for (ViewId id = 6; id <= 9; ++id) {
    acceptor.decide(shared(view_of(id, {1})));
  }
  CHECK_FALSE(acceptor.kept(6));
  for (ViewId id = 7; id <= 9; ++id) {
    REQUIRE(acceptor.kept(id));
    CHECK(acceptor.kept(id)->id() == id);
  }
  CHECK_FALSE(acceptor.kept(10));
}

}  // namespace
}  // namespace vsync::test
