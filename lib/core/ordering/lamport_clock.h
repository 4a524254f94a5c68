// Lamport's scalar clock: a message is stamped later than everything its sender had seen (protocol.md R1, R2).
#pragma once

#include <algorithm>

#include "core/model/types.h"

namespace vsync::core {

class LamportClock {
 public:
  /// R1: the stamp of what is sent in this step.
  Stamp tick() { return ++now_; }
  /// R2: whatever is sent from now on is stamped later than `stamp`.
  void observe(Stamp stamp) { now_ = std::max(now_, stamp) + 1; }
  [[nodiscard]] Stamp now() const { return now_; }

 private:
  Stamp now_ = 0;
};

}  // namespace vsync::core
