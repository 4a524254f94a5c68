// K1 to K3: the history of a durable group, and whose disks have it. A part of the replicated group table.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "core/model/group.h"

namespace vsync::core {

/// What a member that waits for the state says of its daemon's disk.
using DiskOffer = std::pair<Pid, KeptHistory>;

/// A deterministic function of the totals delivered. Of a group that is not durable nothing here is used.
class GroupHistory {
 public:
  /// K3: nobody has the state; whose disk has it? `offers`: of the members that wait, in the order of their seniority; `disks`:
  /// how many keep the group, for one that begins. nullopt: too few disks are there to tell. Else the index of an offer.
  [[nodiscard]] std::optional<std::size_t> newest(const std::vector<DiskOffer>& offers, std::uint32_t disks) const;
  /// What is missing for that, or for what comes next: the answers of all `daemons`, or a majority's promises.
  [[nodiscard]] StateWait awaited(const std::vector<DiskOffer>& offers, std::uint32_t disks, const std::set<Pid>& daemons) const;
  /// K1: proposes the era that is to begin with that offer, to the daemons that offer. Has a majority of the keepers promised
  /// it, if others may be lost without that?
  bool may_begin(std::uint64_t token, const std::vector<DiskOffer>& offers, std::size_t winner);
  /// That era begins with that offer. `name`: of the history, if it is a new one.
  void begin(std::uint64_t name, const std::vector<DiskOffer>& offers, std::size_t winner, std::uint32_t disks);
  /// K1: the era that waits for the keepers' promises; 0: none.
  [[nodiscard]] std::uint64_t proposed() const { return proposed_; }
  /// K1: the disk of this node has promised that era. False: it comes to nothing.
  bool promised(NodeId node, std::uint64_t era);
  /// A majority of the keepers has promised it.
  [[nodiscard]] bool is_promised() const;

  // ---- a group that was not known here (K3)
  /// What a disk says of it first fixes origin and keepers; what comes later changes nothing.
  void learn(const KeptHistory& kept);
  /// May it begin with blank disks? Not before all `daemons` have said that theirs have nothing of it; from now on they are
  /// asked.
  bool begins_blank_or_asks(const std::set<Pid>& daemons);
  /// A daemon says what its disk has. False: nobody asked.
  bool told(const Pid& daemon, const KeptHistory& kept);
  [[nodiscard]] bool asks(const Pid& daemon) const { return asking_ && !blank_.contains(daemon); }
  /// There is nobody left to be asked.
  [[nodiscard]] bool answered(const std::set<Pid>& daemons) const;
  /// Those that are gone need not answer.
  void prune(const std::set<Pid>& daemons);

  /// What a member that waits says of its disk, brought up to date with what that disk has said since.
  [[nodiscard]] KeptHistory offer(NodeId node, KeptHistory kept) const;

  /// K1: the place of the first of `count` messages that are delivered now.
  HistoryPosition count(std::uint32_t count);
  /// K2: the disk of this node has everything up to there. False: it does not count, or is of an era that is over.
  bool synced(NodeId node, const HistoryPosition& position);

  /// Why a member of that node, with that on its disk, cannot have the state, as in RequestRefused; empty: it can.
  [[nodiscard]] std::string_view refusal(NodeId node, const KeptHistory& kept) const;
  [[nodiscard]] const KeptHistory& now() const { return now_; }
  [[nodiscard]] bool keeps(NodeId node) const;
  /// K2: on enough disks.
  [[nodiscard]] HistoryPosition durable() const { return {now_.position.era, durable_}; }

  // ---- as bytes
  void save(Writer& out) const;
  static GroupHistory load(Reader& in);
  [[nodiscard]] bool sound() const;

 private:
  /// Whose disks are here, and whose must be.
  struct Census {
    std::optional<std::size_t> best;  ///< the newest offer that is not blank
    std::vector<NodeId> keepers;      ///< as far as they are known
    std::size_t here = 0;             ///< of them
    std::size_t telling = 0;          ///< of those, not blank
    std::size_t all = 0;              ///< keepers

    /// How many more must come.
    [[nodiscard]] std::size_t missing() const;
  };
  [[nodiscard]] Census census(const std::vector<DiskOffer>& offers, std::uint32_t disks) const;

  KeptHistory now_;                         ///< the last message delivered
  std::map<NodeId, std::uint64_t> synced_;  ///< in this era, by keepers
  std::uint64_t durable_ = 0;
  std::uint64_t proposed_ = 0;
  std::set<Pid> proposed_to_;  ///< these were asked to promise it, and had not promised as much before
  std::set<NodeId> promised_;  ///< the keepers that have promised it
  bool asking_ = false;        ///< all daemons are asked what they have
  std::set<Pid> blank_;        ///< these have nothing
};

/// Disks that a message must be on: of any so many, one has all that is durable.
[[nodiscard]] constexpr std::size_t majority_of(std::size_t disks) {
  return disks / 2 + 1;
}

/// In the body of a join or of a group_kept run, and of nothing else.
void write(Writer& out, const KeptHistory& kept);
[[nodiscard]] KeptHistory read_kept(Reader& in);
/// Can a disk have that?
[[nodiscard]] bool sound(const KeptHistory& kept);

}  // namespace vsync::core
