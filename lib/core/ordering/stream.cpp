#include "core/ordering/stream.h"

#include <algorithm>

#include "core/model/mutant.h"

namespace vsync::core {

namespace {

/// Advances `met` over the dependencies that `counts` covers. True: all of them.
bool advance(const std::vector<RankCount>& deps, const Counts& counts, std::size_t& met) {
  while (met < deps.size() && counts[deps[met].rank] >= deps[met].count) {
    ++met;
  }
  return met == deps.size();
}

}  // namespace

bool covers(const Counts& counts, const std::vector<RankCount>& deps) {
  std::size_t met = 0;
  return advance(deps, counts, met);
}

void Stream::append(RunPtr run) {
  bytes_ += run->body.size();
  last_stamp_ = run->stamp;
  log_.push_back(std::move(run));
}

bool Stream::dependencies_met(const Counts& delivered) {
  return advance(log_[delivered_runs_]->deps, delivered, deps_met_);
}

const RunPtr& Stream::deliver_next() {
  deps_met_ = 0;
  return log_[delivered_runs_++];
}

void Stream::mark_stable(Seq count) {
  while (stable_runs_ < log_.size() && log_[stable_runs_]->last() <= count) {
    ++stable_runs_;
  }
}

RunPtr Stream::settle_oldest(const Counts& settled) {
  if (delivered_runs_ == 0) {
    return nullptr;
  }
  const bool stable = stable_runs_ > 0 || (mutant(Mutant::free_on_delivery) && log_.front()->service == Service::fifo);
  if (!stable || !advance(log_.front()->deps, settled, deps_settled_)) {
    return nullptr;
  }
  RunPtr run = std::move(log_.front());
  log_.pop_front();
  bytes_ -= run->body.size();
  --delivered_runs_;
  stable_runs_ -= std::min<std::size_t>(stable_runs_, 1);
  deps_settled_ = 0;
  return run;
}

std::size_t Stream::position_after(Seq count) const {
  const auto found = std::partition_point(log_.begin(), log_.end(), [&](const RunPtr& run) { return run->last() <= count; });
  return static_cast<std::size_t>(found - log_.begin());
}

bool Stream::skip_to_fifo() {
  for (std::size_t position = delivered_runs_; position < log_.size(); ++position) {
    if (log_[position]->service == Service::fifo) {
      delivered_runs_ = position;
      deps_met_ = 0;
      return true;
    }
  }
  return false;
}

}  // namespace vsync::core
