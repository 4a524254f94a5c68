// The node as membership's host: what a view change does to links, streams, groups and clients (V4, V7, V10-V12, J6-J8, F8).
#include <algorithm>
#include <utility>

#include "core/model/mutant.h"
#include "core/node/node_impl.h"

namespace vsync::core {

namespace {
/// F8: 0, 1, 2, 4 ... 30 s after k exclusions in five minutes.
Duration rejoin_backoff(std::uint32_t exclusions) {
  if (exclusions == 0) {
    return {};
  }
  return std::min<Duration>(std::chrono::seconds(1) * (1LL << std::min(exclusions - 1, 5U)), std::chrono::seconds(30));
}
}  // namespace

void Node::Impl::send(const Pid& to, FramePtr frame) {
  if (to == config_.self.pid) {
    loopback_.push_back(std::move(frame));
  } else {
    effects_->emplace_back(SendFrame{to, std::move(frame)});
  }
}

void Node::Impl::want_links(std::vector<Member> peers, bool seek) {
  peers_wanted_ = std::move(peers);
  seeking_ = seek;
  tell_wanted_links();
}

/// A member that stands alone has nobody else to hear from that the cluster went on without it, after a cold start.
void Node::Impl::tell_wanted_links() {
  const bool alone = current_view() && !has_quorum_ && !mutant(Mutant::alone_for_ever);
  emit(WantLinks{peers_wanted_, seeking_ || alone});
}

void Node::Impl::persist(std::uint64_t token, AcceptorRecord record) {
  last_record_ = token;
  emit(Persist{token, std::move(record)});
}

void Node::Impl::wedge() {
  wedged_at_ = now_;
  if (!mutant(Mutant::unwedge)) {
    ordering_.wedge();
  }
  if (!mutant(Mutant::send_while_wedged) && !mutant(Mutant::ack_after_wedge) && !mutant(Mutant::unwedge)) {
    streams_.close_all();
  }
}

bool Node::Impl::forward(Rank sender, const RunPtr& run) {
  const auto receipt = ordering_.forward(sender, run);
  return receipt == Receipt::stored || receipt == Receipt::duplicate;
}

// ---------------------------------------------------------------- views

/// V10.
void Node::Impl::close_view(const View& base, const Counts& cut) {
  if (cut.size() != base.members.size() || !ordering_.cut_is_sane(cut)) {
    emit(Fatal{"the cut of view " + std::to_string(base.id()) + " does not fit what is held and delivered here"});
    return;
  }
  const auto trimmed = ordering_.trimmed();
  deliveries_.clear();
  ordering_.close(cut, deliveries_);
  hand_over(deliveries_, base);
  if (ordering_.trimmed() > trimmed) {
    step_taken("trimmed", ordering_.trimmed() - trimmed);
  }
}

/// V11.
void Node::Impl::install(const ViewPtr& view, const ViewPtr& base) {
  if (over_) {
    return;
  }
  const auto& self = config_.self.pid;
  const auto* origin = base ? view->origin_of(self, base->id()) : nullptr;
  const std::vector<Pid> transitional = origin != nullptr ? origin->survivors : std::vector<Pid>{self};
  const ViewId previous = base ? base->id() : 0;

  Effects group_effects;
  groups_.install(*view, group_effects);
  table_ = groups_.save_table();
  table_hash_ = groups_.table_hash();
  ordering_.install(view->members.size(), *view->rank_of(self));
  streams_.install(view, *view->rank_of(self), now_);
  detector_.watch(view->everybody(), now_);
  contact_.install(view);
  const bool goes_on_leading = base && base->leader() == self;
  const bool first = view->starts_empty() && !view->cold;
  if (view->leader() != self) {
    leads_from_ = kNever;
  } else if (!goes_on_leading) {
    leads_from_ = first ? now_ : now_ + config_.limits.lease_wait();
  }
  straggler_.reset();

  emit(Trace{trace::Install{view, previous, transitional, table_hash_}});
  emit(ViewInstalled{view, previous, transitional});
  std::move(group_effects.begin(), group_effects.end(), std::back_inserter(*effects_));
  ++counters_.installs;
  for (const auto& member : view->members) {
    if (member.pid != self && detector_.linked(member.pid)) {
      send_link_up(member.pid);
    }
    if (const auto early = early_link_ups_.find(member.pid); early != early_link_ups_.end() && early->second.view == view->id()) {
      on_link_up(*view->rank_of(member.pid), member.pid, early->second);
    }
  }
  std::erase_if(early_link_ups_, [&](const auto& entry) { return entry.second.view <= view->id(); });
  if (joining_) {
    done(*std::exchange(joining_, std::nullopt));
  }
  std::erase_if(evictions_, [&](const Eviction& eviction) {
    const bool gone = !view->names(eviction.member);
    if (gone) {
      done_when_durable_.emplace_back(last_record_, eviction.who);  // a restart of this daemon must not forget it
    }
    return gone;
  });
  check_quorum();
  acquit_straggler();
}

/// B4: no streams, no groups; it watches and is watched, so that all know when it is gone.
void Node::Impl::witness(const ViewPtr& view) {
  detector_.watch(view->everybody(), now_);
  emit(ViewInstalled{view, 0, {}});
  if (joining_) {
    done(*std::exchange(joining_, std::nullopt));
  }
  check_quorum();
}

bool Node::Impl::load_table(std::string_view bytes) {
  if (!groups_.load_table(bytes)) {
    return false;
  }
  table_hash_ = groups_.table_hash();
  return true;
}

// ---------------------------------------------------------------- the end of an incarnation

void Node::Impl::end_outcomes(std::optional<Seq> own_delivered, std::string_view why) {
  groups_.excluded(own_delivered, *effects_);
  for (const auto& eviction : std::exchange(evictions_, {})) {
    refuse(eviction.who, "excluded", std::string(why));
  }
  for (const auto& [token, who] : std::exchange(done_when_durable_, {})) {
    done(who);
  }
  if (joining_) {
    refuse(*std::exchange(joining_, std::nullopt), "excluded", std::string(why));
  }
}

/// V12.
void Node::Impl::excluded(const ViewPtr& by, const std::optional<Counts>& cut) {
  if (over_) {
    return;
  }
  const bool known = by && cut && is_member() && cut->size() == membership_.view()->members.size();
  const ViewId view = membership_.decided() ? membership_.decided()->id() : 0;
  const std::string why = "view " + std::to_string(view) + " does not contain this daemon";
  end_outcomes(known ? std::optional(ordering_.fate(*cut)) : std::nullopt, why);
  emit(Trace{trace::Excluded{view}});
  if (has_quorum_) {
    has_quorum_ = false;
    emit(QuorumChanged{false});
  }
  emit(Excluded{view, rejoin_backoff(config_.recent_exclusions), why});
  over_ = true;
}

/// J8: everything of the last view was delivered, so every own message is inside the closed cut.
void Node::Impl::left(const View& view) {
  if (!config_.self.witness) {
    end_outcomes(ordering_.held()[rank()], "this daemon left its cluster");
    emit(Trace{trace::Left{view.id() - 1, view.id()}});
  }
  detector_.watch({}, now_);
  for (const auto& who : std::exchange(leaving_, {})) {
    done(who);
  }
  check_quorum();
}

void Node::Impl::finished(ViewId view) {
  if (over_) {
    return;
  }
  if (is_member() || membership_.role() == Role::out) {
    end_outcomes(std::nullopt, "this daemon left its cluster");
  }
  for (const auto& who : std::exchange(leaving_, {})) {
    done(who);
  }
  emit(LeftCluster{view});
  over_ = true;
}

void Node::Impl::refused(RejectReason reason, NodeId node, std::uint64_t incarnation) {
  if (over_) {
    return;
  }
  if (reason == RejectReason::assign_id || reason == RejectReason::incarnation_used) {
    joining_.reset();  // the shell makes the next incarnation at once, and asks it to join
  }
  end_outcomes(std::nullopt, "the cluster refused this daemon");
  emit(IdentityRefused{reason, node, incarnation});
  over_ = true;
}

void Node::Impl::emit(Effect effect) {
  if (over_ || (!config_.trace && std::holds_alternative<Trace>(effect))) {
    return;
  }
  over_ = std::holds_alternative<Fatal>(effect);
  effects_->push_back(std::move(effect));
}

void Node::Impl::step_taken(std::string_view name, std::uint64_t amount) {
  const std::pair<std::string_view, std::uint64_t*> known[] = {
      {"ballot", &counters_.ballots},      {"adopted", &counters_.adopted},           {"late_flush", &counters_.late_flush},
      {"forwarded", &counters_.forwarded}, {"holder_lost", &counters_.holder_losses},
  };
  for (const auto& [step, counter] : known) {
    *counter += step == name ? amount : 0;
  }
  emit(Trace{trace::Step{name, amount}});
}

}  // namespace vsync::core
