#include "core/groups/groups.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "core/model/mutant.h"

namespace vsync::core {

Groups::Groups(const Pid& self, const Limits& limits, bool trace)
    : self_(self),
      limits_(limits),
      trace_(trace),
      queues_(self, limits.client_queue_bytes),
      leases_(limits, trace),
      fragments_(std::max(limits.max_message, kLargestMessage)),
      transfers_(self, limits) {}

// ---------------------------------------------------------------- delivery

void Groups::deliver(const Pid& sender, const RunPtr& run, Effects& effects) {
  if (trace_) {
    effects.push_back(Trace{trace::Deliver{table_.view(), sender, run->first, run->count, run->service, run->kind, run->group,
                                           Hasher().add(run->body.view()).value()}});
  }
  Placed placed;
  if (run->kind == RunKind::data) {
    placed = deliver_data(sender, run, effects);
  } else if (run->kind == RunKind::group_hold) {
    deliver_hold(sender, *run, effects);
  } else if (run->kind == RunKind::session) {
    deliver_session(sender, *run, effects);
  } else {
    deliver_change(sender, *run, effects);
  }
  if (sender == self_) {
    own_delivered(*run, placed, effects);
  }
}

Groups::Placed Groups::deliver_data(const Pid& sender, const RunPtr& run, Effects& effects) {
  const auto envelope = decode_envelope(run->envelope.view());
  if (!envelope || (envelope->kind == Envelope::Kind::reply && (run->flags & Run::kFragment) != 0)) {
    ++ignored_;
    return {0, "bad_request"};
  }
  if (envelope->kind == Envelope::Kind::reply) {
    if (envelope->to->pid == self_) {
      const auto alone = run->body.part(kLengthSize, run->body.size() - kLengthSize);
      open_requests_.replied(*envelope->to, envelope->request, {sender, run->client}, (run->flags & Run::kText) != 0, alone,
                             effects);
    }
    return {};
  }
  const auto* group = table_.find(run->group);
  if (group == nullptr) {
    return {0, "no_such_group"};  // the last member left before this total
  }
  // G4: fifo messages may overtake the last GFLUSHED. What their sender bound in the old view precedes its own GFLUSHED (O1);
  // what comes after that, or from a daemon that is only joining, was bound in the next view and waits for it here.
  const bool next_view = run->service != Service::total && group->flushing() && !group->awaited.contains(sender);
  if (next_view && !mutant(Mutant::group_send_while_flushing)) {
    early_[run->group].push_back({sender, run});
    note_number(sender, *run);  // its delivery is certain
    return {};
  }
  auto body = run->body;
  if ((run->flags & Run::kFragment) != 0) {
    auto whole = fragments_.add(sender, *run);
    if (!whole) {
      return {};
    }
    body = std::move(*whole);
  }
  return hand_over(*group, sender, *run, *envelope, body, effects);
}

/// A whole message, or several of a batch, at their place. What is decided here is decided by everybody alike.
Groups::Placed Groups::hand_over(const Group& first, const Pid& sender, const Run& run, const Envelope& envelope,
                                 const Slice& body, Effects& effects) {
  if (run.in_view != 0 && run.in_view != first.view->token && !mutant(Mutant::in_view_ignored)) {
    return {0, "wrong_view"};  // C2: its group view ended before its place in the order
  }
  if (envelope.to && !first.has(*envelope.to)) {
    return {0, "no_such_member"};  // G7
  }
  const auto known = [&](GroupId id) { return table_.find(id) != nullptr; };
  if (!std::ranges::all_of(envelope.more_groups, known) && !mutant(Mutant::several_groups_apart)) {
    return {0, "no_such_group"};  // G6: in all of them, or in none
  }
  if (run.service != Service::total && first.view->policy.total_only) {
    return {0, "total_only"};  // G3: begun before the group became durable
  }
  const auto stateless = [](const Group* group) {
    return group != nullptr && group->view->policy.disks > 0 && !group->state.exists();
  };
  const auto find = [&](GroupId id) { return table_.find(id); };
  if (stateless(&first) || std::ranges::any_of(envelope.more_groups, stateless, find)) {
    return {0, "no_state"};  // K1: there is no history that it could be a part of
  }
  note_number(sender, run);
  const auto placed = hand_to(first, sender, run, envelope, body, effects);
  for (const auto id : envelope.more_groups) {
    if (const auto* group = table_.find(id)) {
      hand_to(*group, sender, run, envelope, body, effects);
    }
  }
  if (envelope.kind == Envelope::Kind::request && sender == self_) {
    open_requests_.delivered(run.client, envelope.request, *first.view, envelope.to, first.state.waiting(false));
  }
  return placed;
}

/// Returns the place of the first message. One for a single member takes none of its own: it has the position of the one before
/// it, and is no part of a durable group's history.
Groups::Placed Groups::hand_to(const Group& group, const Pid& sender, const Run& run, const Envelope& envelope, const Slice& body,
                               Effects& effects) {
  const auto position = envelope.to ? group.placed(sender, run.service) : table_.place(group.id, sender, run.service, run.count);
  if (!envelope.to) {
    stability_.placed(group.id, sender, run, position + run.count - 1);
  }
  const bool counts = group.view->policy.disks > 0 && !envelope.to;
  const auto history = counts ? table_.count(group.id, run.count) : HistoryPosition{};
  const bool alone = envelope.to && !mutant(Mutant::direct_to_all);
  if (alone ? envelope.to->pid == self_ : group.daemons.contains(self_)) {
    effects.push_back(DeliverMessages{group.id,
                                      sender,
                                      run.client,
                                      group.view->token,
                                      table_.view(),
                                      position,
                                      run.service,
                                      (run.flags & Run::kText) != 0,
                                      run.count,
                                      body,
                                      {transfers_.waiting(group.id), {}},
                                      alone ? envelope.to->client : 0,
                                      envelope.request,
                                      history});
    transfers_.hold(group.id, effects, body.size());
  }
  return {position, {}, history};
}

/// C6: in the order of the sender's stream, so that all members note the same.
void Groups::note_number(const Pid& sender, const Run& run) {
  const bool whole = (run.flags & Run::kFragment) == 0 || (run.flags & Run::kLastFragment) != 0;
  if (run.number != 0 && whole) {
    table_.sessions().delivered({sender, run.client}, run.number, run.count);
  }
}

/// C6. It is opened only when its last connection is over, so what is known of its sends is all that will ever be delivered.
void Groups::deliver_session(const Pid& sender, const Run& run, Effects& effects) {
  auto& sessions = table_.sessions();
  const auto body = decode_session(run.body.view());
  if (!body || run.client == 0) {
    ++ignored_;
    return;
  }
  if (!body->opens) {
    sessions.close(body->session, {sender, run.client});
    return;
  }
  auto fates = sessions.fates(body->session);
  const auto opening = sessions.open(body->session, {sender, run.client}, body->first);
  auto* client = sender == self_ ? queues_.find(run.client) : nullptr;
  if (client == nullptr || !client->change) {
    return;
  }
  if (opening == Sessions::Opening::busy) {
    refuse(*client, *client->change, {"busy", "the last connection of this session may still deliver something"}, effects);
  } else if (opening == Sessions::Opening::full) {
    refuse(*client, *client->change, {"too_many", "the table of sessions is full"}, effects);
  } else if (!client->gone) {
    effects.push_back(SessionOpened{client->id, *client->change, std::move(fates)});
  }
  client->change.reset();
  queues_.rearrange(table_);
}

void Groups::deliver_change(const Pid& sender, const Run& run, Effects& effects) {
  GroupTable::Change change;
  if (run.kind == RunKind::group_join) {
    const auto body = decode_join(run.body.view());
    change = body && run.client != 0 ? table_.join(sender, run.client, *body) : change;
  } else if (run.kind == RunKind::group_leave) {
    const auto reason = decode_leave(run.body.view());
    change = reason ? table_.leave(sender, run.client, run.group, *reason) : change;
    if (reason && *reason != LeaveReason::no_state) {
      fragments_.left(sender, run.client);
    }
  } else if (run.kind == RunKind::group_state) {
    const auto body = decode_state(run.body.view());
    change = body ? table_.state_news(sender, run.client, run.group, *body) : change;
  } else if (run.kind == RunKind::group_synced) {
    const auto position = decode_synced(run.body.view());
    change = position ? table_.synced(sender, run.group, *position) : change;
  } else if (run.kind == RunKind::group_kept) {
    const auto kept = decode_kept(run.body.view());
    change = kept ? table_.told(sender, run.group, *kept) : change;
  } else {
    change = table_.flushed(sender, run.group);
  }
  if (change.group == 0) {
    ++ignored_;
  }
  if (change.flush_started) {
    if (table_.find(change.group)->awaited.contains(self_)) {
      flush_due_.insert(change.group);
    }
    queues_.rearrange(table_);
  }
  if (change.installed) {
    group_view(change.installed, true, effects);
  }
  if (change.durable) {
    durable(*table_.find(change.group), effects);
  }
  if (run.kind == RunKind::group_state) {
    transfers_.refresh(run.group, table_.find(run.group), effects);
  }
  if (sender == self_ && run.kind == RunKind::group_synced) {
    telling_.erase(run.group);
  }
  if (sender == self_ && change.group == 0) {
    change_refused(run, change.refused, effects);
  }
}

std::string_view Groups::why_refused(std::string_view code) {
  return code == "other_policy"   ? "the group is kept on another number of disks, or on none"
         : code == "not_a_keeper" ? "other nodes keep the group: its members with state run there"
                                  : "the disk of this node has another history under the name of this group than its members";
}

/// An ordered change of an own client came to nothing. It has one in flight; that it leaves without a state is said beside it
/// (T2).
void Groups::change_refused(const Run& run, std::string_view code, Effects& effects) {
  auto* client = queues_.find(run.client);
  const bool joins = run.kind == RunKind::group_join;
  const bool leaves = run.kind == RunKind::group_leave && decode_leave(run.body.view()) != LeaveReason::no_state;
  if (client == nullptr || !client->change || !(joins || leaves)) {
    return;
  }
  refuse(*client, *client->change,
         !code.empty() ? Refusal{code, std::string(why_refused(code))}
         : joins       ? Refusal{"too_many", "the table of groups is full"}
                       : Refusal{"not_member", "the client left the group before"},
         effects);
  client->change.reset();
  queues_.rearrange(table_);
}

/// A new view of a group: events, answers to the requests it fulfils, and what was held back for it.
void Groups::group_view(const GroupViewPtr& view, bool ordered, Effects& effects) {
  if (trace_) {
    effects.push_back(Trace{trace::GroupInstall{view}});
  }
  const auto* group = table_.find(view->group);
  auto later = group != nullptr ? transfers_.before(*group, *view, effects) : std::vector<ClientId>{};
  effects.push_back(GroupViewInstalled{view, {std::move(later), {}}});
  transfers_.hold(view->group, effects, 0);
  for (const auto& member : view->joined) {
    if (member.pid == self_) {
      joined(view, member.client, effects);
    }
  }
  for (const auto& departure : view->left) {
    fragments_.left(departure.member.pid, departure.member.client, view->group);
    if (departure.member.pid == self_) {
      left(*view, departure, effects);
    }
  }
  stability_.changed(*view);
  const bool boundary = group != nullptr && group->state.boundary() == view->token;
  open_requests_.changed(*view, boundary ? group->state.waiting(true) : std::set<ClientRef>{}, effects);
  lead(*view, ordered);
  if (group != nullptr && group->daemons.contains(self_)) {
    own_groups_.insert(view->group);
  } else {
    own_groups_.erase(view->group);
  }
  if (group != nullptr) {
    transfers_.after(*group, *view, effects);
  } else {
    transfers_.refresh(view->group, nullptr, effects);
    asked_.erase(view->group);
    fragments_.forget(view->group);
  }
  forget_undurable(*view, effects);
  queues_.rearrange(table_);
  tell_hold(view->group, effects);
  if (group != nullptr) {
    const auto& joined = group->view->joined;
    const bool comes = std::any_of(joined.begin(), joined.end(), [&](const GroupMember& member) { return member.pid == self_; });
    ask_disk(*group, comes, effects);
  }
  if (auto early = early_.extract(view->group); !early.empty()) {
    for (const auto& held : early.mapped()) {
      deliver_data(held.sender, held.run, effects);
    }
  }
}

/// F10: the leader of a group is its first member.
void Groups::lead(const GroupView& view, bool ordered) {
  const auto* leader = view.members.empty() ? nullptr : &view.members.front();
  const auto* client = leader != nullptr && leader->pid == self_ ? queues_.alive(leader->client) : nullptr;
  leases_.changed(view, client != nullptr && client->leased.contains(view.group) ? client->id : 0, ordered);
}

void Groups::joined(const GroupViewPtr& view, ClientId id, Effects& effects) {
  auto* client = queues_.find(id);
  if (client == nullptr) {
    return;
  }
  client->groups.insert(view->group);
  if (std::exchange(client->change_asks_lease, false)) {
    client->leased.insert(view->group);
  }
  if (std::exchange(client->change_asks_stability, false)) {
    stability_.watch(view->group, id);
  }
  change_done(*client, view, effects);
}

void Groups::left(const GroupView& view, const GroupDeparture& departure, Effects& effects) {
  auto* client = queues_.find(departure.member.client);
  if (client == nullptr) {
    return;
  }
  client->groups.erase(view.group);
  client->leased.erase(view.group);
  holding_.erase({client->id, view.group});
  stability_.forget(view.group, client->id);
  if (departure.reason != LeaveReason::no_state && departure.reason != LeaveReason::not_a_keeper) {
    change_done(*client, nullptr, effects);
  } else if (!client->gone) {
    effects.push_back(ClientDismissed{client->id, view.group, view.name, departure.reason});  // T2, K3
  }
}

void Groups::change_done(Client& client, const GroupViewPtr& view, Effects& effects) {
  if (client.change && !client.gone) {
    effects.push_back(RequestDone{client.id, *client.change, view});
  }
  client.change.reset();
}

// ---------------------------------------------------------------- durable groups

/// Answers those that wait for the disks and of which `settled` holds.
template <typename Settled>
void Groups::settle_undurable(Settled settled, Outcome outcome, std::string_view code, Effects& effects) {
  std::erase_if(undurable_, [&](const OwnRun& run) {
    const bool over = settled(run);
    if (over) {
      answer(run, outcome, code, effects, outcome == Outcome::delivered);
    }
    return over;
  });
}

/// K2: more of the group's history is safe.
void Groups::durable(const Group& group, Effects& effects) {
  const auto safe = group.history.durable();
  if (group.daemons.contains(self_)) {
    effects.push_back(HistoryDurable{group.name, group.id, safe});
  }
  const auto is_safe = [&](const OwnRun& run) {
    return run.group == group.id && run.history.index + (run.last - run.first) <= safe.index;
  };
  settle_undurable(is_safe, Outcome::delivered, {}, effects);
}

/// K3: once; what it has of a group that has not begun cannot change. K1: only where a member waits is the disk open, so who
/// comes (now, here) may be the first that has it open.
void Groups::ask_disk(const Group& group, bool comes, Effects& effects) {
  if (group.history.asks(self_) && asked_.insert(group.id).second) {
    effects.push_back(HistoryAsked{group.name, group.id});
  }
  const auto era = group.history.proposed();
  const auto waiting = group.state.waiting(false);
  const bool here = std::any_of(waiting.begin(), waiting.end(), [&](const ClientRef& member) { return member.pid == self_; });
  if (era == 0 || !here) {
    return;
  }
  if (auto& last = proposed_[group.name]; comes || last.id != group.id || last.era != era) {
    last = {group.name, group.id, era};
    effects.push_back(last);
  }
}

/// The group has ended or begun anew: whether the disks will have these messages nobody can tell.
void Groups::forget_undurable(const GroupView& view, Effects& effects) {
  const auto* group = table_.find(view.group);
  const auto is_lost = [&](const OwnRun& run) {
    return run.group == view.group && (group == nullptr || group->history.now().position.era != run.history.era);
  };
  settle_undurable(is_lost, Outcome::unknown, "not_durable", effects);
}

// ---------------------------------------------------------------- views

void Groups::install(const View& view, Effects& effects) {
  VSYNC_ASSERT(bound_.empty() && prepared_.empty(), "V11: own messages are inside the closed cut");
  for (const auto& run : unstable_) {
    answer(run, Outcome::delivered, {}, effects);
  }
  unstable_.clear();
  stable_ = 0;
  stability_.all_settled();
  stability_.tell(effects);
  if (!mutant(Mutant::fragments_survive)) {
    fragments_.clear();
  }
  queues_.restart_large();
  if (mutant(Mutant::queue_lost)) {
    queues_ = ClientQueues(self_, limits_.client_queue_bytes);
  }
  flush_due_.clear();
  if (view.cold) {
    leases_.forget_leaders();
  }
  early_.clear();  // empty, unless a peer sent what it must not
  for (const auto& installed : table_.install(view)) {
    group_view(installed, false, effects);
  }
  for (const auto& [name, id] : table_.names()) {
    ask_disk(*table_.find(id), false, effects);  // a joiner has come to a group that asks
  }
  transfers_.forget_early();
  tell_holds(effects);
}

bool Groups::load_table(std::string_view bytes) {
  auto table = GroupTable::load(bytes);
  if (!table) {
    return false;
  }
  table_ = std::move(*table);
  leases_.forget_leaders();
  queues_.rearrange(table_);
  return true;
}

std::string Groups::save_table() const {
  return table_.save();
}

/// S2. Right after an install there are no beginnings of messages; if one member had some, its state would differ.
std::uint64_t Groups::table_hash() const {
  Hasher hasher;
  hasher.add(table_.save());
  if (fragments_.size() > 0) {
    hasher.add(fragments_.size());
  }
  return hasher.value();
}

std::vector<GroupViewPtr> Groups::views() const {
  std::vector<GroupViewPtr> views;
  for (const auto& [name, id] : table_.names()) {
    views.push_back(table_.find(id)->view);
  }
  return views;
}

}  // namespace vsync::core
