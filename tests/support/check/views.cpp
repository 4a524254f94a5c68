// M1, M2, M4, M5, M6, M8, I2: the primary chain of views.
#include <algorithm>
#include <set>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

/// I1, I2: a pid is one life. (Only a lost disk makes an incarnation come twice, with another vote epoch.)
void one_life(const Process& process, Report& report) {
  std::set<std::uint64_t> vote_epochs;
  for (const auto* record : process.records) {
    const auto* start = get<trace::Start>(*record);
    if (start != nullptr && process.pid.node != 0 && !vote_epochs.insert(start->vote_epoch).second) {
      report.violation("I2 one life per incarnation", to_string(process.pid) + " starts again");
    }
  }
}

void one_process(const Process& process, Report& report) {
  ViewId last = 0;
  for (const auto& stay : process.stays) {
    const auto who = to_string(process.pid) + " installs " + stay.view->summary();
    if (!stay.view->contains(process.pid)) {
      report.violation("M1 self inclusion", who);
    }
    if (stay.id() <= last) {
      report.violation("M2 local monotonicity", who + " after " + std::to_string(last));
    }
    if (stay.install->previous != 0 && stay.install->previous != last) {
      report.violation("M5 primary chain",
                       who + " from " + std::to_string(stay.install->previous) + ", was in " + std::to_string(last));
    }
    last = stay.id();
  }
}

/// M5: consecutive ids, and somebody carried the state from one view to the next.
void chain(const History& history, Report& report) {
  for (const auto& [id, stays] : history.stays()) {
    bool carried = false;
    for (const auto* stay : stays) {
      carried = carried || stay->install->previous != 0;
      if (stay->install->previous != 0 && stay->install->previous + 1 != id) {
        report.violation("M5 primary chain",
                         "view " + std::to_string(id) + " follows " + std::to_string(stay->install->previous));
      }
    }
    const bool first = history.views().begin()->first == id;
    if (!carried && !first && !stays.front()->view->cold) {
      report.violation("M5 continuity", "nobody came to view " + std::to_string(id) + " with its state");
    }
  }
}

/// M8: those who stay keep their order and precede those who come.
void seniority(const View& before, const View& after, Report& report) {
  std::vector<Pid> stay;
  for (const auto& member : before.members) {
    if (after.contains(member.pid)) {
      stay.push_back(member.pid);
    }
  }
  for (std::size_t i = 0; i < stay.size(); ++i) {
    if (after.members[i].pid != stay[i]) {
      report.violation("M8 seniority", before.summary() + " -> " + after.summary());
      return;
    }
  }
}

}  // namespace

void views(const History& history, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    one_life(process, report);
    one_process(process, report);
  }
  const View* before = nullptr;
  std::set<Pid> gone;
  for (const auto& [id, contents] : history.views()) {
    const View& view = *contents.front();
    if (contents.size() > 1) {
      report.violation("M4 view agreement", view.summary() + " and " + contents[1]->summary() + " differ");
    }
    if (before != nullptr && before->id() + 1 == id) {
      seniority(*before, view, report);
    }
    if (before != nullptr) {
      for (const auto& member : before->members) {
        if (!view.contains(member.pid)) {
          gone.insert(member.pid);
        }
      }
    }
    for (const auto& member : view.members) {
      if (gone.contains(member.pid)) {
        report.violation("M6 no re-instatement", to_string(member.pid) + " is back in " + view.summary());
      }
    }
    before = &view;
  }
  chain(history, report);
}

void causes(const History& history, Report& report) {
  std::set<Pid> suspected;
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* event = get<trace::Suspected>(*record)) {
        suspected.insert(event->peer);
      }
    }
  }
  for (const auto& [id, contents] : history.views()) {
    for (const auto& departure : contents.front()->left) {
      // Who does not answer a PREPARE in time is called silent by the candidate alone (V5); the view names it as reporter.
      const bool by_candidate = departure.reason == LeaveReason::silent && departure.evidence >= Evidence::soft;
      const bool by_failure = departure.reason == LeaveReason::crashed || departure.reason == LeaveReason::silent;
      if (by_failure && !by_candidate && !contents.front()->cold && !suspected.contains(departure.pid)) {
        report.violation("M7 cause", "view " + std::to_string(id) + " excludes " + to_string(departure.pid) + " (" +
                                         std::string(to_string(departure.reason)) + "), whom nobody suspected");
      }
    }
  }
}

}  // namespace vsync::check
