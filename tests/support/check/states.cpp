// T1, T2: everybody who has the state of a group has the same one at the beginning of each group view, however it came by it.
#include "support/check/checkers.h"

namespace vsync::check {

namespace {

using Replica = std::pair<Pid, ClientId>;

std::string name(const Replica& replica) {
  return to_string(replica.first) + "/" + std::to_string(replica.second);
}

}  // namespace

void states(const History& history, Report& report) {
  // Of two states at one place the later one counts: a group may begin anew, behind its view, with the state of a member.
  std::map<std::pair<GroupId, std::uint64_t>, std::map<Replica, std::uint64_t>> hashes;
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* broken = get<StateBroken>(*record)) {
        report.violation("T1 state before messages", to_string(pid) + ": " + broken->why);
      } else if (const auto* state = get<StateAt>(*record)) {
        hashes[{state->group, state->token}][{pid, state->client}] = state->hash;
      }
    }
  }
  for (const auto& [place, replicas] : hashes) {
    const auto& [first, hash] = *replicas.begin();
    for (const auto& [replica, other] : replicas) {
      if (other != hash) {
        report.violation("T1 state equals at the cut", "group " + std::to_string(place.first) + " view " +
                                                           std::to_string(place.second) + ": " + name(replica) +
                                                           " differs from " + name(first));
      }
    }
  }
}

}  // namespace vsync::check
