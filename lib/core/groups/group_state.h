// T1, T2: which members have the state of their group, and the transfer under way. A part of the replicated group table.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/codec.h"
#include "core/groups/group_history.h"
#include "core/model/group.h"

namespace vsync::core {

/// How a durable group is kept that begins, or begins a new era.
struct Founding {
  std::uint32_t disks = 0;       ///< 0: it is not durable
  std::uint64_t origin = 0;      ///< of its history, if that is a new one: no other has the same
  const std::set<Pid>& daemons;  ///< of the view
};

/// What became of a transfer at one of its ends; body of a group_state run.
enum class StateNews : std::uint8_t {
  arrived,  ///< of a joiner: it has the state
  refused,  ///< of the donor: it cannot give it
};

/// A deterministic function of the totals delivered, as all of the table. Only members that joined with StateWish::wanted are in
/// it. The boundary of every transfer is a group view: there everybody has delivered the same messages, of all services. At most
/// one transfer is under way in a group; who joins meanwhile waits for the next boundary.
class GroupState {
 public:
  enum class Mark : std::uint8_t { waits, has, refuses };  ///< `refuses`: has it, and did not give it
  struct Replica {
    Mark mark = Mark::waits;
    std::uint64_t offer = 0;
    std::uint32_t replicas = 1;
    KeptHistory kept = {};  ///< K3, as of the join

    bool operator==(const Replica&) const = default;
  };

  // ---- ordered changes
  void join(const ClientRef& member, const StateWish& wish);
  /// It will be in no view of the group.
  void forget(const ClientRef& member) { replicas_.erase(member); }
  /// False: it is of another transfer, and so ignored.
  bool news(const ClientRef& member, std::uint64_t token, StateNews news);
  /// T2: those of `members` that cannot get the state any more, since everybody that has it refuses to give it. `stays` tells
  /// who is in the next view.
  template <typename Stays>
  [[nodiscard]] std::vector<GroupMember> hopeless(const std::vector<GroupMember>& members, Stays stays) const;
  /// A view of the group with these members. Ends the transfer if its donor or all its joiners are gone, and begins the next one.
  /// In a durable group that may begin an era of its history.
  void install(const std::vector<GroupMember>& members, std::uint64_t token, GroupHistory& history, const Founding& founding);

  // ---- queries
  /// A view must be installed although nobody comes or goes: somebody waits, and no transfer serves it.
  [[nodiscard]] bool needs_view() const;
  [[nodiscard]] bool active() const { return !joiners_.empty(); }
  /// K3: it is the donor of this transfer, and has not got its own disk's state yet.
  [[nodiscard]] bool awaits_itself(const ClientRef& donor, std::uint64_t token) const;
  /// Somebody has the state.
  [[nodiscard]] bool exists() const;
  /// Nobody wants the state.
  [[nodiscard]] bool empty() const { return replicas_.empty(); }
  /// K3: these wait on nodes that do not keep the group, and came before that was known.
  [[nodiscard]] std::set<ClientRef> strangers(const GroupHistory& history) const;
  /// K3: what the disks of those who wait have.
  [[nodiscard]] std::vector<HistoryPosition> known() const;
  /// Whom these members of the group wait for while nobody has the state.
  [[nodiscard]] StateWait awaited(const std::vector<GroupMember>& members, const GroupHistory& history,
                                  const Founding& founding) const;
  /// It wants the state and has none yet.
  [[nodiscard]] bool waits(const ClientRef& member) const;
  /// Those of the transfer under way, or all others that wait: they get the next state.
  [[nodiscard]] std::set<ClientRef> waiting(bool joiners) const;
  /// Token of the view at which the last transfer began; 0: there was none.
  [[nodiscard]] std::uint64_t boundary() const { return boundary_; }
  [[nodiscard]] const ClientRef& donor() const { return donor_; }
  [[nodiscard]] const std::set<ClientRef>& joiners() const { return joiners_; }  ///< that are still waiting
  /// At the boundary nobody had the state: the donor's own is the group's from there on.
  [[nodiscard]] bool cold() const { return cold_; }

  // ---- as bytes
  void save(Writer& out) const;
  static GroupState load(Reader& in);
  /// Does it fit the group that it was loaded with?
  [[nodiscard]] bool sound(const std::set<ClientRef>& members) const;

 private:
  [[nodiscard]] std::vector<ClientRef> marked(Mark mark) const;
  [[nodiscard]] std::vector<DiskOffer> offers_of(const std::vector<GroupMember>& members, const GroupHistory& history) const;
  [[nodiscard]] std::optional<ClientRef> newest_offer(const std::vector<GroupMember>& members) const;
  [[nodiscard]] std::optional<ClientRef> begin_era(const std::vector<GroupMember>& members, std::uint64_t token,
                                                   GroupHistory& history, const Founding& founding);
  void begin(const ClientRef& donor, const std::vector<GroupMember>& members, std::uint64_t token,
             const std::set<ClientRef>& strangers);

  std::map<ClientRef, Replica> replicas_;
  std::uint64_t boundary_ = 0;
  ClientRef donor_;
  std::set<ClientRef> joiners_;
  bool cold_ = false;
};

template <typename Stays>
std::vector<GroupMember> GroupState::hopeless(const std::vector<GroupMember>& members, Stays stays) const {
  std::vector<GroupMember> waiting;
  bool refused = false;
  for (const auto& member : members) {
    const auto it = replicas_.find(member.ref());
    if (it == replicas_.end() || !stays(member)) {
      continue;
    }
    if (it->second.mark == Mark::has) {
      return {};
    }
    refused = refused || it->second.mark == Mark::refuses;
    if (it->second.mark == Mark::waits) {
      waiting.push_back(member);
    }
  }
  return refused ? waiting : std::vector<GroupMember>{};
}

}  // namespace vsync::core
