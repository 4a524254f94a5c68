#include "core/node/streams.h"

#include <algorithm>

#include "core/model/mutant.h"

namespace vsync::core {

namespace {
/// Re-sent runs travel in frames of about this size.
constexpr std::size_t kResendBytes = std::size_t{256} << 10U;
}  // namespace

void Streams::install(ViewPtr view, Rank self, Time now) {
  view_ = std::move(view);
  self_ = self;
  open_.assign(view_->members.size(), false);
  direct_ = !relayed();
  last_aggregate_ = now;
}

void Streams::close_all() {
  std::fill(open_.begin(), open_.end(), false);
}

void Streams::link_closed(const Pid& peer) {
  if (const auto rank = view_ ? view_->rank_of(peer) : std::nullopt) {
    open_[*rank] = false;
  }
}

void Streams::open(Rank peer, Seq received, const Ordering& ordering, Effects& effects) {
  open_[peer] = true;
  const Seq sent = ordering.held()[self_];
  Data data{view_->id(), {}};
  std::size_t bytes = 0;
  for (auto& run : ordering.range(self_, received + (mutant(Mutant::resume_from_zero) ? 2 : 1), sent)) {
    bytes += run->body.size();
    data.runs.push_back(std::move(run));
    if (bytes >= kResendBytes) {
      send(peer, std::make_shared<const Frame>(std::exchange(data, Data{view_->id(), {}})), effects);
      bytes = 0;
    }
  }
  if (!data.runs.empty()) {
    send(peer, std::make_shared<const Frame>(std::move(data)), effects);
  }
  state_holdings(peer, ordering, effects);
}

/// After a break statements may be missing: the whole vector, to whomever our acknowledgements go.
void Streams::state_holdings(Rank to, const Ordering& ordering, Effects& effects) const {
  if (direct_ || to == 0) {
    send(to, std::make_shared<const Frame>(Ack{view_->id(), ordering.full_ack()}), effects);
  }
  if (relayed() && leads()) {
    send(to, std::make_shared<const Frame>(AckAggregate{view_->id(), ordering.full_aggregate()}), effects);
  }
}

void Streams::send_data(std::vector<RunPtr> runs, Effects& effects) {
  if (!runs.empty()) {
    send_to_open(Data{view_->id(), std::move(runs)}, effects);
  }
}

void Streams::send_acks(Ordering& ordering, Effects& effects) {
  auto due = ordering.take_due_ack();
  if (due && direct_) {
    send_to_open(Ack{view_->id(), std::move(*due)}, effects);
  } else if (due && !leads() && open_[0]) {
    send(0, std::make_shared<const Frame>(Ack{view_->id(), std::move(*due)}), effects);
  }
  if (relayed() && leads()) {
    if (auto statements = ordering.take_due_aggregate(); !statements.empty()) {
      send_to_open(AckAggregate{view_->id(), std::move(statements)}, effects);
    }
  }
}

void Streams::check_relay(Ordering& ordering, Time now, Effects& effects) {
  if (direct_ || leads() || now < last_aggregate_ + limits_.relay_timeout) {
    return;
  }
  direct_ = true;
  send_to_open(Ack{view_->id(), ordering.full_ack()}, effects);
}

Time Streams::next_deadline(bool waiting) const {
  return waiting && !direct_ && !leads() ? last_aggregate_ + limits_.relay_timeout : kNever;
}

void Streams::send(Rank to, const FramePtr& frame, Effects& effects) const {
  effects.emplace_back(SendFrame{view_->members[to].pid, frame});
}

void Streams::send_to_open(Frame frame, Effects& effects) const {
  const auto shared = std::make_shared<const Frame>(std::move(frame));
  for (Rank rank = 0; rank < open_.size(); ++rank) {
    if (open_[rank]) {
      send(rank, shared, effects);
    }
  }
}

}  // namespace vsync::core
