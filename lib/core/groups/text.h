// What names and texts from applications must look like.
#pragma once

#include <cstddef>
#include <string_view>

namespace vsync::core {

inline constexpr std::size_t kMaxName = 255;  ///< bytes of a group's or member's name

/// Well-formed UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above U+10FFFF.
[[nodiscard]] bool valid_utf8(std::string_view text);

/// At most kMaxName bytes of UTF-8 without control characters. May be empty.
[[nodiscard]] bool valid_name(std::string_view name);

}  // namespace vsync::core
