// What a wedged member does for the others and for itself: V7.
#include <algorithm>
#include <utility>

#include "core/membership/membership.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {
/// Forwarded runs travel in frames of about this size, so that nothing waits long behind one.
constexpr std::size_t kForwardBytes = std::size_t{256} << 10U;

/// Does it speak of `members` members, and of nobody else?
bool fits(const Flush& flush, std::size_t members) {
  return flush.cut.size() == members && std::all_of(flush.plan.begin(), flush.plan.end(), [&](const PlanEntry& entry) {
           return entry.sender < members && entry.holder < members && entry.receiver < members;
         });
}
}  // namespace

void Membership::on(const Pid& from, const Flush& flush) {
  auto* wedged = std::get_if<Wedged>(&phase_);
  if (wedged == nullptr || flush.view != view_id() || flush.ballot != acceptor_.promised() ||
      !fits(flush, view_->members.size())) {
    return;
  }
  const bool first = !wedged->flush || wedged->flush->ballot != flush.ballot;
  wedged->flush = flush;
  wedged->flush_candidate = from;
  if (first) {
    wedged->fetch_at = now_ + config_.limits.fetch_timeout;
    wedged->fetched = false;
    wedged->reported_have_all = false;
    const auto me = *view_->rank_of(self());
    for (const auto& entry : flush.plan) {
      if (entry.holder == me) {
        send_range(view_->members[entry.receiver].pid, flush.ballot, entry.sender, entry.lo, entry.hi);
      }
    }
  } else {
    wedged->reported_have_all = false;  // the candidate asks again: so did our answer get lost
  }
  check_have_all();
}

void Membership::send_range(const Pid& to, const Ballot& ballot, Rank sender, Seq lo, Seq hi) {
  Forward forward{view_id(), ballot, sender, {}};
  std::size_t bytes = 0;
  for (auto& run : host_.range(sender, lo, hi)) {
    if (bytes > kForwardBytes) {
      send(to, std::exchange(forward, Forward{view_id(), ballot, sender, {}}));
      bytes = 0;
    }
    bytes += run->body.size();
    host_.step_taken("forwarded", run->count);
    forward.runs.push_back(std::move(run));
  }
  if (!forward.runs.empty()) {
    send(to, std::move(forward));
  }
}

void Membership::on(const Pid&, const Forward& forward) {
  const auto* wedged = std::get_if<Wedged>(&phase_);
  const bool current = forward.ballot == acceptor_.promised() || mutant(Mutant::forward_unchecked);
  if (wedged == nullptr || forward.view != view_id() || !current || forward.sender >= view_->members.size()) {
    return;
  }
  for (const auto& run : forward.runs) {
    const bool beyond_cut = wedged->flush && run->last() > wedged->flush->cut[forward.sender];
    if (beyond_cut || !host_.forward(forward.sender, run)) {
      break;
    }
  }
  check_have_all();
}

void Membership::on(const Pid& from, const Fetch& fetch) {
  const bool wedged = std::holds_alternative<Wedged>(phase_);
  if (wedged && fetch.view == view_id() && fetch.ballot == acceptor_.promised() && fetch.sender < view_->members.size()) {
    send_range(from, fetch.ballot, fetch.sender, fetch.lo, fetch.hi);
  }
}

void Membership::check_have_all() {
  auto* wedged = std::get_if<Wedged>(&phase_);
  if (wedged == nullptr || !wedged->flush || wedged->reported_have_all || wedged->flush->ballot != acceptor_.promised() ||
      !host_.has_all(wedged->flush->cut)) {
    return;
  }
  wedged->reported_have_all = true;
  wedged->fetch_at = kNever;
  send(wedged->flush_candidate, HaveAll{view_id(), wedged->flush->ballot});
}

void Membership::check_fetch() {
  auto* wedged = std::get_if<Wedged>(&phase_);
  if (wedged == nullptr || now_ < wedged->fetch_at || !wedged->flush) {
    return;
  }
  const auto me = *view_->rank_of(self());
  for (const auto& entry : wedged->flush->plan) {
    const Seq have = host_.held()[entry.sender];
    if (entry.receiver != me || have >= entry.hi) {
      continue;
    }
    if (wedged->fetched) {
      send(wedged->flush_candidate, HolderLost{view_id(), wedged->flush->ballot, entry.holder});
    } else {
      send(view_->members[entry.holder].pid, Fetch{view_id(), wedged->flush->ballot, entry.sender, have + 1, entry.hi});
    }
  }
  wedged->fetch_at = wedged->fetched ? kNever : now_ + config_.limits.fetch_timeout;
  wedged->fetched = true;
}

}  // namespace vsync::core
