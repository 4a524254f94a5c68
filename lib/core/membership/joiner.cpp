// Outside the view: founding, joining, the table, cold start; and how members treat those who ask to join (J1-J6, B1, B2).
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "core/membership/membership.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {
constexpr std::size_t kTablePiece = std::size_t{256} << 10U;
constexpr std::uint64_t kMaxTable = std::uint64_t{256} << 20U;
constexpr int kAskEvery = 4;  ///< times rto: repetition of JOIN and TABREQ
}  // namespace

// ---------------------------------------------------------------- B1: founding

void Membership::found() {
  VSYNC_ASSERT(self().node != 0, "a founder has a node id");
  become_joining();
  View view;
  view.uuid = {rng_.next(), rng_.next()};
  view.ref.epoch = 1;
  view.config_hash = config_.config_hash;
  view.policy = config_.quorum;
  view.members = {config_.self};
  view.voters = voters_of(nullptr, view.members, config_);
  view.tiebreak = self().node;
  if (config_.quorum == QuorumPolicy::fixed) {
    for (const auto& voter : config_.static_voters) {
      view.tiebreak = std::min(view.tiebreak, voter.node);
    }
  }
  view.joined = {self()};
  view.history = {{self().node, self().incarnation}};
  view.origins = {Origin{{}, Origin::kPrimary | Origin::kPartitionable, {self()}, {}}};
  learn(std::make_shared<const View>(std::move(view)));
}

/// The first line of the hosts file founds, but never beside a running cluster: every other host was asked first.
void Membership::consider_founding() {
  const bool cluster_seen =
      std::any_of(peers_.begin(), peers_.end(), [](const auto& entry) { return !entry.second.hello.uuid.none(); });
  if (config_.found_if_alone && !config_.self.witness && !config_.amnesiac && seeds_tried_ && !acceptor_.decided() &&
      !cluster_seen) {
    found();
  }
}

// ---------------------------------------------------------------- B2: cold start

bool Membership::holders_known() const {
  return std::any_of(peers_.begin(), peers_.end(), [&](const auto& entry) {
    return (entry.second.role == Role::member || entry.second.role == Role::wedged) &&
           entry.second.decided >= acceptor_.decided_id();
  });
}

/// Are enough voters of the last decided view here to go on without its state?
bool Membership::cold_start_due() const {
  const auto& last = *acceptor_.decided();
  const auto voters = voters_at_hand();
  // A voter that lost its disk never comes back with its vote: all nodes are back, and those with a vote are enough.
  const auto at_hand = [&](const Voter& voter) {
    return std::any_of(voters.begin(), voters.end(), [&](const auto& present) { return present.first == voter.node; });
  };
  const bool all = std::all_of(last.voters.begin(), last.voters.end(), at_hand);
  const bool waited = now_ - std::get<Joining>(phase_).since >= 5 * config_.limits.suspect_after;
  const bool enough = operator_cold_start_ || (config_.cold_start == ColdStart::quorum && waited);
  return quorum(last, voters) && ((config_.cold_start == ColdStart::wait_all && all) || enough);
}

/// Who may drive a cold start, as seen from here, most senior first. A node without its disk might use a ballot twice, and a
/// witness brings no member (B4).
std::vector<NodeId> Membership::cold_drivers() const {
  const auto& last = *acceptor_.decided();
  auto voters = voters_at_hand();
  for (const auto& [pid, peer] : peers_) {
    if (peer.hello.witness) {
      voters.erase({pid.node, peer.hello.vote_epoch});
    }
  }
  std::vector<NodeId> drivers;
  const auto add = [&](NodeId node, std::uint64_t vote_epoch) {
    if (voters.erase({node, vote_epoch}) > 0) {
      drivers.push_back(node);
    }
  };
  for (const auto& member : last.members) {
    add(member.pid.node, member.vote_epoch);
  }
  for (const auto& voter : last.voters) {
    add(voter.node, voter.vote_epoch);
  }
  return drivers;
}

/// Total failure: every daemon is outside, and the voters of the last decided view agree to go on without its state. The first
/// of cold_drivers() drives. It may lack a link that others have, so each of them gives those before it their time.
void Membership::consider_cold_start() {
  const auto& last = acceptor_.decided();
  if (!last || last->contains(self()) || config_.amnesiac || config_.self.witness || now_ < campaign_at_ || holders_known() ||
      !cold_start_due()) {
    cold_since_ = kNever;
    return;
  }
  cold_since_ = std::min(cold_since_, now_);
  const auto drivers = cold_drivers();
  const auto place = std::find(drivers.begin(), drivers.end(), self().node);
  if (place != drivers.end() && now_ - cold_since_ >= (place - drivers.begin()) * config_.limits.view_change_timeout()) {
    campaign(true);
  }
}

// ---------------------------------------------------------------- the joiner's side

void Membership::ask_to_join() {
  auto& joining = std::get<Joining>(phase_);
  if (joining.named || now_ < joining.ask_at) {
    return;
  }
  joining.ask_at = now_ + kAskEvery * config_.limits.rto;
  for (const auto& [pid, peer] : peers_) {
    send(pid, Join{config_.self, uuid(), config_.config_hash, 1});
    send(pid, ViewRequest{acceptor_.decided_id()});
  }
}

void Membership::on(const Pid&, const Reject& reject) {
  if (reject.joiner != self()) {
    send(reject.joiner, reject);  // we had forwarded its JOIN
    return;
  }
  const auto* joining = std::get_if<Joining>(&phase_);
  const bool stale = reject.reason == RejectReason::incarnation_used && reject.incarnation < self().incarnation;
  if (joining != nullptr && !joining->named && !stale) {
    host_.refused(reject.reason, reject.node, reject.incarnation);
  }
}

void Membership::on(const Pid& from, const Ready& ready) {
  auto* joining = std::get_if<Joining>(&phase_);
  if (joining != nullptr && !joining->named) {
    joining->intended = ready.members;
    joining->leader = from;
    joining->ready_view = ready.view;
    update_links();
    check_ready();
  }
}

void Membership::check_ready() {
  const auto& joining = std::get<Joining>(phase_);
  const auto linked = [&](const Member& member) { return host_.linked(member.pid); };
  if (!joining.named && !joining.intended.empty() && std::all_of(joining.intended.begin(), joining.intended.end(), linked)) {
    send(joining.leader, ReadyOk{joining.ready_view});
  }
}

void Membership::ask_table() {
  auto& joining = std::get<Joining>(phase_);
  if (!joining.named || now_ < joining.ask_at) {
    return;
  }
  if (!awaits_table()) {
    host_.excluded(nullptr, std::nullopt);  // whoever had the table is gone; only a new incarnation may come again (J3)
    return;
  }
  joining.ask_at = now_ + kAskEvery * config_.limits.rto;
  joining.table.clear();
  const auto& members = joining.named->members;
  for (std::size_t tried = 0; tried < members.size(); ++tried) {
    const auto& source = members[joining.source++ % members.size()].pid;  // most senior first
    if (source != self() && host_.linked(source)) {
      send(source, TableRequest{joining.named->id()});
      return;
    }
  }
}

void Membership::on(const Pid&, const Table& table) {
  auto* joining = std::get_if<Joining>(&phase_);
  if (joining == nullptr || !joining->named || table.view != joining->named->id() || table.offset != joining->table.size() ||
      table.total > kMaxTable || table.offset + table.bytes.size() > table.total) {
    return;
  }
  joining->table.append(table.bytes.view());
  joining->since = now_;
  joining->ask_at = now_ + kAskEvery * config_.limits.rto;  // it flows: do not ask another one yet
  if (joining->table.size() < table.total) {
    return;
  }
  const auto bytes = std::exchange(joining->table, {});
  if (host_.load_table(bytes) && host_.table_hash() == table.hash) {
    become_active(joining->named, nullptr);
  } else {
    joining->ask_at = now_;
  }
}

// ---------------------------------------------------------------- the members' side

void Membership::on(const Pid& from, const Join& join) {
  if (!holder()) {
    const bool first_hand = from == join.joiner.pid;
    if (first_hand && witnessing()) {
      send(acceptor_.decided()->leader(), join);  // J1
    } else if (first_hand) {                      // so there are no more than links
      early_joins_.insert_or_assign(from, join);  // all start at once: the founder is asked before it has founded
    }
    return;
  }
  if (const auto refusal = identity_refused(join.joiner)) {
    send(from, *refusal);  // whoever knows says so: the candidate may be what this joiner was before it lost its disk
    return;
  }
  if (candidate() != self()) {
    if (from == join.joiner.pid) {
      send(candidate(), join);  // J1
    }
    return;
  }
  if (const auto refusal = admission_refused(join)) {
    send(from, *refusal);
    return;
  }
  const auto& pid = join.joiner.pid;
  if (const auto* other = namesake(join.joiner); other != nullptr) {
    const bool alive =
        other->pid == self() || (host_.linked(other->pid) && host_.silence(other->pid) < config_.limits.suspect_after / 2);
    if (alive) {
      send(from, Reject{pid, RejectReason::name_in_use, other->pid.node, 0});
    }
    return;  // else it waits until the other one is out
  }
  if (view_->names(pid)) {
    send(from, Install{view_});  // it was admitted and has not heard of it
    return;
  }
  if (const auto known = causes_.joiners.find(pid);
      known != causes_.joiners.end() && known->second.met && known->second.member.vote_epoch != join.joiner.vote_epoch) {
    // I3: two leaders in a row gave one id to two daemons. They take each other's links away, so one takes another incarnation.
    if (from == pid) {
      send(from, Reject{pid, RejectReason::incarnation_used, 0, pid.incarnation});
    }
    return;
  }
  std::erase_if(causes_.joiners, [&](const auto& entry) { return entry.first.node == pid.node && entry.first < pid; });
  make_room_for(pid);
  auto& joiner = causes_.joiners[pid];
  joiner.member = join.joiner;
  joiner.asked = now_;
  joiner.met = joiner.met || from == pid;
  const auto* old = view_->named_node(pid.node);
  if (old != nullptr && (old->vote_epoch == join.joiner.vote_epoch || !host_.linked(old->pid))) {
    const auto own = causes_.own().find(old->pid);
    if (own == causes_.own().end() || own->second.evidence != Evidence::hard) {
      trace(trace::Suspected{old->pid, Evidence::hard, {}, "its node asks to join anew", old->pid == view_->leader()});
    }
    causes_.own(old->pid, Evidence::hard, {}, now_);  // J2
  }
  update_links();
  send_ready();
}

/// Who is linked is real. Others were only spoken of, by members that pass on what they were told: the one that was not spoken of
/// for the longest time makes room.
void Membership::make_room_for(const Pid& joiner) {
  std::vector<std::pair<Time, Pid>> hearsay;
  for (const auto& [pid, known] : causes_.joiners) {
    if (!linked(known)) {
      hearsay.emplace_back(known.asked, pid);
    }
  }
  if (hearsay.size() >= config_.limits.max_members && !causes_.joiners.contains(joiner)) {
    causes_.joiners.erase(std::min_element(hearsay.begin(), hearsay.end())->second);
  }
}

/// A name is unique in the cluster: people tell members apart by it. Who has this one, under another node id; null: nobody.
const Member* Membership::namesake(const Member& joiner) const {
  const auto same = [&](const Member& m) { return !m.name.empty() && m.name == joiner.name && m.pid.node != joiner.pid.node; };
  const auto member = std::find_if(view_->members.begin(), view_->members.end(), same);
  if (member != view_->members.end()) {
    return &*member;
  }
  const auto witness = std::find_if(view_->witnesses.begin(), view_->witnesses.end(), same);
  return witness != view_->witnesses.end() ? &*witness : nullptr;
}

/// J3, I3: what any member can tell a joiner. A member that asks again is no joiner, unless it is another process under the same
/// name (a new vote epoch): then the member stays if it is alive, and else the joiner comes again under a new incarnation.
std::optional<Reject> Membership::identity_refused(const Member& joiner) const {
  const auto* present = view_->named_node(joiner.pid.node);
  const bool other = present != nullptr && present->vote_epoch != joiner.vote_epoch;
  if (other && present->pid != joiner.pid && host_.linked(present->pid) &&
      host_.silence(present->pid) < config_.limits.suspect_after / 2) {
    return Reject{joiner.pid, RejectReason::node_in_use, 0, 0};
  }
  const bool same = present != nullptr && present->pid == joiner.pid && !other;
  const auto used = view_->history.find(joiner.pid.node);
  if (same || used == view_->history.end() || used->second < joiner.pid.incarnation || mutant(Mutant::join_no_history)) {
    return std::nullopt;
  }
  return Reject{joiner.pid, RejectReason::incarnation_used, 0, used->second};
}

/// An id above all that were ever used, configured or given to somebody who has not come back with it yet.
Reject Membership::assign_id(const Pid& joiner) {
  std::erase_if(assigned_, [&](const auto& given) { return view_->history.contains(given.second); });
  if (assigned_.size() >= config_.limits.max_members && !assigned_.contains(joiner.incarnation)) {
    // Who was given the lowest one long ago does not seem to come back; if it does, the id is above all others still.
    assigned_.erase(
        std::min_element(assigned_.begin(), assigned_.end(), [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  auto& id = assigned_[joiner.incarnation];
  if (id == 0) {
    id = std::max(config_.highest_configured_node, view_->history.rbegin()->first) + 1;
    for (const auto& [incarnation, other] : assigned_) {
      id = incarnation == joiner.incarnation ? id : std::max(id, other + 1);
    }
  }
  return Reject{joiner, RejectReason::assign_id, id, 0};
}

std::optional<Reject> Membership::admission_refused(const Join& join) {
  const auto& joiner = join.joiner;
  const auto refuse = [&](RejectReason reason) { return Reject{joiner.pid, reason, 0, 0}; };
  if (!join.uuid.none() && join.uuid != uuid()) {
    return refuse(RejectReason::uuid);
  }
  if (join.config_hash != view_->config_hash) {
    return refuse(RejectReason::config);
  }
  if (join.proto < view_->proto) {
    return refuse(RejectReason::proto);
  }
  if (joiner.pid.node == 0) {
    return assign_id(joiner.pid);
  }
  if (view_->named_node(joiner.pid.node) == nullptr && view_->everybody().size() >= config_.limits.max_members) {
    return refuse(RejectReason::full);
  }
  return std::nullopt;
}

/// The daemon that asked, and not another one under its pid (I3).
bool Membership::linked(const Causes::Joiner& joiner) const {
  const auto peer = peers_.find(joiner.member.pid);
  return peer != peers_.end() && peer->second.hello.vote_epoch == joiner.member.vote_epoch && host_.linked(joiner.member.pid);
}

void Membership::send_ready() {
  const auto forgotten = [&](const auto& entry) { return now_ - entry.second.asked >= 5 * config_.limits.suspect_after; };
  if (std::erase_if(causes_.joiners, forgotten) > 0) {
    update_links();
  }
  if (!holder() || causes_.joiners.empty() || candidate() != self()) {
    return;
  }
  Ready ready{view_id(), {}};
  for (const auto& member : view_->members) {
    if (confirmed(member.pid) == Evidence::none) {
      ready.members.push_back(member);
    }
  }
  for (const auto& [pid, joiner] : causes_.joiners) {
    if (!joiner.ready && linked(joiner)) {
      send(pid, ready);
    }
  }
}

void Membership::on(const Pid& from, const ReadyOk& ok) {
  const auto joiner = causes_.joiners.find(from);
  if (holder() && ok.view == view_id() && joiner != causes_.joiners.end() && !joiner->second.ready && linked(joiner->second)) {
    joiner->second.ready = joiner->second.met = true;
    joiner->second.ready_since = now_;
  }
}

void Membership::on(const Pid& from, const TableRequest& request) {
  if (request.view < view_id()) {
    tell(from, request.view);
    return;
  }
  if (request.view > view_id()) {
    send(from, ViewRequest{acceptor_.decided_id()});  // it knows more than we do
    return;
  }
  const auto& bytes = host_.table();
  const auto whole = Slice::copy_of(bytes);
  std::size_t offset = 0;
  do {
    const auto size = std::min(kTablePiece, bytes.size() - offset);
    send(from, Table{view_id(), bytes.size(), offset, host_.table_hash(), whole.part(offset, size)});
    offset += size;
  } while (offset < bytes.size());
}

void Membership::update_links() {
  std::map<Pid, Member> wanted;
  const auto want = [&](const std::vector<Member>& members) {
    for (const auto& member : members) {
      wanted[member.pid] = member;
    }
  };
  if (acceptor_.decided()) {
    want(acceptor_.decided()->everybody());
  }
  if (view_) {
    want(view_->everybody());
  }
  const auto* joining = std::get_if<Joining>(&phase_);
  if (joining != nullptr) {
    want(joining->intended);
  }
  for (const auto& [pid, joiner] : causes_.joiners) {
    wanted[pid] = joiner.member;
  }
  wanted.erase(self());
  std::vector<Member> peers;
  for (auto& [pid, member] : wanted) {
    peers.push_back(std::move(member));
  }
  host_.want_links(std::move(peers), joining != nullptr);
}

}  // namespace vsync::core
