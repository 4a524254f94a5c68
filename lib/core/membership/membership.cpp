#include "core/membership/membership.h"

#include <algorithm>
#include <utility>

#include "core/model/mutant.h"

namespace vsync::core {

Membership::Membership(const Config& config, MembershipHost& host)
    : config_(config), host_(host), rng_(config.seed), acceptor_(config.restored, config.limits.kept_views) {}

// ---------------------------------------------------------------- inputs

void Membership::start(Time now) {
  now_ = now;
  repeat_at_ = now;
  trace(trace::Start{uuid(), config_.self.vote_epoch});
  if (acceptor_.decided()) {
    become_joining();  // I2: a restarted daemon comes back as a joiner, whatever it was
  } else if (config_.bootstrap && !config_.amnesiac) {
    found();
  } else if (config_.join || config_.found_if_alone) {
    become_joining();
  }
  update_links();
  consider();
}

bool Membership::frame(const Pid& from, const Frame& frame, Time now) {
  now_ = now;
  const bool mine = std::visit(
      [&](const auto& body) {
        if constexpr (requires { this->on(from, body); }) {
          this->on(from, body);
          return true;
        } else {
          return false;
        }
      },
      frame);
  if (mine) {
    consider();
  }
  return mine;
}

void Membership::persisted(std::uint64_t token, Time now) {
  now_ = now;
  durable_token_ = std::max(durable_token_, token);
  const auto first_waiting =
      std::find_if(delayed_.begin(), delayed_.end(), [&](const Delayed& d) { return d.token > durable_token_; });
  std::vector<Delayed> ready(std::make_move_iterator(delayed_.begin()), std::make_move_iterator(first_waiting));
  delayed_.erase(delayed_.begin(), first_waiting);
  for (const auto& delayed : ready) {
    release(delayed);
  }
  consider();
}

void Membership::link_opened(const Hello& peer, Time now) {
  now_ = now;
  peers_[peer.pid] = Peer{peer, peer.role, peer.decided};
  // A peer that was left behind learns what became of its view (section 11, "on contact the higher decided id wins").
  const bool in_view = peer.role == Role::member || peer.role == Role::wedged || peer.role == Role::witness;
  if (in_view && peer.decided < acceptor_.decided_id() && peer.uuid == uuid()) {
    tell(peer.pid, peer.decided);
  }
  if (std::holds_alternative<Joining>(phase_)) {
    std::get<Joining>(phase_).ask_at = std::min(std::get<Joining>(phase_).ask_at, now);
    ask_to_join();
    check_ready();
  } else {
    send_ready();
  }
  if ((holder() || witnessing()) && peer.decided > acceptor_.decided_id()) {
    send(peer.pid, ViewRequest{acceptor_.decided_id()});
  }
  repeat_at_ = std::min(repeat_at_, now + config_.limits.rto);
  consider();
}

void Membership::link_closed(const Pid& peer, Time now) {
  now_ = now;
  peers_.erase(peer);
  if (const auto joiner = causes_.joiners.find(peer); joiner != causes_.joiners.end()) {
    joiner->second.ready = false;  // not forgotten yet: another daemon under its pid may have taken the link (I3)
  }
  early_joins_.erase(peer);
  member_lost(peer);
  consider();
}

void Membership::peer_state(const Pid& peer, Role role, ViewId decided, Time now) {
  now_ = now;
  const auto it = peers_.find(peer);
  if (it == peers_.end()) {
    return;
  }
  it->second.role = role;
  it->second.decided = decided;
  if (decided > acceptor_.decided_id()) {
    if (now - last_view_request_ >= config_.limits.rto) {
      last_view_request_ = now;
      send(peer, ViewRequest{acceptor_.decided_id()});
    }
  } else if (decided < acceptor_.decided_id() && (role == Role::member || role == Role::wedged || role == Role::witness) &&
             view_ && !view_->names(peer)) {
    tell(peer, decided);  // it was paused while we went on
  }
}

void Membership::suspicion(const Pid& peer, Evidence evidence, Duration silence, Time now) {
  now_ = now;
  const bool concerns_view = view_ && view_->names(peer);
  if (concerns_view && evidence == Evidence::link && !view_->contains(peer)) {
    evidence = Evidence::none;  // B4: a witness has no streams, so an edge to it is no reason to change the view
  }
  if (concerns_view || evidence == Evidence::none) {
    causes_.own(peer, evidence, silence, now);
  }
  if (concerns_view && holder()) {
    report(peer, evidence, silence);
    if (evidence >= Evidence::firm) {
      member_lost(peer);
    }
  }
  consider();
}

void Membership::seeds_tried(Time now) {
  now_ = now;
  seeds_tried_ = true;
  consider();
}

void Membership::join(Time now) {
  now_ = now;
  if (std::holds_alternative<Out>(phase_)) {
    become_joining();
    update_links();
  }
}

void Membership::leave(Time now) {
  now_ = now;
  if (leaving_ || std::holds_alternative<Lingering>(phase_)) {
    return;
  }
  if (std::holds_alternative<Out>(phase_) || std::holds_alternative<Joining>(phase_)) {
    phase_ = Out{};
    host_.finished(acceptor_.decided_id());
    return;
  }
  leaving_ = true;
  leave_by_ = now + config_.limits.linger;
  report_causes();
  consider();
}

void Membership::cold_start(Time now) {
  now_ = now;
  operator_cold_start_ = true;
  consider();
}

void Membership::evict(const Pid& member, const std::string& why, Time now) {
  now_ = now;
  causes_.evictions[member] = why;
  report_causes();
  consider();
}

void Membership::tick(Time now) {
  now_ = now;
  if (leaving_ && now >= leave_by_ && !std::holds_alternative<Lingering>(phase_)) {
    // Nobody can decide the view without us: the others will count this as a crash.
    leaving_ = false;
    phase_ = Out{};
    host_.finished(acceptor_.decided_id());
    return;
  }
  if (auto* lingering = std::get_if<Lingering>(&phase_); lingering != nullptr && now >= lingering->until) {
    const ViewId id = lingering->view->id();
    phase_ = Out{};
    host_.finished(id);
    return;
  }
  check_task_deadline();
  check_fetch();
  if (auto* wedged = std::get_if<Wedged>(&phase_);
      wedged != nullptr && wedged->candidate != self() && now - wedged->since >= config_.limits.view_change_timeout()) {
    causes_.stuck(wedged->candidate, now);  // V14
    wedged->since = now;
  }
  if (now >= repeat_at_) {
    repeat_at_ = now + config_.limits.rto;
    repeat_task();
    repeat_announcement();
    report_causes();
    send_ready();
    if (std::holds_alternative<Joining>(phase_)) {
      ask_to_join();
      check_ready();
      ask_table();
    } else if (const auto* stuck = std::get_if<Wedged>(&phase_);
               stuck != nullptr && now - std::max(stuck->since, last_view_request_) >= config_.limits.suspect_after) {
      ask_around();
    }
  }
  consider();
}

Time Membership::next_deadline() const {
  if (std::holds_alternative<Out>(phase_)) {
    return kNever;
  }
  Time deadline = std::min(repeat_at_, leave_by_);
  const auto earlier = [&](Time at) { deadline = std::min(deadline, at); };
  if (const auto* wedged = std::get_if<Wedged>(&phase_)) {
    earlier(wedged->fetch_at);
  }
  if (const auto* lingering = std::get_if<Lingering>(&phase_)) {
    earlier(lingering->until);
  }
  for (const auto& [pid, joiner] : causes_.joiners) {
    if (joiner.ready && now_ < joiner.ready_since + config_.limits.join_batch) {
      earlier(joiner.ready_since + config_.limits.join_batch);
    }
  }
  if (now_ < campaign_at_) {
    earlier(campaign_at_);
  }
  std::visit(
      [&](const auto& task) {
        if constexpr (requires { task.until; }) {
          if (now_ < task.until) {
            earlier(task.until);
          }
        }
      },
      task_);
  return deadline;
}

// ---------------------------------------------------------------- state

Role Membership::role() const {
  static constexpr Role kRoles[] = {Role::out, Role::joining, Role::member, Role::wedged, Role::left, Role::witness};
  return kRoles[phase_.index()];
}

bool Membership::holder() const {
  return std::holds_alternative<Active>(phase_) || std::holds_alternative<Wedged>(phase_);
}

Uuid Membership::uuid() const {
  return acceptor_.decided() ? acceptor_.decided()->uuid : config_.uuid;
}

VoterSet Membership::voters_at_hand() const {
  VoterSet voters{{self().node, config_.self.vote_epoch}};
  for (const auto& [pid, peer] : peers_) {
    voters.insert({pid.node, peer.hello.vote_epoch});
  }
  return voters;
}

// ---------------------------------------------------------------- phases

void Membership::become_joining() {
  Joining joining;
  joining.since = now_;
  joining.ask_at = now_;
  phase_ = std::move(joining);
  view_ = nullptr;
}

void Membership::become_active(ViewPtr view, const ViewPtr& base) {
  phase_ = Active{};
  task_ = {};
  view_ = view;
  campaign_at_ = now_;
  seen_round_ = 0;
  installed_before_us_.clear();
  causes_.installed(*view);
  host_.install(view, base);
  // Everybody who may still repeat INSTALL to us, or waits for it before it goes, learns that it is done (V9, J8).
  std::set<Pid> told;
  for (const auto& member : view->members) {
    told.insert(member.pid);
  }
  for (const auto& departure : view->left) {
    told.insert(departure.pid);
  }
  for (const auto& pid : told) {
    send_durably(pid, Installed{view->id(), host_.table_hash()});  // J8: who goes may take its record of the decision along
  }
  update_links();  // after that: a leaver is not linked to us any more
  for (const auto& [pid, early] : std::exchange(early_joins_, {})) {
    on(pid, early);
  }
  if (deferred_prepare_) {
    const auto [from, prepare] = std::move(*deferred_prepare_);
    deferred_prepare_.reset();
    on(from, prepare);
  }
}

void Membership::become_witness(const ViewPtr& view) {
  phase_ = Witnessing{};
  task_ = {};
  installed_before_us_.clear();
  early_joins_.clear();  // they are repeated, and then passed on
  host_.witness(view);
  update_links();
}

void Membership::become_lingering(const ViewPtr& view) {
  phase_ = Lingering{view, now_ + config_.limits.linger, std::exchange(installed_before_us_, {})};
  task_ = {};
  leaving_ = false;
  leave_by_ = kNever;
  host_.left(*view);
  check_lingering();
}

// ---------------------------------------------------------------- sending

void Membership::send(const Pid& to, Frame frame) {
  host_.send(to, std::make_shared<const Frame>(std::move(frame)));
}

void Membership::send(const Pid& to, const FramePtr& frame) {
  host_.send(to, frame);
}

void Membership::send_durably(const Pid& to, Frame frame) {
  when_durable({0, to, std::make_shared<const Frame>(std::move(frame)), std::nullopt});
}

/// A promise that no disk has yet is none: it may be forgotten, and nobody has heard of it.
void Membership::trace_durably(trace::Event step) {
  when_durable({0, {}, nullptr, std::move(step)});
}

/// P3. A decision is durable already: as accepted by a quorum. So INSTALL does not wait for our own record of it, and a daemon
/// that forgets it learns it again. Only a founder's view is accepted by nobody else.
void Membership::announce(const std::set<Pid>& targets, const ViewPtr& decided) {
  store_record();
  for (const auto& pid : targets) {
    if (decided->starts_empty()) {
      send_durably(pid, Install{decided});
    } else {
      send(pid, Install{decided});
    }
  }
}

void Membership::store_record() {
  if (record_changed_) {
    record_changed_ = false;
    host_.persist(++last_token_, acceptor_.record());
  }
}

void Membership::when_durable(Delayed delayed) {
  store_record();
  delayed.token = last_token_;
  if (last_token_ <= durable_token_ || mutant(Mutant::persist_barrier)) {
    release(delayed);
  } else {
    delayed_.push_back(std::move(delayed));
  }
}

void Membership::release(const Delayed& delayed) {
  if (delayed.frame) {
    host_.send(delayed.to, delayed.frame);
  } else {
    trace(*delayed.step);
  }
}

void Membership::trace(trace::Event event) {
  host_.emit(Trace{std::move(event)});
}

}  // namespace vsync::core
