// A snapshot of the core for `status` requests and metrics.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/model/group.h"
#include "core/model/view.h"

namespace vsync::core {

struct MemberStatus {
  Member member;
  Rank rank = 0;
  bool self = false;
  bool linked = false;
  Evidence suspicion = Evidence::none;
  Duration heartbeat_age{};  ///< since the last sign of life; 0 for self
  Duration round_trip{};     ///< smoothed, 0 = not measured
  Seq received = 0;          ///< messages of this member held here, in the current view
  Seq stable = 0;            ///< of those, known to be held by everyone
};

struct Counters {
  std::uint64_t installs = 0, ballots = 0, adopted = 0, late_flush = 0, forwarded = 0, holder_losses = 0, trimmed = 0;
  std::uint64_t sent[3] = {}, delivered[3] = {};  ///< messages by service
  std::uint64_t acks_sent = 0, acks_received = 0, window_stalls = 0, refused_frames = 0;
  std::uint64_t links_resumed = 0, suspicions = 0, refuted = 0;
};

struct NodeStatus {
  Member self;
  Uuid uuid;
  Role role = Role::out;
  ViewPtr view;  ///< installed, or of a witness: the last one; null when out
  ViewId decided = 0;
  bool has_quorum = false;
  std::size_t tolerates = 0;  ///< how many more failures leave a quorum
  std::vector<MemberStatus> members;
  std::vector<MemberStatus> witnesses;  ///< B4; they have no rank
  std::vector<GroupViewPtr> groups;
  std::map<GroupId, StateWait> state_waits;  ///< of groups whose state nobody has
  std::map<GroupId, Time> leases;            ///< F10: of local clients that lead, until when
  Time leader_lease{};                       ///< of this daemon as leader of the view, 0 = none
  Stamp clock = 0;                           ///< Lamport clock
  std::size_t send_queue = 0;                ///< client messages not yet bound
  std::size_t unstable_bytes = 0;            ///< own bytes in the window
  std::string blocker;                       ///< the member whose acknowledgement the oldest total waits for, empty = none
  std::uint32_t health = 0;                  ///< local health multiplier
  Counters counters;
};

}  // namespace vsync::core
