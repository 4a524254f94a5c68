// G10: groups whose senders wait for a member that does not keep up.
#include <algorithm>
#include <utility>

#include "core/groups/groups.h"
#include "core/model/mutant.h"

namespace vsync::core {

void Groups::request(ClientHold hold) {
  const auto* client = queues_.alive(hold.client);
  const auto* group = table_.find(hold.group);
  if (hold.held && (client == nullptr || group == nullptr || leaving(*client, *group))) {
    return;
  }
  auto& holding = holding_[{hold.client, hold.group}];
  const bool before = holding.any();
  (hold.disk ? holding.disk : holding.client) = hold.held;
  if (holding.any() != before) {
    holds_due_.push_back(hold);
  }
  if (!holding.any()) {
    holding_.erase({hold.client, hold.group});
  }
}

/// Its leave stands behind what it has sent, perhaps to the group that it holds: whoever goes holds nobody.
void Groups::release(ClientId client, GroupId group) {
  if (!mutant(Mutant::hold_of_the_dead)) {
    request(ClientHold{client, group, false});
    request(ClientHold{client, group, false, true});
  }
}

bool Groups::leaving(const Client& client, const Group& group) {
  return std::ranges::any_of(client.queue, [&](const Queued& queued) {
    const auto* leave = std::get_if<ClientLeave>(&queued);
    return leave != nullptr && leave->group == group.name;
  });
}

/// Whoever is gone does not wait for a group that others hold, and stay in all its own ones so long: what it had sent up to there
/// is bound, and nothing behind it. So it ends before its Farewell, which ends its session too (C6).
void Groups::drop_what_waits(Client& client, Effects& effects) {
  const auto* first = std::get_if<QueuedSend>(&client.queue.front());
  if (first == nullptr || !queues_.held_by_others(client, *first, table_)) {
    return;
  }
  client.begun = first->bound > 0 ? first->group : 0;
  while (!std::holds_alternative<Farewell>(client.queue.front())) {
    const auto queued = queues_.pop(client, effects);
    if (const auto* send = std::get_if<QueuedSend>(&queued)) {
      never_bound(client, *send, "held", effects);
    }
  }
}

void Groups::prepare_hold(std::vector<Run>& runs) {
  const auto hold = holds_due_.front();
  holds_due_.pop_front();
  Run run;
  run.kind = RunKind::group_hold;
  run.group = hold.group;
  run.client = hold.client;
  run.body = encode_hold(hold.held);
  add(std::move(run), 0, 0, runs);
}

/// Whoever is no member any more holds nobody: that one is ignored, here as everywhere.
void Groups::deliver_hold(const Pid& sender, const Run& run, Effects& effects) {
  const auto held = decode_hold(run.body.view());
  if (!held) {
    ++ignored_;
  } else if (table_.hold(sender, run.client, run.group, *held)) {
    queues_.rearrange(table_);
    tell_hold(run.group, effects);
  }
}

void Groups::tell_hold(GroupId id, Effects& effects) {
  const auto* group = table_.find(id);
  const auto holders = group != nullptr ? group->holders : std::set<ClientRef>{};
  const auto told = told_holds_.find(id);
  if (told == told_holds_.end() ? holders.empty() : told->second == holders) {
    return;
  }
  GroupHeld effect{id, group != nullptr ? group->name : std::string(), {}};
  for (const auto& holder : holders) {
    for (const auto& member : group->view->members) {
      if (member.ref() == holder) {
        effect.by.push_back(member);
      }
    }
  }
  if (trace_) {
    effects.push_back(Trace{trace::Hold{id, static_cast<std::uint32_t>(holders.size())}});
  }
  effects.push_back(std::move(effect));
  if (holders.empty()) {
    told_holds_.erase(id);
  } else {
    told_holds_[id] = holders;
  }
}

/// After a view: a joiner has a table that it was not told of, and a cold view has none.
void Groups::tell_holds(Effects& effects) {
  std::set<GroupId> ids;
  for (const auto& [id, holders] : told_holds_) {
    ids.insert(id);
  }
  for (const auto& [name, id] : table_.names()) {
    ids.insert(id);
  }
  for (const auto id : ids) {
    tell_hold(id, effects);
  }
}

}  // namespace vsync::core
