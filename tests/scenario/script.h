// Scenario files: commands above "---", the narrated trace that they give below. See README.md for the commands.
#pragma once

#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sim/workload.h"
#include "sim/world.h"
#include "support/check/report.h"

namespace vsync::scenario {

/// A file, taken apart.
struct Scenario {
  std::string head;                   ///< everything above the line "---", as it is
  std::vector<std::string> commands;  ///< one per line; empty for blank lines and comments
  std::string expected;               ///< everything below
};

[[nodiscard]] Result<Scenario> parse(std::istream& in);

struct Outcome {
  std::string trace;
  std::vector<std::string> problems;  ///< a command that failed or an expectation that does not hold, with its line
  check::Report report;
};

/// Runs all commands; the checkers judge the trace at the end in any case.
[[nodiscard]] Outcome play(const Scenario& scenario);

}  // namespace vsync::scenario
