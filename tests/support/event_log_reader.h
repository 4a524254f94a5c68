// The daemons' event logs in the json format (engine/event_log.h) as records for the checkers.
#pragma once

#include <iosfwd>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "support/check/history.h"

namespace vsync::check {

/// One line.
[[nodiscard]] Result<Record> read_event(std::string_view line);

/// All lines, appended. A process that was killed may have left a part of a line behind: that is tolerated at the end and before
/// the next process begins, nowhere else.
[[nodiscard]] Result<void> read_event_log(std::istream& in, std::vector<Record>& records);

}  // namespace vsync::check
