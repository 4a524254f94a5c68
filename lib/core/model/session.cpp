#include "core/model/session.h"

#include <limits>

namespace vsync::core {

SessionFates::Part SessionFates::from(std::uint64_t number) const {
  constexpr auto kEnd = std::numeric_limits<std::uint64_t>::max();
  if (!known || number <= forgotten) {
    return {Outcome::unknown, known ? forgotten : kEnd};
  }
  for (const auto& range : delivered) {
    if (number < range.first) {
      return {Outcome::not_delivered, range.first - 1};
    }
    if (number <= range.last) {
      return {Outcome::delivered, range.last};
    }
  }
  return {Outcome::not_delivered, kEnd};
}

}  // namespace vsync::core
