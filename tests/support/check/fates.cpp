// C3 and C1: what senders were told about their messages is true, and they were told once.
#include <algorithm>
#include <set>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

std::string name(const Pid& pid, const trace::Fate& fate) {
  return to_string(pid) + ":" + std::to_string(fate.first) + " of view " + std::to_string(fate.view) + " (client " +
         std::to_string(fate.client) + " request " + std::to_string(fate.request) + ") was called " +
         std::string(to_string(fate.outcome));
}

void judge(const History& history, const Pid& pid, const trace::Fate& fate, Report& report) {
  if (fate.outcome == Outcome::unknown) {
    return;
  }
  if (fate.view == 0) {
    if (fate.outcome == Outcome::delivered) {
      report.violation("C3 fates", name(pid, fate) + " though it was never bound");
    }
    return;
  }
  const auto stays = history.stays().find(fate.view);
  const auto* view = history.view(fate.view);
  const auto rank = view == nullptr ? std::optional<Rank>{} : view->rank_of(pid);
  const auto* sent = history.sent(fate.view, pid, fate.first);
  if (stays == history.stays().end() || !rank) {
    report.violation("C3 fates", name(pid, fate) + " in a view that it was not in");
    return;
  }
  const Rank sender = rank.value_or(0);
  const bool total = sent != nullptr && sent->send->service == Service::total;
  const Seq last = fate.first + fate.count - 1;
  for (const auto* stay : stays->second) {
    const bool has = stay->delivered[sender] >= last;
    const bool some = stay->delivered[sender] >= fate.first;
    const bool goes_on = stay->next != 0;
    if (fate.outcome == Outcome::delivered && !has && goes_on) {
      report.violation("C3 fates", name(pid, fate) + ", " + to_string(stay->pid) + " did not deliver it");
    }
    if (fate.outcome == Outcome::not_delivered && some && (goes_on || total)) {
      report.violation("C3 fates", name(pid, fate) + ", " + to_string(stay->pid) + " delivered it");
    }
  }
}

using RequestKey = std::pair<ClientId, RequestId>;

/// Requests of one process that wait for their answer.
class OpenRequests {
 public:
  OpenRequests(const Process& process, Report& report) : process_(process), report_(report) {
    for (const auto* record : process.records) {
      if (const auto* asked = get<Asked>(*record)) {
        counts_[{asked->client, asked->request}] = asked->count;
        for (std::uint32_t i = 0; i < asked->count; ++i) {
          open_.insert({asked->client, asked->request + i});
        }
      } else if (const auto* died = get<ClientDied>(*record)) {
        dead_.insert(died->client);  // it needs no answers any more
        std::erase_if(open_, [&](const RequestKey& key) { return key.first == died->client; });
      } else if (const auto* answered = get<Answered>(*record); answered != nullptr && !dead_.contains(answered->client)) {
        answer(*answered);
      }
    }
  }

  [[nodiscard]] const std::set<RequestKey>& open() const { return open_; }

 private:
  void answer(const Answered& answered) {
    const auto count = answered.refused ? counts_[{answered.client, answered.request}] : answered.count;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (open_.erase({answered.client, answered.request + i}) == 0) {
        report_.violation("C1 one outcome", to_string(process_.pid) + " client " + std::to_string(answered.client) + " request " +
                                                std::to_string(answered.request + i) + " was answered twice or never asked");
      }
    }
  }

  const Process& process_;
  Report& report_;
  std::set<RequestKey> open_;
  std::map<RequestKey, std::uint32_t> counts_;
  std::set<ClientId> dead_;
};

}  // namespace

void fates(const History& history, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    std::set<RequestKey> told;
    for (const auto* record : process.records) {
      const auto* fate = get<trace::Fate>(*record);
      if (fate == nullptr) {
        continue;
      }
      judge(history, pid, *fate, report);
      for (std::uint32_t i = 0; i < fate->count; ++i) {
        if (!told.insert({fate->client, fate->request + i}).second) {
          report.violation("C1 one outcome", name(pid, *fate) + ", again");
        }
      }
    }
  }
}

namespace {

/// Who received a message, and went on from there (or it was a total: then nobody may have).
std::map<std::uint64_t, Pid> receivers(const History& history) {
  std::map<std::uint64_t, Pid> found;
  for (const auto& [pid, process] : history.processes()) {
    std::map<ViewId, bool> goes_on;
    for (const auto& stay : process.stays) {
      goes_on[stay.id()] = stay.next != 0;
    }
    for (const auto* record : process.records) {
      const auto* received = get<Received>(*record);
      if (received != nullptr && (received->service == Service::total || goes_on[received->view])) {
        for (const auto id : received->ids) {
          found.emplace(id, pid);
        }
      }
    }
  }
  return found;
}

using Bindings = std::map<std::pair<Pid, RequestKey>, const trace::Send*>;

/// The bindings of clients' messages; of a large one, that of its last fragment.
Bindings bindings(const History& history) {
  Bindings found;
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      const auto* send = get<trace::Send>(*record);
      if (send != nullptr && send->kind == RunKind::data) {
        found[{pid, {send->client, send->request}}] = send;
      }
    }
  }
  return found;
}

}  // namespace

void sessions(const History& history, Report& report) {
  const auto received = receivers(history);
  const auto bound = bindings(history);
  const bool all_failed =
      std::any_of(history.views().begin(), history.views().end(), [](const auto& entry) { return entry.second.front()->cold; });
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      const auto* resolved = get<Resolved>(*record);
      if (resolved == nullptr) {
        continue;
      }
      const auto who = "client " + std::to_string(resolved->client) + " of " + to_string(resolved->pid) + ", send " +
                       std::to_string(resolved->request);
      const auto receiver = received.find(resolved->id);
      const auto binding = bound.find({resolved->pid, {resolved->client, resolved->request}});
      const auto* send = binding == bound.end() ? nullptr : binding->second;
      if (resolved->outcome == Outcome::unknown && !all_failed) {
        report.violation("C6 sessions", who + ": its outcome is not known any more");
      } else if (resolved->outcome == Outcome::not_delivered && receiver != received.end()) {
        report.violation("C6 sessions", who + " was called not_delivered, but " + to_string(receiver->second) + " got it");
      } else if (resolved->outcome == Outcome::delivered && send == nullptr) {
        report.violation("C6 sessions", who + " was called delivered, but never bound");
      } else if (resolved->outcome == Outcome::delivered) {
        judge(history, resolved->pid, {resolved->client, resolved->request, 1, send->view, send->first, Outcome::delivered},
              report);
      }
    }
  }
}

void everything_answered(const History& history, const Ending& ending, Report& report) {
  const std::set<Pid> live(ending.live.begin(), ending.live.end());
  for (const auto& [pid, process] : history.processes()) {
    const OpenRequests requests(process, report);
    const auto& open = requests.open();
    if (!open.empty() && !process.crashed && (process.ended || live.contains(pid))) {
      report.violation("C1 one outcome", to_string(pid) + " owes " + std::to_string(open.size()) + " answers, first to client " +
                                             std::to_string(open.begin()->first) + " request " +
                                             std::to_string(open.begin()->second));
    }
  }
}

}  // namespace vsync::check
