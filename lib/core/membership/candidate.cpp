// The daemon that drives a view change: causes and candidacy (V1, V2), one ballot from PREPARE to INSTALL (V3, V5-V9), duels
// (V13).
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/membership/membership.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {
/// Ballot rounds are 32 bits; nothing sane comes near (section 15).
constexpr std::uint32_t kMaxRound = 1U << 31U;
}  // namespace

// ---------------------------------------------------------------- V1: causes and candidate

bool Membership::cannot_lead(const Pid& peer) const {
  return causes_.suspected(peer) || (!host_.linked(peer) && causes_.unreached(peer, now_ - config_.limits.suspect_after));
}

Pid Membership::candidate() const {
  for (const auto& member : view_->members) {
    if (member.pid == self() || !cannot_lead(member.pid)) {
      return member.pid;
    }
  }
  return self();
}

Evidence Membership::confirmed(const Pid& member) const {
  return causes_.confirmed(member, view_->members.size(), host_.linked(member));
}

bool Membership::led_by_other() const {
  const auto* wedged = std::get_if<Wedged>(&phase_);
  return wedged != nullptr && wedged->candidate != self() && !cannot_lead(wedged->candidate);
}

bool Membership::cause_due() const {
  const auto everybody = view_->everybody();
  const auto gone = [&](const Member& m) { return m.pid != self() && confirmed(m.pid) != Evidence::none; };
  const auto batched = [&](const auto& entry) {
    return entry.second.ready && now_ >= entry.second.ready_since + config_.limits.join_batch && linked(entry.second) &&
           namesake(entry.second.member) == nullptr;
  };
  const auto edge = causes_.broken_edge_since();
  return std::holds_alternative<Wedged>(phase_) || leaving_ || !causes_.leaving.empty() || !causes_.evictions.empty() ||
         (edge && now_ - *edge >= config_.limits.suspect_after) || std::any_of(everybody.begin(), everybody.end(), gone) ||
         std::any_of(causes_.joiners.begin(), causes_.joiners.end(), batched);
}

/// The one place where a task begins: called after every input.
void Membership::consider() {
  if (std::holds_alternative<Joining>(phase_) && std::holds_alternative<std::monostate>(task_)) {
    consider_founding();
    consider_cold_start();
    return;
  }
  if (std::holds_alternative<Preparing>(task_)) {
    try_choose();
    return;
  }
  const bool idle = std::holds_alternative<std::monostate>(task_) && now_ >= campaign_at_;
  const bool caught_up = holder() && acceptor_.decided_id() == view_id();
  if (!idle || !caught_up || led_by_other() || candidate() != self() || !cause_due()) {
    return;
  }
  if (view_->rank_of(self()) == Rank{0}) {
    campaign();
  } else {
    start_prevote();
  }
}

void Membership::report(const Pid& suspect, Evidence evidence, Duration silence) {
  if (const Pid to = candidate(); to != self()) {
    send(to, Suspect{view_id(), suspect, evidence, host_.health(), silence});
  }
}

void Membership::report_causes() {
  if (witnessing() && leaving_) {
    for (const auto& member : acceptor_.decided()->members) {
      send(member.pid, Leave{acceptor_.decided_id(), false});  // it does not know whom they take for the candidate
    }
  }
  if (!holder() || candidate() == self()) {
    return;
  }
  for (const auto& [peer, suspicion] : causes_.own()) {
    report(peer, suspicion.evidence, suspicion.silence);
  }
  if (leaving_) {
    send(candidate(), Leave{view_id(), false});
  }
  for (const auto& [member, why] : causes_.evictions) {
    send(candidate(), EvictRequest{view_id(), member, why});
  }
}

void Membership::on(const Pid& from, const Suspect& suspect) {
  if (holder() && suspect.view == view_id() && view_->contains(from) && view_->names(suspect.suspect) &&
      suspect.suspect != self()) {
    causes_.reported(from, suspect, now_);
  }
}

void Membership::on(const Pid& from, const Leave& leave) {
  if (!holder() || leave.view != view_id() || !view_->names(from)) {
    return;
  }
  if (!leave.everyone) {
    causes_.leaving.insert(from);
  } else if (leaving_ && std::holds_alternative<Wedged>(phase_)) {
    phase_ = Out{};
    host_.finished(view_id());
  }
}

void Membership::on(const Pid& from, const EvictRequest& request) {
  if (holder() && request.view == view_id() && view_->contains(from) && view_->names(request.member)) {
    causes_.evictions[request.member] = request.why;
  }
}

// ---------------------------------------------------------------- V2: pre-vote

void Membership::start_prevote() {
  task_ = PreVoting{now_ + config_.limits.flush_timeout, {self()}};
  repeat_task();
  on(self(), PreVoteReply{view_id(), true});
}

void Membership::on(const Pid& from, const PreVoteReply& reply) {
  auto* task = std::get_if<PreVoting>(&task_);
  if (task == nullptr || reply.view != view_id() || !reply.yes || !view_->contains(from)) {
    return;
  }
  task->yes.insert(from);
  const auto unsuspected = static_cast<std::size_t>(std::count_if(
      view_->members.begin(), view_->members.end(), [&](const Member& m) { return m.pid == self() || !cannot_lead(m.pid); }));
  if (2 * task->yes.size() > unsuspected) {
    campaign();
  }
}

// ---------------------------------------------------------------- V3, V5: prepare and collect

std::set<Pid> Membership::acceptor_pids() const {
  std::set<Pid> pids;
  for (const auto& member : base()->members) {
    pids.insert(member.pid);
  }
  for (const auto& voter : base()->voters) {
    for (const auto& [pid, peer] : peers_) {
      if (pid.node == voter.node && peer.hello.vote_epoch == voter.vote_epoch) {
        pids.insert(pid);
      }
    }
  }
  pids.insert(self());
  return pids;
}

void Membership::campaign(bool cold) {
  const Ballot ballot{std::max(acceptor_.promised().round, seen_round_) + 1, self().node};
  if (ballot.round >= kMaxRound) {
    host_.emit(Fatal{"ballot rounds are exhausted"});
    return;
  }
  acceptor_.promise(ballot);
  record_changed_ = true;
  trace_durably(trace::Promised{base()->id(), ballot});
  host_.step_taken("ballot", 1);
  task_ = Preparing{ballot, now_, now_ + config_.limits.flush_timeout, {}, cold};
  repeat_at_ = std::min(repeat_at_, now_ + config_.limits.rto);
  for (const auto& pid : acceptor_pids()) {
    send_durably(pid, Prepare{ballot, base()});  // to ourselves too: our own promise goes the same way
  }
}

void Membership::on(const Pid& from, const Promise& promise) {
  auto* task = std::get_if<Preparing>(&task_);
  const bool current =
      task != nullptr && promise.view == base()->id() && (promise.ballot == task->ballot || mutant(Mutant::mix_ballots));
  if (!current) {
    const auto* forwarding = std::get_if<Forwarding>(&task_);
    const auto* accepting = std::get_if<Accepting>(&task_);
    if ((forwarding != nullptr && forwarding->ballot == promise.ballot && !forwarding->promises.contains(from)) ||
        (accepting != nullptr && accepting->ballot == promise.ballot && promise.held &&
         accepting->value->origin_of(from, promise.view) == nullptr)) {
      host_.step_taken("late_flush", 1);
    }
    return;
  }
  const bool sound = !promise.held || (base()->contains(from) && promise.held->size() == base()->members.size());
  if (sound) {
    task->promises.insert_or_assign(from, promise);
  }
}

void Membership::try_choose() {
  auto& task = std::get<Preparing>(task_);
  VoterSet answered;
  for (const auto& [pid, promise] : task.promises) {
    answered.insert({pid.node, promise.vote_epoch});
  }
  if (task.cold) {
    try_choose_cold(task, answered);
    return;
  }
  if (!quorum(*base(), answered)) {
    return;  // V5: blocked; PREPARE is repeated
  }
  // V5. Who is linked and heard is only slow, perhaps its disk: it gets nearly the time after which it would take us for stuck.
  const auto slow_until = task.since + config_.limits.view_change_timeout() * 3 / 4;
  const auto awaited = [&](const Member& m) {
    const bool gone = task.promises.contains(m.pid) || confirmed(m.pid) != Evidence::none || causes_.suspected(m.pid);
    const bool alive = host_.linked(m.pid) && host_.silence(m.pid) < config_.limits.suspect_after / 2;
    return !gone && now_ < (alive ? slow_until : task.until);
  };
  if (std::any_of(base()->members.begin(), base()->members.end(), awaited)) {
    return;
  }
  choose();
}

/// B2. wait_all waits for the promise of every vote that is here, as slow as its disk may be.
void Membership::try_choose_cold(const Preparing& task, const VoterSet& answered) {
  const auto at_hand = voters_at_hand();
  const auto voted = [&](const Voter& v) { return answered.contains({v.node, v.vote_epoch}); };
  const auto awaited = [&](const Voter& v) { return !voted(v) && at_hand.contains({v.node, v.vote_epoch}); };
  const auto& voters = base()->voters;
  const bool patient = config_.cold_start == ColdStart::wait_all && !operator_cold_start_;
  const bool complete = std::all_of(voters.begin(), voters.end(), voted) ||
                        (now_ >= task.until && !(patient && std::any_of(voters.begin(), voters.end(), awaited)));
  const bool holder_answered =
      std::any_of(task.promises.begin(), task.promises.end(), [](const auto& entry) { return entry.second.held.has_value(); });
  if (holder_answered && !mutant(Mutant::cold_anytime)) {
    abandon(config_.limits.view_change_timeout());  // B2 is only for views without a holder
  } else if (!cold_start_due()) {
    abandon(config_.limits.rto);  // somebody who is needed went again
  } else if (complete && quorum(*base(), answered)) {
    choose();
  }
}

void Membership::on(const Pid&, const Nack& nack) {
  const auto* preparing = std::get_if<Preparing>(&task_);
  const auto* accepting = std::get_if<Accepting>(&task_);
  const auto* mine = preparing != nullptr ? &preparing->ballot : accepting != nullptr ? &accepting->ballot : nullptr;
  if (mine == nullptr || nack.view != base()->id() || nack.promised <= *mine) {
    return;
  }
  seen_round_ = std::max(seen_round_, nack.promised.round);
  const auto rank = view_ ? view_->rank_of(self()).value_or(0) : 0;
  const auto spread = config_.limits.flush_timeout;
  abandon(rank * spread / 2 + Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(spread.count())))));
}

// ---------------------------------------------------------------- V6: choose

std::vector<Member> Membership::ready_joiners() const {
  std::vector<Member> joiners;
  for (const auto& [pid, joiner] : causes_.joiners) {
    if (joiner.ready && linked(joiner) && namesake(joiner.member) == nullptr) {
      joiners.push_back(joiner.member);
    }
  }
  return joiners;
}

ChooseInput Membership::choose_input(const Preparing& task) const {
  ChooseInput input{*base(), task.promises, {}, {}, {}, causes_.late, task.cold, config_};
  if (task.cold) {
    for (const auto& [pid, promise] : task.promises) {
      if (pid == self()) {
        input.joiners.push_back(config_.self);
      } else if (const auto peer = peers_.find(pid); peer != peers_.end()) {
        const auto& hello = peer->second.hello;
        input.joiners.push_back({pid, promise.vote_epoch, hello.name, hello.address, hello.witness});
      }
    }
    for (const auto& member : base()->everybody()) {
      if (base()->contains(member.pid) || !task.promises.contains(member.pid)) {  // a witness may have lived on
        input.causes[member.pid] = {member.pid, LeaveReason::crashed, Evidence::hard, self(), {}};
      }
    }
    return input;
  }
  input.joiners = ready_joiners();
  for (const auto& member : base()->everybody()) {
    if (const auto departure = causes_.departure(member.pid, base()->members.size(), host_.linked(member.pid), self())) {
      input.causes[member.pid] = *departure;
      if (departure->evidence >= Evidence::firm || departure->reason == LeaveReason::evicted) {
        input.doomed.insert(member.pid);
      }
    } else if (causes_.leaving.contains(member.pid) && !base()->contains(member.pid)) {
      input.causes[member.pid] = {member.pid, LeaveReason::left, Evidence::none, member.pid, {}};
    }
  }
  const auto goes_on = [&](const auto& entry) { return entry.second.held && !input.doomed.contains(entry.first); };
  if (std::none_of(task.promises.begin(), task.promises.end(), goes_on)) {
    input.doomed.erase(self());  // an eviction cannot remove the last one
    input.causes.erase(self());
  }
  return input;
}

void Membership::choose() {
  auto task = std::get<Preparing>(task_);
  auto choice = choose_successor(choose_input(task));
  if (choice.shutdown) {
    shut_down(task.promises);
  } else if (choice.adopted) {
    host_.step_taken("adopted", 1);
    start_accepting(std::move(choice.value), task.promises, task.ballot);
  } else if (choice.value && choice.plan.empty()) {
    start_accepting(std::move(choice.value), task.promises, task.ballot);
  } else if (choice.value) {
    start_forwarding(std::move(choice), std::move(task.promises), task.ballot);
  }
  // else: no holder answered (V6). Preparing goes on; more promises may come, or an operator's cold start.
}

/// J9: the last ones leave together; V stays decided and the next start is a cold one.
void Membership::shut_down(const std::map<Pid, Promise>& promises) {
  for (const auto& [pid, promise] : promises) {
    send(pid, Leave{view_id(), true});
  }
  task_ = {};
}

// ---------------------------------------------------------------- V7: forward

void Membership::start_forwarding(Choice choice, std::map<Pid, Promise> promises, const Ballot& ballot) {
  const auto& origin = choice.value->origins.front();
  Forwarding task;
  task.ballot = ballot;
  task.value = choice.value;
  task.plan = choice.plan;
  task.flush = std::make_shared<const Frame>(Flush{view_id(), ballot, origin.cut, choice.plan});
  Seq messages = 0;
  for (const auto& entry : choice.plan) {
    task.waiting.insert(view_->members[entry.receiver].pid);
    task.involved.insert(view_->members[entry.receiver].pid);
    task.involved.insert(view_->members[entry.holder].pid);
    messages += entry.hi - entry.lo + 1;
  }
  // flush_to grows with what is to be forwarded; a large flush must not be taken for a stuck one.
  task.until = now_ + config_.limits.flush_timeout + std::chrono::microseconds(10) * static_cast<std::int64_t>(messages);
  task.promises = std::move(promises);
  host_.step_taken("flush", 1);
  const auto flush = task.flush;
  task_ = std::move(task);
  for (const auto& survivor : origin.survivors) {
    send(survivor, flush);
  }
  if (mutant(Mutant::accept_early)) {
    const auto forwarding = std::get<Forwarding>(task_);
    start_accepting(forwarding.value, forwarding.promises, ballot);
  }
}

void Membership::on(const Pid& from, const HaveAll& have_all) {
  auto* task = std::get_if<Forwarding>(&task_);
  if (task == nullptr || have_all.view != view_id() || have_all.ballot != task->ballot) {
    return;
  }
  task->waiting.erase(from);
  if (task->waiting.empty()) {
    const auto done = std::move(*task);
    start_accepting(done.value, done.promises, done.ballot);
  }
}

void Membership::on(const Pid& from, const HolderLost& lost) {
  if (lost.view == view_id() && lost.holder < view_->members.size()) {
    const auto* task = std::get_if<Forwarding>(&task_);
    if (task != nullptr && task->ballot == lost.ballot) {
      causes_.late.insert({view_->members[lost.holder].pid, from});
      member_lost(view_->members[lost.holder].pid);
    }
  }
}

/// V7: a ballot whose forwarding lost a holder or receiver is given up for a higher one, which sees what arrived so far.
void Membership::member_lost(const Pid& peer) {
  auto* task = std::get_if<Forwarding>(&task_);
  if (task == nullptr || !task->involved.contains(peer)) {
    return;
  }
  host_.step_taken("holder_lost", 1);
  if (mutant(Mutant::holder_death_ignored)) {
    for (const auto& entry : task->plan) {
      if (view_->members[entry.holder].pid == peer) {
        task->waiting.erase(view_->members[entry.receiver].pid);
      }
    }
    task->waiting.erase(peer);
    on(peer, HaveAll{view_id(), task->ballot});
    return;
  }
  campaign();
}

// ---------------------------------------------------------------- V8, V9: accept and decide

void Membership::start_accepting(ViewPtr value, const std::map<Pid, Promise>& promises, const Ballot& ballot) {
  Accepting task{ballot, std::move(value), {}, {}, {}};
  for (const auto& [pid, promise] : promises) {
    task.promisers.insert(pid);
  }
  send_accept(task);
  task_ = std::move(task);
}

/// To voters under whatever incarnation they are here now: one that restarted votes again.
void Membership::send_accept(const Accepting& task) {
  auto targets = acceptor_pids();
  targets.insert(task.promisers.begin(), task.promisers.end());
  for (const auto& pid : targets) {
    if (!task.answered.contains(pid)) {
      send(pid, Accept{task.value->id() - 1, task.ballot, task.value});
    }
  }
}

void Membership::on(const Pid& from, const Accepted& accepted) {
  auto* task = std::get_if<Accepting>(&task_);
  if (task == nullptr || accepted.view != base()->id() || accepted.ballot != task->ballot) {
    return;
  }
  task->accepted.insert({from.node, accepted.vote_epoch});
  task->answered.insert(from);
  if (quorum(*base(), task->accepted)) {
    const auto done = std::move(*task);
    decide(done.value, done.ballot);
  }
}

void Membership::decide(const ViewPtr& value, const Ballot& ballot) {
  auto targets = acceptor_pids();
  Announcement announcement{value, {}, {}, 3};
  for (const auto& member : value->members) {
    targets.insert(member.pid);
    announcement.members.insert(member.pid);
  }
  for (const auto& witness : value->witnesses) {
    targets.insert(witness.pid);
  }
  for (const auto& pid : targets) {
    if (!value->contains(pid)) {
      announcement.others.insert(pid);
    }
  }
  announcement.members.erase(self());
  announcement.others.erase(self());
  announcement_ = std::move(announcement);
  task_ = {};
  acceptor_.decide(value);
  record_changed_ = true;
  trace(trace::Decided{value, ballot});
  announce(targets, value);  // to ourselves too
}

void Membership::on(const Pid& from, const Installed& installed) {
  if (announcement_ && announcement_->view->id() == installed.view) {
    announcement_->members.erase(from);
  }
  auto* lingering = std::get_if<Lingering>(&phase_);
  if (lingering != nullptr && lingering->view->id() == installed.view) {
    lingering->installed.insert(from);
    check_lingering();
  } else if (leaving_ && installed.view == (witnessing() ? acceptor_.decided_id() : view_id()) + 1) {
    installed_before_us_.insert(from);  // our own INSTALL is on its way to the disk
  }
}

/// J8: those who stay have installed, or enough of them; they answer whoever asks. Static voters may be a quorum only with nodes
/// that are down, so all members are enough too.
void Membership::check_lingering() {
  const auto* lingering = std::get_if<Lingering>(&phase_);
  VoterSet voters;
  for (const auto& pid : lingering->installed) {
    if (const auto* member = lingering->view->find(pid)) {
      voters.insert({member->pid.node, member->vote_epoch});
    }
  }
  const bool all = std::all_of(lingering->view->members.begin(), lingering->view->members.end(),
                               [&](const Member& member) { return lingering->installed.contains(member.pid); });
  if (all || quorum(*lingering->view, voters)) {
    const ViewId id = lingering->view->id();
    phase_ = Out{};
    host_.finished(id);
  }
}

// ---------------------------------------------------------------- repetition and time-outs

void Membership::abandon(Duration pause) {
  task_ = {};
  campaign_at_ = now_ + pause;
}

void Membership::repeat_task() {
  if (auto* prevoting = std::get_if<PreVoting>(&task_)) {
    PreVote request{view_id(), {}};
    for (const auto& [peer, suspicion] : causes_.own()) {
      request.suspects.push_back(peer);
    }
    for (const auto& member : view_->members) {
      if (!prevoting->yes.contains(member.pid) && !causes_.suspected(member.pid)) {
        send(member.pid, request);
      }
    }
  } else if (const auto* preparing = std::get_if<Preparing>(&task_)) {
    for (const auto& pid : acceptor_pids()) {
      if (!preparing->promises.contains(pid) && pid != self()) {
        send_durably(pid, Prepare{preparing->ballot, base()});
      }
    }
  } else if (const auto* forwarding = std::get_if<Forwarding>(&task_)) {
    for (const auto& pid : forwarding->waiting) {
      send(pid, forwarding->flush);
    }
  } else if (const auto* accepting = std::get_if<Accepting>(&task_)) {
    send_accept(*accepting);
  }
}

void Membership::check_task_deadline() {
  if (const auto* prevoting = std::get_if<PreVoting>(&task_); prevoting != nullptr && now_ >= prevoting->until) {
    abandon(config_.limits.flush_timeout / 2 +
            Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(config_.limits.flush_timeout.count())))));
  } else if (const auto* forwarding = std::get_if<Forwarding>(&task_); forwarding != nullptr && now_ >= forwarding->until) {
    for (const auto& entry : forwarding->plan) {
      if (forwarding->waiting.contains(view_->members[entry.receiver].pid)) {
        causes_.late.insert({view_->members[entry.holder].pid, view_->members[entry.receiver].pid});
      }
    }
    campaign();  // V7: a higher ballot, without those who do not answer it
  }
}

void Membership::repeat_announcement() {
  if (!announcement_) {
    return;
  }
  if (announcement_->view->id() != acceptor_.decided_id()) {
    announcement_.reset();  // V15: its successor is announced now
    return;
  }
  for (const auto& pid : announcement_->members) {
    send(pid, Install{announcement_->view});
  }
  if (announcement_->repeats_left > 0) {
    --announcement_->repeats_left;
    for (const auto& pid : announcement_->others) {
      send(pid, Install{announcement_->view});
    }
  }
  if (announcement_->members.empty() && announcement_->repeats_left == 0) {
    announcement_.reset();
  }
}

}  // namespace vsync::core
