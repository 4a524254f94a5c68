#include "core/membership/choose.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/model/mutant.h"

namespace vsync::core {

namespace {

bool reaches(const std::map<Rank, std::vector<bool>>& reach, Rank from, Rank to) {
  const auto it = reach.find(from);
  return it != reach.end() && to < it->second.size() && it->second[to];
}

/// Adoption (V6): the accepted value of the highest ballot, if anybody reports one.
ViewPtr accepted_value(const std::map<Pid, Promise>& promises) {
  const AcceptedValue* best = nullptr;
  for (const auto& [pid, promise] : promises) {
    if (promise.accepted && (best == nullptr || best->ballot < promise.accepted->ballot)) {
      best = &*promise.accepted;
    }
  }
  return best != nullptr ? best->value : nullptr;
}

/// Promisers with holdings that go on together, in seniority order.
std::vector<Rank> survivors_of(const ChooseInput& in) {
  std::vector<Rank> ranks;
  std::map<Rank, std::vector<bool>> reach;
  for (Rank rank = 0; rank < in.view.members.size(); ++rank) {
    const auto& pid = in.view.members[rank].pid;
    const auto promise = in.promises.find(pid);
    const bool holder = promise != in.promises.end() && promise->second.held;
    if ((holder || mutant(Mutant::survivor_no_promise)) && !in.doomed.contains(pid)) {
      ranks.push_back(rank);
      reach[rank] = holder ? promise->second.reach : std::vector<bool>(in.view.members.size(), true);
    }
  }
  return mutant(Mutant::no_clique) ? ranks : reach_clique(std::move(ranks), reach);
}

const Counts& held_by(const ChooseInput& in, Rank rank) {
  static const Counts kNothing;
  const auto promise = in.promises.find(in.view.members[rank].pid);
  return promise != in.promises.end() && promise->second.held ? *promise->second.held : kNothing;
}

Seq held_count(const ChooseInput& in, Rank survivor, Rank sender) {
  const auto& held = held_by(in, survivor);
  return sender < held.size() ? held[sender] : 0;
}

/// The union cut: whatever any survivor holds is delivered (a minimum would lose fifo messages that somebody has delivered).
Counts union_cut(const ChooseInput& in, const std::vector<Rank>& survivors) {
  Counts cut(in.view.members.size(), 0);
  for (Rank sender = 0; sender < cut.size(); ++sender) {
    cut[sender] = held_count(in, survivors.front(), sender);
    for (const Rank survivor : survivors) {
      const Seq held = held_count(in, survivor, sender);
      cut[sender] = mutant(Mutant::min_cut) ? std::min(cut[sender], held) : std::max(cut[sender], held);
    }
  }
  return cut;
}

/// V7: who sends what to whom. The sender itself is preferred as holder, else the least loaded one; but rather anybody than one
/// whose messages did not get through before: its link may be clogged for long.
std::vector<PlanEntry> forwarding_plan(const ChooseInput& in, const std::vector<Rank>& survivors, const Counts& cut) {
  std::vector<PlanEntry> plan;
  std::map<Rank, Seq> load;
  for (const Rank receiver : survivors) {
    for (Rank sender = 0; sender < cut.size(); ++sender) {
      const Seq held = held_count(in, receiver, sender);
      if (held >= cut[sender]) {
        continue;
      }
      const auto cost = [&](Rank candidate) {
        const bool late = in.late.contains({in.view.members[candidate].pid, in.view.members[receiver].pid});
        return std::tuple(late, candidate != sender, load[candidate]);
      };
      std::optional<Rank> holder;
      for (const Rank candidate : survivors) {
        const bool has_it = held_count(in, candidate, sender) >= cut[sender];
        if (has_it && (!holder || cost(candidate) < cost(*holder))) {
          holder = candidate;
        }
      }
      if (holder) {
        load[*holder] += cut[sender] - held;
        plan.push_back({sender, held + 1, cut[sender], *holder, receiver});
      }
    }
  }
  return plan;
}

/// B4: who brings no state need not have promised; a witness goes when there is a cause against it, or when it leaves.
std::vector<Member> remaining_witnesses(const ChooseInput& in) {
  std::vector<Member> witnesses;
  for (const auto& witness : in.view.witnesses) {
    const auto promise = in.promises.find(witness.pid);
    const bool leaving = promise != in.promises.end() && promise->second.leaving;
    if (!leaving && (!in.causes.contains(witness.pid) || mutant(Mutant::witness_for_ever))) {
      witnesses.push_back(witness);
    }
  }
  return witnesses;
}

/// J3, J4: who is admitted beside those that stay, ordered by node. Two installations may claim one node id (I3), but a view
/// names a node once: a member that promised stays, and of two joiners the later incarnation comes.
std::vector<Member> admitted(const ChooseInput& in, const std::vector<Member>& staying, std::size_t witnesses) {
  std::vector<Member> joiners;
  for (const auto& joiner : in.joiners) {
    const auto used = in.view.history.find(joiner.pid.node);
    const bool fresh = used == in.view.history.end() || used->second < joiner.pid.incarnation;
    const auto claimed = [&](const Member& other) { return other.pid.node == joiner.pid.node; };
    const auto later = [&](const Member& other) { return claimed(other) && joiner.pid < other.pid; };
    if (std::any_of(staying.begin(), staying.end(), claimed) || std::any_of(in.joiners.begin(), in.joiners.end(), later)) {
      continue;
    }
    if (fresh || (mutant(Mutant::join_no_history) && !in.view.names(joiner.pid))) {
      joiners.push_back(joiner);
    }
  }
  std::sort(joiners.begin(), joiners.end(), [](const Member& a, const Member& b) { return a.pid < b.pid; });
  std::set<std::string_view> names;  // of two that ask at once under one name the second is told next time
  std::erase_if(joiners, [&](const Member& joiner) { return !joiner.name.empty() && !names.insert(joiner.name).second; });
  std::size_t room = in.config.limits.max_members - std::min(in.config.limits.max_members, staying.size() + witnesses);
  if (in.view.policy == QuorumPolicy::dynamic && !in.cold && !mutant(Mutant::voter_growth)) {
    room = std::min(room, staying.size());  // J4: those who stay, witnesses included, remain a quorum of the new view
  }
  joiners.resize(std::min(joiners.size(), room));
  return joiners;
}

Departure departure_of(const ChooseInput& in, const Pid& pid) {
  const auto known = in.causes.find(pid);
  // V5: who did not answer in time is a SOFT suspect of the candidate.
  const Departure silent{pid, LeaveReason::silent, Evidence::soft, in.config.self.pid, {}};
  Departure departure = known != in.causes.end() ? known->second : silent;
  const auto promise = in.promises.find(pid);
  if (promise != in.promises.end() && promise->second.leaving) {
    departure.reason = LeaveReason::left;
  } else if (known == in.causes.end() && promise != in.promises.end() && promise->second.held) {
    departure.reason = LeaveReason::unreachable;  // it answered, but not all survivors have a link to it
    departure.evidence = Evidence::link;
  }
  return departure;
}

/// Everything of the successor that follows from V, the members and witnesses that stay, and those who come.
View successor(const ChooseInput& in, std::vector<Member> members, std::vector<Member> witnesses, std::vector<Member> joiners) {
  View next;
  next.uuid = in.view.uuid;
  next.ref.epoch = in.view.id() + 1;
  next.proto = in.view.proto;
  next.config_hash = in.view.config_hash;
  next.policy = in.view.policy;
  next.cold = in.cold;
  next.history = in.view.history;
  for (const auto& joiner : joiners) {
    next.history[joiner.pid.node] = joiner.pid.incarnation;
    std::erase_if(witnesses, [&](const Member& witness) { return witness.pid.node == joiner.pid.node; });
  }
  const auto new_witnesses =
      std::stable_partition(joiners.begin(), joiners.end(), [](const Member& joiner) { return !joiner.witness; });
  witnesses.insert(witnesses.end(), new_witnesses, joiners.end());
  joiners.erase(new_witnesses, joiners.end());
  std::sort(witnesses.begin(), witnesses.end(), [](const Member& a, const Member& b) { return a.pid < b.pid; });
  next.witnesses = std::move(witnesses);
  if (mutant(Mutant::joiner_leads)) {
    members.insert(members.begin(), joiners.begin(), joiners.end());
  } else {
    members.insert(members.end(), joiners.begin(), joiners.end());
  }
  for (const auto& joiner : joiners) {
    next.joined.push_back(joiner.pid);
  }
  next.members = std::move(members);
  next.voters = voters_of(&in.view, mutant(Mutant::witness_no_vote) ? next.members : next.everybody(), in.config);
  next.tiebreak = next.policy == QuorumPolicy::fixed ? in.view.tiebreak : next.members.front().pid.node;
  for (const auto& member : in.view.everybody()) {
    if (!next.names(member.pid)) {
      next.left.push_back(departure_of(in, member.pid));
    }
  }
  return next;
}

/// B2: the promisers start anew from nothing, in the old seniority order of their nodes.
Choice cold_successor(const ChooseInput& in) {
  const auto witnesses = remaining_witnesses(in);
  auto members = admitted(in, {}, witnesses.size());
  const auto old_rank = [&](const Member& member) {
    const auto* before = in.view.find_node(member.pid.node);
    return before != nullptr ? before - in.view.members.data() : std::ptrdiff_t(in.view.members.size());
  };
  std::stable_sort(members.begin(), members.end(), [&](const Member& a, const Member& b) { return old_rank(a) < old_rank(b); });
  if (std::all_of(members.begin(), members.end(), [](const Member& m) { return m.witness; })) {
    return {};
  }
  View next = successor(in, {}, witnesses, std::move(members));
  next.origins.push_back({in.view.ref, Origin::kPrimary | Origin::kPartitionable, {}, Counts(in.view.members.size(), 0)});
  return {std::make_shared<const View>(std::move(next)), false, false, {}};
}

}  // namespace

std::vector<Rank> reach_clique(std::vector<Rank> ranks, const std::map<Rank, std::vector<bool>>& reach) {
  const auto mutual = [&](Rank a, Rank b) { return reaches(reach, a, b) && reaches(reach, b, a); };
  while (ranks.size() > 1) {
    auto worst = ranks.begin();
    std::size_t fewest = ranks.size();
    for (auto it = ranks.begin(); it != ranks.end(); ++it) {
      const auto links = static_cast<std::size_t>(
          std::count_if(ranks.begin(), ranks.end(), [&](Rank other) { return other != *it && mutual(*it, other); }));
      if (links <= fewest) {  // <=: ties go against the higher rank
        fewest = links;
        worst = it;
      }
    }
    if (fewest + 1 == ranks.size()) {
      break;  // even the worst one reaches everybody
    }
    ranks.erase(worst);
  }
  return ranks;
}

std::vector<Voter> voters_of(const View* base, const std::vector<Member>& named, const Config& config) {
  std::vector<Voter> voters;
  if ((base != nullptr ? base->policy : config.quorum) == QuorumPolicy::dynamic) {
    for (const auto& member : named) {
      voters.push_back({member.pid.node, member.vote_epoch, 1});
    }
    return voters;
  }
  if (base != nullptr) {
    voters = base->voters;
  }
  for (const auto& configured : config.static_voters) {
    const auto has = [&](const Voter& voter) { return voter.node == configured.node; };
    const auto member = std::find_if(named.begin(), named.end(), [&](const Member& m) { return m.pid.node == configured.node; });
    if (member == named.end()) {
      continue;
    }
    const auto known = std::find_if(voters.begin(), voters.end(), has);
    if (known == voters.end()) {
      voters.push_back({configured.node, member->vote_epoch, configured.weight});
    } else {
      known->vote_epoch = member->vote_epoch;  // a node that lost its disk votes again once the others have decided so
    }
  }
  return voters;
}

Choice choose_successor(const ChooseInput& in) {
  const auto accepted = accepted_value(in.promises);
  if (accepted && !mutant(Mutant::no_adopt)) {
    return {accepted, true, false, {}};
  }
  if (in.cold) {
    return cold_successor(in);
  }
  const auto survivors = survivors_of(in);
  if (survivors.empty()) {
    return {};
  }
  const auto leaving = [&](Rank rank) {
    const auto promise = in.promises.find(in.view.members[rank].pid);
    return promise != in.promises.end() && promise->second.leaving;
  };
  std::vector<Member> staying;
  Origin origin{in.view.ref, Origin::kPrimary | Origin::kPartitionable, {}, union_cut(in, survivors)};
  for (const Rank rank : survivors) {
    origin.survivors.push_back(in.view.members[rank].pid);
    if (!leaving(rank)) {
      staying.push_back(in.view.members[rank]);
    }
  }
  if (staying.empty()) {
    return {nullptr, false, true, {}};
  }
  auto witnesses = remaining_witnesses(in);
  auto joiners = admitted(in, staying, witnesses.size());
  View next = successor(in, std::move(staying), std::move(witnesses), std::move(joiners));
  next.origins.push_back(origin);
  if (!next.joined.empty()) {
    Origin fresh;
    fresh.survivors = next.joined;
    next.origins.push_back(fresh);
  }
  return {std::make_shared<const View>(std::move(next)), false, false, forwarding_plan(in, survivors, origin.cut)};
}

}  // namespace vsync::core
