#include "core/node/node.h"

#include <algorithm>
#include <utility>

#include "core/model/mutant.h"
#include "core/node/node_impl.h"

namespace vsync::core {

Node::Node(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Node::~Node() = default;
void Node::start(Time now, Effects& effects) {
  impl_->start(now, effects);
}
void Node::step(Time now, Input input, Effects& effects) {
  impl_->step(now, std::move(input), effects);
}
Time Node::next_deadline() const {
  return impl_->next_deadline();
}
Hello Node::hello() const {
  return impl_->hello();
}
NodeStatus Node::status(Time now) const {
  return impl_->status(now);
}

Node::Impl::Impl(Config config)
    : config_(std::move(config)),
      detector_(config_.self.pid, config_.limits),
      ordering_(config_.limits),
      groups_(config_.self.pid, config_.limits, config_.trace),
      streams_(config_.limits),
      membership_(config_, *this) {}

void Node::Impl::start(Time now, Effects& effects) {
  now_ = now;
  effects_ = &effects;
  membership_.start(now);
  handle_loopback();
}

void Node::Impl::step(Time now, Input input, Effects& effects) {
  if (over_) {
    return;
  }
  now_ = now;
  effects_ = &effects;
  groups_.transfers().at(now);
  std::visit([this](auto& body) { on(body); }, input);
  handle_loopback();
}

/// Frames to ourselves take the same path as those from peers; they are handled before the next input.
void Node::Impl::handle_loopback() {
  while (!loopback_.empty() && !over_) {
    const auto frame = std::move(loopback_.front());
    loopback_.pop_front();
    membership_.frame(config_.self.pid, *frame, now_);
  }
}

Time Node::Impl::next_deadline() const {
  if (over_) {
    return kNever;
  }
  const bool waiting = is_member() && !ordering_.wedged() && ordering_.blocker().has_value();
  const Time lease = membership_.role() == Role::member ? groups_.leases().next_deadline() : kNever;
  return std::min({detector_.next_deadline(), membership_.next_deadline(), streams_.next_deadline(waiting), drain_until_, lease,
                   groups_.next_deadline()});
}

// ---------------------------------------------------------------- time, links, storage

void Node::Impl::on(Tick&) {
  run_detector();
  membership_.tick(now_);
  if (over_) {
    return;
  }
  if (is_member() && !ordering_.wedged()) {
    if (ordering_.blocker()) {
      streams_.check_relay(ordering_, now_, *effects_);
    } else {
      streams_.aggregate_came(now_);  // nothing waits, so nothing is overdue
    }
    check_slow_member();
  }
  groups_.transfers().tick(*effects_);
  check_drained();
  check_quorum();
}

void Node::Impl::run_detector() {
  detector_.tick(own_heartbeat(), now_, detected_);
  forward_detector_effects();
}

/// The detector suspects; membership decides what follows.
void Node::Impl::forward_detector_effects() {
  if (detected_.empty()) {
    return;
  }
  auto detected = std::exchange(detected_, {});
  for (auto& effect : detected) {
    const auto* change = std::get_if<SuspicionChanged>(&effect);
    if (change == nullptr) {
      effects_->push_back(std::move(effect));
      continue;
    }
    const auto& view = membership_.view();
    const bool leads = view && view->leader() == change->peer;
    if (change->evidence == Evidence::none) {
      emit(Trace{trace::Unsuspected{change->peer}});
    } else {
      emit(Trace{trace::Suspected{change->peer, change->evidence, change->silence, change->why, leads}});
    }
    const auto copy = *change;
    effects_->push_back(std::move(effect));
    membership_.suspicion(copy.peer, copy.evidence, copy.silence, now_);
  }
  check_quorum();
}

void Node::Impl::on(DatagramReceived& input) {
  if (const auto* heartbeat = std::get_if<Heartbeat>(&input.datagram)) {
    if (heartbeat->uuid != membership_.uuid() || heartbeat->pid == config_.self.pid) {
      return;
    }
    detector_.on_datagram(input.datagram, now_, detected_);
    forward_detector_effects();
    membership_.peer_state(heartbeat->pid, heartbeat->role, heartbeat->decided, now_);
    check_divergence(*heartbeat);
    note_answer(*heartbeat);
  } else {
    detector_.on_datagram(input.datagram, now_, detected_);
    forward_detector_effects();
  }
}

void Node::Impl::on(LinkOpened& input) {
  const auto pid = input.peer.pid;
  links_[pid] = input.peer;
  detector_.link_opened(input.peer, now_, detected_);
  forward_detector_effects();
  membership_.link_opened(input.peer, now_);
  if (is_member() && membership_.view()->contains(pid)) {
    send_link_up(pid);
    groups_.transfers().link_opened(pid, *effects_);
  }
}

void Node::Impl::on(LinkClosed& input) {
  links_.erase(input.peer);
  early_link_ups_.erase(input.peer);
  streams_.link_closed(input.peer);
  detector_.link_closed(input.peer, input.clean, now_, detected_);
  forward_detector_effects();
  membership_.link_closed(input.peer, now_);
}

void Node::Impl::on(PeerGone& input) {
  detector_.gone(input.peer, input.evidence, input.why, now_, detected_);
  forward_detector_effects();
}

void Node::Impl::on(SeedsTried&) {
  membership_.seeds_tried(now_);
}

void Node::Impl::on(Persisted& input) {
  membership_.persisted(input.token, now_);
  std::erase_if(done_when_durable_, [&](const auto& waiting) {
    const bool durable = waiting.first <= input.token;
    if (durable) {
      done(waiting.second);
    }
    return durable;
  });
}

void Node::Impl::on(PersistFailed& input) {
  emit(Fatal{"cannot make the state durable: " + input.why});
}

// ---------------------------------------------------------------- requests

void Node::Impl::on(ClientJoin& input) {
  if (refused_by_witness({input.client, input.request})) {
    return;
  }
  groups_.request(std::move(input), *effects_);
}

void Node::Impl::on(ClientSession& input) {
  if (!refused_by_witness({input.client, input.request})) {
    groups_.request(input, *effects_);
  }
}

void Node::Impl::on(ClientLeave& input) {
  if (refused_by_witness({input.client, input.request})) {
    return;
  }
  groups_.request(std::move(input), *effects_);
}

void Node::Impl::on(ClientSend& input) {
  const Waiting who{input.client, input.request};
  if (refused_by_witness(who)) {
    return;
  }
  if (drain_) {
    refuse(who, "shutting_down", "this daemon is leaving its cluster");
    return;
  }
  groups_.request(std::move(input), *effects_);
}

/// B4: a witness has no groups, and never will.
bool Node::Impl::refused_by_witness(const Waiting& who) {
  if (config_.self.witness) {
    refuse(who, "witness", "this daemon is a witness: it votes, and that is all; ask the daemon of a member");
  }
  return config_.self.witness;
}

void Node::Impl::on(ClientState& input) {
  groups_.request(std::move(input), *effects_);
}

void Node::Impl::on(HistorySynced& input) {
  groups_.synced(input);
}

void Node::Impl::on(HistoryTold& input) {
  groups_.told(std::move(input));
}

void Node::Impl::on(EraPromised& input) {
  groups_.promised(input);
}

void Node::Impl::on(HistoryTaken& input) {
  groups_.taken(input, *effects_);
}

void Node::Impl::on(ClientRead& input) {
  groups_.transfers().read(input.client, *effects_);
}

void Node::Impl::on(ClientHold& input) {
  if (!config_.self.witness) {
    groups_.request(input);
  }
}

void Node::Impl::on(ClientGone& input) {
  groups_.client_gone(input.client, *effects_);
}

void Node::Impl::on(AdminJoin& input) {
  const Waiting who{input.client, input.request};
  if (const auto view = current_view()) {
    refuse(who, "already_member", "this daemon is in view " + view->summary());
    return;
  }
  if (joining_) {
    refuse(who, "busy", "a join is already under way");
    return;
  }
  joining_ = who;
  membership_.join(now_);
}

void Node::Impl::on(AdminLeave& input) {
  if (input.client != 0) {
    leaving_.push_back({input.client, input.request});
  }
  if (!drain_) {
    drain_ = true;
    drain_until_ = now_ + config_.limits.linger;
    check_drained();
  }
}

void Node::Impl::on(AdminEvict& input) {
  const Waiting who{input.client, input.request};
  if (refused_by_witness(who)) {
    return;
  }
  if (!is_member()) {
    refuse(who, "not_member", "this daemon is in no view");
    return;
  }
  const auto members = membership_.view()->everybody();
  const auto meant = [&](const Member& member) {
    return (input.node != 0 && member.pid.node == input.node) || (!input.name.empty() && member.name == input.name);
  };
  const auto found = std::find_if(members.begin(), members.end(), meant);
  if (found == members.end()) {
    refuse(who, "no_such_member",
           "no member " + (input.name.empty() ? std::to_string(input.node) : input.name) + " in view " +
               membership_.view()->summary());
    return;
  }
  if (std::count_if(found, members.end(), meant) > 1) {
    refuse(who, "bad_request",
           "'" + input.name + "' is the node id of one member and the name of another: give a node id that is no name");
    return;
  }
  if (found->pid == config_.self.pid && membership_.view()->members.size() == 1) {
    refuse(who, "last_member", "nobody would be left in view " + membership_.view()->summary());
    return;
  }
  const Pid member = found->pid;
  evictions_.push_back({member, who});
  membership_.evict(member, input.why, now_);
}

void Node::Impl::on(AdminColdStart& input) {
  const Waiting who{input.client, input.request};
  if (refused_by_witness(who)) {
    return;
  }
  if (is_member()) {
    refuse(who, "already_member", "this daemon is in view " + membership_.view()->summary());
    return;
  }
  membership_.cold_start(now_);
  done(who);
}

void Node::Impl::done(const Waiting& who) {
  emit(RequestDone{who.client, who.request, nullptr});
}

void Node::Impl::refuse(const Waiting& who, std::string_view code, std::string message) {
  emit(RequestRefused{who.client, who.request, code, std::move(message)});
}

// ---------------------------------------------------------------- state

ViewPtr Node::Impl::current_view() const {
  return is_member() ? membership_.view() : membership_.role() == Role::witness ? membership_.decided() : nullptr;
}

Hello Node::Impl::hello() const {
  Hello hello;
  hello.uuid = membership_.uuid();
  hello.pid = config_.self.pid;
  hello.vote_epoch = config_.self.vote_epoch;
  hello.name = config_.self.name;
  hello.address = config_.self.address;
  hello.role = membership_.role();
  hello.decided = membership_.decided() ? membership_.decided()->id() : 0;
  hello.config_hash = config_.config_hash;
  hello.witness = config_.self.witness;
  return hello;
}

Heartbeat Node::Impl::own_heartbeat() const {
  Heartbeat heartbeat;
  heartbeat.pid = config_.self.pid;
  heartbeat.uuid = membership_.uuid();
  heartbeat.decided = membership_.decided() ? membership_.decided()->id() : 0;
  heartbeat.role = membership_.role();
  if (is_member()) {
    heartbeat.view = membership_.view()->id();
    heartbeat.delivered_totals = ordering_.delivered_totals();
    heartbeat.delivery_hash = ordering_.delivery_hash();
  } else if (heartbeat.role == Role::witness && (!membership_.promised() || mutant(Mutant::lease_by_witness))) {
    heartbeat.view = heartbeat.decided;  // F10
  }
  return heartbeat;
}

NodeStatus Node::Impl::status(Time now) const {
  NodeStatus status;
  status.self = config_.self;
  status.uuid = membership_.uuid();
  status.role = membership_.role();
  status.decided = membership_.decided() ? membership_.decided()->id() : 0;
  status.has_quorum = has_quorum_;
  status.groups = groups_.views();
  for (const auto& group : status.groups) {
    if (const Time until = groups_.leases().until(group->group); until > now) {
      status.leases[group->group] = until;
    }
    if (auto wait = groups_.state_wait(group->group); wait.what != Awaited::nobody) {
      status.state_waits[group->group] = std::move(wait);
    }
  }
  status.send_queue = groups_.queued();
  status.health = detector_.health();
  status.counters = counters_;
  status.counters.trimmed = ordering_.trimmed();
  status.counters.suspicions = detector_.suspicions();
  status.counters.refuted = detector_.refuted();
  status.view = current_view();
  if (!status.view) {
    return status;
  }
  const auto& view = *status.view;
  status.tolerates = tolerated_failures(view);
  for (Rank r = 0; r < view.members.size(); ++r) {
    status.members.push_back(member_status(view.members[r], r, now));
  }
  for (const auto& witness : view.witnesses) {
    status.witnesses.push_back(member_status(witness, 0, now));
  }
  if (!is_member()) {
    return status;
  }
  status.clock = ordering_.clock();
  status.unstable_bytes = ordering_.unstable_bytes();
  if (const auto blocker = ordering_.blocker()) {
    status.blocker = view.members[*blocker].name;
  }
  if (membership_.role() == Role::member && now >= leads_from_) {
    status.leader_lease = contact_.since(config_.self, now).value_or(Time{}) + config_.limits.lease;
    status.leader_lease = status.leader_lease > now ? status.leader_lease : Time{};
  }
  for (auto& member : status.members) {
    member.received = ordering_.held()[member.rank];
    member.stable = ordering_.stable(member.rank);
  }
  return status;
}

MemberStatus Node::Impl::member_status(const Member& member, Rank rank, Time now) const {
  MemberStatus status{member, rank, member.pid == config_.self.pid};
  status.linked = status.self || detector_.linked(member.pid);
  status.suspicion = detector_.suspicion(member.pid);
  status.heartbeat_age = status.self ? Duration{} : detector_.silence(member.pid, now);
  status.round_trip = detector_.round_trip(member.pid);
  return status;
}

}  // namespace vsync::core
