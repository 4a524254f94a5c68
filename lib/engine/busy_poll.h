// Busy polling: the event loop stays awake for a while after each message, as the setting `busy-poll` says. A time is that while,
// whatever it takes of a processor; `auto` stands for the defaults here.
#pragma once

#include <algorithm>

#include "core/model/types.h"

namespace vsync::engine {

/// How long the event loop looks for more before it sleeps: waking a processor up takes longer than most answers of a peer
/// (docs/benchmarks.md, "A lone message, and busy polling").
struct BusyPollOptions {
  core::Duration stay = std::chrono::microseconds(50);  ///< after each message; 0: sleeps at once
  double share = 0.1;  ///< of one processor, that staying awake may take in the long run; 1: as much as it likes
};

/// The time to stay awake is saved up while nothing is under way, and spent after messages. Not thread-safe: of the event loop's
/// thread.
class BusyPoll {
 public:
  explicit BusyPoll(BusyPollOptions options) : options_(options) {}

  /// A message came, or one went: what was not needed of the time after the one before is saved.
  void message(core::Time now) {
    const auto since = now - last_;
    const auto spent = std::min(since, until_ - last_);
    saved_ =
        std::min(saved_ - spent + std::chrono::duration_cast<core::Duration>(since * options_.share), kMostSaved * options_.stay);
    last_ = now;
    until_ = now + std::min(saved_, options_.stay);
  }

  [[nodiscard]] bool awake(core::Time now) const { return now < until_; }

 private:
  static constexpr int kMostSaved = 10;  // bursts of messages are served, and long ones end

  BusyPollOptions options_;
  core::Time last_{};
  core::Time until_{};
  core::Duration saved_{};
};

}  // namespace vsync::engine
