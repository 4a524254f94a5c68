// L3, L4, L7: what must have happened once a run was given the time to settle.
#include <algorithm>

#include "support/check/checkers.h"

namespace vsync::check {

void safety(const History& history, Report& report) {
  views(history, report);
  causes(history, report);
  streams(history, report);
  causality(history, report);
  total_order(history, report);
  virtual_synchrony(history, report);
  state(history, report);
  ballots(history, report);
  fates(history, report);
  sessions(history, report);
  group_views(history, report);
  group_messages(history, report);
  receipts(history, report);
  holds(history, report);
  leases(history, report);
  states(history, report);
  several_groups(history, report);
  stability(history, report);
  told_truly(history, report);
}

void everything_delivered(const History& history, const Ending& ending, Report& report) {
  const auto stays = history.stays().find(ending.view);
  if (stays == history.stays().end()) {
    return;
  }
  const auto alive = [&](const Pid& pid) { return std::find(ending.live.begin(), ending.live.end(), pid) != ending.live.end(); };
  for (const auto* sender : stays->second) {
    const auto rank = sender->view->rank_of(sender->pid);
    if (!alive(sender->pid) || !rank) {
      continue;
    }
    for (const auto* stay : stays->second) {
      if (alive(stay->pid) && stay->delivered[*rank] != sender->sent) {
        report.violation("L3 delivery", to_string(stay->pid) + " delivered " + std::to_string(stay->delivered[*rank]) + " of " +
                                            std::to_string(sender->sent) + " messages of " + to_string(sender->pid));
      }
    }
  }
}

void nothing_suspected(const History& history, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* event = get<trace::Suspected>(*record)) {
        report.violation("L7 accuracy",
                         to_string(pid) + " suspects " + to_string(event->peer) + " in a run without faults: " + event->why);
      }
    }
  }
  for (const auto& [id, contents] : history.views()) {
    if (!contents.front()->left.empty()) {
      report.violation("L4 calm", "view " + contents.front()->summary() + " excludes somebody in a run without faults");
    }
  }
}

}  // namespace vsync::check
