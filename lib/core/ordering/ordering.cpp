// Sending, receiving and delivering in a view that is not wedged. The view change is in view_change.cpp.
#include "core/ordering/ordering.h"

#include <limits>

#include "base/assert.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

/// Far beyond what a view can use, and far from where counts and clocks would wrap.
constexpr std::uint64_t kMaxCounter = std::numeric_limits<std::uint64_t>::max() / 4;

/// R11: enough of the body to tell two messages apart; the bytes themselves are guarded by the transport.
constexpr std::size_t kHashedTail = 8;

std::string_view tail(const Slice& body) {
  const std::string_view bytes = body.view();
  return bytes.substr(bytes.size() - std::min(bytes.size(), kHashedTail));
}

}  // namespace

Ordering::Ordering(const Limits& limits) : Ordering(limits, 0, 0) {}

Ordering::Ordering(const Limits& limits, std::size_t members, Rank self)
    : limits_(limits),
      self_(self),
      held_(members),
      delivered_(members),
      settled_(members),
      sent_deps_(members),
      streams_(members),
      acknowledged_(members),
      stated_(members),
      aggregated_(members, StatedKnowledge(members)),
      queue_(members) {}

void Ordering::install(std::size_t members, Rank self) {
  VSYNC_ASSERT(self < members, "M1: a daemon installs only views that name it");
  const std::uint64_t trimmed = trimmed_;
  *this = Ordering(limits_, members, self);
  trimmed_ = trimmed;
}

// ---------------------------------------------------------------- sending

bool Ordering::window_open() const {
  return members() != 0 && streams_[self_].bytes() < limits_.window_bytes &&
         held_[self_] - settled_[self_] < limits_.window_messages;
}

std::vector<RunPtr> Ordering::bind(std::vector<Run> runs) {
  VSYNC_ASSERT(!wedged_ || mutant(Mutant::send_while_wedged), "R1: nothing is bound in a wedged view");
  VSYNC_ASSERT(members() != 0, "R1: nothing is bound outside a view");
  const Stamp stamp = clock_.tick();
  std::vector<RunPtr> bound;
  bound.reserve(runs.size());
  for (Run& run : runs) {
    run.first = held_[self_] + 1;
    run.stamp = stamp;
    run.deps = dependencies(run.service);
    VSYNC_ASSERT(well_formed(self_, run), "what others would refuse is not bound");
    bound.push_back(std::make_shared<const Run>(std::move(run)));
    store(self_, bound.back());
    learn(self_, self_, held_[self_]);
  }
  return bound;
}

/// Section 8: what must precede a run that is bound now, as far as the own stream has not said so already. Own messages are not
/// named: they precede it by O1. A stable message is not named by a total: the key order covers it (L6).
std::vector<RankCount> Ordering::dependencies(Service service) {
  std::vector<RankCount> grown;
  if (service == Service::fifo) {
    return grown;
  }
  for (Rank q = 0; q < members(); ++q) {
    const Seq count = delivered_[q];
    if (q != self_ && count > sent_deps_[q] && (service == Service::causal || count > acknowledged_.stable(q))) {
      sent_deps_[q] = count;
      grown.push_back({q, count});
    }
  }
  return grown;
}

// ---------------------------------------------------------------- receiving

Receipt Ordering::receive(Rank sender, RunPtr run) {
  if (wedged_ && !mutant(Mutant::ack_after_wedge) && !mutant(Mutant::fifo_after_wedge)) {
    return Receipt::duplicate;  // V4: a wedged member takes no DATA
  }
  const Receipt receipt = check(sender, *run);
  if (receipt != Receipt::stored) {
    return receipt;
  }
  clock_.observe(run->stamp);
  store(sender, std::move(run));
  if (wedged_ && mutant(Mutant::fifo_after_wedge)) {
    return receipt;
  }
  learn(self_, sender, held_[sender]);
  if (!mutant(Mutant::no_self_ack)) {
    learn(sender, sender, held_[sender]);  // R2: DATA is its sender's own acknowledgement
  }
  return receipt;
}

/// R2: a stream is received in sequence, without gaps.
Receipt Ordering::check(Rank sender, const Run& run) const {
  if (sender >= members() || sender == self_ || !well_formed(sender, run)) {
    return Receipt::refused;
  }
  if (run.last() <= held_[sender]) {
    return Receipt::duplicate;
  }
  if (run.first > held_[sender] + 1) {
    return Receipt::gap;
  }
  const bool in_sequence = run.first == held_[sender] + 1 && run.stamp >= streams_[sender].last_stamp();
  return in_sequence ? Receipt::stored : Receipt::refused;
}

/// What can be said about a run without knowing what other members hold.
bool Ordering::well_formed(Rank sender, const Run& run) const {
  const bool counted = run.count >= 1 && run.first >= 1 && run.first <= kMaxCounter;
  const bool stamped = run.stamp >= 1 && run.stamp <= kMaxCounter;
  const bool ordered = run.kind == RunKind::data || run.service == Service::total;  // G1
  const bool dependent = run.deps.empty() || run.service != Service::fifo;          // section 8
  if (!counted || !stamped || !ordered || !dependent) {
    return false;
  }
  Rank next = 0;  // ranks ascend, so there is at most one dependency per member
  for (const RankCount& dep : run.deps) {
    const Seq most = dep.rank == self_ ? held_[self_] : kMaxCounter;  // nobody delivered what was never sent
    if (dep.rank < next || dep.rank >= members() || dep.rank == sender || dep.count < 1 || dep.count > most) {
      return false;
    }
    next = dep.rank + 1;
  }
  return true;
}

void Ordering::store(Rank sender, RunPtr run) {
  held_[sender] += run->count;
  streams_[sender].append(std::move(run));
  refresh(sender);
}

void Ordering::acknowledge(Rank from, std::span<const RankCount> counts) {
  if (from >= members() || from == self_ || (wedged_ && !mutant(Mutant::total_after_wedge))) {
    return;  // V4: a wedged member processes no ACK
  }
  for (const RankCount& entry : counts) {
    const bool possible = entry.rank < members() && entry.count <= (entry.rank == self_ ? held_[self_] : kMaxCounter);
    if (possible && !(mutant(Mutant::no_self_ack) && entry.rank == from)) {
      learn(from, entry.rank, entry.count);
    }
  }
}

/// A[member][sender] := max(., count), and what follows from it.
void Ordering::learn(Rank member, Rank sender, Seq count) {
  if (acknowledged_.raise(member, sender, count)) {
    streams_[sender].mark_stable(acknowledged_.stable(sender));
    refresh(sender);
  }
}

void Ordering::refresh(Rank sender) {
  queue_.update(sender, streams_[sender].undelivered(), streams_[sender].unstable());
}

std::optional<std::vector<RankCount>> Ordering::take_due_ack() {
  if (wedged_ && !mutant(Mutant::ack_after_wedge)) {
    return std::nullopt;  // V4
  }
  return members() == 0 ? std::nullopt : stated_.take(acknowledged_.of(self_), self_);
}

std::vector<RankCount> Ordering::full_ack() const {
  std::vector<RankCount> counts;
  for (Rank q = 0; q < members(); ++q) {
    counts.push_back({q, acknowledged_.of(self_)[q]});
  }
  return counts;
}

std::vector<AckAggregate::Statement> Ordering::take_due_aggregate() {
  std::vector<AckAggregate::Statement> statements;
  if (wedged_) {
    return statements;  // V4
  }
  for (Rank j = 0; j < members(); ++j) {
    const Rank whose = mutant(Mutant::relay_forges) ? self_ : j;
    if (auto news = aggregated_[j].take(acknowledged_.of(whose), j)) {
      statements.push_back({j, std::move(*news)});
    }
  }
  return statements;
}

std::vector<AckAggregate::Statement> Ordering::full_aggregate() const {
  std::vector<AckAggregate::Statement> statements;
  for (Rank j = 0; j < members(); ++j) {
    AckAggregate::Statement statement{j, {}};
    for (Rank q = 0; q < members(); ++q) {
      statement.counts.push_back({q, acknowledged_.of(j)[q]});
    }
    statements.push_back(std::move(statement));
  }
  return statements;
}

// ---------------------------------------------------------------- delivery

void Ordering::deliver(std::vector<Delivery>& out) {
  if (wedged_ && !mutant(Mutant::fifo_after_wedge) && !mutant(Mutant::total_after_wedge)) {
    return;  // V4: a wedged member delivers nothing
  }
  const bool totals = nothing_missing() && !(wedged_ && mutant(Mutant::fifo_after_wedge));
  do {
    deliver_unordered(out);  // R5: R3 and R4 come first, exhaustively
  } while (totals && deliver_total(out));
  settle();
}

/// R3, R4: fifo messages at once, causal ones when their dependencies are delivered; each only as the next of its stream.
void Ordering::deliver_unordered(std::vector<Delivery>& out) {
  const auto ready = [this](Rank q) {
    const Run* next = streams_[q].undelivered();
    if (next == nullptr || next->service == Service::total) {
      return false;
    }
    return next->service == Service::fifo || mutant(Mutant::causal_as_fifo) || streams_[q].dependencies_met(delivered_);
  };
  for (bool progress = true; progress;) {
    progress = false;
    for (Rank q = 0; q < members(); ++q) {
      while (ready(q) || (mutant(Mutant::fifo_overtakes) && streams_[q].skip_to_fifo())) {
        deliver_next(q, out);
        progress = true;
      }
    }
  }
}

bool Ordering::deliver_total(std::vector<Delivery>& out) {
  const std::optional<Rank> sender = releasable();
  if (sender) {
    deliver_next(*sender, out);
  }
  return sender.has_value();
}

/// R5 (c): nobody has stated to have sent more than is held. A relayed acknowledgement may overtake the DATA before it.
bool Ordering::nothing_missing() const {
  if (mutant(Mutant::total_no_sent_check) || mutant(Mutant::total_no_key) || (wedged_ && mutant(Mutant::total_after_wedge))) {
    return true;
  }
  for (Rank j = 0; j < members(); ++j) {
    if (held_[j] < acknowledged_.of(j)[j]) {
      return false;
    }
  }
  return true;
}

/// R5: the sender of the total that may be delivered now: the undelivered message of smallest key, if it is a total, and it and
/// everything of smaller key is stable.
std::optional<Rank> Ordering::releasable() const {
  const auto total = [this](Rank q) {
    const Run* next = streams_[q].undelivered();
    return next != nullptr && next->service == Service::total ? next : nullptr;
  };
  if (mutant(Mutant::total_no_key)) {
    for (Rank q = 0; q < members(); ++q) {
      if (total(q) != nullptr && total(q)->last() <= stable(q)) {
        return q;
      }
    }
    return std::nullopt;
  }
  const std::optional<Rank> head = queue_.head();
  if (!head || total(*head) == nullptr) {
    return std::nullopt;
  }
  bool released = queue_.stable_up_to(*head);
  if (mutant(Mutant::total_no_barrier)) {
    released = total(*head)->last() <= stable(*head);
  } else if (mutant(Mutant::total_majority)) {
    released = 2 * acknowledged_.holders(*head, total(*head)->last()) > members();
  }
  return released ? head : std::nullopt;
}

void Ordering::deliver_next(Rank sender, std::vector<Delivery>& out) {
  const RunPtr& run = streams_[sender].deliver_next();
  account(sender, *run);
  out.push_back({sender, run});
  refresh(sender);
}

void Ordering::account(Rank sender, const Run& run) {
  delivered_[sender] = run.last();
  if (run.service == Service::total) {  // R11
    delivered_totals_ += run.count;
    delivery_chain_.add(std::uint64_t{sender} << 32U | run.count).add(run.first).add(run.body.size()).add(tail(run.body));
  }
}

/// R6: discards what nobody can ask for any more. What one stream settles may be what another one waits for.
void Ordering::settle() {
  for (bool progress = true; progress;) {
    progress = false;
    for (Rank q = 0; q < members(); ++q) {
      while (const RunPtr run = streams_[q].settle_oldest(settled_)) {
        settled_[q] = run->last();
        refresh(q);
        progress = true;
      }
    }
  }
}

// ---------------------------------------------------------------- knowledge

bool Ordering::wedged() const {
  return wedged_;
}

const Counts& Ordering::held() const {
  return held_;
}

const Counts& Ordering::delivered() const {
  return delivered_;
}

Seq Ordering::stable(Rank sender) const {
  return acknowledged_.stable(sender);
}

Seq Ordering::settled(Rank sender) const {
  return settled_[sender];
}

Stamp Ordering::clock() const {
  return clock_.now();
}

std::size_t Ordering::unstable_bytes() const {
  return members() == 0 ? 0 : streams_[self_].bytes();
}

std::uint64_t Ordering::delivered_totals() const {
  return delivered_totals_;
}

std::uint64_t Ordering::delivery_hash() const {
  return delivery_chain_.value();
}

std::optional<Rank> Ordering::blocker() const {
  const std::optional<Rank> head = queue_.head();
  if (!head) {
    return std::nullopt;
  }
  const Run& waiting = *streams_[*head].undelivered();
  if (waiting.service != Service::total) {  // a causal message: all of smaller key is delivered, so a dependency is not here yet
    for (const RankCount& dep : waiting.deps) {
      if (delivered_[dep.rank] < dep.count) {
        return dep.rank;
      }
    }
    return std::nullopt;
  }
  if (!queue_.stable_up_to(*head)) {
    const Rank oldest = *queue_.first_unstable();
    for (Rank j = 0; j < members(); ++j) {
      if (acknowledged_.of(j)[oldest] < streams_[oldest].unstable()->last()) {
        return j;
      }
    }
  }
  for (Rank j = 0; j < members(); ++j) {
    if (held_[j] < acknowledged_.of(j)[j]) {
      return j;
    }
  }
  return std::nullopt;
}

std::optional<Rank> Ordering::straggler() const {
  const Run* oldest = members() == 0 ? nullptr : streams_[self_].oldest();
  if (oldest == nullptr) {
    return std::nullopt;
  }
  RankCount awaited{self_, oldest->last()};
  for (const RankCount& dep : oldest->deps) {
    if (stable(awaited.rank) >= awaited.count) {
      awaited = dep;
    }
  }
  if (acknowledged_.holders(awaited.rank, awaited.count) + 1 != members()) {
    return std::nullopt;
  }
  Rank j = 0;
  while (acknowledged_.of(j)[awaited.rank] >= awaited.count) {
    ++j;
  }
  return j;
}

std::vector<RunPtr> Ordering::range(Rank sender, Seq lo, Seq hi) const {
  std::vector<RunPtr> runs;
  if (sender >= members() || lo < 1) {
    return runs;
  }
  const Stream& stream = streams_[sender];
  for (std::size_t i = stream.position_after(lo - 1); stream.at(i) != nullptr && stream.at(i)->first <= hi; ++i) {
    runs.push_back(stream.ptr(i));
  }
  return runs;
}

}  // namespace vsync::core
