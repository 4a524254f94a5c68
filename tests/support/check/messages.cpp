// M3, D1, D2, D3, D8, D9, D10: what each process delivers, and in which order.
#include <algorithm>
#include <tuple>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

std::string name(const trace::Deliver& deliver) {
  return to_string(deliver.sender) + ":" + std::to_string(deliver.first) + " (" + std::string(to_string(deliver.service)) + ")";
}

std::string name(const Stay& stay, const Delivered& delivered) {
  return to_string(stay.pid) + " in view " + std::to_string(stay.id()) + " delivers " + name(*delivered.deliver);
}

template <typename Check>
void for_each_stay(const History& history, Check check) {
  for (const auto& [id, stays] : history.stays()) {
    for (const auto* stay : stays) {
      check(*stay);
    }
  }
}

using Key = std::tuple<Stamp, Rank, Seq>;

Key key(const Sent& sent) {
  return {sent.send->stamp, sent.send->rank, sent.send->first};
}

}  // namespace

void streams(const History& history, Report& report) {
  for (const auto* record : history.strays()) {
    report.violation("M3 initial view", to_string(record->who) + " sends or delivers outside its view");
  }
  for_each_stay(history, [&](const Stay& stay) {
    Counts count(stay.view->members.size());
    for (const auto& delivered : stay.deliveries) {
      const auto& deliver = *delivered.deliver;
      const auto* sent = delivered.sent;
      if (!delivered.sender || sent == nullptr || sent->send->count != deliver.count || sent->send->service != deliver.service ||
          sent->send->kind != deliver.kind || sent->send->group != deliver.group) {
        report.violation("D1 D3 integrity", name(stay, delivered));
        continue;
      }
      if (deliver.first != count[*delivered.sender] + 1) {
        const auto* property = deliver.first <= count[*delivered.sender] ? "D2 no duplication" : "D8 fifo";
        report.violation(property, name(stay, delivered) + " after " + std::to_string(count[*delivered.sender]));
      }
      count[*delivered.sender] = sent->last();
    }
  });
}

void causality(const History& history, Report& report) {
  for_each_stay(history, [&](const Stay& stay) {
    Counts count(stay.view->members.size());
    for (const auto& delivered : stay.deliveries) {
      if (!delivered.sender || delivered.sent == nullptr) {
        continue;
      }
      const auto& past = delivered.sent->past;
      if (delivered.deliver->service != Service::fifo && past.size() == count.size()) {
        for (Rank q = 0; q < count.size(); ++q) {
          if (count[q] < past[q]) {
            report.violation("D9 causal", name(stay, delivered) + " without " + to_string(stay.view->members[q].pid) + ":" +
                                              std::to_string(past[q]));
          }
        }
      }
      count[*delivered.sender] = delivered.sent->last();
    }
  });
}

void total_order(const History& history, Report& report) {
  for (const auto& [id, stays] : history.stays()) {
    std::vector<const Sent*> order;  // the longest sequence of totals seen in this view
    for (const auto* stay : stays) {
      std::size_t position = 0;
      Key highest{};
      for (const auto& delivered : stay->deliveries) {
        if (delivered.sent == nullptr) {
          continue;
        }
        if (key(*delivered.sent) < highest) {
          report.violation("D10 barrier", name(*stay, delivered) + " after a total with a larger key");
        }
        if (delivered.deliver->service != Service::total) {
          continue;
        }
        highest = key(*delivered.sent);
        if (position == order.size()) {
          order.push_back(delivered.sent);
        } else if (order[position] != delivered.sent) {
          report.violation("D10 total order", name(*stay, delivered) + " where others deliver " +
                                                  to_string(order[position]->sender) + ":" +
                                                  std::to_string(order[position]->send->first));
          break;
        }
        ++position;
      }
    }
  }
}

}  // namespace vsync::check
