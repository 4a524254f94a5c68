// The vocabulary of protocol.md section 2: identities, counts, time, services, evidence.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vsync::core {

/// Monotonic time given by the caller, since an arbitrary start. The core reads no clock (rule 0).
using Time = std::chrono::nanoseconds;
using Duration = std::chrono::nanoseconds;

/// A time that never comes.
inline constexpr Time kNever = Time::max();

using NodeId = std::uint32_t;     ///< configured host identity, > 0; 0 = not assigned yet
using ViewId = std::uint64_t;     ///< id of a primary view; successors differ by one
using Rank = std::uint32_t;       ///< index in a view's members; 0 = leader = most senior
using Seq = std::uint64_t;        ///< number of a message in its sender's stream in one view, from 1
using Stamp = std::uint64_t;      ///< Lamport time stamp, from 1 in each view
using GroupId = std::uint64_t;    ///< number of a group, assigned in total order, never reused in a chain
using ClientId = std::uint32_t;   ///< a client of one daemon incarnation, > 0
using RequestId = std::uint64_t;  ///< chosen by the client, repeated in the reply

/// One incarnation of a daemon. stint is always 0 in phase 1.
struct Pid {
  NodeId node = 0;
  std::uint64_t incarnation = 0;
  std::uint32_t stint = 0;

  auto operator<=>(const Pid&) const = default;
};

/// Cluster identity, made at founding; zero = belongs to no cluster yet.
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Uuid&) const = default;
  [[nodiscard]] bool none() const { return high == 0 && low == 0; }
};

/// Names a view in the primary chain (sub = 0, coord empty) or, in phase 2, a secondary view.
struct ViewRef {
  std::uint64_t epoch = 0;
  std::uint32_t sub = 0;
  Pid coord;

  auto operator<=>(const ViewRef&) const = default;
};

/// Ballot of one Paxos instance; compared lexicographically. {0,0} = none.
struct Ballot {
  std::uint32_t round = 0;
  NodeId node = 0;

  auto operator<=>(const Ballot&) const = default;
};

/// Delivery services (section 8).
enum class Service : std::uint8_t { fifo, causal, total };

/// Evidence classes (section 9), weakest first.
enum class Evidence : std::uint8_t { none, link, soft, firm, hard };

/// Why a member is in no later view (LeaveReason `crashed` covers HARD and FIRM, `silent` covers SOFT).
/// Of a group's members only: no_state could not get the group's state (T2); slow did not read, and its daemon dropped it;
/// not_a_keeper is on a node that does not keep the durable group (K3).
enum class LeaveReason : std::uint8_t { left, crashed, silent, evicted, replaced, unreachable, no_state, slow, not_a_keeper };

enum class QuorumPolicy : std::uint8_t { dynamic, fixed };  ///< `fixed` is called "static" in the configuration
enum class ColdStart : std::uint8_t { wait_all, quorum, manual };

/// Role of a daemon (section 4). witness: a voter that is no member (B4).
enum class Role : std::uint8_t { out, joining, member, wedged, left, witness };

/// How a send ended (C1).
enum class Outcome : std::uint8_t { delivered, not_delivered, unknown };

/// What a run is for. Everything but `data` belongs to the groups module (G1) and is always `total`.
enum class RunKind : std::uint8_t {
  data,
  group_join,
  group_leave,
  group_flushed,
  group_state,
  group_hold,
  session,
  group_synced,
  group_kept
};
inline constexpr RunKind kLastRunKind = RunKind::group_kept;

/// One entry of a count vector that names the member by rank.
struct RankCount {
  Rank rank = 0;
  Seq count = 0;

  auto operator<=>(const RankCount&) const = default;
};

/// A count per member, indexed by rank (R, D, H, cut).
using Counts = std::vector<Seq>;

/// What the members of a group wait for while nobody has its state (T1).
enum class Awaited : std::uint8_t {
  nobody,    ///< the state is there, or nobody wants it
  members,   ///< members that want the state, as many as StateWish::replicas says
  disks,     ///< members on the nodes that keep the group, with what their disks have (K3)
  answers,   ///< daemons that have not said what their disks have of the group (K3)
  promises,  ///< disks that have not promised the era that is to begin (K1)
};

[[nodiscard]] std::string_view to_string(Service service);
[[nodiscard]] std::string_view to_string(Evidence evidence);
[[nodiscard]] std::string_view to_string(LeaveReason reason);
[[nodiscard]] std::string_view to_string(Role role);
[[nodiscard]] std::string_view to_string(Outcome outcome);
[[nodiscard]] std::string_view to_string(QuorumPolicy policy);
[[nodiscard]] std::string_view to_string(RunKind kind);
[[nodiscard]] std::string_view to_string(Awaited what);
[[nodiscard]] std::string to_string(const Pid& pid);        ///< "3.1" = node 3, incarnation 1
[[nodiscard]] std::string to_string(const Ballot& ballot);  ///< "2/3" = round 2 of node 3
[[nodiscard]] std::string to_string(const Uuid& uuid);      ///< 32 hexadecimal digits

}  // namespace vsync::core
