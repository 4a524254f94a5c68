#include "core/node/contact.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/model/mutant.h"

namespace vsync::core {

std::optional<Time> Contact::since(const Member& self, Time now) const {
  std::vector<std::pair<Time, const Member*>> members{{now, &self}};
  for (const auto& [pid, sent] : answered_) {
    if (const auto* member = view_->find_named(pid)) {
      members.emplace_back(sent, member);
    }
  }
  std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  VoterSet voters;
  for (const auto& [sent, member] : members) {
    voters.insert({member->pid.node, member->vote_epoch});
    if (quorum(*view_, voters) || mutant(Mutant::lease_no_quorum)) {
      return sent;
    }
  }
  return std::nullopt;
}

}  // namespace vsync::core
