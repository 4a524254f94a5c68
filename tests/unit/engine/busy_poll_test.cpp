#include "engine/busy_poll.h"

#include <catch2/catch.hpp>

namespace vsync::engine {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr core::Time kStart = seconds(1000);

/// Awake in so many of the microseconds of `time`, with a message in each `period`.
std::int64_t awake(BusyPoll& poll, core::Time& now, core::Duration time, core::Duration period) {
  std::int64_t count = 0;
  auto next = now;
  for (const auto end = now + time; now < end; now += microseconds(1)) {
    if (now >= next) {
      poll.message(now);
      next += period;
    }
    count += poll.awake(now) ? 1 : 0;
  }
  return count;
}

TEST_CASE("it stays awake after each message, and sleeps again") {
  BusyPoll poll({microseconds(50), 0.1});
  core::Time now = kStart;
  CHECK_FALSE(poll.awake(now));
  CHECK(awake(poll, now, milliseconds(20), milliseconds(5)) == 4 * 50);
}

TEST_CASE("staying awake has its share of a processor, and no more") {
  BusyPoll poll({microseconds(50), 0.1});
  core::Time now = kStart;
  awake(poll, now, seconds(1), microseconds(100));
  CHECK(awake(poll, now, seconds(1), microseconds(100)) <= 100'000);
  CHECK(awake(poll, now, seconds(1), microseconds(100)) >= 90'000);
}

TEST_CASE("what was not needed is saved for a burst") {
  BusyPoll poll({microseconds(50), 0.1});
  core::Time now = kStart;
  awake(poll, now, seconds(1), microseconds(10));
  CHECK(awake(poll, now, microseconds(200), microseconds(50)) < 100);
  now += milliseconds(5);
  CHECK(awake(poll, now, microseconds(500), microseconds(50)) == 500);
  CHECK(awake(poll, now, milliseconds(100), microseconds(50)) < 11'000);
}

TEST_CASE("one without a limit stays awake as long as messages come") {
  BusyPoll poll({milliseconds(10), 1});
  core::Time now = kStart;
  CHECK(awake(poll, now, seconds(1), milliseconds(5)) == 1'000'000);
  CHECK(awake(poll, now, seconds(1), seconds(2)) == 10'000);
}

TEST_CASE("one that is off never stays awake") {
  BusyPoll poll({microseconds(0), 1});
  core::Time now = kStart;
  CHECK(awake(poll, now, seconds(1), microseconds(10)) == 0);
}

}  // namespace
}  // namespace vsync::engine
