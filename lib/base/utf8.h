// UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace vsync {

/// Takes the first code point off `rest`, which must not be empty. nullopt: ill-formed, and `rest` is as before.
[[nodiscard]] std::optional<char32_t> take_code_point(std::string_view& rest);

[[nodiscard]] bool valid_utf8(std::string_view text);
/// Well-formed and without control characters (C0, DEL, C1): fit for a terminal and a log line.
[[nodiscard]] bool printable_utf8(std::string_view text);

}  // namespace vsync
