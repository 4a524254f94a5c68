// What names from applications must look like.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/utf8.h"

namespace vsync::core {

inline constexpr std::size_t kMaxName = 255;  ///< bytes of a group's or member's name

/// At most kMaxName bytes of UTF-8 without control characters. May be empty.
[[nodiscard]] inline bool valid_name(std::string_view name) {
  return name.size() <= kMaxName && printable_utf8(name);
}

}  // namespace vsync::core
