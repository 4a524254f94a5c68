// What the words of a command mean.
#pragma once

#include <charconv>
#include <optional>
#include <string>

#include "core/model/types.h"

namespace vsync::scenario {

constexpr const char* kGroup = "g";
constexpr const char* kClient = "c";

inline std::uint64_t number(const std::string& word) {
  std::uint64_t value = 0;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

/// "200us", "1500ms", "3s" or "48h".
inline core::Duration duration(const std::string& word) {
  const auto count = static_cast<std::int64_t>(number(word));
  if (word.ends_with("us")) {
    return std::chrono::microseconds(count);
  }
  if (word.ends_with("ms")) {
    return std::chrono::milliseconds(count);
  }
  return word.ends_with("h") ? core::Duration(std::chrono::hours(count)) : std::chrono::seconds(count);
}

inline std::optional<core::Service> service(const std::string& word) {
  for (const auto s : {core::Service::fifo, core::Service::causal, core::Service::total}) {
    if (word == to_string(s)) {
      return s;
    }
  }
  return std::nullopt;
}

}  // namespace vsync::scenario
