// Process groups as applications see them (protocol.md section 12).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/types.h"

namespace vsync::core {

/// Names a client of a daemon: a member of a group, or who asked one.
struct ClientRef {
  Pid pid;
  ClientId client = 0;

  auto operator<=>(const ClientRef&) const = default;
};

/// One application connection in a group. The order in a group view is by seniority in the group.
struct GroupMember {
  Pid pid;
  ClientId client = 0;
  std::string name;  ///< chosen by the client, may be empty; for people

  [[nodiscard]] ClientRef ref() const { return {pid, client}; }
  auto operator<=>(const GroupMember&) const = default;
};

/// G8: whose replies a request waits for, of those who are members at its place in the order.
enum class Wait : std::uint8_t { all, majority, first };

/// A place in the history of a durable group (K1). Messages count from 1, for ever; an era begins with the group view in
/// which nobody had the state and a disk's was chosen, and is larger than all that began before it. Of two disks the one with the
/// larger place knows all that the other knows and that anybody was told to be durable.
struct HistoryPosition {
  std::uint64_t era = 0;  ///< 0: nothing
  std::uint64_t index = 0;

  auto operator<=>(const HistoryPosition&) const = default;
};

/// What a node has of a durable group on its disk.
struct KeptHistory {
  HistoryPosition position;
  std::uint64_t origin = 0;          ///< names the history: no other one has the same, of whatever cluster
  std::vector<NodeId> keepers = {};  ///< the nodes whose disks count (K2), chosen when the group began; empty: a blank disk
  std::uint64_t promised = 0;        ///< K1: only larger eras may begin; a blank disk may have promised too

  [[nodiscard]] bool blank() const { return keepers.empty(); }
  auto operator<=>(const KeptHistory&) const = default;
};

inline constexpr std::uint32_t kMaxDisks = 64;  ///< that keep one durable group

/// Fixed by the first member to join a group, for as long as the group has members; `disks` by the first that has some (K1).
struct GroupPolicy {
  bool total_only = false;  ///< G3: fifo and causal are refused, and joins need no group flush
  std::uint32_t disks = 0;  ///< K1: the group is durable, and so many nodes keep it on their disks; 0 = it is not durable

  auto operator<=>(const GroupPolicy&) const = default;
};

/// T1: what a member that joins says about the group's state.
struct StateWish {
  bool wanted = false;         ///< it gets the state when it joins, and gives it to later ones
  std::uint64_t offer = 0;     ///< how new the checkpoint is that it has itself, 0 = none; counts when no member has the state
  std::uint32_t replicas = 1;  ///< and then: not before so many members that want the state are there
  KeptHistory kept = {};       ///< K3, in a durable group in place of these two

  auto operator<=>(const StateWish&) const = default;
};

/// T1, K3: whom the members of a group wait for while nobody has its state. For people.
struct StateWait {
  Awaited what = Awaited::nobody;
  std::uint32_t more = 0;       ///< so many more are needed,
  std::vector<NodeId> of = {};  ///< of these nodes; empty: of any others

  bool operator==(const StateWait&) const = default;
};

struct GroupDeparture {
  GroupMember member;
  LeaveReason reason = LeaveReason::left;  ///< left = by request, crashed = the client or its daemon died, no_state (T2)

  bool operator==(const GroupDeparture&) const = default;
};

/// A view of one group, equal at all its members (G5).
struct GroupView {
  GroupId group = 0;
  std::string name;
  ViewId view = 0;           ///< daemon view in which it was installed
  std::uint64_t number = 0;  ///< of this group, from 1 while the group has members
  std::uint64_t token = 0;   ///< C4: strictly larger in every later view of a group with this name, for ever
  GroupPolicy policy;
  std::vector<GroupMember> members;  ///< leader first; empty in the last view of a group, which then is gone
  std::vector<GroupMember> joined;
  std::vector<GroupDeparture> left;
  std::vector<GroupMember> transitional;        ///< members that came from the previous group view together
  std::vector<GroupMember> without_state = {};  ///< members that want the state and have none yet (T1)
  bool primary = true;
  bool cold = false;  ///< first view of the chain after a total failure

  bool operator==(const GroupView&) const = default;
};

using GroupViewPtr = std::shared_ptr<const GroupView>;

}  // namespace vsync::core
