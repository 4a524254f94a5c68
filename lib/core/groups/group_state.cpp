#include "core/groups/group_state.h"

#include <algorithm>

#include "core/groups/group_table.h"
#include "core/model/codec.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

constexpr std::size_t kReplicaSize = kClientRefSize + 49;

}  // namespace

void GroupState::join(const ClientRef& member, const StateWish& wish) {
  if (wish.wanted) {
    replicas_[member] = {Mark::waits, wish.offer, wish.replicas, wish.kept};
  }
}

bool GroupState::news(const ClientRef& member, std::uint64_t token, StateNews news) {
  if (!active() || token != boundary_) {
    return false;
  }
  if (news == StateNews::arrived) {
    if (joiners_.erase(member) == 0) {
      return false;
    }
    replicas_.at(member).mark = Mark::has;
    return true;
  }
  if (member != donor_) {
    return false;
  }
  replicas_.at(member).mark = Mark::refuses;
  joiners_.clear();
  return true;
}

void GroupState::install(const std::vector<GroupMember>& members, std::uint64_t token, GroupHistory& history,
                         const Founding& founding) {
  std::set<ClientRef> there;
  for (const auto& member : members) {
    there.insert(member.ref());
  }
  std::erase_if(replicas_, [&](const auto& entry) { return !there.contains(entry.first); });
  std::erase_if(joiners_, [&](const ClientRef& joiner) { return !there.contains(joiner); });
  if (active() && there.contains(donor_)) {
    return;  // it goes on across this view
  }
  joiners_.clear();
  if (marked(Mark::waits).empty()) {
    return;
  }
  if (marked(Mark::has).empty()) {  // who was refused is gone (hopeless()); a new joiner may ask again
    for (auto& [member, replica] : replicas_) {
      replica.mark = replica.mark == Mark::refuses ? Mark::has : replica.mark;
    }
  }
  const auto first = std::find_if(members.begin(), members.end(), [&](const GroupMember& member) {
    const auto it = replicas_.find(member.ref());
    return it != replicas_.end() && (it->second.mark == Mark::has || mutant(Mutant::state_donor_without));
  });
  if (first != members.end()) {
    cold_ = false;
    begin(first->ref(), members, token, strangers(history));
  } else if (const auto winner = founding.disks > 0 ? begin_era(members, token, history, founding) : newest_offer(members)) {
    cold_ = true;
    begin(*winner, members, token, strangers(history));
    if (founding.disks > 0) {
      joiners_.insert(*winner);  // K3: its node's disk has the state, the member itself gets it from there
    }
  }
}

/// K3: with the newest disk of those that wait; its member is returned. nullopt: that disk cannot be told yet, or too few disks
/// have promised the era (K1).
std::optional<ClientRef> GroupState::begin_era(const std::vector<GroupMember>& members, std::uint64_t token,
                                               GroupHistory& history, const Founding& founding) {
  const auto offers = offers_of(members, history);
  std::vector<ClientRef> waiting;
  for (const auto& member : members) {
    if (const auto it = replicas_.find(member.ref()); it != replicas_.end()) {
      it->second.kept = offers[waiting.size()].second;  // the next era forgets what its disk has said since it joined
      waiting.push_back(it->first);
    }
  }
  const auto winner = history.newest(offers, founding.disks);
  if (!winner || (offers[*winner].second.blank() && !history.begins_blank_or_asks(founding.daemons))) {
    return std::nullopt;
  }
  if (!history.may_begin(token, offers, *winner)) {
    return std::nullopt;
  }
  history.begin(founding.origin, offers, *winner, founding.disks);
  return waiting[*winner];
}

/// What the disks of those who want the state have by now.
std::vector<DiskOffer> GroupState::offers_of(const std::vector<GroupMember>& members, const GroupHistory& history) const {
  std::vector<DiskOffer> offers;
  for (const auto& member : members) {
    if (const auto it = replicas_.find(member.ref()); it != replicas_.end()) {
      offers.push_back({member.pid, history.offer(member.pid.node, it->second.kept)});
    }
  }
  return offers;
}

void GroupState::begin(const ClientRef& donor, const std::vector<GroupMember>& members, std::uint64_t token,
                       const std::set<ClientRef>& strangers) {
  boundary_ = token;
  donor_ = donor;
  replicas_.at(donor).mark = Mark::has;
  for (const auto& member : members) {
    if (const auto ref = member.ref(); waits(ref) && !strangers.contains(ref)) {
      joiners_.insert(ref);
    }
  }
}

/// Who begins when nobody has the state, and enough are there to tell: the newest checkpoint, of equal ones the most senior's.
std::optional<ClientRef> GroupState::newest_offer(const std::vector<GroupMember>& members) const {
  const Replica* best = nullptr;
  std::optional<ClientRef> winner;
  for (const auto& member : members) {
    const auto it = replicas_.find(member.ref());
    if (it == replicas_.end()) {
      continue;
    }
    if (it->second.replicas > replicas_.size()) {
      return std::nullopt;
    }
    if (best == nullptr || it->second.offer > best->offer) {
      best = &it->second;
      winner = it->first;
    }
  }
  return winner;
}

bool GroupState::needs_view() const {
  return !active() && !marked(Mark::waits).empty() && (!marked(Mark::has).empty() || !marked(Mark::refuses).empty());
}

bool GroupState::awaits_itself(const ClientRef& donor, std::uint64_t token) const {
  return token == boundary_ && donor == donor_ && joiners_.contains(donor) && !mutant(Mutant::history_empty_donor);
}

bool GroupState::exists() const {
  return std::any_of(replicas_.begin(), replicas_.end(), [](const auto& entry) { return entry.second.mark != Mark::waits; });
}

std::set<ClientRef> GroupState::strangers(const GroupHistory& history) const {
  std::set<ClientRef> found;
  if (history.now().blank() || mutant(Mutant::history_strangers)) {
    return found;
  }
  for (const auto& [member, replica] : replicas_) {
    if (!history.keeps(member.pid.node)) {
      found.insert(member);
    }
  }
  return found;
}

std::vector<HistoryPosition> GroupState::known() const {
  std::vector<HistoryPosition> known;
  for (const auto& joiner : joiners_) {
    known.push_back(replicas_.at(joiner).kept.position);
  }
  return known;
}

StateWait GroupState::awaited(const std::vector<GroupMember>& members, const GroupHistory& history,
                              const Founding& founding) const {
  if (empty() || exists()) {
    return {};
  }
  if (founding.disks > 0) {
    return history.awaited(offers_of(members, history), founding.disks, founding.daemons);
  }
  std::size_t needed = 0;
  for (const auto& [member, replica] : replicas_) {
    needed = std::max<std::size_t>(needed, replica.replicas);
  }
  return needed > replicas_.size() ? StateWait{Awaited::members, static_cast<std::uint32_t>(needed - replicas_.size())}
                                   : StateWait{};
}

bool GroupState::waits(const ClientRef& member) const {
  const auto it = replicas_.find(member);
  return it != replicas_.end() && (it->second.mark == Mark::waits || joiners_.contains(member));
}

std::set<ClientRef> GroupState::waiting(bool joiners) const {
  std::set<ClientRef> found;
  for (const auto& [member, replica] : replicas_) {
    if (waits(member) && joiners_.contains(member) == joiners) {
      found.insert(member);
    }
  }
  return found;
}

std::vector<ClientRef> GroupState::marked(Mark mark) const {
  std::vector<ClientRef> found;
  for (const auto& [member, replica] : replicas_) {
    if (replica.mark == mark) {
      found.push_back(member);
    }
  }
  return found;
}

// ---------------------------------------------------------------- as bytes

void GroupState::save(Writer& out) const {
  out.put(static_cast<std::uint32_t>(replicas_.size()));
  for (const auto& [member, replica] : replicas_) {
    write(out, member);
    out.put(static_cast<std::uint8_t>(replica.mark)).put(replica.offer).put(replica.replicas);
    write(out, replica.kept);
  }
  out.put(boundary_).put(std::uint8_t{cold_});
  write(out, donor_);
  out.put(static_cast<std::uint32_t>(joiners_.size()));
  for (const auto& joiner : joiners_) {
    write(out, joiner);
  }
}

GroupState GroupState::load(Reader& in) {
  GroupState state;
  for (auto n = in.count(GroupTable::kMaxMembers, kReplicaSize).value_or(0); n > 0; --n) {
    const auto member = read_client_ref(in);
    const auto mark = static_cast<Mark>(in.value<std::uint8_t>());
    const auto offer = in.value<std::uint64_t>();
    const auto replicas = in.value<std::uint32_t>();
    state.replicas_[member] = {mark, offer, replicas, read_kept(in)};
  }
  state.boundary_ = in.value<std::uint64_t>();
  state.cold_ = in.value<std::uint8_t>() != 0;
  state.donor_ = read_client_ref(in);
  for (auto n = in.count(GroupTable::kMaxMembers, kClientRefSize).value_or(0); n > 0; --n) {
    state.joiners_.insert(read_client_ref(in));
  }
  return state;
}

bool GroupState::sound(const std::set<ClientRef>& members) const {
  const bool marks = std::all_of(replicas_.begin(), replicas_.end(), [&](const auto& entry) {
    return members.contains(entry.first) && entry.second.mark <= Mark::refuses;
  });
  const auto donor = replicas_.find(donor_);
  const bool given = !active() || (boundary_ != 0 && donor != replicas_.end() && donor->second.mark == Mark::has);
  return marks && given && std::all_of(joiners_.begin(), joiners_.end(), [&](const auto& key) {
           const auto it = replicas_.find(key);
           return it != replicas_.end() && (it->second.mark == Mark::waits || (cold_ && key == donor_));
         });
}

}  // namespace vsync::core
