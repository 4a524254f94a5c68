// What every node does as acceptor and learner: V4, V8, V10, V12, and the answers to those who were left behind.
#include <algorithm>
#include <utility>

#include "core/membership/membership.h"
#include "core/model/mutant.h"

namespace vsync::core {

void Membership::on(const Pid& from, const Prepare& prepare) {
  const ViewId v = prepare.view->id();
  if (acceptor_.decided_id() > v) {
    tell(from, v);  // V4a
    return;
  }
  if (acceptor_.decided_id() < v) {
    learn(prepare.view);  // V4b: a proposer runs only in a decided view
    if (acceptor_.decided_id() < v) {
      return;  // of another cluster
    }
  }
  if (*acceptor_.decided() != *prepare.view) {
    // M4: one id has one content. A promise to a view that is not ours would lend our vote to another history.
    host_.emit(InputRefused{from, "PREPARE", "its view is not the one that was decided here"});
    return;
  }
  if (behind(v)) {
    deferred_prepare_ = {from, prepare};  // answered right after the install, with H
    return;
  }
  if (prepare.ballot < acceptor_.promised()) {
    send(from, Nack{v, acceptor_.promised()});
    return;
  }
  const bool higher = acceptor_.promised() < prepare.ballot;
  if (higher) {
    acceptor_.promise(prepare.ballot);
    record_changed_ = true;
  }
  if (from != self()) {
    task_ = {};  // V13: the higher ballot goes on
    cold_since_ = kNever;
    if (higher) {
      causes_.drives(from);
    }
  }
  Promise promise{v, prepare.ballot, config_.self.vote_epoch, acceptor_.accepted(), std::nullopt, reach(), leaving_};
  if (mutant(Mutant::witness_silent) && config_.self.witness) {
    promise.accepted.reset();
  }
  if (holder()) {
    if (!mutant(Mutant::promise_no_wedge)) {
      wedge(from, prepare.ballot);
    }
    promise.held = host_.held();
  }
  if (higher) {
    trace_durably(trace::Promised{v, prepare.ballot});
  }
  send_durably(from, std::move(promise));
}

void Membership::on(const Pid& from, const Accept& accept) {
  if (acceptor_.decided_id() > accept.view) {
    tell(from, accept.view);
    return;
  }
  if (acceptor_.decided_id() < accept.view) {
    send(from, ViewRequest{acceptor_.decided_id()});
    return;
  }
  if (behind(accept.view)) {
    return;  // repeated until we have caught up
  }
  const bool again =
      acceptor_.accepted() && acceptor_.accepted()->ballot == accept.ballot && acceptor_.promised() == accept.ballot;
  if (!again) {
    if (!acceptor_.accept(accept.ballot, accept.value)) {
      send(from, Nack{accept.view, acceptor_.promised()});
      return;
    }
    record_changed_ = true;
    trace_durably(trace::ValueAccepted{accept.view, accept.ballot, accept.value});
  }
  if (holder()) {
    wedge(from, accept.ballot);
  }
  send_durably(from, Accepted{accept.view, accept.ballot, config_.self.vote_epoch});
}

void Membership::on(const Pid& from, const Install& install) {
  const auto& view = install.value;
  if (from == self()) {
    apply(view);
  } else if (view->id() > acceptor_.decided_id()) {
    learn(view);
  } else if (holder() && view->id() == view_id() + 1) {
    send(self(), Install{view});  // one of several that we had missed
  } else if (view_ && view->id() == view_id() && view->contains(from)) {
    send_durably(from, Installed{view->id(), host_.table_hash()});
  }
}

void Membership::on(const Pid&, const Evicted& evicted) {
  if (evicted.current->id() > acceptor_.decided_id() && !evicted.current->names(self())) {
    learn(evicted.current);
  }
}

void Membership::on(const Pid& from, const ViewRequest& request) {
  tell(from, request.from);
}

void Membership::on(const Pid& from, const PreVote& prevote) {
  if (prevote.view < acceptor_.decided_id()) {
    tell(from, prevote.view);
    return;
  }
  const auto rank = view_ ? view_->rank_of(from) : std::nullopt;
  if (!holder() || prevote.view != view_id() || !rank) {
    return;
  }
  const auto* wedged = std::get_if<Wedged>(&phase_);
  const bool stuck = wedged != nullptr && now_ - wedged->since >= config_.limits.view_change_timeout() / 2;
  const auto gone = [&](const Pid& pid) {
    return pid != self() &&
           (cannot_lead(pid) || host_.silence(pid) >= config_.limits.suspect_after / 2 || (stuck && pid == wedged->candidate));
  };
  const auto end = view_->members.begin() + *rank;
  const bool yes = std::all_of(view_->members.begin(), end, [&](const Member& m) { return gone(m.pid); });
  send(from, PreVoteReply{prevote.view, yes || mutant(Mutant::prevote_always)});
}

// ---------------------------------------------------------------- learning

void Membership::learn(const ViewPtr& view) {
  const bool foreign = !uuid().none() && view->uuid != uuid();  // I4: a link that is older than our own uuid may lead anywhere
  if (foreign || !acceptor_.decide(view)) {
    return;
  }
  record_changed_ = true;
  task_ = {};  // whatever we drove is decided
  seen_round_ = 0;
  trace(trace::Decided{view, {}});
  announce({self()}, view);
}

void Membership::apply(const ViewPtr& view) {
  if (config_.self.witness) {
    apply_as_witness(view);
  } else if (std::holds_alternative<Joining>(phase_)) {
    auto& joining = std::get<Joining>(phase_);
    const auto* me = view->find(self());
    if (me != nullptr && me->vote_epoch != config_.self.vote_epoch) {
      host_.refused(RejectReason::incarnation_used, 0, me->pid.incarnation);  // an earlier life, before the disk was lost
    } else if (me != nullptr) {
      joining.named = view;
      joining.since = now_;
      joining.table.clear();
      joining.source = 0;
      joining.ask_at = now_;
      update_links();
      if (view->starts_empty() || mutant(Mutant::joiner_no_table)) {
        become_active(view, nullptr);
      } else {
        ask_table();
      }
    } else {
      check_used(*view);
    }
  } else if (holder()) {
    if (view->id() == view_id() + 1) {
      apply_as_member(view);
    } else if (view->id() > view_id() + 1 && !view->contains(self())) {
      host_.excluded(nullptr, std::nullopt);  // V15: the way from our view to this one is not known any more
    }
  }
}

void Membership::apply_as_member(const ViewPtr& view) {
  const ViewPtr base = view_;
  const auto* origin = view->origin_of(self(), base->id());
  if (origin == nullptr) {
    const auto of_base =
        std::find_if(view->origins.begin(), view->origins.end(), [&](const Origin& o) { return o.base.epoch == base->id(); });
    // C3: nobody goes on into a cold view, so its cut says nothing about what others had delivered.
    const bool known = of_base != view->origins.end() && !view->cold;
    host_.excluded(view, known ? std::optional(of_base->cut) : std::nullopt);
    return;
  }
  host_.close_view(*base, origin->cut);
  if (!view->contains(self())) {
    become_lingering(view);
    return;
  }
  become_active(view, base);
}

/// B4. It learns every view as it comes, and needs none of those between.
void Membership::apply_as_witness(const ViewPtr& view) {
  const auto* me = view->find_witness(self());
  if (me != nullptr && me->vote_epoch == config_.self.vote_epoch) {
    become_witness(view);
  } else if (witnessing() && leaving_) {
    become_lingering(view);  // J8: it may be the only one that knows
  } else {
    check_used(*view);
  }
}

/// J3: an incarnation that was named once and is not any more is over. One below that is of a node that lost its disk: it needs
/// not climb step by step.
void Membership::check_used(const View& view) {
  const auto used = view.history.find(self().node);
  if (used == view.history.end() || used->second < self().incarnation) {
    return;
  }
  if (used->second > self().incarnation) {
    host_.refused(RejectReason::incarnation_used, 0, used->second);
  } else {
    host_.excluded(nullptr, std::nullopt);
  }
}

bool Membership::behind(ViewId view) const {
  if (const auto* joining = std::get_if<Joining>(&phase_)) {
    const auto& decided = acceptor_.decided();
    const bool to_apply = decided && decided->id() == view && decided->contains(self()) && joining->named != decided;
    return to_apply || (awaits_table() && joining->named->id() == view);
  }
  return holder() && view_id() < view;
}

/// J6. Linked members may all be joiners that wait like this one, so hope ends with time.
bool Membership::awaits_table() const {
  const auto* joining = std::get_if<Joining>(&phase_);
  return joining != nullptr && joining->named &&
         now_ - joining->since < config_.limits.suspect_after + config_.limits.view_change_timeout();
}

std::vector<bool> Membership::reach() const {
  std::vector<bool> bits;
  if (view_) {
    for (const auto& member : view_->members) {
      bits.push_back(member.pid == self() || host_.reachable(member.pid));
    }
  }
  return bits;
}

void Membership::wedge(const Pid& candidate, const Ballot& ballot) {
  if (std::holds_alternative<Active>(phase_)) {
    host_.wedge();
  }
  const auto* wedged = std::get_if<Wedged>(&phase_);
  if (wedged == nullptr || wedged->ballot != ballot) {
    phase_ = Wedged{candidate, ballot, now_, std::nullopt, {}, kNever, false, false};  // V4d: an earlier flush is forgotten
  }
}

/// A wedged member that nobody tells how it ended asks everybody it can reach, voter or not.
void Membership::ask_around() {
  last_view_request_ = now_;
  for (const auto& [pid, peer] : peers_) {
    send(pid, ViewRequest{acceptor_.decided_id()});
  }
}

/// Not before it is durable here: of a founder's view there is no other record yet (P3).
void Membership::tell(const Pid& peer, ViewId from) {
  if (peer == self() || !acceptor_.decided()) {
    return;
  }
  for (ViewId id = from + 1; id <= acceptor_.decided_id() && acceptor_.kept(id); ++id) {
    send_durably(peer, Install{acceptor_.kept(id)});
  }
  if (!acceptor_.decided()->names(peer)) {
    send_durably(peer, Evicted{acceptor_.decided(), std::nullopt, 0});
  }
}

}  // namespace vsync::core
