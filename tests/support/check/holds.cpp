// G10: what held means, and that it ends.
#include <algorithm>

#include "support/check/checkers.h"

namespace vsync::check {

void holds(const History& history, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    std::map<GroupId, std::uint32_t> held;
    for (const auto* record : process.records) {
      if (const auto* hold = get<trace::Hold>(*record)) {
        held[hold->group] = hold->holders;
      } else if (const auto* send = get<trace::Send>(*record); send != nullptr && send->kind == RunKind::data) {
        if (const auto it = held.find(send->group); it != held.end() && it->second > 0) {
          report.violation("G10 held", to_string(pid) + " sends " + std::to_string(send->first) + " to group " +
                                           std::to_string(send->group) + ", which is held for " + std::to_string(it->second));
        }
      }
    }
  }
}

void nothing_held(const History& history, const Ending& ending, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    if (std::find(ending.live.begin(), ending.live.end(), pid) == ending.live.end()) {
      continue;
    }
    std::map<GroupId, std::uint32_t> held;
    for (const auto* record : process.records) {
      if (const auto* hold = get<trace::Hold>(*record)) {
        held[hold->group] = hold->holders;
      }
    }
    for (const auto& [group, holders] : held) {
      if (holders > 0) {
        report.violation("G10 release", to_string(pid) + " still holds group " + std::to_string(group) + " for " +
                                            std::to_string(holders) + ", who read, left or died");
      }
    }
  }
}

}  // namespace vsync::check
