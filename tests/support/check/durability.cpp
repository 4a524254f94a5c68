// K1 to K3: what a sender was told to be durable is, at its place, in what everybody has in that era and in every later one.
#include <algorithm>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

/// The history of one group in one era, as its members have it.
using Histories = std::map<std::string, std::map<std::uint64_t, std::map<std::uint64_t, std::uint64_t>>>;

std::string name(const std::string& group, std::uint64_t era, std::uint64_t index) {
  return "message " + std::to_string(index) + " of group " + group + " in era " + std::to_string(era);
}

void add(Histories& histories, const Kept& kept, const Pid& pid, Report& report) {
  auto& history = histories[kept.group][kept.first.era];
  for (std::size_t i = 0; i < kept.ids.size(); ++i) {
    const auto index = kept.first.index + i;
    if (history.try_emplace(index, kept.ids[i]).first->second != kept.ids[i]) {
      report.violation("K1 one history", name(kept.group, kept.first.era, index) + " is another one at " + to_string(pid));
    }
  }
}

void judge(const Histories& histories, const ToldDurable& told, Report& report) {
  const auto eras = histories.find(told.group);
  if (eras == histories.end()) {
    return;  // nobody has come back
  }
  for (auto era = eras->second.lower_bound(told.first.era); era != eras->second.end(); ++era) {
    for (std::size_t i = 0; i < told.ids.size(); ++i) {
      const auto index = told.first.index + i;
      const auto found = era->second.find(index);
      const bool lost = found == era->second.end();
      if (lost ? era->first != told.first.era : found->second != told.ids[i]) {
        report.violation("K2 durable means durable", name(told.group, told.first.era, index) + " was called durable and is " +
                                                         (lost ? "lost" : "another one") + " in era " +
                                                         std::to_string(era->first) + ", which knows " +
                                                         std::to_string(era->second.size()));
        return;
      }
    }
  }
}

}  // namespace

void durability(const History& history, Report& report) {
  Histories histories;
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* kept = get<Kept>(*record)) {
        add(histories, *kept, pid, report);
      }
    }
  }
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* told = get<ToldDurable>(*record)) {
        judge(histories, *told, report);
      }
    }
  }
}

}  // namespace vsync::check
