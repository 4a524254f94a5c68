#include "core/detector/detector.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/model/mutant.h"

namespace vsync::core {

namespace {

constexpr std::size_t kAskAtMost = 3;
constexpr std::uint32_t kWorstHealth = 8;
constexpr Duration kAnswerWait = std::chrono::milliseconds(60);
constexpr Duration kFlapMemory = std::chrono::minutes(1);
constexpr Duration kCleanSecond = std::chrono::seconds(1);

std::string milliseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) + " ms";
}

}  // namespace

Detector::Detector(const Pid& self, const Limits& limits)
    : self_(self),
      heartbeat_(limits.heartbeat),
      suspect_after_(limits.suspect_after),
      link_grace_(limits.link_grace),
      link_flap_max_(limits.link_flap_max),
      quiet_after_(std::max(limits.suspect_after / 2, limits.heartbeat * 3 / 2)),
      answer_wait_(std::min<Duration>(kAnswerWait, limits.suspect_after / 4)) {}

void Detector::watch(const std::vector<Member>& members, Time now) {
  const bool idle = watched() == 0;
  Peers before = std::exchange(peers_, {});
  for (const Member& member : members) {
    if (member.pid == self_) {
      continue;
    }
    Peer& peer = peers_[member.pid];
    if (const auto known = before.find(member.pid); known != before.end()) {
      peer = std::move(known->second);
      before.erase(known);
    }
    if (!peer.watched) {
      peer.watched = true;
      peer.heard = peer.quiet_from = now;
      peer.unlinked = now;  // a member that has no link yet gets link_grace as well
    }
    peer.member = member;
  }
  for (auto& [pid, peer] : before) {
    if (peer.linked) {  // may be watched later: a joiner links to us before it is a member
      peer.watched = false;
      peer.verdict = peer.reported = Evidence::none;
      peer.query.reset();
      peers_.emplace(pid, std::move(peer));
    }
  }
  next_heartbeat_ = idle ? now : next_heartbeat_;
  wake_ = watched() == 0 ? kNever : now;  // old links may be evidence against new members
}

// ---------------------------------------------------------------- signs of life and of death

void Detector::heard(const Pid& pid, Time now, Effects& effects) {
  const auto found = peers_.find(pid);
  if (found == peers_.end()) {
    return;
  }
  Peer& peer = found->second;
  peer.heard = peer.quiet_from = now;
  if (!peer.query && peer.verdict == Evidence::none) {
    return;  // the usual case
  }
  if (peer.verdict == Evidence::soft && !isolated_) {
    ++refuted_;
    note_health(1, now);
  }
  peer.query.reset();
  peer.verdict = Evidence::none;
  report(peer, now, effects);
}

void Detector::on_datagram(const Datagram& datagram, Time now, Effects& effects) {
  std::visit([&](const auto& message) { this->on(message, now, effects); }, datagram);
}

void Detector::on(const Heartbeat& heartbeat, Time now, Effects& effects) {
  heard(heartbeat.pid, now, effects);
  const auto found = peers_.find(heartbeat.pid);
  if (found == peers_.end()) {
    return;
  }
  Peer& peer = found->second;
  if (heartbeat.counter > peer.counter) {
    peer.counter = heartbeat.counter;
    peer.counter_at = now;
  }
  const auto sent = sent_at(heartbeat.echo_counter);
  const Duration sample = sent ? now - *sent - heartbeat.echo_delay : Duration::zero();
  if (sample > Duration::zero()) {
    peer.round_trip = peer.round_trip == Duration::zero() ? sample : (7 * peer.round_trip + sample) / 8;
  }
}

void Detector::on(const PingRequest& request, Time now, Effects& effects) {
  heard(request.pid, now, effects);
  const Peer* asker = find(request.pid);
  if (asker == nullptr || !asker->watched) {
    return;  // F6: only members are answered
  }
  const Peer* target = find(request.target);
  PingReply reply{
      .pid = self_, .uuid = request.uuid, .target = request.target, .nonce = request.nonce, .heard = false, .age = {}};
  if (target != nullptr && target->watched && target->terminal == Evidence::none) {
    reply.heard = true;
    reply.age = now - target->heard;
  }
  effects.emplace_back(SendDatagram{asker->member, reply});
}

void Detector::on(const PingReply& reply, Time now, Effects& effects) {
  heard(reply.pid, now, effects);
  const auto found = peers_.find(reply.target);
  if (found == peers_.end() || !found->second.query || found->second.query->nonce != reply.nonce) {
    return;
  }
  Query& query = *found->second.query;
  if (std::erase(query.asked, reply.pid) == 0 || query.concluded) {
    return;
  }
  ++query.answers;
  query.heard |= reply.heard && reply.age < suspect_after_ / 2;
}

void Detector::link_opened(const Hello& hello, Time now, Effects& effects) {
  if (hello.pid == self_) {
    return;
  }
  heard(hello.pid, now, effects);
  Peer& peer = peers_[hello.pid];
  peer.member.pid = hello.pid;
  peer.member.vote_epoch = hello.vote_epoch;
  peer.linked = true;
  peer.heard = peer.quiet_from = now;
  if (peer.terminal == Evidence::firm) {
    peer.terminal = Evidence::none;
    ++refuted_;
  }
  report(peer, now, effects);
  for (auto at = peers_.lower_bound(Pid{hello.pid.node, 0, 0}); at != peers_.end() && at->first < hello.pid; ++at) {
    mark_replaced(at->second, peer.member.vote_epoch, now, effects);
  }
}

void Detector::link_closed(const Pid& pid, bool clean, Time now, Effects& effects) {
  const auto found = peers_.find(pid);
  if (found == peers_.end()) {
    return;
  }
  Peer& peer = found->second;
  if (!peer.watched) {
    peers_.erase(found);
    return;
  }
  peer.linked = false;
  peer.unlinked = now;
  peer.broke.push_back(now);
  if (peer.broke.size() > link_flap_max_ + 1) {
    peer.broke.pop_front();
  }
  wake_ = std::min(wake_, now + link_grace_);
  if (clean) {
    gone(pid, Evidence::firm, "said goodbye", now, effects);  // still a member, so no leave: its process is exiting
  }
}

void Detector::gone(const Pid& pid, Evidence evidence, const std::string& why, Time now, Effects& effects) {
  const auto found = peers_.find(pid);
  if (found == peers_.end()) {
    return;
  }
  Peer& peer = found->second;
  Evidence& fact = evidence >= Evidence::firm ? peer.terminal : peer.verdict;
  if (evidence > fact) {
    fact = evidence;
    peer.why = why;
  }
  report(peer, now, effects);
}

/// HARD: the node runs a higher incarnation, so this one is gone. With another vote epoch it is another installation that claims
/// the same node id (I3): that says something only about one that is not linked and silent, but then enough (FIRM), even if half
/// the members are silent (F5).
void Detector::mark_replaced(Peer& peer, std::uint64_t vote_epoch, Time now, Effects& effects) {
  if (!peer.watched || peer.terminal == Evidence::hard) {
    return;
  }
  if (peer.member.vote_epoch == vote_epoch) {
    gone(peer.member.pid, Evidence::hard, "its node runs a newer incarnation", now, effects);
  } else if (!peer.linked && now - peer.heard >= suspect_after_) {
    gone(peer.member.pid, Evidence::firm, "its node runs another installation", now, effects);
  }
}

// ---------------------------------------------------------------- time

void Detector::tick(const Heartbeat& own, Time now, Effects& effects) {
  if (now < wake_) {
    return;
  }
  note_lag(now);
  if (now >= next_heartbeat_) {
    send_heartbeats(own, now, effects);
  }
  note_isolation(now);
  for (auto& [pid, peer] : peers_) {
    if (peer.watched) {
      judge_silence(peer, own, now, effects);
    }
  }
  Time wake = next_heartbeat_;
  for (auto at = peers_.begin(); at != peers_.end(); ++at) {
    const auto higher = std::next(at);
    if (higher != peers_.end() && higher->first.node == at->first.node && higher->second.linked) {
      // Its HELLO may have come before the old incarnation was watched, or silent for long enough.
      mark_replaced(at->second, higher->second.member.vote_epoch, now, effects);
    }
    report(at->second, now, effects);
    wake = std::min(wake, next_event(at->second, now));
  }
  wake_ = wake;
}

Time Detector::next_deadline() const {
  return wake_;
}

/// F3: a judge that was away gives everybody the time that it was away.
void Detector::note_lag(Time now) {
  const Duration lag = now - wake_;
  if (lag > heartbeat_ / 2) {
    for (auto& [pid, peer] : peers_) {
      peer.quiet_from = std::min(now, peer.quiet_from + lag);
    }
    no_soft_until_ = now + std::max(lag, 2 * heartbeat_);
    note_health(1, now);
  }
  while (health_ > 0 && now - clean_since_ >= kCleanSecond) {
    --health_;
    clean_since_ += kCleanSecond;
  }
}

/// F5: who hears less than half of the members (itself included) suspects nobody by silence. Exactly half is enough to go on, for
/// Q1 lets the half with the tie-break node decide. A member counts as quiet at half of T_host already (but not before its next
/// heartbeat is due), because the members lost in one event reach their deadlines one after the other.
void Detector::note_isolation(Time now) {
  const bool isolated = 2 * quiet_members(now) > watched() + 1;
  if (isolated_ && !isolated) {
    for (auto& [pid, peer] : peers_) {  // the way to the others is just coming back: everybody gets a fresh deadline
      peer.quiet_from = now;
      peer.verdict = Evidence::none;
      peer.query.reset();
    }
  }
  isolated_ = isolated;
}

void Detector::note_health(std::uint32_t points, Time now) {
  health_ = std::min(health_ + points, kWorstHealth);
  clean_since_ = now;
}

void Detector::send_heartbeats(const Heartbeat& own, Time now, Effects& effects) {
  ++counter_;
  sent_at_[counter_ % sent_at_.size()] = now;
  for (const auto& [pid, peer] : peers_) {
    if (!peer.watched) {
      continue;
    }
    Heartbeat heartbeat = own;
    heartbeat.counter = counter_;
    heartbeat.health = health_;
    heartbeat.echo_counter = peer.counter;
    heartbeat.echo_delay = peer.counter == 0 ? Duration::zero() : now - peer.counter_at;
    effects.emplace_back(SendDatagram{peer.member, heartbeat});
  }
  next_heartbeat_ += heartbeat_;
  if (next_heartbeat_ <= now) {
    next_heartbeat_ = now + heartbeat_;
  }
}

/// F6: others are asked shortly before the deadline, so that the verdict falls at the deadline.
void Detector::judge_silence(Peer& peer, const Heartbeat& own, Time now, Effects& effects) {
  if (!peer.query) {
    if (now - peer.quiet_from >= limit() - answer_wait_) {
      ask(peer, own, now, effects);
    }
    return;
  }
  Query& query = *peer.query;
  if (query.concluded) {
    if (now >= query.due) {
      ask(peer, own, now, effects);
    }
    return;
  }
  if (now >= query.due) {
    if (!query.heard && now < no_soft_until_) {
      query.due = no_soft_until_;
    } else {
      conclude(peer, now);
    }
  }
}

void Detector::ask(Peer& peer, const Heartbeat& own, Time now, Effects& effects) {
  Query query{.nonce = ++nonce_, .due = now + answer_wait_, .concluded = false, .asked = {}, .answers = 0, .heard = false};
  // Members after the silent one in pid order are asked first, so that the questions about several members spread.
  auto next = peers_.upper_bound(peer.member.pid);
  for (std::size_t i = 0; i < peers_.size() && query.asked.size() < kAskAtMost; ++i, ++next) {
    if (next == peers_.end()) {
      next = peers_.begin();
    }
    const Peer& other = next->second;
    const bool useful = other.watched && other.terminal == Evidence::none && now - other.heard < suspect_after_ / 2;
    if (useful && next->first != peer.member.pid) {
      query.asked.push_back(next->first);
      effects.emplace_back(SendDatagram{
          other.member, PingRequest{.pid = self_, .uuid = own.uuid, .target = peer.member.pid, .nonce = query.nonce}});
    }
  }
  peer.query = std::move(query);
}

void Detector::conclude(Peer& peer, Time now) {
  Query& query = *peer.query;
  const auto missing = static_cast<std::uint32_t>(query.asked.size());
  peer.verdict = query.heard ? Evidence::link : Evidence::soft;
  if (peer.terminal == Evidence::none) {
    peer.why = "silent for " + milliseconds(now - peer.heard) +
               (query.heard ? ", but others hear it"
                            : ", " + std::to_string(query.answers) + " of " + std::to_string(query.answers + missing) +
                                  " others asked answered and do not hear it");
  }
  // F4: unanswered questions, and many members lost at once, look like trouble on our own side. The verdict stands (a question
  // lost together with the silent member must not hide it); our health goes with it and makes the next ones slower.
  const std::size_t quiet = quiet_members(now);
  const bool many = quiet >= 2 && 3 * quiet >= watched() && query.answers == 0;
  if (missing > 0 || many) {
    note_health(missing + (many ? 2 : 0), now);
  }
  query.concluded = true;
  query.due = now + suspect_after_ / 2;
}

/// When this peer's state may change without input.
Time Detector::next_event(const Peer& peer, Time now) const {
  if (!peer.watched) {
    return kNever;
  }
  Time at = peer.query ? peer.query->due : peer.quiet_from + limit() - answer_wait_;
  if (!peer.linked && peer.unlinked + link_grace_ > now) {
    at = std::min(at, peer.unlinked + link_grace_);
  }
  return at;
}

// ---------------------------------------------------------------- what is known

/// Class LINK: each break alone is nothing, for the connection comes back (R9); so many of them make no connection.
bool Detector::flapping(const Peer& peer, Time now) const {
  const bool often = peer.broke.size() > link_flap_max_ && now - peer.broke.front() < kFlapMemory;
  return link_flap_max_ > 0 && often && !mutant(Mutant::flaps_ignored);
}

Evidence Detector::evidence_of(const Peer& peer, Time now) const {
  Evidence evidence = std::max(peer.terminal, isolated_ ? Evidence::none : peer.verdict);
  if ((!peer.linked && now - peer.unlinked >= link_grace_) || flapping(peer, now)) {
    evidence = std::max(evidence, Evidence::link);
  }
  return evidence;
}

void Detector::report(Peer& peer, Time now, Effects& effects) {
  if (!peer.watched) {
    return;
  }
  const Evidence evidence = evidence_of(peer, now);
  if (evidence == peer.reported) {
    return;
  }
  suspicions_ += peer.reported == Evidence::none ? 1 : 0;
  peer.reported = evidence;
  const Evidence explained = std::max(peer.terminal, peer.verdict);
  std::string why = evidence == Evidence::none ? "heard again"
                    : explained == evidence    ? peer.why
                    : flapping(peer, now) ? "its connection broke " + std::to_string(peer.broke.size()) + " times in a minute"
                                          : "no connection to it";
  effects.emplace_back(SuspicionChanged{peer.member.pid, evidence, now - peer.heard, std::move(why)});
}

Duration Detector::limit() const {
  return suspect_after_ * (1 + health_);
}

const Detector::Peer* Detector::find(const Pid& pid) const {
  const auto found = peers_.find(pid);
  return found == peers_.end() ? nullptr : &found->second;
}

std::size_t Detector::watched() const {
  return static_cast<std::size_t>(std::ranges::count_if(peers_, [](const auto& entry) { return entry.second.watched; }));
}

std::size_t Detector::quiet_members(Time now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      peers_, [&](const auto& entry) { return entry.second.watched && now - entry.second.quiet_from > quiet_after_; }));
}

Evidence Detector::suspicion(const Pid& pid) const {
  const Peer* peer = find(pid);
  return peer == nullptr ? Evidence::none : peer->reported;
}

Duration Detector::silence(const Pid& pid, Time now) const {
  const Peer* peer = find(pid);
  return peer == nullptr ? Duration::zero() : now - peer->heard;
}

bool Detector::linked(const Pid& pid) const {
  const Peer* peer = find(pid);
  return pid == self_ || (peer != nullptr && peer->linked);
}

/// F6: who is silent here and heard by others is not reached from here, however long its TCP connection takes to notice.
bool Detector::reachable(const Pid& pid, Time now) const {
  const Peer* peer = find(pid);
  const bool cut_off = peer != nullptr && peer->verdict == Evidence::link;
  const bool unsteady = peer != nullptr && flapping(*peer, now);
  return !cut_off && !unsteady && (linked(pid) || (peer != nullptr && now - peer->unlinked < link_grace_));
}

Duration Detector::round_trip(const Pid& pid) const {
  const Peer* peer = find(pid);
  return peer == nullptr ? Duration::zero() : peer->round_trip;
}

std::uint32_t Detector::health() const {
  return health_;
}

std::vector<Pid> Detector::heard_within_lease(Time now) const {
  std::vector<Pid> pids{self_};
  for (const auto& [pid, peer] : peers_) {
    if (peer.watched && now - peer.heard < suspect_after_ * 7 / 10) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::optional<Time> Detector::sent_at(std::uint64_t counter) const {
  const bool known = counter != 0 && counter <= counter_ && counter_ - counter < sent_at_.size();
  return known ? std::optional(sent_at_[counter % sent_at_.size()]) : std::nullopt;
}

std::uint64_t Detector::suspicions() const {
  return suspicions_;
}

std::uint64_t Detector::refuted() const {
  return refuted_;
}

}  // namespace vsync::core
