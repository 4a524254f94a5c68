// What `vsyncctl bench` prints.
#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "bench_report.h"
#include "renderer.h"

namespace vsync::ctl {
namespace {

constexpr std::array<double, 6> kParts = {0.5, 0.75, 0.9, 0.99, 0.999, 1};
constexpr std::array<const char*, 6> kNames = {"p50", "p75", "p90", "p99", "p99.9", "max"};
constexpr std::size_t kBar = 40;  // columns

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), pattern, values...);
  return text.data();
}

std::string time(std::uint64_t nanoseconds) {
  const auto value = static_cast<double>(nanoseconds);
  if (value < 1e6) {
    return format("%.0f us", value / 1e3);
  }
  return value < 1e9 ? format("%.1f ms", value / 1e6) : format("%.1f s", value / 1e9);
}

/// 10, 20, 50, 100, … microseconds, as far as there is something.
std::vector<std::uint64_t> limits(const Histogram& latency) {
  std::vector<std::uint64_t> found;
  for (std::uint64_t decade = 10'000; decade <= 1'000'000'000'000; decade *= 10) {
    for (const std::uint64_t step : {1U, 2U, 5U}) {
      const std::uint64_t limit = decade * step;
      if (latency.at_most(limit) > 0) {
        found.push_back(limit);
      }
      if (latency.at_most(limit) == latency.count()) {
        return found;
      }
    }
  }
  return found;
}

std::string bars(const Histogram& latency) {
  std::string text;
  std::uint64_t below = 0;
  std::uint64_t most = 1;
  for (const auto limit : limits(latency)) {
    most = std::max(most, latency.at_most(limit) - std::exchange(below, latency.at_most(limit)));
  }
  below = 0;
  for (const auto limit : limits(latency)) {
    const std::uint64_t here = latency.at_most(limit) - below;
    below += here;
    const std::size_t width = here == 0 ? 0 : std::max<std::size_t>(1, here * kBar / most);
    text += format("  up to %8s %12llu  ", time(limit).c_str(), static_cast<unsigned long long>(here)) + std::string(width, '#') +
            "\n";
  }
  return text;
}

}  // namespace

std::string bench_text(const BenchReport& report) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::string text =
      format("%llu messages of %zu bytes, %s, to group ", number(report.sent), report.size, report.service.c_str());
  text += report.group + format(" with %zu members, in %.1f s\n", report.members, report.seconds);
  text += format("delivered here: %llu, %.0f a second, %.2f MB/s", number(report.delivered), report.delivered_rate(),
                 report.bytes_rate() / 1e6);
  if (report.not_delivered + report.unknown > 0) {
    text += format("; not delivered: %llu; outcome unknown: %llu", number(report.not_delivered), number(report.unknown));
  }
  text += report.rate > 0 ? "\nlatency, from when a message was due to its delivery here:\n "
                          : "\nlatency, from the send to its delivery here, at full load:\n ";
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    text +=
        format(" %s %s", kNames[i], time(report.latency.percentile(kParts[i])).c_str()) + (i + 1 < kParts.size() ? "," : "\n");
  }
  return text + bars(report.latency);
}

std::string bench_json(const BenchReport& report) {
  std::string text = format("{\"size\":%zu,\"members\":%zu,\"rate\":%.0f,\"seconds\":%.3f,", report.size, report.members,
                            report.rate, report.seconds);
  text += "\"service\":\"" + report.service + "\",";
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  text += format("\"sent\":%llu,\"delivered\":%llu,\"not_delivered\":%llu,\"unknown\":%llu,", number(report.sent),
                 number(report.delivered), number(report.not_delivered), number(report.unknown));
  text += format("\"delivered_per_second\":%.1f,\"bytes_per_second\":%.0f,\"latency_us\":{", report.delivered_rate(),
                 report.bytes_rate());
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    text += format("\"%s\":%.1f,", kNames[i], static_cast<double>(report.latency.percentile(kParts[i])) / 1e3);
  }
  text += format("\"mean\":%.1f},\"histogram\":[", static_cast<double>(report.latency.mean()) / 1e3);
  std::uint64_t below = 0;
  for (const auto limit : limits(report.latency)) {
    const std::uint64_t here = report.latency.at_most(limit) - below;
    text += format("%s{\"up_to_us\":%llu,\"count\":%llu}", below == 0 ? "" : ",", number(limit / 1000), number(here));
    below += here;
  }
  return text + "]}";
}

}  // namespace vsync::ctl
