// The stable priority queue: what comes next in key order, and is it and everything before it stable (protocol.md R5)?
#pragma once

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "core/model/message.h"

namespace vsync::core {

/// Total order on all runs of a view. seq decides only between runs that were bound in one step (R10).
struct Key {
  Stamp stamp = 0;
  Rank rank = 0;
  Seq seq = 0;

  auto operator<=>(const Key&) const = default;  // NOLINT(modernize-use-nullptr): the check misreads defaulted comparisons
};

/// Keys rise along each stream, so the queue need not hold the runs themselves: the first undelivered and the first unstable run
/// of each sender say everything. All questions cost one pass over the members.
class StableQueue {
 public:
  explicit StableQueue(std::size_t members) : undelivered_(members, kNone), unstable_(members, kNone) {}

  /// The first undelivered and the first unstable run that is held of `sender`; nullptr: there is none.
  void update(Rank sender, const Run* undelivered, const Run* unstable) {
    undelivered_[sender] = key_of(sender, undelivered);
    unstable_[sender] = key_of(sender, unstable);
  }

  /// The sender of the undelivered run with the smallest key.
  [[nodiscard]] std::optional<Rank> head() const { return smallest(undelivered_); }
  /// The sender of the unstable run with the smallest key.
  [[nodiscard]] std::optional<Rank> first_unstable() const { return smallest(unstable_); }
  /// R5 (a), (b): is the first undelivered run of `sender`, and every held run of smaller key, stable?
  [[nodiscard]] bool stable_up_to(Rank sender) const {
    const Key& key = undelivered_[sender];
    return std::all_of(unstable_.begin(), unstable_.end(), [&](const Key& unstable) { return key < unstable; });
  }

 private:
  static constexpr Key kNone{std::numeric_limits<Stamp>::max(), 0, 0};

  static Key key_of(Rank sender, const Run* run) { return run == nullptr ? kNone : Key{run->stamp, sender, run->first}; }

  static std::optional<Rank> smallest(const std::vector<Key>& keys) {
    const Key* best = &kNone;
    for (const Key& candidate : keys) {
      if (candidate < *best) {
        best = &candidate;
      }
    }
    return best == &kNone ? std::nullopt : std::optional<Rank>(best->rank);
  }

  std::vector<Key> undelivered_;
  std::vector<Key> unstable_;
};

}  // namespace vsync::core
