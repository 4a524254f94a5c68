// V1 and section 9: when a suspicion is enough to go on without somebody.
#include <catch2/catch.hpp>

#include "core/membership/causes.h"
#include "unit/membership/people.h"

namespace vsync::test {
namespace {

using std::chrono::milliseconds;

/// One report by another member about node 9.
struct Report {
  NodeId by;
  Evidence evidence;
  std::uint32_t health = 0;
};

Causes with(Evidence own, const std::vector<Report>& reports) {
  Causes causes;
  if (own != Evidence::none) {
    causes.own(pid(9), own, {}, Time{});
  }
  for (const auto& report : reports) {
    causes.reported(pid(report.by), Suspect{5, pid(9), report.evidence, report.health, {}}, Time{});
  }
  return causes;
}

TEST_CASE("evidence that suffices to go on without a member") {
  constexpr auto none = Evidence::none;
  constexpr auto link = Evidence::link;
  constexpr auto soft = Evidence::soft;
  constexpr auto firm = Evidence::firm;
  constexpr auto hard = Evidence::hard;
  struct Row {
    const char* what;
    std::size_t members;
    bool linked;
    Evidence own;
    std::vector<Report> reports;
    Evidence confirmed;
  };
  const Row rows[] = {
      {"nothing known", 5, true, none, {}, none},
      {"own silence is enough", 5, true, soft, {}, soft},
      {"own certainty", 5, false, hard, {}, hard},
      {"a broken edge is no suspicion", 5, false, link, {}, none},
      {"the own opinion goes before others'", 5, false, soft, {{1, hard}}, soft},
      {"one reporter of silence in a small view", 3, true, none, {{1, soft}}, soft},
      {"one reporter of silence in a larger view is not enough", 4, true, none, {{1, soft}}, none},
      {"two are", 4, true, none, {{1, soft}, {2, soft}}, soft},
      {"a reporter that doubts itself does not count", 3, true, none, {{1, soft, 2}}, none},
      {"a healthy one beside it does", 3, true, none, {{1, soft, 2}, {2, soft, 1}}, soft},
      {"reported edges do not add up", 3, false, none, {{1, link}, {2, link}}, none},
      {"a reported death needs one reporter", 5, false, none, {{1, firm}}, firm},
      {"the strongest report counts", 5, false, none, {{1, firm}, {2, hard}, {3, soft}}, hard},
      {"a reported death that our own link contradicts", 5, true, none, {{1, hard}}, none},
      {"contradicted, two deaths are still two reports of silence", 5, true, none, {{1, hard}, {2, firm}}, soft},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(with(row.own, row.reports).confirmed(pid(9), row.members, row.linked) == row.confirmed);
  }
}

TEST_CASE("a report is withdrawn by its reporter alone") {
  Causes causes = with(Evidence::none, {{1, Evidence::soft}, {2, Evidence::soft}});
  causes.reported(pid(1), Suspect{5, pid(9), Evidence::none, 0, {}}, Time{});
  CHECK(causes.confirmed(pid(9), 5, true) == Evidence::none);
  CHECK(causes.confirmed(pid(9), 3, true) == Evidence::soft);
  causes.reported(pid(3), Suspect{5, pid(9), Evidence::none, 0, {}}, Time{});
  CHECK(causes.confirmed(pid(9), 3, true) == Evidence::soft);
  causes.reported(pid(2), Suspect{5, pid(9), Evidence::none, 0, {}}, Time{});
  CHECK(causes.confirmed(pid(9), 3, true) == Evidence::none);
}

TEST_CASE("the same reporter twice is one reporter") {
  const Causes causes = with(Evidence::none, {{1, Evidence::soft}, {1, Evidence::soft}});
  CHECK(causes.confirmed(pid(9), 5, true) == Evidence::none);
}

TEST_CASE("whom this daemon suspects itself") {
  Causes causes;
  CHECK_FALSE(causes.suspected(pid(9)));
  causes.own(pid(9), Evidence::link, {}, Time{});
  CHECK_FALSE(causes.suspected(pid(9)));
  causes.own(pid(9), Evidence::soft, {}, Time{});
  CHECK(causes.suspected(pid(9)));
  causes.own(pid(9), Evidence::none, {}, Time{});
  CHECK_FALSE(causes.suspected(pid(9)));
  causes.reported(pid(1), Suspect{5, pid(9), Evidence::hard, 0, {}}, Time{});
  CHECK_FALSE(causes.suspected(pid(9)));
  causes.stuck(pid(9), Time{});  // V14
  CHECK(causes.suspected(pid(9)));
}

TEST_CASE("a broken edge counts from its beginning") {
  Causes causes;
  CHECK_FALSE(causes.broken_edge_since());
  causes.own(pid(9), Evidence::link, {}, milliseconds(20));
  causes.own(pid(9), Evidence::link, {}, milliseconds(30));
  CHECK(causes.broken_edge_since() == Time(milliseconds(20)));
  causes.reported(pid(1), Suspect{5, pid(2), Evidence::link, 0, {}}, milliseconds(10));
  causes.reported(pid(1), Suspect{5, pid(2), Evidence::link, 0, {}}, milliseconds(40));
  CHECK(causes.broken_edge_since() == Time(milliseconds(10)));
  causes.reported(pid(1), Suspect{5, pid(2), Evidence::none, 0, {}}, milliseconds(50));
  CHECK(causes.broken_edge_since() == Time(milliseconds(20)));
  causes.own(pid(9), Evidence::none, {}, milliseconds(60));
  CHECK_FALSE(causes.broken_edge_since());
}

TEST_CASE("why somebody goes, for people") {
  Causes causes;
  CHECK_FALSE(causes.departure(pid(9), 3, true, pid(1)));

  causes.own(pid(9), Evidence::soft, milliseconds(800), Time{});
  CHECK(causes.departure(pid(9), 3, true, pid(1)) ==
        Departure{pid(9), LeaveReason::silent, Evidence::soft, pid(1), milliseconds(800)});

  causes.own(pid(9), Evidence::firm, milliseconds(5), Time{});
  CHECK(causes.departure(pid(9), 3, true, pid(1)) ==
        Departure{pid(9), LeaveReason::crashed, Evidence::firm, pid(1), milliseconds(5)});

  Causes reported;
  reported.reported(pid(2), Suspect{5, pid(9), Evidence::hard, 0, milliseconds(7)}, Time{});
  CHECK(reported.departure(pid(9), 3, false, pid(1)) ==
        Departure{pid(9), LeaveReason::crashed, Evidence::hard, pid(2), milliseconds(7)});

  reported.evictions[pid(9)] = "slow disk";
  CHECK(reported.departure(pid(9), 3, false, pid(1))->reason == LeaveReason::evicted);
}

TEST_CASE("a new view drops what was said in the old one and keeps what still holds") {
  Causes causes;
  causes.own(pid(2), Evidence::soft, {}, Time{});
  causes.own(pid(9), Evidence::hard, {}, Time{});
  causes.reported(pid(1), Suspect{5, pid(3), Evidence::hard, 0, {}}, Time{});
  causes.stuck(pid(1), Time{});
  causes.leaving = {pid(2), pid(9)};
  causes.evictions = {{pid(3), "x"}, {pid(9), "y"}};
  causes.joiners[pid(3)] = {member(3), true, {}, {}};
  causes.joiners[pid(4)] = {member(4), true, {}, {}};

  causes.installed(view_of(6, {1, 2, 3}));
  CHECK(causes.suspected(pid(2)));
  CHECK_FALSE(causes.suspected(pid(9)));
  CHECK_FALSE(causes.suspected(pid(1)));
  CHECK(causes.confirmed(pid(3), 3, false) == Evidence::none);
  CHECK(causes.leaving == std::set<Pid>{pid(2)});
  CHECK(causes.evictions.size() == 1);
  REQUIRE(causes.joiners.size() == 1);
  CHECK(causes.joiners.contains(pid(4)));
  CHECK_FALSE(causes.joiners.at(pid(4)).ready);  // its links to the new members are not known
}

}  // namespace
}  // namespace vsync::test
