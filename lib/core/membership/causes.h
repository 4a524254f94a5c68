// V1: why the view should change, as one daemon knows it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model/frame.h"

namespace vsync::core {

/// Suspicions (own and reported), joins, leaves and evictions that wait for the next view.
class Causes {
 public:
  struct Suspicion {
    Evidence evidence = Evidence::none;
    Duration silence{};
    Time since{};
    std::uint32_t health = 0;  ///< the reporter's (F4)
  };
  struct Joiner {
    Member member;
    bool ready = false;  ///< READY_OK: linked to all members (J5)
    Time ready_since{};
    Time asked{};      ///< last JOIN heard
    bool met = false;  ///< it asked here itself
  };

  // ---- suspicions
  void own(const Pid& peer, Evidence evidence, Duration silence, Time now);
  void reported(const Pid& reporter, const Suspect& report, Time now);
  /// V14: no INSTALL came from this candidate in time. Counts as an own SOFT suspicion until the next install.
  /// It drives a new ballot, so it is not stuck (any more): let it try before anybody campaigns against it (V13).
  void drives(const Pid& candidate) { stuck_.erase(candidate); }
  void stuck(const Pid& candidate, Time now);
  [[nodiscard]] const std::map<Pid, Suspicion>& own() const { return own_; }
  /// This daemon itself would go on without `peer`.
  [[nodiscard]] bool suspected(const Pid& peer) const;
  /// `peer` has not been reached by this daemon since `before` or longer, though others may hear it.
  [[nodiscard]] bool unreached(const Pid& peer, Time before) const;
  /// Evidence that suffices to go on without `peer`: own, or reported as section 9 demands. `members`: size of the view.
  [[nodiscard]] Evidence confirmed(const Pid& peer, std::size_t members, bool linked) const;
  /// Since when two members are known not to reach each other (class LINK), nullopt: all do.
  [[nodiscard]] std::optional<Time> broken_edge_since() const;

  // ---- other causes
  std::map<Pid, Joiner> joiners;
  std::set<Pid> leaving;
  std::map<Pid, std::string> evictions;
  /// No cause, but known of edges: (holder, receiver) where what was to be forwarded did not come in time (V7).
  std::set<std::pair<Pid, Pid>> late;

  /// What is known of why `peer` goes, for View::left.
  [[nodiscard]] std::optional<Departure> departure(const Pid& peer, std::size_t members, bool linked, const Pid& self) const;

  /// A new view: what concerned others or was reported in the old one is dropped; reports are repeated if they still hold.
  void installed(const View& view);

 private:
  std::map<Pid, Suspicion> own_;
  std::map<Pid, Suspicion> stuck_;
  std::map<Pid, std::map<Pid, Suspicion>> reported_;  ///< suspect -> reporter -> what
};

}  // namespace vsync::core
