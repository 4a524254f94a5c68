#include "tally.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstring>

namespace vsync::bench {
namespace {

double seconds(Clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

void print_latency(const char* what, const Histogram& histogram) {
  if (histogram.count() > 0) {
    const auto us = [&](double part) { return static_cast<double>(histogram.percentile(part)) / 1000; };
    std::printf(R"(, "%s": {"p50": %.1f, "p90": %.1f, "p99": %.1f, "p999": %.1f, "max": %.1f})", what, us(0.5), us(0.9), us(0.99),
                us(0.999), us(1));
  }
}

}  // namespace

void keep_exact_time() {
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

void pause(Nanoseconds time) {
  const timespec wait{time.count() / 1'000'000'000, time.count() % 1'000'000'000};
  ::ppoll(nullptr, 0, &wait, nullptr);
}

void print_view(std::size_t members) {
  std::printf("%.6f %zu\n", seconds(Clock::now()), members);
  std::fflush(stdout);
}

Clock::time_point Tally::due(std::uint64_t sent) const {
  return start_ + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(static_cast<double>(sent) / task_.rate));
}

void Tally::stamp(std::string& message, std::uint64_t sent) const {
  const std::int64_t moment = due(sent).time_since_epoch().count();
  std::memcpy(message.data(), &moment, sizeof moment);
}

void Tally::took(std::string_view message, bool own) {
  ++delivered_;
  if (task_.rate > 0) {
    std::int64_t moment = 0;
    std::memcpy(&moment, message.data(), sizeof moment);
    const auto latency = last_.time_since_epoch() - Nanoseconds(moment);
    (own ? own_ : others_).add(static_cast<std::uint64_t>(latency.count()));
  }
}

void Tally::print(std::uint64_t sent, std::uint64_t refused) const {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf(R"({"start": %.6f, "end": %.6f, "sent": %llu, "refused": %llu, "delivered": %llu, "cpu": %.3f, "peak_kib": %ld)",
              seconds(start_), seconds(last_), static_cast<unsigned long long>(sent), static_cast<unsigned long long>(refused),
              static_cast<unsigned long long>(delivered_), seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
  print_latency("own_us", own_);
  print_latency("others_us", others_);
  std::printf("}\n");
}

}  // namespace vsync::bench
