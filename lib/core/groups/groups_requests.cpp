// From requests of local clients to runs, and from runs to outcomes.
#include <algorithm>

#include "base/assert.h"
#include "core/groups/groups.h"
#include "core/groups/text.h"

namespace vsync::core {

namespace {

Refusal bad_name() {
  return {"bad_request", "a name is up to " + std::to_string(kMaxName) + " bytes of UTF-8 without control characters"};
}

Refusal not_member(const std::string& group) {
  return {"not_member", "not a member of group " + group};
}

Refusal bad_number() {
  return {"bad_request", "the numbers of a session end at " + std::to_string(kLastNumber)};
}

Refusal excluded_refusal() {
  return {"excluded", "the daemon is in the view no more"};
}

}  // namespace

// ---------------------------------------------------------------- requests

/// Refuses at once what is hopeless now; behind other requests it is judged in its turn.
template <typename Request>
void Groups::submit(Client& client, Request request, Effects& effects) {
  const bool now = client.queue.empty() && !client.change && table_.view() != 0;
  if (auto why = now ? refusal(client, request) : std::nullopt; why) {
    refuse(client, request.request, *why, effects);
  } else {
    queues_.push(client, std::move(request), table_, effects);
  }
}

void Groups::request(ClientJoin join, Effects& effects) {
  auto* client = queues_.open(join.client);
  if (client == nullptr) {
    return;
  }
  if (join.group.empty() || !valid_name(join.group) || !valid_name(join.member_name)) {
    refuse(*client, join.request, bad_name(), effects);
    return;
  }
  submit(*client, std::move(join), effects);
}

void Groups::request(ClientSession session, Effects& effects) {
  auto* client = queues_.open(session.client);
  if (client == nullptr) {
    return;
  }
  if (session.session == 0 || (client->session != 0 && client->session != session.session)) {
    refuse(*client, session.request, {"bad_request", "a connection has one session, and its number is not 0"}, effects);
    return;
  }
  if (session.first > kLastNumber + 1) {
    refuse(*client, session.request, bad_number(), effects);
    return;
  }
  client->session = session.session;
  queues_.push(*client, session, table_, effects);
}

void Groups::request(ClientLeave leave, Effects& effects) {
  // Who is sent away (G10) may have gone by itself, and be forgotten.
  auto* client = leave.request != 0 ? queues_.open(leave.client) : queues_.alive(leave.client);
  if (client == nullptr) {
    return;
  }
  if (leave.group.empty() || !valid_name(leave.group)) {
    refuse(*client, leave.request, bad_name(), effects);
    return;
  }
  give_up_lease(*client, leave.group);
  if (const auto* group = table_.find(leave.group); group != nullptr) {
    release(leave.client, group->id);
  }
  submit(*client, std::move(leave), effects);
}

/// F10: who asks to leave leads no more, from the moment of asking.
void Groups::give_up_lease(Client& client, const std::string& group) {
  if (const auto* known = table_.find(group); known != nullptr) {
    client.leased.erase(known->id);
    leases_.released(client.id, group);
  }
}

void Groups::request(ClientSend send, Effects& effects) {
  if (auto* client = queues_.open(send.client)) {
    accept(*client, std::move(send), effects);
  }
}

void Groups::accept(Client& client, ClientSend send, Effects& effects) {
  const auto* group = table_.find(send.group);
  const bool names_group = send.wish == nullptr || send.wish->reply_to == 0;
  if (group == nullptr && names_group && (send.group.empty() || !valid_name(send.group))) {
    refuse(client, send.request, bad_name(), effects);
    return;
  }
  if (const auto why = send.wish ? refusal(client, send, *send.wish) : std::nullopt; why) {
    refuse(client, send.request, *why, effects);
    return;
  }
  if (send.number != 0 && !valid_numbers(send.number, send.count)) {
    refuse(client, send.request, bad_number(), effects);
    return;
  }
  auto pieces = cut_into_pieces(send, limits_);
  if (!pieces) {
    refuse(client, send.request, pieces.error(), effects);
    return;
  }
  QueuedSend queued{.group = group != nullptr ? group->id : 0,
                    .name = {},
                    .request = send.request,
                    .service = send.service,
                    .text = send.text,
                    .in_view = send.in_view,
                    .piece = {},
                    .number = send.number,
                    .bound = 0,
                    .wish = send.wish,
                    .envelope = {},
                    .durable = send.durable};
  if (group == nullptr) {
    queued.name = std::move(send.group);
  }
  const bool now = client.queue.empty() && !client.change && table_.view() != 0;
  if (auto why = now ? refusal(client, queued) : std::nullopt; why) {
    refuse(client, send.request, *why, effects);
    return;
  }
  if (trace_) {
    effects.push_back(Trace{trace::Submit{send.client, send.request, send.count}});
  }
  if (send.wish && send.wish->wait) {
    open_requests_.open(client.id, send.request, *send.wish->wait, send.wish->answer_within);
  }
  for (auto& piece : *pieces) {
    queued.piece = std::move(piece);
    const auto count = queued.piece.count;
    queues_.push(client, queued, table_, effects);
    queued.request += count;
    queued.number += queued.number != 0 ? count : 0;
  }
}

void Groups::request(ClientState piece, Effects& effects) {
  const auto client = piece.client;
  const auto request = piece.request;
  const auto* known = queues_.find(client);
  if (known != nullptr && known->gone) {
    return;
  }
  // Our disk gives in the name of a member (K3), also when that is gone and its leave is on its way: what came before did not go.
  const auto* group = known != nullptr ? table_.find(piece.group) : nullptr;
  if (auto why = transfers_.piece(group, std::move(piece), effects); why) {
    effects.push_back(RequestRefused{client, request, why->code, why->message});
  }
}

void Groups::synced(const HistorySynced& news) {
  auto& disk = disk_[news.group];
  disk = std::max(disk, news.position);
  const auto* group = table_.find(news.group);
  if (group != nullptr && group->history.now().position.era == news.position.era && group->history.keeps(self_.node)) {
    synced_[{group->id, false}] = news.position;  // only the last one counts
  }
}

void Groups::promised(const EraPromised& news) {
  if (const auto* group = table_.find(news.group); group != nullptr && group->history.proposed() == news.era) {
    synced_[{group->id, true}] = {news.era, 0};
  }
}

void Groups::told(HistoryTold news) {
  if (asked_.contains(news.group)) {
    kept_.push_back(std::move(news));
  }
}

void Groups::taken(const HistoryTaken& news, Effects& effects) {
  if (const auto* group = table_.find(news.group); group != nullptr) {
    transfers_.taken(group->id, news, effects);
  }
}

void Groups::client_gone(ClientId id, Effects& effects) {
  transfers_.gone(id, effects);
  auto* client = queues_.alive(id);
  if (client == nullptr) {
    return;
  }
  client->gone = true;
  for (const auto group : client->groups) {
    release(id, group);
  }
  leases_.gone(id);
  stability_.gone(id);
  open_requests_.gone(id);
  if (client->queue.empty() && !client->change && client->groups.empty() && client->session == 0) {
    queues_.erase(id);
  } else {
    queues_.push(*client, Farewell{}, table_, effects);
  }
}

std::optional<Refusal> Groups::refusal(const Client& client, const ClientJoin& join) const {
  const auto* group = table_.find(join.group);
  if (group != nullptr && client.groups.contains(group->id)) {
    return Refusal{"already_member", "already a member of group " + join.group};
  }
  if (group == nullptr && own_groups_.size() >= kMaxOwnGroups) {
    return Refusal{"too_many", "the clients of one daemon make no more than " + std::to_string(kMaxOwnGroups) + " groups"};
  }
  return std::nullopt;
}

std::optional<Refusal> Groups::refusal(const Client& client, const ClientLeave& leave) const {
  const auto* group = table_.find(leave.group);
  if (group == nullptr || !client.groups.contains(group->id)) {
    return not_member(leave.group);
  }
  return std::nullopt;
}

/// What is wrong with a wish by itself.
std::optional<Refusal> Groups::refusal(const Client& client, const ClientSend& send, const SendWish& wish) const {
  if (wish.more_groups.size() >= kMaxGroupsOfSend) {
    return Refusal{"bad_request", "a message goes to at most " + std::to_string(kMaxGroupsOfSend) + " groups"};
  }
  std::set<std::string_view> names{wish.more_groups.begin(), wish.more_groups.end()};
  if (names.size() < wish.more_groups.size() || names.contains(send.group)) {
    return Refusal{"bad_request", "a group is named twice"};
  }
  const bool several = !wish.more_groups.empty();
  const bool alone = send.count == 1 && !several && send.in_view == 0;
  if (several && (send.service != Service::total || send.in_view != 0 || wish.to)) {
    return Refusal{"bad_request", "a message to several groups is total, to all their members and in any view"};
  }
  if (wish.wait && (send.service != Service::total || !alone)) {
    return Refusal{"bad_request", "a request is one total message to one group"};
  }
  if (send.durable && (several || wish.to || wish.wait)) {  // K2: one group's disks are asked, and only for what they get
    return Refusal{"bad_request", "what waits for the disks goes to all members of one group, and asks for no reply"};
  }
  if (wish.reply_to != 0 && (!wish.to || !alone || wish.wait || send.body.size() > limits_.max_run_bytes)) {
    return Refusal{"too_large", "a reply is one message of up to " + std::to_string(limits_.max_run_bytes) + " bytes"};
  }
  if (wish.wait && open_requests_.full(client.id)) {
    return Refusal{"too_many", "a client has at most " + std::to_string(OpenRequests::kMaxOpen) + " open requests"};
  }
  return std::nullopt;
}

/// What is wrong with it now, and with this group.
std::optional<Refusal> Groups::refusal(const Group& group, const SendWish& wish) const {
  for (const auto& name : wish.more_groups) {
    if (const auto* other = table_.find(name); other == nullptr) {
      return Refusal{"no_such_group", "group " + name + " has no members"};
    }
  }
  if (wish.to && !group.has(*wish.to)) {
    return Refusal{"no_such_member", "group " + group.name + " has no such member"};
  }
  return std::nullopt;
}

std::optional<Refusal> Groups::refusal(const Client& client, const QueuedSend& send) const {
  if (send.wish && send.wish->reply_to != 0) {
    const bool there = table_.daemons().contains(send.wish->to->pid);
    return there ? std::nullopt : std::optional(Refusal{"no_such_member", "the daemon of who asked is gone"});
  }
  const auto* group = send.group != 0 ? table_.find(send.group) : table_.find(send.name);
  if (group == nullptr) {
    return Refusal{"no_such_group", "the group has no members"};
  }
  if (send.service != Service::total && group->policy.total_only) {
    return Refusal{"total_only", "group " + group->name + " takes total messages only"};
  }
  if (send.service != Service::total && !client.groups.contains(group->id)) {
    return not_member(group->name);  // G4: only daemons with members take part in the flush
  }
  if (send.durable && group->policy.disks == 0) {
    return Refusal{"not_durable", "group " + group->name + " is kept on no disk"};  // K2
  }
  if (send.in_view != 0 && send.in_view != group->view->token) {
    return Refusal{"wrong_view", "the view of group " + group->name + " is another one"};  // C2
  }
  return send.wish ? refusal(*group, *send.wish) : std::nullopt;
}

// ---------------------------------------------------------------- binding

bool Groups::ready() const {
  const auto news = [&](const auto& entry) { return !telling_.contains(entry.first.first); };
  return !flush_due_.empty() || !holds_due_.empty() || !kept_.empty() || transfers_.has_statement() ||
         std::any_of(synced_.begin(), synced_.end(), news) || queues_.ready();
}

std::vector<Run> Groups::next(Effects& effects) {
  std::vector<Run> runs;
  if (!flush_due_.empty()) {
    Run run;
    run.kind = RunKind::group_flushed;
    run.group = *flush_due_.begin();
    flush_due_.erase(flush_due_.begin());
    add(std::move(run), 0, 0, runs);
  }
  if (runs.empty() && !holds_due_.empty()) {
    prepare_hold(runs);
  }
  while (runs.empty() && transfers_.has_statement()) {
    prepare(transfers_.take_statement(), runs);
  }
  if (runs.empty()) {
    prepare_kept(runs);
  }
  if (runs.empty()) {
    prepare_synced(runs);
  }
  while (runs.empty() && queues_.ready()) {
    prepare_turn(runs, effects);
  }
  return runs;
}

void Groups::prepare_turn(std::vector<Run>& runs, Effects& effects) {
  auto& client = queues_.take_turn();
  if (client.gone) {
    drop_what_waits(client, effects);
  }
  auto* send = std::get_if<QueuedSend>(&client.queue.front());
  if (send != nullptr && prepare_fragment(client, *send, runs)) {
    queues_.done_with(client, table_);
    return;
  }
  const auto id = client.id;
  auto queued = queues_.pop(client, effects);
  std::visit([&](auto& request) { prepare(client, std::move(request), runs, effects); }, queued);
  if (auto* still = queues_.find(id)) {
    queues_.done_with(*still, table_);
  }
}

/// What has begun goes on to the end, whatever becomes of the group's view: the place of the last fragment decides, at all
/// daemons alike. Only a member that was dismissed (T2) must not go on with what the flush before its leave has closed (G4).
bool Groups::goes_on(const Client& client, const QueuedSend& send) const {
  const bool may = send.service == Service::total || client.groups.contains(send.group);
  return send.bound > 0 && table_.find(send.group) != nullptr && may;
}

/// One fragment a turn, so that a large message does not stand in the way of other clients. False: it is none, or it cannot go
/// on, or only its last fragment is left, which takes it from the queue.
bool Groups::prepare_fragment(const Client& client, QueuedSend& send, std::vector<Run>& runs) {
  const auto left = send.piece.body.size() - send.bound;
  if (!send.piece.large || left <= limits_.max_run_bytes || !(send.bound > 0 ? goes_on(client, send) : !refusal(client, send))) {
    return false;
  }
  address(send);
  auto run = run_of(client, send);
  send.group = run.group;
  run.body = send.piece.body.part(send.bound, limits_.max_run_bytes);
  send.bound += limits_.max_run_bytes;
  add(std::move(run), send.request, 0, runs);
  return true;
}

Run Groups::run_of(const Client& client, const QueuedSend& send) const {
  Run run;
  run.count = send.piece.count;
  run.service = send.service;
  run.flags = (send.text ? Run::kText : 0) | (send.piece.large ? Run::kFragment : 0);
  const bool reply = send.wish && send.wish->reply_to != 0;
  run.group = send.group != 0 || reply ? send.group : table_.find(send.name)->id;
  run.client = client.id;
  run.in_view = send.in_view;
  run.envelope = send.envelope;
  run.number = client.session != 0 ? send.number : 0;
  return run;
}

void Groups::prepare(Client& client, QueuedSend send, std::vector<Run>& runs, Effects& effects) {
  if (const auto why = goes_on(client, send) ? std::nullopt : refusal(client, send); why) {
    never_bound(client, send, why->code, effects);
    return;
  }
  address(send);
  auto run = run_of(client, send);
  run.flags |= send.piece.large ? Run::kLastFragment : 0;
  run.body = send.piece.body.part(send.bound, send.piece.body.size() - send.bound);
  add(std::move(run), send.request, send.piece.count, runs);
  prepared_.back().durable = send.durable;
}

/// All fragments of a message have one envelope.
void Groups::address(QueuedSend& send) const {
  if (!send.wish || send.bound > 0) {
    return;
  }
  const auto& wish = *send.wish;
  Envelope envelope;
  envelope.kind = wish.wait ? Envelope::Kind::request : wish.reply_to != 0 ? Envelope::Kind::reply : Envelope::Kind::message;
  envelope.request = wish.wait ? send.request : wish.reply_to;
  envelope.to = wish.to;
  for (const auto& name : wish.more_groups) {
    envelope.more_groups.push_back(table_.find(name)->id);
  }
  send.envelope = encode(envelope);
}

void Groups::prepare(Client& client, const ClientJoin& join, std::vector<Run>& runs, Effects& effects) {
  if (const auto why = refusal(client, join); why) {
    refuse(client, join.request, *why, effects);
    return;
  }
  Run run;
  run.kind = RunKind::group_join;
  auto wish = join.state;
  if (const auto disk = disk_.find(join.group); disk != disk_.end()) {
    // K3: the group may end before this join is delivered, and forget what our disk has said before it.
    wish.kept.position = std::max(wish.kept.position, disk->second);
  }
  if (const auto era = proposed_.find(join.group); era != proposed_.end()) {
    wish.kept.promised = std::max(wish.kept.promised, era->second.era);  // likewise
  }
  run.body = encode(JoinBody{join.group, join.member_name, join.policy, wish});
  client.change_asks_lease = join.lease;
  client.change_asks_stability = join.stability;
  prepare_change(client, join.request, std::move(run), runs);
}

void Groups::prepare(Client& client, const ClientLeave& leave, std::vector<Run>& runs, Effects& effects) {
  if (const auto why = refusal(client, leave); why) {
    refuse(client, leave.request, *why, effects);
    return;
  }
  give_up_lease(client, leave.group);  // it may have become a member after it asked to leave
  Run run;
  run.kind = RunKind::group_leave;
  run.group = table_.find(leave.group)->id;
  run.body = encode_leave(leave.reason);
  prepare_change(client, leave.request, std::move(run), runs);
}

void Groups::prepare_change(Client& client, RequestId request, Run run, std::vector<Run>& runs) {
  run.client = client.id;
  client.change = request;
  add(std::move(run), request, 0, runs);  // answered with the group view
}

void Groups::prepare(Client& client, const ClientSession& session, std::vector<Run>& runs, Effects&) {
  Run run;
  run.kind = RunKind::session;
  run.body = encode(SessionBody{session.session, true, std::max<std::uint64_t>(session.first, 1)});
  prepare_change(client, session.request, std::move(run), runs);
}

/// G2. No change of the client is in flight here, so its groups are known.
void Groups::prepare(Client& client, const Farewell&, std::vector<Run>& runs, Effects&) {
  auto groups = client.groups;
  if (client.begun != 0) {
    groups.insert(client.begun);  // perhaps it is no member there; but all hear that the message ends nowhere
  }
  for (const auto group : groups) {
    Run run;
    run.kind = RunKind::group_leave;
    run.group = group;
    run.client = client.id;
    run.body = encode_leave(LeaveReason::crashed);
    add(std::move(run), 0, 0, runs);
  }
  if (client.session != 0) {  // C6: this connection delivers nothing more
    Run run;
    run.kind = RunKind::session;
    run.client = client.id;
    run.body = encode(SessionBody{client.session, false, 1});
    add(std::move(run), 0, 0, runs);
  }
  queues_.erase(client.id);
}

/// T1, T2. A client that is gone is not spoken of: its Farewell says all.
void Groups::prepare(const StateTransfers::Statement& statement, std::vector<Run>& runs) {
  const auto* client = queues_.alive(statement.client);
  if (client == nullptr || !client->groups.contains(statement.group)) {
    return;
  }
  Run run;
  run.kind = statement.news ? RunKind::group_state : RunKind::group_leave;
  run.group = statement.group;
  run.client = statement.client;
  run.body = statement.news ? encode(*statement.news) : encode_leave(LeaveReason::no_state);
  add(std::move(run), 0, 0, runs);
}

/// K2. One at a time: what is synced meanwhile goes with the next. It goes before a promise, since by it the disk is judged (K3).
void Groups::prepare_synced(std::vector<Run>& runs) {
  for (auto it = synced_.begin(); it != synced_.end(); ++it) {
    const auto group = it->first.first;
    if (telling_.insert(group).second) {
      Run run;
      run.kind = RunKind::group_synced;
      run.group = group;
      run.body = encode(it->second);
      synced_.erase(it);
      add(std::move(run), 0, 0, runs);
      return;
    }
  }
}

void Groups::prepare_kept(std::vector<Run>& runs) {
  if (!kept_.empty()) {
    Run run;
    run.kind = RunKind::group_kept;
    run.group = kept_.front().group;
    run.body = encode(kept_.front().kept);
    kept_.pop_front();
    add(std::move(run), 0, 0, runs);
  }
}

void Groups::add(Run run, RequestId request, std::uint32_t requests, std::vector<Run>& runs) {
  VSYNC_ASSERT(run.number == 0 || valid_numbers(run.number, run.count), "C6: peers refuse other numbers");
  OwnRun own;
  own.service = run.service;
  const auto envelope = decode_envelope(run.envelope.view()).value_or(Envelope{});
  const auto* group = run.kind == RunKind::data ? table_.find(run.group) : nullptr;
  const bool kept = group != nullptr && group->policy.disks > 0;
  own.conditional =
      run.in_view != 0 || kept || envelope.kind == Envelope::Kind::request || envelope.to || !envelope.more_groups.empty();
  own.asks = envelope.kind == Envelope::Kind::request;
  own.group = run.group;
  own.client = run.client;
  own.request = request;
  own.requests = requests;
  prepared_.push_back(own);
  runs.push_back(std::move(run));
}

void Groups::bound(const std::vector<RunPtr>& runs, ViewId view, Rank rank, const Counts& delivered, Effects& effects) {
  VSYNC_ASSERT(runs.size() == prepared_.size(), "all that next() returned is bound, in one step");
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& run = *runs[i];
    auto& own = prepared_[i];
    own.first = run.first;
    own.last = run.last();
    own.view = view;
    if (trace_) {
      effects.push_back(Trace{trace::Send{view, run.first, run.count, run.stamp, rank, run.service, run.kind, run.group,
                                          run.client, own.request, delivered}});
    }
    bound_.push_back(own);
  }
  prepared_.clear();
}

// ---------------------------------------------------------------- outcomes

/// C1: a total is answered at its own delivery, a fifo or causal message when it is stable.
void Groups::own_delivered(const Run& run, const Placed& placed, Effects& effects) {
  VSYNC_ASSERT(!bound_.empty() && bound_.front().first == run.first, "O1: own runs are delivered in the order of their binding");
  auto own = bound_.front();
  bound_.pop_front();
  own.position = placed.position;
  own.history = placed.history;
  if (own.requests == 0) {
    return;
  }
  if (!placed.failed.empty()) {
    own.view = own.first = 0;  // its place in the order is behind what it was for: it went to nobody
    answer(own, Outcome::not_delivered, placed.failed, effects);
  } else if (own.durable) {
    undurable_.push_back(own);
  } else if (own.service == Service::total || own.last <= stable_) {
    answer(own, Outcome::delivered, {}, effects);
  } else {
    unstable_.push_back(own);
  }
}

void Groups::stable(Seq seq, Effects& effects) {
  stable_ = std::max(stable_, seq);
  while (!unstable_.empty() && unstable_.front().last <= stable_) {
    answer(unstable_.front(), Outcome::delivered, {}, effects);
    unstable_.pop_front();
  }
}

void Groups::answer(const OwnRun& run, Outcome outcome, std::string_view code, Effects& effects, bool durable) {
  if (trace_) {
    effects.push_back(Trace{trace::Fate{run.client, run.request, run.requests, run.view, run.first, outcome}});
  }
  if (run.asks) {
    open_requests_.outcome(run.client, run.request, outcome, run.view, run.position, code, effects);
  } else if (queues_.alive(run.client) != nullptr) {
    const auto position = outcome == Outcome::delivered ? run.position : 0;
    effects.push_back(
        SendOutcome{run.client, run.request, run.requests, outcome, run.view, position, code, run.history, durable});
  }
}

void Groups::never_bound(const Client& client, const QueuedSend& send, std::string_view code, Effects& effects) {
  OwnRun run;
  run.client = client.id;
  run.request = send.request;
  run.requests = send.piece.count;
  run.asks = send.wish && send.wish->wait;
  answer(run, Outcome::not_delivered, code, effects);
}

void Groups::refuse(const Client& client, RequestId request, const Refusal& why, Effects& effects) {
  if (!client.gone) {
    effects.push_back(RequestRefused{client.id, request, why.code, why.message});
  }
}

std::size_t Groups::queued() const {
  return queues_.messages();
}

bool Groups::idle() const {
  return queues_.empty() && flush_due_.empty() && holds_due_.empty() && kept_.empty() && !transfers_.has_statement() &&
         prepared_.empty() && bound_.empty() && unstable_.empty() && undurable_.empty() && !queues_.changing();
}

void Groups::excluded(std::optional<Seq> own_delivered, Effects& effects) {
  unstable_.insert(unstable_.end(), bound_.begin(), bound_.end());
  for (const auto& run : unstable_) {
    if (run.requests == 0) {
      continue;
    }
    const bool in_cut = own_delivered && run.last <= *own_delivered;                 // C3
    const bool unseen = in_cut && run.service == Service::total && run.conditional;  // what comes before it is not known here
    const auto outcome = !own_delivered || unseen ? Outcome::unknown : in_cut ? Outcome::delivered : Outcome::not_delivered;
    answer(run, outcome, outcome == Outcome::delivered ? "" : "excluded", effects);
  }
  for (const auto& run : undurable_) {
    answer(run, Outcome::unknown, "excluded", effects);
  }
  undurable_.clear();
  synced_.clear();
  telling_.clear();
  asked_.clear();
  kept_.clear();
  bound_.clear();
  unstable_.clear();
  prepared_.clear();
  flush_due_.clear();
  transfers_.excluded(effects);
  holds_due_.clear();
  for (auto& [id, client] : queues_.clients()) {
    exclude(client, effects);
  }
  open_requests_.excluded(effects);
  queues_ = ClientQueues(self_, limits_.client_queue_bytes);
}

/// What was not bound never will be.
void Groups::exclude(Client& client, Effects& effects) {
  if (client.change) {
    refuse(client, *client.change, excluded_refusal(), effects);
  }
  for (const auto& queued : client.queue) {
    if (const auto* send = std::get_if<QueuedSend>(&queued)) {
      never_bound(client, *send, "excluded", effects);
    } else if (const auto* join = std::get_if<ClientJoin>(&queued)) {
      refuse(client, join->request, excluded_refusal(), effects);
    } else if (const auto* session = std::get_if<ClientSession>(&queued)) {
      refuse(client, session->request, excluded_refusal(), effects);
    } else if (const auto* leave = std::get_if<ClientLeave>(&queued)) {
      refuse(client, leave->request, excluded_refusal(), effects);
    }
  }
  if (client.paused && !client.gone) {
    effects.push_back(PauseClient{client.id, false});
  }
}

}  // namespace vsync::core
