// Counts of durations in buckets of nearly equal relative width: fixed memory, however many are added.
#pragma once

#include <array>
#include <cstdint>

namespace vsync {

/// Each power of two is cut into 64 buckets, so what it tells is right within 1.6 %. Not thread-safe.
class Histogram {
 public:
  void add(std::uint64_t value) {
    counts_[bucket(value)] += 1;
    count_ += 1;
    sum_ += value;
    max_ = value > max_ ? value : max_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] std::uint64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }
  /// The smallest value told that is not below `part` (0 … 1) of all; 0 when there are none.
  [[nodiscard]] std::uint64_t percentile(double part) const;
  /// How many are at most `value`, to the precision of a bucket.
  [[nodiscard]] std::uint64_t at_most(std::uint64_t value) const;

 private:
  static constexpr unsigned kSubBits = 6;
  static constexpr unsigned kSub = 1U << kSubBits;

  [[nodiscard]] static unsigned bucket(std::uint64_t value);
  /// The largest value of a bucket.
  [[nodiscard]] static std::uint64_t top(unsigned bucket);

  std::array<std::uint64_t, (64 - kSubBits + 1) * kSub> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace vsync
