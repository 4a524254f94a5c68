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

/// "1500ms" or "3s".
inline core::Duration duration(const std::string& word) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  const bool milli = word.ends_with("ms");
  return milli ? core::Duration(milliseconds(number(word))) : core::Duration(seconds(number(word)));
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
