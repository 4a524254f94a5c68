// Values as people write them in settings: durations, sizes, and words out of a list.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/event_log.h"

namespace vsync::daemon {

/// "100ms", "1.5s", "2m", "500us"; a bare number means seconds. Not negative, at most a year.
[[nodiscard]] Result<std::chrono::microseconds> parse_duration(std::string_view text);
/// "65536", "64KiB", "4MiB", "1GiB".
[[nodiscard]] Result<std::size_t> parse_size(std::string_view text);
/// A decimal number in [least, most].
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most);
/// "0660": permission bits.
[[nodiscard]] Result<std::uint32_t> parse_mode(std::string_view text);
/// "text", "membership" or "json".
[[nodiscard]] Result<engine::EventLog::Format> parse_event_format(std::string_view text);

}  // namespace vsync::daemon
