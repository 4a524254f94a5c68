#include "support/check/history.h"

#include <algorithm>

namespace vsync::check {

History::History(std::span<const Record> records) {
  for (const auto& record : records) {
    auto& process = processes_[record.who];
    process.pid = record.who;
    process.records.push_back(&record);
    if (const auto* install = get<trace::Install>(record)) {
      add_view(install->view);
    } else if (const auto* decided = get<trace::Decided>(record); decided != nullptr && decided->ballot != Ballot{}) {
      add_view(decided->value);
    }
  }
  index_sends();
  for (auto& [pid, process] : processes_) {
    index_stays(process);
  }
  for (const auto& [pid, process] : processes_) {
    for (const auto& stay : process.stays) {
      stays_[stay.id()].push_back(&stay);
    }
  }
}

void History::add_view(const ViewPtr& view) {
  auto& contents = views_[view->id()];
  const bool known = std::any_of(contents.begin(), contents.end(), [&](const ViewPtr& v) { return v == view || *v == *view; });
  if (!known) {
    contents.push_back(view);
  }
}

const View* History::view(ViewId id) const {
  const auto it = views_.find(id);
  return it == views_.end() ? nullptr : it->second.front().get();
}

void History::index_sends() {
  for (const auto& [pid, process] : processes_) {
    for (const auto* record : process.records) {
      if (const auto* send = get<trace::Send>(*record)) {
        sends_[{send->view, pid}].push_back({send, pid, {}});
      }
    }
  }
}

const Sent* History::sent(ViewId view, const Pid& sender, Seq first) const {
  const auto stream = sends_.find({view, sender});
  if (stream == sends_.end()) {
    return nullptr;
  }
  const auto& sends = stream->second;
  const auto it = std::lower_bound(sends.begin(), sends.end(), first, [](const Sent& s, Seq f) { return s.send->first < f; });
  return it != sends.end() && it->send->first == first ? &*it : nullptr;
}

void History::index_stays(Process& process) {
  Stay* stay = nullptr;
  for (const auto* record : process.records) {
    if (const auto* install = get<trace::Install>(*record)) {
      if (stay != nullptr && install->previous == stay->id()) {
        stay->next = install->view->id();
      }
      process.stays.push_back({.pid = process.pid, .view = install->view, .install = install});
      stay = &process.stays.back();
      stay->delivered.resize(stay->view->members.size());
    } else if (const auto* send = get<trace::Send>(*record)) {
      if (stay == nullptr || stay->id() != send->view) {
        strays_.push_back(record);
        continue;
      }
      stay->sent = send->first + send->count - 1;
      if (auto* sent = const_cast<Sent*>(this->sent(send->view, process.pid, send->first))) {
        sent->past = stay->delivered;
      }
    } else if (const auto* deliver = get<trace::Deliver>(*record)) {
      if (stay == nullptr || stay->id() != deliver->view) {
        strays_.push_back(record);
        continue;
      }
      const auto rank = stay->view->rank_of(deliver->sender);
      stay->deliveries.push_back({deliver, rank, sent(deliver->view, deliver->sender, deliver->first)});
      if (rank) {
        stay->delivered[*rank] = deliver->first + deliver->count - 1;
      }
    } else if (const auto* left = get<trace::Left>(*record)) {
      if (stay != nullptr && left->previous == stay->id()) {
        stay->next = left->view;
        stay->leaver = true;
      }
      process.ended = true;
    } else if (get<trace::Excluded>(*record) != nullptr) {
      process.ended = true;
    } else if (get<Crash>(*record) != nullptr) {
      process.crashed = true;
    }
  }
}

}  // namespace vsync::check
