// What the measuring clients have in common: what to do, what came back, and one line of JSON about it.
//
// Times are CLOCK_MONOTONIC, so those of several processes of one host can be put together. A paced message carries the moment at
// which it was due, and latency counts from there, whatever kept it from leaving (an open loop).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/histogram.h"

namespace vsync::bench {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

struct Task {
  std::string group = "load";
  std::string name = "load";  ///< as a member; must differ from the others'
  std::size_t members = 1;    ///< starts when the group has so many
  std::uint64_t send = 0;
  std::uint64_t expect = 0;  ///< ends after so many deliveries, from all members
  std::size_t size = 64;     ///< bytes of a message, at least 8
  double rate = 0;           ///< messages per second; 0: as fast as possible
  int seconds = 60;          ///< gives up after so many
  bool views = false;        ///< print_view() for each view of the group, and nothing else, until it is killed
};

/// Timers of the calling process end when they are due. By default Linux may wake it 50 µs late, to save wake-ups: that would be
/// counted as latency of the system that is measured.
void keep_exact_time();

/// Paces a sender; never to hope that something has happened meanwhile.
void pause(Nanoseconds time);

/// Prints the moment and the number of members of a view of the group.
void print_view(std::size_t members);

class Tally {
 public:
  explicit Tally(const Task& task) : task_(task) {}

  void start() { start_ = last_ = Clock::now(); }
  [[nodiscard]] bool started() const { return start_ != Clock::time_point(); }
  /// When message number `sent` must leave.
  [[nodiscard]] Clock::time_point due(std::uint64_t sent) const;
  /// Notes in a message when it was due.
  void stamp(std::string& message, std::uint64_t sent) const;

  /// Messages that came in one piece: call arrived(), then took() for each.
  void arrived() { last_ = Clock::now(); }
  void took(std::string_view message, bool own);

  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] bool complete() const { return started() && delivered_ >= task_.expect; }
  void print(std::uint64_t sent, std::uint64_t refused) const;

 private:
  const Task& task_;
  Clock::time_point start_;
  Clock::time_point last_;
  std::uint64_t delivered_ = 0;
  Histogram own_;     ///< ns, from due to the sender's own delivery
  Histogram others_;  ///< ns, from due to the delivery at another member: one way
};

}  // namespace vsync::bench
