// F10: which local client gets a lease, and from when.
#include "core/groups/leases.h"

#include "cluster.h"

namespace vsync::core {
namespace {

using std::chrono::milliseconds;

Limits limits() {
  Limits limits;
  limits.lease = milliseconds(700);
  limits.heartbeat = milliseconds(100);
  return limits;
}

GroupView view_of(const std::vector<GroupDeparture>& left, std::uint64_t token = 1) {
  GroupView view;
  view.group = 7;
  view.name = "g";
  view.token = token;
  view.members = {{pid(1), 4, "c"}};
  view.left = left;
  return view;
}

/// One turn: what changed, then a renewal that a quorum backs as of now.
std::vector<LeaseGranted> turn(Leases& leases, Time now) {
  Effects effects;
  leases.end_of_turn(now, effects);
  leases.grant(now, now, effects);
  return all<LeaseGranted>(effects);
}

const GroupMember kOther{pid(2), 9, "o"};

}  // namespace

TEST_CASE("the first leader of a group gets its lease at once, and again and again") {
  Leases leases(limits(), false);
  leases.changed(view_of({}), 4, true);
  const auto first = turn(leases, milliseconds(1000));
  REQUIRE(first.size() == 1);
  CHECK(first[0].until == milliseconds(1700));
  CHECK(turn(leases, milliseconds(1000)).empty());
  REQUIRE(turn(leases, milliseconds(1100)).size() == 1);
  CHECK(leases.until(7) == milliseconds(1800));
}

TEST_CASE("a new leader waits unless the one before gave its lease up") {
  struct Row {
    const char* what;
    LeaveReason reason;
    bool ordered;
    bool waits;
  };
  const auto row = GENERATE(
      Row{"left by request", LeaveReason::left, true, false}, Row{"connection gone", LeaveReason::crashed, true, true},
      Row{"left with its daemon", LeaveReason::left, false, true}, Row{"daemon excluded", LeaveReason::silent, false, true});
  CAPTURE(row.what);
  Leases leases(limits(), false);
  leases.changed(view_of({{kOther, row.reason}}), 4, row.ordered);
  CHECK(turn(leases, milliseconds(1000)).empty() == row.waits);
  CHECK(turn(leases, milliseconds(1799)).empty() == row.waits);
  CHECK(turn(leases, milliseconds(1801)).size() == 1);
}

TEST_CASE("who leads already goes on when others go, under the new token") {
  Leases leases(limits(), false);
  leases.changed(view_of({}), 4, true);
  REQUIRE(turn(leases, milliseconds(1000)).size() == 1);
  leases.changed(view_of({{kOther, LeaveReason::crashed}}, 2), 4, true);
  const auto told = turn(leases, milliseconds(1010));
  REQUIRE(told.size() == 1);
  CHECK(told[0].token == 2);
}

TEST_CASE("nothing is given to who asked to leave, is gone, or is backed by nobody lately") {
  Leases leases(limits(), true);
  leases.changed(view_of({}), 4, true);
  Effects effects;
  SECTION("asked to leave") {
    REQUIRE(turn(leases, milliseconds(1000)).size() == 1);
    leases.released(4, "g");
    CHECK(turn(leases, milliseconds(1100)).empty());
    CHECK(leases.until(7) == Time{});
  }
  SECTION("gone") {
    leases.gone(4);
    CHECK(turn(leases, milliseconds(1000)).empty());
    CHECK(leases.next_deadline() == kNever);
  }
  SECTION("no quorum for as long as a lease") {
    leases.end_of_turn(milliseconds(1000), effects);
    leases.grant(milliseconds(300), milliseconds(1000), effects);
    CHECK(all<LeaseGranted>(effects).empty());
  }
}

TEST_CASE("a daemon that does not know who led before gives no lease for a while") {
  Leases leases(limits(), false);
  leases.forget_leaders();
  leases.changed(view_of({}), 4, true);
  CHECK(turn(leases, milliseconds(1000)).empty());
  CHECK(turn(leases, milliseconds(1799)).empty());
  CHECK(turn(leases, milliseconds(1801)).size() == 1);
}

}  // namespace vsync::core
