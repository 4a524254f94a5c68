#include "base/signals.h"

#include <catch2/catch.hpp>
#include <thread>

TEST_CASE("signals: a thread that is started without them never gets one, and who started it still does") {
  const auto blocked = [] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    return sigismember(&mask, SIGTERM) == 1;
  };
  bool there = false;
  std::thread thread;
  vsync::without_signals([&] { thread = std::thread([&] { there = blocked(); }); });
  thread.join();
  CHECK(there);
  CHECK_FALSE(blocked());
}
