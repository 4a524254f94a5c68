// D5, D6, D7, D11, D12, S1, S2, S3: what those share who go on together.
#include <algorithm>
#include <set>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

std::string step(ViewId from, ViewId to) {
  return std::to_string(from) + " -> " + std::to_string(to);
}

std::string text(const Counts& counts) {
  std::string out;
  for (const auto count : counts) {
    out += (out.empty() ? "" : " ") + std::to_string(count);
  }
  return "[" + out + "]";
}

std::size_t totals(const Stay& stay) {
  return static_cast<std::size_t>(std::count_if(stay.deliveries.begin(), stay.deliveries.end(),
                                                [](const Delivered& d) { return d.deliver->service == Service::total; }));
}

/// D5, D12: stays that go from one view to the same next one.
void together(const std::vector<const Stay*>& stays, Report& report) {
  const auto& first = *stays.front();
  for (const auto* stay : stays) {
    if (stay->delivered != first.delivered) {
      report.violation("D5 virtual synchrony", step(stay->id(), stay->next) + ": " + to_string(first.pid) + " delivered " +
                                                   text(first.delivered) + ", " + to_string(stay->pid) + " " +
                                                   text(stay->delivered));
    }
    const auto rank = stay->view->rank_of(stay->pid);
    if (rank && stay->delivered[*rank] != stay->sent) {
      report.violation("D12 self delivery", to_string(stay->pid) + " goes " + step(stay->id(), stay->next) + " with " +
                                                std::to_string(stay->sent) + " sent, " + std::to_string(stay->delivered[*rank]) +
                                                " delivered");
    }
  }
}

/// D6, D7: the transitional set that `after` was installed with.
void transitional_set(const History& history, const Stay& after, Report& report) {
  const auto from = after.install->previous;
  const auto& set = after.install->transitional;
  const auto who = to_string(after.pid) + " " + step(from, after.id());
  if (from == 0) {
    if (set != std::vector<Pid>{after.pid}) {
      report.violation("D6 transitional set", who + ": a joiner came with others");
    }
    return;
  }
  const auto* origin = after.view->origin_of(after.pid, from);
  if (origin == nullptr || std::set(set.begin(), set.end()) != std::set(origin->survivors.begin(), origin->survivors.end())) {
    report.violation("D6 transitional set", who + ": not the survivors of the origin");
    return;
  }
  for (const auto& pid : set) {
    const auto process = history.processes().find(pid);
    if (process == history.processes().end()) {
      continue;
    }
    const auto& stays = process->second.stays;
    const auto later = std::find_if(stays.begin(), stays.end(), [&](const Stay& s) { return s.id() > from; });
    if (later != stays.end() && later->id() != after.id()) {
      report.violation("D7 successors", who + ": " + to_string(pid) + " went to " + std::to_string(later->id()));
    }
  }
}

}  // namespace

void virtual_synchrony(const History& history, Report& report) {
  for (const auto& [id, stays] : history.stays()) {
    std::map<ViewId, std::vector<const Stay*>> by_next;
    std::size_t most = 0;
    for (const auto* stay : stays) {
      most = std::max(most, totals(*stay));
      if (stay->next != 0) {
        by_next[stay->next].push_back(stay);
      }
      transitional_set(history, *stay, report);
    }
    if (by_next.size() > 1) {
      report.violation("M5 one successor", "view " + std::to_string(id) + " has " + std::to_string(by_next.size()));
    }
    for (const auto& [next, group] : by_next) {
      together(group, report);
      for (const auto* stay : group) {
        if (totals(*stay) != most) {
          report.violation("D11 uniform total", to_string(stay->pid) + " goes " + step(id, next) + " with " +
                                                    std::to_string(totals(*stay)) + " of " + std::to_string(most) + " totals");
        }
      }
    }
  }
}

void state(const History& history, Report& report) {
  for (const auto& [id, stays] : history.stays()) {
    for (const auto* stay : stays) {
      if (stay->install->table_hash != stays.front()->install->table_hash) {
        report.violation("S1 S2 state at install", "view " + std::to_string(id) + ": the tables of " +
                                                       to_string(stays.front()->pid) + " and " + to_string(stay->pid) +
                                                       " differ");
      }
    }
  }
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      const auto* install = get<trace::GroupInstall>(*record);
      const auto* view = install == nullptr ? nullptr : history.view(install->group_view->view);
      if (view == nullptr) {
        continue;
      }
      for (const auto& member : install->group_view->members) {
        if (!view->contains(member.pid)) {
          report.violation("S3 no ghosts", "group " + install->group_view->name + " in view " + view->summary() + " has " +
                                               to_string(member.pid));
        }
      }
    }
  }
}

}  // namespace vsync::check
