// G5, C4: group views and tokens; the messages between two group views; positions and bodies as applications see them.
#include <algorithm>
#include <set>

#include "base/hash.h"
#include "support/check/checkers.h"

namespace vsync::check {

namespace {

std::string name(const GroupView& view) {
  return "group view " + view.name + "/" + std::to_string(view.group) + "#" + std::to_string(view.number);
}

std::uint64_t identity(const trace::Deliver& deliver) {
  return Hasher{}.add(deliver.view).add(deliver.sender.node).add(deliver.sender.incarnation).add(deliver.first).value();
}

/// What one process delivered to a group between two of its views.
struct Span {
  const GroupView* begin = nullptr;
  std::set<Pid> flushed;                        ///< G4: daemons that send in the next view already
  std::vector<const trace::Deliver*> for_next;  ///< their fifo and causal messages, which overtook the last GFLUSHED
  bool whole = true;         ///< false: what overtook its beginning is unknown here, so only totals are compared
  std::uint64_t totals = 0;  ///< hash chain: the order counts
  std::uint64_t others = 0;  ///< sum of hashes: only the set counts
  std::size_t count = 0;

  void add(const trace::Deliver& deliver) {
    const auto& members = begin->members;
    const bool member =
        std::any_of(members.begin(), members.end(), [&](const GroupMember& m) { return m.pid == deliver.sender; });
    if (deliver.service != Service::total && (flushed.contains(deliver.sender) || !member)) {
      for_next.push_back(&deliver);
      return;
    }
    ++count;
    if (deliver.service == Service::total) {
      totals = Hasher{}.add(totals).add(identity(deliver)).value();
    } else {
      others += identity(deliver);
    }
  }
};

using SpanKey = std::tuple<GroupId, std::uint64_t, std::uint64_t>;  // group, number of its first and of its next view

void close(const Span& span, const GroupView& next, const Pid& pid, std::map<SpanKey, std::pair<Span, Pid>>& closed,
           Report& report) {
  const auto [it, first] = closed.try_emplace({next.group, span.begin->number, next.number}, span, pid);
  auto& [known, other] = it->second;
  const bool same_set = !known.whole || !span.whole || known.others == span.others;
  if (!first && (known.totals != span.totals || !same_set)) {
    report.violation(known.totals != span.totals ? "G4 total order in the group" : "G4 same messages in the group",
                     name(*span.begin) + ": " + to_string(other) + " delivered " + std::to_string(known.count) + " runs, " +
                         to_string(pid) + " " + std::to_string(span.count));
  } else if (!known.whole) {
    it->second = {span, pid};
  }
}

}  // namespace

void group_views(const History& history, Report& report) {
  std::map<std::pair<GroupId, std::uint64_t>, GroupViewPtr> contents;
  std::map<std::pair<std::string, std::uint64_t>, const GroupView*> tokens;
  for (const auto& [pid, process] : history.processes()) {
    std::map<std::string, std::uint64_t> last_token;
    std::map<GroupId, std::uint64_t> last_number;
    for (const auto* record : process.records) {
      const auto* install = get<trace::GroupInstall>(*record);
      if (install == nullptr) {
        continue;
      }
      const auto& view = *install->group_view;
      const auto& known = *contents.try_emplace({view.group, view.number}, install->group_view).first->second;
      if (known != view) {
        report.violation("G5 group view agreement", to_string(pid) + ": " + name(view) + " differs");
      }
      const auto* named = tokens.try_emplace({view.name, view.token}, &view).first->second;
      if (named->group != view.group || named->number != view.number) {
        report.violation("C4 token", name(view) + " and " + name(*named) + " have the same token");
      }
      if (auto& last = last_token[view.name]; view.token <= last) {
        report.violation("C4 token", to_string(pid) + ": " + name(view) + " does not raise the token");
      } else {
        last = view.token;
      }
      if (auto& last = last_number[view.group]; last != 0 && view.number != last + 1) {
        report.violation("G5 group view agreement", to_string(pid) + ": " + name(view) + " follows #" + std::to_string(last));
      } else {
        last = view.number;
      }
    }
  }
  // C4: numbers and tokens of a group rise together.
  const GroupView* before = nullptr;
  for (const auto& [key, view] : contents) {
    if (before != nullptr && before->group == view->group && view->token <= before->token) {
      report.violation("C4 token", name(*view) + " does not raise the token");
    }
    before = view.get();
  }
}

void group_messages(const History& history, Report& report) {
  std::map<SpanKey, std::pair<Span, Pid>> closed;
  for (const auto& [pid, process] : history.processes()) {
    std::map<GroupId, Span> open;
    for (const auto* record : process.records) {
      if (const auto* install = get<trace::GroupInstall>(*record)) {
        const auto& view = *install->group_view;
        Span next{.begin = &view, .flushed = {}, .for_next = {}, .whole = view.number == 1 || open.contains(view.group)};
        if (const auto it = open.find(view.group); it != open.end()) {
          close(it->second, view, pid, closed, report);
          for (const auto* early : it->second.for_next) {
            next.add(*early);
          }
        }
        open[view.group] = std::move(next);
      } else if (const auto* deliver = get<trace::Deliver>(*record)) {
        const auto it = open.find(deliver->group);
        if (it != open.end() && deliver->kind == RunKind::data) {
          it->second.add(*deliver);
        } else if (it != open.end() && deliver->kind == RunKind::group_flushed) {
          it->second.flushed.insert(deliver->sender);
        }
      }
    }
  }
}

void receipts(const History& history, Report& report) {
  using Where = std::tuple<GroupId, std::uint64_t, std::uint64_t, Pid>;  // group, token, position, sender
  using Copy = std::pair<std::uint64_t, GroupId>;                        // message, and the group if it is one of several
  std::map<Copy, Where> places;
  for (const auto& [pid, process] : history.processes()) {
    std::map<std::tuple<GroupId, std::uint64_t, Pid>, std::uint64_t> position;
    std::set<Copy> seen;
    for (const auto* record : process.records) {
      const auto* received = get<Received>(*record);
      if (received == nullptr) {
        continue;
      }
      if (received->wrong_view) {
        report.violation("C2 in view", to_string(pid) + ": a message of " + to_string(received->sender) +
                                           " for another view of group " + std::to_string(received->group));
      }
      const bool total = received->service == Service::total;
      auto& last = position[{received->group, received->token, total ? Pid{} : received->sender}];
      if (received->position != last + (received->direct ? 0 : 1)) {
        report.violation("G position", to_string(pid) + " group " + std::to_string(received->group) + ": position " +
                                           std::to_string(received->position) + " after " + std::to_string(last));
      }
      last = received->direct ? last : received->position + received->ids.size() - 1;
      auto at = received->position;
      for (const auto id : received->ids) {
        if (id == 0) {
          report.violation("D1 undamaged", to_string(pid) + ": a message of " + to_string(received->sender) + " is damaged");
          continue;
        }
        const Copy copy{id, received->several ? received->group : 0};
        if (!seen.insert(copy).second) {
          report.violation("D2 no duplication", to_string(pid) + " receives message " + std::to_string(id) + " twice");
        }
        const Where where{received->group, received->token, at++, received->sender};
        if (places.try_emplace(copy, where).first->second != where) {
          report.violation("D4 same view", "message " + std::to_string(id) + " has two places");
        }
      }
    }
  }
}

}  // namespace vsync::check
