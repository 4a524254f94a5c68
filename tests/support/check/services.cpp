// G6-G9: what groups offer beside plain multicast, judged by what the members received.
#include <algorithm>
#include <map>
#include <set>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

/// The messages for several groups that one process received, in the order in which it received them first.
using Order = std::vector<std::uint64_t>;

/// G6: the copies of a message come one after the other, with nothing total in between.
Order order_at(const Pid& pid, const Process& process, Report& report) {
  Order order;
  std::set<std::uint64_t> seen;
  for (const auto* record : process.records) {
    const auto* received = get<Received>(*record);
    if (received == nullptr || received->service != Service::total || !received->several) {
      continue;
    }
    const auto id = received->ids.front();
    if (seen.insert(id).second) {
      order.insert(order.end(), received->ids.begin(), received->ids.end());
      seen.insert(received->ids.begin(), received->ids.end());
    } else if (order.size() < received->ids.size() || order[order.size() - received->ids.size()] != id) {
      report.violation("G6 one place", to_string(pid) + ": message " + std::to_string(id) + " comes to group " +
                                           std::to_string(received->group) + " after others of its order");
    }
  }
  return order;
}

void same_order(const Pid& a, const Order& first, const Pid& b, const Order& second, Report& report) {
  std::map<std::uint64_t, std::size_t> places;
  for (std::size_t i = 0; i < first.size(); ++i) {
    places[first[i]] = i;
  }
  std::size_t last = 0;
  for (const auto id : second) {
    const auto place = places.find(id);
    if (place == places.end()) {
      continue;
    }
    if (place->second < last) {
      report.violation("G6 one order", to_string(a) + " and " + to_string(b) + " have message " + std::to_string(id) +
                                           " in different places among those for several groups");
    }
    last = std::max(last, place->second);
  }
}

/// What one process received in one view of a group.
struct Receipts {
  std::vector<const Received*> all;
  std::set<std::uint64_t> ids;
};
using Where = std::pair<GroupId, std::uint64_t>;  // group, token

std::map<Where, Receipts> receipts_of(const Process& process) {
  std::map<Where, Receipts> receipts;
  for (const auto* record : process.records) {
    if (const auto* received = get<Received>(*record)) {
      auto& here = receipts[{received->group, received->token}];
      here.all.push_back(received);
      here.ids.insert(received->ids.begin(), received->ids.end());
    }
  }
  return receipts;
}

std::uint64_t stable_up_to(const ToldStable& told, const Received& received) {
  if (received.service == Service::total) {
    return told.position;
  }
  const auto other = std::ranges::find(told.others, received.sender, &std::pair<Pid, std::uint64_t>::first);
  return other == told.others.end() ? 0 : other->second;
}

/// Who goes on from a view with its state, and has members in this view of the group.
bool must_have(const Process& process, const Stay& stay, const Where& where) {
  if (stay.next == 0) {
    return false;
  }
  return std::ranges::any_of(process.records, [&](const Record* record) {
    const auto* install = get<trace::GroupInstall>(*record);
    return install != nullptr && install->group_view->group == where.first && install->group_view->token == where.second &&
           std::ranges::any_of(install->group_view->members, [&](const auto& member) { return member.pid == process.pid; });
  });
}

}  // namespace

void several_groups(const History& history, Report& report) {
  std::map<Pid, Order> orders;
  for (const auto& [pid, process] : history.processes()) {
    orders[pid] = order_at(pid, process, report);
  }
  for (auto a = orders.begin(); a != orders.end(); ++a) {
    for (auto b = std::next(a); b != orders.end(); ++b) {
      same_order(a->first, a->second, b->first, b->second, report);
    }
  }
}

void stability(const History& history, Report& report) {
  // The last word of each process on each view of a group says it all: what is stable stays so.
  std::map<Where, std::map<Pid, const ToldStable*>> told;
  std::map<Pid, std::map<Where, Receipts>> receipts;
  for (const auto& [pid, process] : history.processes()) {
    receipts[pid] = receipts_of(process);
    for (const auto* record : process.records) {
      if (const auto* word = get<ToldStable>(*record)) {
        told[{word->group, word->token}][pid] = word;
      }
    }
  }
  const auto lacks = [&](const Stay& stay, const Received& received, const Where& where) {
    return stay.id() == received.view && !receipts[stay.pid][where].ids.contains(received.ids.front()) &&
           must_have(history.processes().at(stay.pid), stay, where);
  };
  for (const auto& [where, words] : told) {
    for (const auto& [teller, word] : words) {
      for (const auto* received : receipts[teller][where].all) {
        const auto stays = history.stays().find(received->view);
        const bool stable = !received->direct && received->position + received->ids.size() - 1 <= stable_up_to(*word, *received);
        if (!stable || stays == history.stays().end()) {
          continue;
        }
        for (const auto* stay : stays->second) {
          if (lacks(*stay, *received, where)) {
            report.violation("G9 stable", to_string(teller) + " was told that message " + std::to_string(received->ids.front()) +
                                              " is stable, " + to_string(stay->pid) + " goes on without it");
          }
        }
      }
    }
  }
}

void told_truly(const History& history, Report& report) {
  for (const auto& [pid, process] : history.processes()) {
    for (const auto* record : process.records) {
      if (const auto* broken = get<Broken>(*record)) {
        report.violation(broken->property, to_string(pid) + ": " + broken->why);
      }
    }
  }
}

}  // namespace vsync::check
