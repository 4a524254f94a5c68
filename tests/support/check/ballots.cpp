// C2: promises only rise, also across restarts; one value per ballot; one decided value per instance.
#include "support/check/checkers.h"

namespace vsync::check {

namespace {

bool same(const ViewPtr& a, const ViewPtr& b) {
  return a == b || *a == *b;
}

void values(const Process& process, std::map<std::pair<ViewId, Ballot>, ViewPtr>& accepted, std::map<ViewId, ViewPtr>& decided,
            Report& report) {
  for (const auto* record : process.records) {
    if (const auto* accept = get<trace::ValueAccepted>(*record)) {
      const auto& known = accepted.try_emplace({accept->view, accept->ballot}, accept->value).first->second;
      if (!same(known, accept->value)) {
        report.violation("C2 one value per ballot", "view " + std::to_string(accept->view) + " ballot " +
                                                        to_string(accept->ballot) + ": " + known->summary() + " and " +
                                                        accept->value->summary());
      }
    } else if (const auto* decide = get<trace::Decided>(*record); decide != nullptr && decide->ballot != Ballot{}) {
      const auto& known = decided.try_emplace(decide->value->id(), decide->value).first->second;
      if (!same(known, decide->value)) {
        report.violation("C2 one decided value", known->summary() + " and " + decide->value->summary());
      }
    }
  }
}

}  // namespace

void ballots(const History& history, Report& report) {
  std::map<std::pair<ViewId, Ballot>, ViewPtr> accepted;
  std::map<ViewId, ViewPtr> decided;
  // Processes are in the order of node and incarnation, so an acceptor's promises come in order across its restarts.
  std::map<std::tuple<NodeId, std::uint64_t, ViewId>, Ballot> promised;
  for (const auto& [pid, process] : history.processes()) {
    values(process, accepted, decided, report);
    std::uint64_t vote_epoch = 0;  // a node that lost its disk may use a pid again, but with a new vote epoch
    for (const auto* record : process.records) {
      if (const auto* start = get<trace::Start>(*record)) {
        vote_epoch = start->vote_epoch;
      }
      const auto* promise = get<trace::Promised>(*record);
      if (promise == nullptr || pid.node == 0) {
        continue;
      }
      auto& highest = promised[{pid.node, vote_epoch, promise->view}];
      if (promise->ballot < highest) {
        report.violation("C2 promises rise", to_string(pid) + " promises " + to_string(promise->ballot) + " in view " +
                                                 std::to_string(promise->view) + " after " + to_string(highest));
      }
      highest = std::max(highest, promise->ballot);
    }
  }
}

}  // namespace vsync::check
