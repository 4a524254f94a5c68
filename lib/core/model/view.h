// Views: the agreed membership (protocol.md section 4).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/model/types.h"

namespace vsync::core {

/// Where a daemon is reached. host is a name or a literal IP address as configured.
struct Address {
  std::string host;
  std::uint16_t port = 0;            ///< TCP: membership, flush, data
  std::uint16_t heartbeat_port = 0;  ///< UDP

  auto operator<=>(const Address&) const = default;
};

struct Member {
  Pid pid;
  std::uint64_t vote_epoch = 0;
  std::string name;
  Address address;
  bool witness = false;  ///< B4: votes only; in View::witnesses, never in View::members

  auto operator<=>(const Member&) const = default;
};

/// An acceptor of the instance that replaces the view. A node that lost its disk has a new vote epoch and no vote.
struct Voter {
  NodeId node = 0;
  std::uint64_t vote_epoch = 0;
  std::uint32_t weight = 1;

  auto operator<=>(const Voter&) const = default;
};

/// Where members of a view come from: a base view, its survivors, and the cut up to which they deliver in it.
struct Origin {
  static constexpr std::uint8_t kPrimary = 1;
  static constexpr std::uint8_t kPartitionable = 2;

  ViewRef base;                                    ///< epoch 0: joiners without a base
  std::uint8_t scope = kPrimary | kPartitionable;  ///< both bits in phase 1
  std::vector<Pid> survivors;
  Counts cut;  ///< by rank of the base view (raw cut, section 2)

  bool operator==(const Origin&) const = default;
};

/// A member or witness of the previous view that is not in this one.
struct Departure {
  Pid pid;
  LeaveReason reason = LeaveReason::left;
  Evidence evidence = Evidence::none;
  Pid reporter;
  Duration silence{};  ///< how long nothing had been heard, 0 = not measured

  bool operator==(const Departure&) const = default;
};

/// A view, and the value that a Paxos instance decides. Immutable once proposed.
struct View {
  Uuid uuid;
  ViewRef ref;
  bool primary = true;
  bool cold = false;  ///< decided after a total failure: nobody brings state (B2)
  std::uint16_t proto = 1;
  std::uint64_t config_hash = 0;
  std::vector<Member> members;    ///< seniority order
  std::vector<Member> witnesses;  ///< B4: voters without state, streams and rank; by node
  std::vector<Voter> voters;
  QuorumPolicy policy = QuorumPolicy::dynamic;
  NodeId tiebreak = 0;
  std::vector<Origin> origins;
  std::vector<Pid> joined;
  std::vector<Departure> left;
  std::map<NodeId, std::uint64_t> history;  ///< highest incarnation ever named, per node (J3)

  bool operator==(const View&) const = default;

  [[nodiscard]] ViewId id() const { return ref.epoch; }
  [[nodiscard]] std::optional<Rank> rank_of(const Pid& pid) const;
  [[nodiscard]] const Member* find(const Pid& pid) const;
  [[nodiscard]] const Member* find_node(NodeId node) const;
  [[nodiscard]] bool contains(const Pid& pid) const { return rank_of(pid).has_value(); }
  [[nodiscard]] const Member* find_witness(const Pid& pid) const;
  /// Members, then witnesses.
  [[nodiscard]] std::vector<Member> everybody() const;
  /// As a member or as a witness.
  [[nodiscard]] const Member* find_named(const Pid& pid) const;
  [[nodiscard]] bool names(const Pid& pid) const { return find_named(pid) != nullptr; }
  [[nodiscard]] const Member* named_node(NodeId node) const;
  [[nodiscard]] const Pid& leader() const { return members.front().pid; }
  /// The origin whose base is view `base` and that names `pid` a survivor; nullptr if there is none.
  [[nodiscard]] const Origin* origin_of(const Pid& pid, ViewId base) const;
  /// Nobody brings state into this view: it is the first one, or a cold one (B1, B2).
  [[nodiscard]] bool starts_empty() const;
  /// "5 <1,2,3>", or "5 <1,2> witness 3": for messages and traces.
  [[nodiscard]] std::string summary() const;
};

using ViewPtr = std::shared_ptr<const View>;

/// A node that answers as a voter: it counts only with the vote epoch that the view names.
using VoterSet = std::set<std::pair<NodeId, std::uint64_t>>;

/// Q1: do these voters decide the successor of `view`? Two disjoint sets never both do.
[[nodiscard]] bool quorum(const View& view, const VoterSet& answered);

/// How many voters may fail at once, whichever they are, and the rest still decides.
[[nodiscard]] std::size_t tolerated_failures(const View& view);

/// "1,2,3": node ids of the members in seniority order.
[[nodiscard]] std::string node_list(const View& view);

}  // namespace vsync::core
