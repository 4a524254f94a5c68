// V6: from the promises of one ballot to the successor view, its cut and the forwarding plan. A pure function.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "core/model/config.h"
#include "core/model/frame.h"

namespace vsync::core {

/// What a candidate knows when it chooses.
struct ChooseInput {
  const View& view;                         ///< V
  const std::map<Pid, Promise>& promises;   ///< of exactly this ballot
  std::set<Pid> doomed;                     ///< HARD and FIRM suspects and evicted members: never survivors
  std::vector<Member> joiners;              ///< members and witnesses, ready and linked; J3 is checked here
  std::map<Pid, Departure> causes;          ///< why members go, as far as known
  std::set<std::pair<Pid, Pid>> late = {};  ///< V7: (holder, receiver) whose range did not come in an earlier ballot
  bool cold = false;                        ///< B2: no holder is left; the promisers start without state
  const Config& config;
};

struct Choice {
  ViewPtr value;                ///< null: blocked (no holder) or a shutdown
  bool adopted = false;         ///< an accepted value, verbatim
  bool shutdown = false;        ///< J9: every survivor is leaving
  std::vector<PlanEntry> plan;  ///< V7; empty: nobody misses anything
};

[[nodiscard]] Choice choose_successor(const ChooseInput& input);

/// Voters of a successor of `base` with these members and witnesses (Q1). dynamic: all of them. static: configured nodes, each
/// from the first view that names it on, never fewer. base null: founding.
[[nodiscard]] std::vector<Voter> voters_of(const View* base, const std::vector<Member>& named, const Config& config);

/// The largest subset of `nodes` that drops those with the fewest links first, ties by higher rank, until all reach each other.
[[nodiscard]] std::vector<Rank> reach_clique(std::vector<Rank> ranks, const std::map<Rank, std::vector<bool>>& reach);

}  // namespace vsync::core
