// What the ordering module does in a wedged view (protocol.md V4, V7, V10, C3).
#include <algorithm>

#include "base/assert.h"
#include "core/model/mutant.h"
#include "core/ordering/ordering.h"

namespace vsync::core {

void Ordering::wedge() {
  wedged_ = true;
}

Receipt Ordering::forward(Rank sender, RunPtr run) {
  if (!wedged_) {
    return Receipt::refused;
  }
  const Receipt receipt = check(sender, *run);
  const bool unchecked = mutant(Mutant::forward_unchecked) && sender < members();
  if (receipt == Receipt::stored || unchecked) {
    store(sender, std::move(run));  // neither acknowledged nor delivered
  }
  return receipt;
}

bool Ordering::has_all(const Counts& cut) const {
  return std::equal(cut.begin(), cut.end(), held_.begin(), held_.end(), std::less_equal<>());
}

bool Ordering::cut_is_sane(const Counts& cut) const {
  return has_all(cut) && std::equal(delivered_.begin(), delivered_.end(), cut.begin(), cut.end(), std::less_equal<>());
}

/// V10: walks the held runs after `from` and up to `cut` in key order and visits those that follow without a gap and whose
/// dependencies are inside. Dependencies have smaller keys, so one pass finds the greatest closed vector (L5). `from` must be
/// closed itself. A run that is left out takes the rest of its stream with it.
template <typename Visit>
Counts Ordering::closure(Counts from, const Counts& cut, Visit visit) const {
  Counts closed = std::move(from);
  StableQueue order(members());
  std::vector<std::size_t> position(members());
  const auto enqueue = [&](Rank q) {
    const Run* run = streams_[q].at(position[q]);
    order.update(q, run != nullptr && run->last() <= cut[q] ? run : nullptr, nullptr);
  };
  for (Rank q = 0; q < members(); ++q) {
    position[q] = streams_[q].position_after(closed[q]);
    enqueue(q);
  }
  while (const std::optional<Rank> q = order.head()) {
    const RunPtr& run = streams_[*q].ptr(position[*q]);
    const bool next = closed[*q] + 1 == run->first;
    if (next && (run->service == Service::fifo || covers(closed, run->deps) || mutant(Mutant::no_trim))) {
      closed[*q] = run->last();
      visit(*q, run);
      ++position[*q];
      enqueue(*q);
    } else {
      order.update(*q, nullptr, nullptr);
    }
  }
  return closed;
}

Counts Ordering::close(const Counts& cut, std::vector<Delivery>& out) {
  VSYNC_ASSERT(cut.size() == members(), "V10: a cut names every member");
  wedge();
  Counts closed = closure(delivered_, cut, [&](Rank sender, const RunPtr& run) {
    account(sender, *run);
    out.push_back({sender, run});
  });
  for (Rank q = 0; q < members(); ++q) {
    trimmed_ += cut[q] - std::min(closed[q], cut[q]);
  }
  return closed;
}

Seq Ordering::fate(const Counts& cut) const {
  VSYNC_ASSERT(cut.size() == members(), "C3: a cut names every member");
  if (mutant(Mutant::fate_raw_cut)) {
    return cut[self_];
  }
  return closure(settled_, cut, [](Rank, const RunPtr&) {})[self_];
}

std::uint64_t Ordering::trimmed() const {
  return trimmed_;
}

}  // namespace vsync::core
