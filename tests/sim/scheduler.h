// Virtual time: actions run in the order of their times, and of their making among equals.
#pragma once

#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "core/model/types.h"

namespace vsync::sim {

using core::Duration;
using core::Time;
using Action = std::function<void()>;

class Scheduler {
 public:
  [[nodiscard]] Time now() const { return now_; }

  void at(Time when, Action action) { queue_.push({std::max(when, now_), ++made_, std::move(action)}); }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Runs everything that is due up to `until`, which is then the time.
  void run_until(Time until) {
    while (!queue_.empty() && queue_.top().when <= until) {
      step();
    }
    now_ = std::max(now_, until);
  }

 private:
  struct Entry {
    Time when;
    std::uint64_t made;
    Action action;
    bool operator<(const Entry& other) const { return std::pair(when, made) > std::pair(other.when, other.made); }
  };

  void step() {
    // The queue gives only const access to its top; the entry is removed right after it was moved from.
    auto entry = std::move(const_cast<Entry&>(queue_.top()));
    queue_.pop();
    now_ = entry.when;
    entry.action();
  }

  std::priority_queue<Entry> queue_;
  std::uint64_t made_ = 0;
  Time now_{};
};

}  // namespace vsync::sim
