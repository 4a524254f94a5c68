#include "base/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vsync {

unsigned Histogram::bucket(std::uint64_t value) {
  if (value < kSub) {
    return static_cast<unsigned>(value);
  }
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
  return (shift + 1) * kSub + static_cast<unsigned>((value >> shift) - kSub);
}

std::uint64_t Histogram::top(unsigned bucket) {
  if (bucket < kSub) {
    return bucket;
  }
  const unsigned shift = bucket / kSub - 1;
  return ((std::uint64_t{kSub} + bucket % kSub + 1) << shift) - 1;
}

std::uint64_t Histogram::percentile(double part) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(part * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (unsigned i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > 0 && seen >= wanted) {
      return std::min(top(i), max_);
    }
  }
  return 0;
}

std::uint64_t Histogram::at_most(std::uint64_t value) const {
  std::uint64_t seen = 0;
  for (unsigned i = 0; i <= bucket(value); ++i) {
    seen += counts_[i];
  }
  return seen;
}

}  // namespace vsync
