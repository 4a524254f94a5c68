// F10: until when a local client may act as leader of its group without asking anybody (docs/PROTOCOL.md, "Leases").
//
// A lease says: at `backed` (own clock) a quorum of the daemon view had not yet promised to give it up, so no later view was
// decided before `backed`. It ends at backed + limits.lease. Whoever leads next waits limits.lease_wait(), by its own clock,
// from when it learns that it leads - unless the leader before gave its lease up by asking to leave.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model/effect.h"

namespace vsync::core {

/// The leases that this daemon gives to its own clients. Beside the replicated table: nothing of it goes to others.
class Leases {
 public:
  Leases(const Limits& limits, bool trace) : limits_(limits), trace_(trace) {}

  /// The table came from others or begins anew after a total failure: who led before may hold a lease that nobody here knows.
  void forget_leaders() { everybody_waits_ = kUnset; }
  /// A view of a group. `leader`: the local client that leads it and asked for leases, 0 = none. `ordered`: it was delivered
  /// inside a daemon view, where a member leaves only by asking for it, or because its connection is gone.
  void changed(const GroupView& view, ClientId leader, bool ordered);
  /// The client asked to leave: from here on it does not act as leader.
  void released(ClientId client, const std::string& group);
  /// Its connection is gone: nothing can be given to it any more.
  void gone(ClientId client);

  /// At the end of each turn, whatever the role: what happened in it happened now.
  void end_of_turn(Time now, Effects& effects);
  [[nodiscard]] bool due(Time now) const { return now >= renew_at_; }
  /// When due() and while the view is not given up here.
  void grant(Time backed, Time now, Effects& effects);
  [[nodiscard]] Time next_deadline() const { return renew_at_; }  ///< kNever: no local client leads

  /// End of the lease of a group as last given, 0 = none.
  [[nodiscard]] Time until(GroupId group) const;

 private:
  static constexpr Time kUnset = kNever;       ///< begins at the end of this turn
  static constexpr std::size_t kMany = 65536;  ///< more names than that are not told apart

  struct Led {
    std::string name;
    ClientId client = 0;
    std::uint64_t token = 0;
    Time until{};
    bool told = false;  ///< `until`, under this token
    bool released = false;
  };

  [[nodiscard]] bool waits(const std::string& name, Time now) const;

  const Limits limits_;
  bool trace_;
  std::map<GroupId, Led> led_;
  std::vector<trace::LeaseReleased> released_;  ///< in this turn
  std::map<std::string, Time> waits_;           ///< by the group's name: no new leader gets a lease before
  Time everybody_waits_{};
  Time renew_at_ = kNever;
};

}  // namespace vsync::core
