// What `vsyncctl bench` measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/histogram.h"

namespace vsync::ctl {

struct BenchReport {
  std::string group;
  std::string service;
  std::size_t size = 64;    ///< bytes of a message
  std::size_t members = 0;  ///< of the group, ourselves included
  double rate = 1000;       ///< wanted, messages per second; 0: as fast as the outcomes came back
  double seconds = 0;       ///< from the first message to the last delivery
  std::uint64_t sent = 0;
  std::uint64_t delivered = 0;      ///< of ours, at ourselves
  std::uint64_t not_delivered = 0;  ///< refused, or lost with a view
  std::uint64_t unknown = 0;        ///< without outcome
  Histogram latency;                ///< ns, from the moment a message was due to our own delivery of it

  [[nodiscard]] double delivered_rate() const { return seconds > 0 ? static_cast<double>(delivered) / seconds : 0; }
  [[nodiscard]] double bytes_rate() const { return delivered_rate() * static_cast<double>(size); }
};

}  // namespace vsync::ctl
