// What decoders ask of bytes from outside.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "core/model/types.h"

namespace vsync::wire {

/// Remembers the first thing that was wrong, as a short stable reason.
class Check {
 public:
  bool that(bool holds, std::string_view reason) {
    if (!holds && reason_.empty()) {
      reason_ = reason;
    }
    return holds;
  }

  [[nodiscard]] bool ok() const { return reason_.empty(); }
  [[nodiscard]] std::string_view reason() const { return reason_; }

 private:
  std::string_view reason_;
};

/// An enumeration whose values are 0 .. last.
template <typename Enum>
Enum to_enum(std::uint64_t value, Enum last, Check& check) {
  return check.that(value <= static_cast<std::uint64_t>(last), "unknown enumeration value") ? static_cast<Enum>(value) : Enum{};
}

inline std::uint16_t to_u16(std::uint32_t value, Check& check) {
  check.that(value <= std::numeric_limits<std::uint16_t>::max(), "number out of range");
  return static_cast<std::uint16_t>(value);
}

inline core::Duration to_duration(std::uint64_t nanoseconds, Check& check) {
  constexpr std::chrono::nanoseconds kLongest = std::chrono::hours(24 * 366);
  check.that(nanoseconds <= static_cast<std::uint64_t>(kLongest.count()), "duration out of range");
  return check.ok() ? core::Duration(static_cast<std::int64_t>(nanoseconds)) : core::Duration::zero();
}

/// Negative durations have no meaning on the wire.
inline std::uint64_t from_duration(core::Duration duration) {
  return duration > core::Duration::zero() ? static_cast<std::uint64_t>(duration.count()) : 0;
}

}  // namespace vsync::wire
