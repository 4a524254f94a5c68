// The frames of a view (R2, R9), what a turn of the loop ends with (R1-R5), and the watches over them (R8, R11, F10).
#include <algorithm>
#include <utility>

#include "core/model/mutant.h"
#include "core/node/disposition.h"
#include "core/node/node_impl.h"

namespace vsync::core {

namespace {
/// Runs bound in one turn travel together up to about this size.
constexpr std::size_t kDataBytes = std::size_t{256} << 10U;
/// R8: when a member that keeps the window full is told, if it is never evicted for that.
constexpr Duration kSlowNotice = std::chrono::seconds(1);
/// A member that claims to be wedged but wakes up again (mutant only).
constexpr Duration kUnwedge = std::chrono::milliseconds(20);

/// Planted faults of a wedged member need what a sound one ignores. Constant false without VSYNC_MUTANTS.
bool wedge_mutant() {
  return mutant(Mutant::ack_after_wedge) || mutant(Mutant::fifo_after_wedge) || mutant(Mutant::total_after_wedge) ||
         mutant(Mutant::send_while_wedged) || mutant(Mutant::unwedge);
}
}  // namespace

void Node::Impl::on(FrameReceived& input) {
  detector_.heard(input.from, now_, detected_);
  forward_detector_effects();
  switch (disposition(membership_.role(), input.frame.index())) {
    case Disposition::handle:
      if (!view_traffic(input.from, input.frame) && !state_traffic(input.from, input.frame)) {
        membership_.frame(input.from, input.frame, now_);
      }
      break;
    case Disposition::keep:
      early_link_ups_[input.from] = std::get<LinkUp>(input.frame);
      break;
    case Disposition::ignore:
      if (wedge_mutant() && membership_.role() == Role::wedged) {
        view_traffic(input.from, input.frame);
      }
      break;
    case Disposition::refuse:
      refuse_input(input.from, frame_name(input.frame), "not expected on an open link");
      break;
  }
}

/// The rank of a member that speaks of our view; nullopt: stale, early or foreign, and so ignored (R2).
std::optional<Rank> Node::Impl::sender_in_view(const Pid& from, ViewId view, const Frame& frame) {
  const auto& current = membership_.view();
  if (view > current->id()) {
    return std::nullopt;  // nobody sends us traffic of a view before our LINKUP of it
  }
  const auto rank = current->rank_of(from);
  if (view < current->id() && !mutant(Mutant::stale_view_data)) {
    return std::nullopt;
  }
  if (!rank) {
    refuse_input(from, frame_name(frame), "its sender is not in the view");
  }
  return rank;
}

/// True: it was DATA, ACK, AGG or LINKUP.
bool Node::Impl::view_traffic(const Pid& from, const Frame& frame) {
  const auto handle = [&](ViewId view, auto&& action) {
    if (const auto rank = sender_in_view(from, view, frame)) {
      action(*rank);
    }
    return true;
  };
  if (const auto* data = std::get_if<Data>(&frame)) {
    return handle(data->view, [&](Rank rank) { on_data(rank, from, *data); });
  }
  if (const auto* ack = std::get_if<Ack>(&frame)) {
    return handle(ack->view, [&](Rank rank) {
      ++counters_.acks_received;
      ordering_.acknowledge(rank, ack->counts);
    });
  }
  if (const auto* aggregate = std::get_if<AckAggregate>(&frame)) {
    return handle(aggregate->view, [&](Rank rank) {
      if (rank != 0) {
        refuse_input(from, frame_name(frame), "its sender is not the leader");
        return;
      }
      streams_.aggregate_came(now_);
      for (const auto& statement : aggregate->statements) {
        ordering_.acknowledge(statement.rank, statement.counts);
      }
    });
  }
  if (const auto* link_up = std::get_if<LinkUp>(&frame)) {
    if (link_up->view > membership_.view()->id()) {
      early_link_ups_[from] = *link_up;  // its sender was faster than we
      return true;
    }
    return handle(link_up->view, [&](Rank rank) { on_link_up(rank, from, *link_up); });
  }
  return false;
}

/// T1: beside the streams, and so also while the view is wedged. True: it was GSTATE or GSTATE_ACK.
bool Node::Impl::state_traffic(const Pid& from, const Frame& frame) {
  const auto* piece = std::get_if<StatePiece>(&frame);
  const auto* ack = std::get_if<StateAck>(&frame);
  if ((piece == nullptr && ack == nullptr) || !membership_.view()->contains(from)) {
    return piece != nullptr || ack != nullptr;
  }
  if (piece != nullptr) {
    groups_.transfers().received(from, *piece, *effects_);
  } else {
    groups_.transfers().received(from, *ack, *effects_);
  }
  return true;
}

void Node::Impl::on_data(Rank from, const Pid& pid, const Data& data) {
  for (const auto& run : data.runs) {
    auto accepted = run;
    if (mutant(Mutant::stale_view_data) && data.view < membership_.view()->id()) {
      auto forged = std::make_shared<Run>(*run);
      forged->first = ordering_.held()[from] + 1;
      accepted = forged;
    }
    switch (ordering_.receive(from, std::move(accepted))) {
      case Receipt::stored:
      case Receipt::duplicate:
        break;
      case Receipt::gap:  // R2: links are FIFO, so this one is not what it seems; resume on a new one
        emit(ResetLink{pid, "messages are missing"});
        return;
      case Receipt::refused:
        refuse_input(pid, "DATA", "a run is malformed");
        emit(ResetLink{pid, "malformed DATA"});
        return;
    }
  }
}

void Node::Impl::on_link_up(Rank from, const Pid& pid, const LinkUp& link_up) {
  if (ordering_.wedged() || link_up.view != membership_.view()->id() || pid == config_.self.pid) {
    return;
  }
  if (link_up.received > ordering_.held()[rank()]) {
    refuse_input(pid, "LINKUP", "it claims messages that were never sent");
    emit(ResetLink{pid, "a LINKUP that cannot be true"});
    return;
  }
  if (link_up.table_hash != table_hash_) {  // S2
    refuse_input(pid, "LINKUP", "its group table differs from ours");
    if (from == 0) {
      emit(Fatal{"the group table differs from the leader's in view " + std::to_string(link_up.view)});
      return;
    }
  }
  counters_.links_resumed += link_up.received > 0 ? 1 : 0;
  streams_.open(from, link_up.received, ordering_, *effects_);
}

void Node::Impl::send_link_up(const Pid& to) {
  const auto peer = membership_.view()->rank_of(to);
  if (peer && !ordering_.wedged()) {
    send(to, std::make_shared<const Frame>(LinkUp{membership_.view()->id(), ordering_.held()[*peer], table_hash_}));
  }
}

// ---------------------------------------------------------------- the end of a turn

/// R2, F2: everything readable was read. Send, deliver, acknowledge - once each, until nothing more moves.
void Node::Impl::on(EndOfTurn&) {
  if (!is_member()) {
    groups_.open_requests().end_of_turn(now_, *effects_);
    return;
  }
  if (mutant(Mutant::unwedge) && membership_.role() == Role::wedged && now_ < wedged_at_ + kUnwedge) {
    return;
  }
  bool moved = true;
  while (moved && !over_) {
    moved = bind_queued();
    moved = deliver_ready() || moved;
  }
  if (!over_) {
    streams_.send_acks(ordering_, *effects_);
    check_drained();
    renew_leases();
    tell_services();
  }
}

/// R1: takes from the clients' queues while the window is open.
bool Node::Impl::bind_queued() {
  if (ordering_.wedged() && !mutant(Mutant::send_while_wedged)) {
    return false;
  }
  const auto& view = *membership_.view();
  bool bound_any = false;
  std::vector<RunPtr> frame;
  std::size_t bytes = 0;
  while (groups_.ready()) {
    if (!ordering_.window_open()) {
      ++counters_.window_stalls;
      break;
    }
    const Counts delivered = config_.trace ? ordering_.delivered() : Counts{};
    auto bound = ordering_.bind(groups_.next(*effects_));
    groups_.bound(bound, view.id(), rank(), delivered, *effects_);
    bound_any = bound_any || !bound.empty();
    for (auto& run : bound) {
      bytes += run->body.size();
      counters_.sent[static_cast<std::size_t>(run->service)] += run->count;
      frame.push_back(std::move(run));
      if (bytes >= kDataBytes) {
        streams_.send_data(std::exchange(frame, {}), *effects_);
        bytes = 0;
      }
    }
  }
  streams_.send_data(std::move(frame), *effects_);
  return bound_any;
}

bool Node::Impl::deliver_ready() {
  deliveries_.clear();
  ordering_.deliver(deliveries_);
  hand_over(deliveries_, *membership_.view());
  groups_.stable(ordering_.settled(rank()), *effects_);
  return !deliveries_.empty();
}

void Node::Impl::hand_over(const std::vector<Delivery>& deliveries, const View& view) {
  for (const auto& delivery : deliveries) {
    counters_.delivered[static_cast<std::size_t>(delivery.run->service)] += delivery.run->count;
    groups_.deliver(view.members[delivery.sender].pid, delivery.run, *effects_);
  }
}

/// J7: leave when everything that was accepted is sent and safe; not later than `linger`.
void Node::Impl::check_drained() {
  if (!drain_ || membership_.leaving() || over_) {
    return;
  }
  const bool drained = !is_member() || (groups_.idle() && ordering_.settled(rank()) == ordering_.held()[rank()]);
  if (drained || now_ >= drain_until_) {
    drain_until_ = kNever;
    membership_.leave(now_);
  }
}

// ---------------------------------------------------------------- watches

/// R11: two daemons that delivered equally many totals in a view delivered the same ones.
void Node::Impl::check_divergence(const Heartbeat& heartbeat) {
  if (!is_member() || heartbeat.role == Role::witness || heartbeat.view != membership_.view()->id() ||
      heartbeat.delivered_totals != ordering_.delivered_totals() || heartbeat.delivery_hash == ordering_.delivery_hash()) {
    return;
  }
  refuse_input(heartbeat.pid, "HEARTBEAT", "its deliveries differ from ours");
  if (membership_.view()->leader() == heartbeat.pid) {
    emit(Fatal{"deliveries differ from the leader's in view " + std::to_string(heartbeat.view)});
  }
}

/// R8: one member alone keeps the window full.
void Node::Impl::check_slow_member() {
  const auto straggler = ordering_.window_open() ? std::nullopt : ordering_.straggler();
  if (straggler != straggler_) {
    acquit_straggler();
    straggler_ = straggler;
    straggler_since_ = now_;
    told_slow_ = false;
  }
  if (!straggler_) {
    return;
  }
  const auto limit = config_.limits.slow_member;
  const auto blocked = now_ - straggler_since_;
  if (!told_slow_ && blocked >= (limit > Duration{} ? limit / 2 : kSlowNotice)) {
    told_slow_ = true;
    emit(MemberSlow{membership_.view()->members[*straggler_].pid, blocked});
  }
  if (limit > Duration{} && blocked >= limit) {
    accused_ = membership_.view()->members[*straggler_].pid;
    membership_.suspicion(*accused_, Evidence::soft, blocked, now_);
  }
}

/// It is slow no more, or the window that it kept full is gone with its view: what the detector thinks of it counts again.
void Node::Impl::acquit_straggler() {
  if (const auto pid = std::exchange(accused_, std::nullopt)) {
    membership_.suspicion(*pid, detector_.suspicion(*pid), detector_.silence(*pid, now_), now_);
  }
}

/// F10: contact with enough voters to decide the next view, within the lease time.
void Node::Impl::check_quorum() {
  bool has = false;
  if (const auto view = current_view()) {
    VoterSet voters;
    const auto heard = detector_.heard_within_lease(now_);
    for (const auto& member : view->everybody()) {
      const bool here = std::find(heard.begin(), heard.end(), member.pid) != heard.end();
      if (here && detector_.suspicion(member.pid) < Evidence::firm) {
        voters.insert({member.pid.node, member.vote_epoch});
      }
    }
    for (const auto& [pid, hello] : links_) {
      if (!view->names(pid)) {
        voters.insert({pid.node, hello.vote_epoch});
      }
    }
    voters.insert({config_.self.pid.node, config_.self.vote_epoch});
    has = quorum(*view, voters);
  }
  if (has != has_quorum_) {
    has_quorum_ = has;
    emit(QuorumChanged{has});
    tell_wanted_links();
  }
}

/// F10: a member that is not wedged has promised our view away to nobody, so it had not when we sent the heartbeat it answers. A
/// witness is never wedged, and names the view only while that holds.
void Node::Impl::note_answer(const Heartbeat& heartbeat) {
  const bool backs = heartbeat.role == Role::member || heartbeat.role == Role::witness ||
                     (heartbeat.role == Role::wedged && mutant(Mutant::lease_by_wedged));
  if (!is_member() || !backs || heartbeat.view != membership_.view()->id()) {
    return;
  }
  if (const auto sent = detector_.sent_at(heartbeat.echo_counter)) {
    contact_.answered(heartbeat.pid, mutant(Mutant::lease_from_answer) ? now_ : *sent);
  }
}

void Node::Impl::renew_leases() {
  auto& leases = groups_.leases();
  leases.end_of_turn(now_, *effects_);
  if (membership_.role() != Role::member || !leases.due(now_)) {
    return;
  }
  leases.grant(contact_.since(config_.self, now_).value_or(now_ - config_.limits.lease), now_, *effects_);
}

/// G8, G9: what is told once a turn.
void Node::Impl::tell_services() {
  const auto& view = *membership_.view();
  groups_.stability().advance([&](const Pid& sender) {
    const auto rank = view.rank_of(sender);
    return rank ? ordering_.settled(*rank) : 0;
  });
  groups_.stability().tell(*effects_);
  groups_.open_requests().end_of_turn(now_, *effects_);
}

void Node::Impl::refuse_input(const Pid& peer, std::string_view frame, std::string_view why) {
  ++counters_.refused_frames;
  emit(InputRefused{peer, frame, why});
}

}  // namespace vsync::core
