#include "daemon/values.h"

#include <array>
#include <charconv>
#include <utility>

namespace vsync::daemon {
namespace {

/// The number that `text` begins with, and what follows it.
template <typename Number>
Result<std::pair<Number, std::string_view>> leading(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) {
    return fail("'" + std::string(text) + "' begins with no number");
  }
  return std::pair(number, text.substr(static_cast<std::size_t>(end - text.data())));
}

}  // namespace

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits{
      {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"", 1e6}, {"m", 60e6}, {"h", 3600e6}}};
  constexpr double kYear = 365 * 24 * 3600e6;
  const auto number = leading<double>(text);
  if (number) {
    for (const auto& [unit, factor] : kUnits) {
      if (number->second == unit && number->first * factor <= kYear) {
        return std::chrono::microseconds(static_cast<std::int64_t>(number->first * factor));
      }
    }
  }
  return fail("'" + std::string(text) + "' is no duration like 100ms, 1.5s or 2m");
}

Result<std::size_t> parse_size(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 4> kUnits{{{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}}};
  constexpr std::size_t kMost = std::size_t{1} << 40U;
  const auto number = leading<std::uint64_t>(text);
  if (number) {
    for (const auto& [unit, shift] : kUnits) {
      if (number->second == unit && number->first <= kMost >> shift) {
        return static_cast<std::size_t>(number->first) << shift;
      }
    }
  }
  return fail("'" + std::string(text) + "' is no size like 65536, 64KiB or 4MiB");
}

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto number = leading<std::uint64_t>(text);
  if (!number || !number->second.empty() || number->first < least || number->first > most) {
    return fail("'" + std::string(text) + "' is no number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return number->first;
}

Result<std::uint32_t> parse_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777) {
    return fail("'" + std::string(text) + "' is no file mode like 0660");
  }
  return mode;
}

Result<engine::EventLog::Format> parse_event_format(std::string_view text) {
  using Format = engine::EventLog::Format;
  constexpr std::array<std::pair<std::string_view, Format>, 3> kFormats{
      {{"text", Format::text}, {"membership", Format::membership}, {"json", Format::json}}};
  for (const auto& [word, format] : kFormats) {
    if (word == text) {
      return format;
    }
  }
  return fail("'" + std::string(text) + "' is none of text, membership, json");
}

}  // namespace vsync::daemon
