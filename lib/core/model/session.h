// C6: what became of the sends of a client's session, whatever daemons it was connected to.
#pragma once

#include <cstdint>
#include <vector>

#include "core/model/types.h"

namespace vsync::core {

/// Chosen at random by a client, once; never 0.
using SessionId = std::uint64_t;

/// The largest number of a send, so that the one behind the last is a number too.
inline constexpr std::uint64_t kLastNumber = std::uint64_t{1} << 63U;

/// Whether number, number + 1, … are `count` numbers of a session.
[[nodiscard]] constexpr bool valid_numbers(std::uint64_t number, std::uint32_t count) {
  return number != 0 && count != 0 && number <= kLastNumber && count - 1 <= kLastNumber - number;
}

struct NumberRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  bool operator==(const NumberRange&) const = default;
};

/// The session's sends have numbers that rise. All of the session's earlier connections are over, so nothing is added any more
/// to what is said here of them.
struct SessionFates {
  bool known = false;                       ///< false: it is new, or nothing is known of it any more
  std::uint64_t forgotten = 0;              ///< nothing is known of the sends up to this number
  std::vector<NumberRange> delivered = {};  ///< above `forgotten`, ascending; what is not in them was not delivered

  struct Part {
    Outcome outcome = Outcome::unknown;
    std::uint64_t last = 0;  ///< the same holds up to this number
  };
  /// Of the send with this number and those that follow it.
  [[nodiscard]] Part from(std::uint64_t number) const;

  bool operator==(const SessionFates&) const = default;
};

}  // namespace vsync::core
