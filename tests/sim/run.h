// One run: a safety phase with faults, then everything is healed and must converge; then the checkers judge the trace.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sim/chaos.h"
#include "support/check/report.h"

namespace vsync::sim {

struct RunOptions {
  std::uint64_t seed = 1;
  std::size_t nodes = 0;  ///< 0: drawn
  Profile profile = Profile::mixed;
  Duration chaos{};  ///< length of the safety phase, 0: drawn
  std::function<void(const std::string&)> narrate;
  bool narrate_frames = false;
};

/// How a run ended. Lost state and lost votes are no failures: no daemon can help there, an operator must.
enum class RunEnd : std::uint8_t { converged, state_lost, votes_lost, stuck };

struct RunResult {
  check::Report report;
  RunEnd end = RunEnd::stuck;
  std::size_t nodes = 0;
  Duration simulated{};
  std::uint64_t steps = 0;
  std::uint64_t views = 0;       ///< different views installed
  std::uint64_t deliveries = 0;  ///< messages at all processes
  std::uint64_t cold_views = 0;
  std::uint64_t durable = 0;   ///< messages that senders were told to be
  std::uint64_t restored = 0;  ///< members that went on from a disk
  std::map<std::string, std::uint64_t> faults;
  std::map<std::string, std::uint64_t> steps_taken;  ///< of the protocol, by name
  std::map<std::string, std::uint64_t> refusals;
};

[[nodiscard]] RunResult run(const RunOptions& options);

}  // namespace vsync::sim
