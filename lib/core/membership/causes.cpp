#include "core/membership/causes.h"

#include <algorithm>

namespace vsync::core {

namespace {

void keep_oldest(Causes::Suspicion& entry, Evidence evidence, Duration silence, std::uint32_t health, Time now) {
  if (entry.evidence != evidence) {
    entry.since = now;
  }
  entry.evidence = evidence;
  entry.silence = silence;
  entry.health = health;
}

template <typename Map>
void keep_members(Map& map, const View& view) {
  std::erase_if(map, [&](const auto& entry) { return !view.names(entry.first); });
}

}  // namespace

void Causes::own(const Pid& peer, Evidence evidence, Duration silence, Time now) {
  if (evidence == Evidence::none) {
    own_.erase(peer);
  } else {
    keep_oldest(own_[peer], evidence, silence, 0, now);
  }
}

void Causes::reported(const Pid& reporter, const Suspect& report, Time now) {
  if (report.evidence == Evidence::none) {
    const auto it = reported_.find(report.suspect);
    if (it != reported_.end() && it->second.erase(reporter) > 0 && it->second.empty()) {
      reported_.erase(it);
    }
  } else {
    keep_oldest(reported_[report.suspect][reporter], report.evidence, report.silence, report.health, now);
  }
}

void Causes::stuck(const Pid& candidate, Time now) {
  stuck_[candidate] = {Evidence::soft, {}, now, 0};
}

bool Causes::suspected(const Pid& peer) const {
  const auto it = own_.find(peer);
  return (it != own_.end() && it->second.evidence >= Evidence::soft) || stuck_.contains(peer);
}

bool Causes::unreached(const Pid& peer, Time before) const {
  const auto it = own_.find(peer);
  return it != own_.end() && it->second.evidence == Evidence::link && it->second.since <= before;
}

Evidence Causes::confirmed(const Pid& peer, std::size_t members, bool linked) const {
  const auto mine = own_.find(peer);
  if (mine != own_.end() && mine->second.evidence >= Evidence::soft) {
    return mine->second.evidence;
  }
  const auto others = reported_.find(peer);
  if (others == reported_.end()) {
    return Evidence::none;
  }
  std::size_t soft = 0;
  Evidence strongest = Evidence::none;
  for (const auto& [reporter, report] : others->second) {
    // A report of process death that our own open connection contradicts is an edge at most.
    if (report.evidence >= Evidence::firm && !linked) {
      strongest = std::max(strongest, report.evidence);
    }
    soft += report.evidence >= Evidence::soft && report.health < 2 ? 1U : 0U;
  }
  const std::size_t needed = members <= 3 ? 1 : 2;
  return strongest != Evidence::none ? strongest : soft >= needed ? Evidence::soft : Evidence::none;
}

std::optional<Time> Causes::broken_edge_since() const {
  std::optional<Time> since;
  const auto note = [&](const Suspicion& suspicion) {
    if (suspicion.evidence >= Evidence::link && (!since || suspicion.since < *since)) {
      since = suspicion.since;
    }
  };
  for (const auto& [peer, suspicion] : own_) {
    note(suspicion);
  }
  for (const auto& [peer, reports] : reported_) {
    for (const auto& [reporter, suspicion] : reports) {
      note(suspicion);
    }
  }
  return since;
}

std::optional<Departure> Causes::departure(const Pid& peer, std::size_t members, bool linked, const Pid& self) const {
  if (evictions.contains(peer)) {
    return Departure{peer, LeaveReason::evicted, Evidence::none, self, {}};
  }
  const Evidence evidence = confirmed(peer, members, linked);
  if (evidence == Evidence::none) {
    return std::nullopt;
  }
  Departure departure{peer, evidence >= Evidence::firm ? LeaveReason::crashed : LeaveReason::silent, evidence, self, {}};
  if (const auto mine = own_.find(peer); mine != own_.end()) {
    departure.silence = mine->second.silence;
  } else if (const auto others = reported_.find(peer); others != reported_.end()) {
    departure.reporter = others->second.begin()->first;
    departure.silence = others->second.begin()->second.silence;
  }
  return departure;
}

void Causes::installed(const View& view) {
  keep_members(own_, view);
  stuck_.clear();
  late.clear();
  reported_.clear();
  keep_members(evictions, view);
  if (view.members.size() == 1) {
    std::erase_if(evictions, [&](const auto& entry) {
      return view.contains(entry.first);
    });  // the last member can leave, but not be thrown out
  }
  std::erase_if(leaving, [&](const Pid& pid) { return !view.names(pid); });
  std::erase_if(joiners, [&](const auto& entry) { return view.names(entry.first); });
  for (auto& [pid, joiner] : joiners) {
    joiner.ready = false;  // it must link to the members of the new view
  }
}

}  // namespace vsync::core
