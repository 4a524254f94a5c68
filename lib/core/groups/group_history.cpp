#include "core/groups/group_history.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "core/model/codec.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

constexpr std::size_t kMaxDaemons = 4096;

/// The first `most` different nodes, in this order.
std::vector<NodeId> nodes_of(const std::vector<DiskOffer>& offers, std::size_t most) {
  std::vector<NodeId> nodes;
  for (const auto& [daemon, kept] : offers) {
    if (nodes.size() < most && std::find(nodes.begin(), nodes.end(), daemon.node) == nodes.end()) {
      nodes.push_back(daemon.node);
    }
  }
  return nodes;
}

bool contains(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

/// So many must tell or promise: one of them has all that is durable.
std::size_t enough_of(const std::vector<NodeId>& keepers) {
  return majority_of(keepers.size()) - (mutant(Mutant::history_few_disks) ? 1 : 0);
}

void write_daemons(Writer& out, const std::set<Pid>& daemons) {
  out.put(static_cast<std::uint32_t>(daemons.size()));
  for (const auto& daemon : daemons) {
    write(out, daemon);
  }
}

std::set<Pid> read_daemons(Reader& in) {
  std::set<Pid> daemons;
  for (auto n = in.count(kMaxDaemons, kPidSize).value_or(0); n > 0; --n) {
    daemons.insert(read_pid(in));
  }
  return daemons;
}

}  // namespace

GroupHistory::Census GroupHistory::census(const std::vector<DiskOffer>& offers, std::uint32_t disks) const {
  Census found;
  for (std::size_t i = 0; i < offers.size(); ++i) {
    const auto& kept = offers[i].second;
    if (kept.blank() || (found.best && mutant(Mutant::history_first_offer))) {
      continue;
    }
    found.best = !found.best || kept.position > offers[*found.best].second.position ? i : found.best;
  }
  found.keepers = !now_.blank() ? now_.keepers : found.best ? offers[*found.best].second.keepers : nodes_of(offers, disks);
  found.all = std::max<std::size_t>(found.keepers.size(), disks);
  std::set<NodeId> here;
  std::set<NodeId> telling;
  for (const auto& [daemon, kept] : offers) {
    if (contains(found.keepers, daemon.node)) {
      here.insert(daemon.node);
      if (!kept.blank() || mutant(Mutant::history_blank_counts)) {
        telling.insert(daemon.node);
      }
    }
  }
  found.here = here.size();
  found.telling = telling.size();
  return found;
}

/// A blank disk may be one that was lost: it tells nothing about what was durable. So a majority of the keepers must be there
/// with what they kept, or all of them with whatever is left. A group that nobody knows begins when all its disks are there.
std::size_t GroupHistory::Census::missing() const {
  const auto to_all = all - std::min(all, here);
  const auto needed = enough_of(keepers);
  return best ? std::min(to_all, needed - std::min(needed, telling)) : to_all;
}

std::optional<std::size_t> GroupHistory::newest(const std::vector<DiskOffer>& offers, std::uint32_t disks) const {
  const auto found = census(offers, disks);
  return found.missing() == 0 ? found.best.value_or(0) : std::optional<std::size_t>{};
}

StateWait GroupHistory::awaited(const std::vector<DiskOffer>& offers, std::uint32_t disks, const std::set<Pid>& daemons) const {
  StateWait wait;
  const auto found = census(offers, disks);
  if (found.missing() > 0) {
    wait = {Awaited::disks, static_cast<std::uint32_t>(found.missing()), found.keepers};
    for (const auto& [daemon, kept] : offers) {
      std::erase(wait.of, daemon.node);
    }
  } else if (asking_ && !answered(daemons)) {
    wait.what = Awaited::answers;
    for (const auto& daemon : daemons) {
      if (!blank_.contains(daemon)) {
        wait.of.push_back(daemon.node);
      }
    }
    wait.more = static_cast<std::uint32_t>(wait.of.size());
  } else if (proposed_ != 0 && !is_promised()) {
    wait = {Awaited::promises, static_cast<std::uint32_t>(enough_of(now_.keepers) - promised_.size()), now_.keepers};
    std::erase_if(wait.of, [&](NodeId node) { return promised_.contains(node); });
  }
  return wait;
}

/// K1: larger than all eras before it, also when the cluster was founded anew and its tokens begin from 1 again. Any majority
/// has a disk that has promised the last one. A history that begins only now is known to nobody else. What a disk has promised
/// because it was asked here is no reason to ask for more: else a member that comes and goes would keep an era from beginning.
bool GroupHistory::may_begin(std::uint64_t token, const std::vector<DiskOffer>& offers, std::size_t winner) {
  const auto& kept = offers[winner].second;
  auto last = now_.position.era;
  for (const auto& [daemon, offered] : offers) {
    const bool asked_here = offered.promised == proposed_ && proposed_to_.contains(daemon);
    last = std::max({last, offered.position.era, asked_here || mutant(Mutant::history_promise_ignored) ? 0 : offered.promised});
  }
  if (proposed_ <= last) {
    proposed_ = std::max(token, last + 1);
    proposed_to_.clear();
    promised_.clear();
  }
  for (const auto& [daemon, offered] : offers) {
    proposed_to_.insert(daemon);
  }
  if (mutant(Mutant::history_era_restarts)) {
    proposed_ = token;
    return true;
  }
  return kept.blank() || is_promised() || mutant(Mutant::history_unpromised);
}

bool GroupHistory::promised(NodeId node, std::uint64_t era) {
  return proposed_ != 0 && era == proposed_ && keeps(node) && promised_.insert(node).second;
}

bool GroupHistory::is_promised() const {
  return promised_.size() >= enough_of(now_.keepers);
}

void GroupHistory::begin(std::uint64_t name, const std::vector<DiskOffer>& offers, std::size_t winner, std::uint32_t disks) {
  const auto& kept = offers[winner].second;
  now_.position = {mutant(Mutant::history_no_era) ? 1 : proposed_, kept.position.index};
  now_.origin = kept.blank() ? name : kept.origin;
  if (now_.blank()) {
    now_.keepers = kept.blank() ? nodes_of(offers, disks) : kept.keepers;
  }
  synced_.clear();
  durable_ = 0;
  proposed_ = 0;
  proposed_to_.clear();
  promised_.clear();
  asking_ = false;
  blank_.clear();
}

bool GroupHistory::begins_blank_or_asks(const std::set<Pid>& daemons) {
  if (!now_.blank() || mutant(Mutant::history_unasked)) {
    return true;  // K3: all its disks are here, with whatever is left
  }
  asking_ = true;
  return answered(daemons);
}

bool GroupHistory::told(const Pid& daemon, const KeptHistory& kept) {
  if (!asks(daemon)) {
    return false;
  }
  if (kept.blank()) {
    blank_.insert(daemon);
  }
  learn(kept);
  return true;
}

void GroupHistory::learn(const KeptHistory& kept) {
  if (now_.blank() && !kept.blank()) {
    now_ = kept;
    asking_ = false;
    blank_.clear();
  }
}

bool GroupHistory::answered(const std::set<Pid>& daemons) const {
  return asking_ && std::includes(blank_.begin(), blank_.end(), daemons.begin(), daemons.end());
}

void GroupHistory::prune(const std::set<Pid>& daemons) {
  const auto gone = [&](const Pid& daemon) { return !daemons.contains(daemon); };
  std::erase_if(blank_, gone);
  std::erase_if(proposed_to_, gone);
}

KeptHistory GroupHistory::offer(NodeId node, KeptHistory kept) const {
  const auto known = synced_.find(node);
  if (known != synced_.end() && kept.position.era == now_.position.era) {
    kept.position.index = std::max(kept.position.index, known->second);  // another member has kept the disk up to date
  }
  return kept;
}

HistoryPosition GroupHistory::count(std::uint32_t count) {
  const HistoryPosition first{now_.position.era, now_.position.index + 1};
  now_.position.index += count;
  return first;
}

std::string_view GroupHistory::refusal(NodeId node, const KeptHistory& kept) const {
  const auto& known = now_.blank() ? kept : now_;
  if (known.blank()) {
    return {};
  }
  return !contains(known.keepers, node) ? "not_a_keeper" : !kept.blank() && kept.origin != known.origin ? "other_history" : "";
}

bool GroupHistory::keeps(NodeId node) const {
  return contains(now_.keepers, node);
}

bool GroupHistory::synced(NodeId node, const HistoryPosition& position) {
  if (position.era != now_.position.era || position.index > now_.position.index || !keeps(node)) {
    return false;
  }
  auto& known = synced_[node];
  known = std::max(known, position.index);
  std::vector<std::uint64_t> indices;
  for (const auto& [keeper, index] : synced_) {
    indices.push_back(index);
  }
  const auto needed = majority_of(now_.keepers.size()) - (mutant(Mutant::durable_on_few) ? 1 : 0);
  if (indices.size() >= needed && needed > 0) {
    std::sort(indices.begin(), indices.end(), std::greater<>());
    durable_ = std::max(durable_, indices[needed - 1]);
  }
  return true;
}

// ---------------------------------------------------------------- as bytes

void write(Writer& out, const KeptHistory& kept) {
  out.put(kept.origin);
  write(out, kept.position);
  out.put(static_cast<std::uint32_t>(kept.keepers.size()));
  for (const auto node : kept.keepers) {
    out.put(node);
  }
  out.put(kept.promised);
}

KeptHistory read_kept(Reader& in) {
  KeptHistory kept;
  kept.origin = in.value<std::uint64_t>();
  kept.position = read_position(in);
  for (auto n = in.count(kMaxDisks, sizeof(NodeId)).value_or(0); n > 0; --n) {
    kept.keepers.push_back(in.value<NodeId>());
  }
  kept.promised = in.value<std::uint64_t>();
  return kept;
}

bool sound(const KeptHistory& kept) {
  return (kept.position.era | kept.promised) >> 63U == 0 && (kept.blank() || kept.position.era != 0);
}

void GroupHistory::save(Writer& out) const {
  write(out, now_);
  out.put(durable_).put(static_cast<std::uint32_t>(synced_.size()));
  for (const auto& [node, index] : synced_) {
    out.put(node).put(index);
  }
  out.put(proposed_).put(static_cast<std::uint32_t>(promised_.size()));
  for (const auto node : promised_) {
    out.put(node);
  }
  write_daemons(out, proposed_to_);
  out.put(std::uint8_t{asking_});
  write_daemons(out, blank_);
}

GroupHistory GroupHistory::load(Reader& in) {
  GroupHistory history;
  history.now_ = read_kept(in);
  history.durable_ = in.value<std::uint64_t>();
  for (auto n = in.count(kMaxDisks, sizeof(NodeId) + 8).value_or(0); n > 0; --n) {
    const auto node = in.value<NodeId>();
    history.synced_[node] = in.value<std::uint64_t>();
  }
  history.proposed_ = in.value<std::uint64_t>();
  for (auto n = in.count(kMaxDisks, sizeof(NodeId)).value_or(0); n > 0; --n) {
    history.promised_.insert(in.value<NodeId>());
  }
  history.proposed_to_ = read_daemons(in);
  history.asking_ = in.value<std::uint8_t>() != 0;
  history.blank_ = read_daemons(in);
  return history;
}

bool GroupHistory::sound() const {
  const bool known = std::all_of(synced_.begin(), synced_.end(),
                                 [&](const auto& entry) { return keeps(entry.first) && entry.second <= now_.position.index; });
  const bool promised = proposed_ == 0 ? promised_.empty() && proposed_to_.empty()
                                       : proposed_ > now_.position.era && std::all_of(promised_.begin(), promised_.end(),
                                                                                      [&](NodeId node) { return keeps(node); });
  const bool asked = asking_ ? now_.blank() : blank_.empty();
  return promised && asked && known && durable_ <= now_.position.index && (now_.position.era != 0 || now_ == KeptHistory{});
}

}  // namespace vsync::core
