#include "core/model/view.h"

#include <algorithm>

#include "core/model/mutant.h"

namespace vsync::core {

std::optional<Rank> View::rank_of(const Pid& pid) const {
  for (Rank rank = 0; rank < members.size(); ++rank) {
    if (members[rank].pid == pid) {
      return rank;
    }
  }
  return std::nullopt;
}

const Member* View::find(const Pid& pid) const {
  const auto rank = rank_of(pid);
  return rank ? &members[*rank] : nullptr;
}

const Member* View::find_node(NodeId node) const {
  const auto it = std::find_if(members.begin(), members.end(), [&](const Member& m) { return m.pid.node == node; });
  return it == members.end() ? nullptr : &*it;
}

const Member* View::find_witness(const Pid& pid) const {
  const auto it = std::find_if(witnesses.begin(), witnesses.end(), [&](const Member& m) { return m.pid == pid; });
  return it == witnesses.end() ? nullptr : &*it;
}

const Member* View::find_named(const Pid& pid) const {
  const auto* member = find(pid);
  return member != nullptr ? member : find_witness(pid);
}

std::vector<Member> View::everybody() const {
  auto all = members;
  all.insert(all.end(), witnesses.begin(), witnesses.end());
  return all;
}

const Member* View::named_node(NodeId node) const {
  const auto it = std::find_if(witnesses.begin(), witnesses.end(), [&](const Member& m) { return m.pid.node == node; });
  return it == witnesses.end() ? find_node(node) : &*it;
}

const Origin* View::origin_of(const Pid& pid, ViewId base) const {
  for (const auto& origin : origins) {
    const bool named = std::find(origin.survivors.begin(), origin.survivors.end(), pid) != origin.survivors.end();
    if (base != 0 && origin.base.epoch == base && named) {
      return &origin;
    }
  }
  return nullptr;
}

bool View::starts_empty() const {
  return std::all_of(origins.begin(), origins.end(), [](const Origin& o) { return o.base.epoch == 0 || o.survivors.empty(); });
}

std::string node_list(const View& view) {
  std::string text;
  for (const auto& member : view.members) {
    text += (text.empty() ? "" : ",") + std::to_string(member.pid.node);
  }
  return text;
}

std::string View::summary() const {
  auto text = std::to_string(id()) + " <" + node_list(*this) + ">";
  for (const auto& witness : witnesses) {
    text += (&witness == witnesses.data() ? " witness " : ",") + std::to_string(witness.pid.node);
  }
  return text;
}

bool quorum(const View& view, const VoterSet& answered) {
  if (mutant(Mutant::no_quorum)) {
    return !answered.empty();
  }
  std::uint64_t all = 0;
  std::uint64_t yes = 0;
  bool tiebreak = false;
  for (const auto& voter : view.voters) {
    all += voter.weight;
    if (answered.contains({voter.node, voter.vote_epoch})) {
      yes += voter.weight;
      tiebreak = tiebreak || voter.node == view.tiebreak;
    }
  }
  return 2 * yes > all || (2 * yes == all && (tiebreak || mutant(Mutant::tie_any)));
}

std::size_t tolerated_failures(const View& view) {
  // Least favourable order: the heaviest voters fail first, and among equals the tie-break node.
  auto order = view.voters;
  std::sort(order.begin(), order.end(), [&](const Voter& a, const Voter& b) {
    return std::pair(a.weight, a.node == view.tiebreak) > std::pair(b.weight, b.node == view.tiebreak);
  });
  VoterSet alive;
  for (const auto& voter : order) {
    alive.insert({voter.node, voter.vote_epoch});
  }
  std::size_t failures = 0;
  for (const auto& voter : order) {
    alive.erase({voter.node, voter.vote_epoch});
    if (!quorum(view, alive)) {
      break;
    }
    ++failures;
  }
  return failures;
}

}  // namespace vsync::core
