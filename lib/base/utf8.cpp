#include "base/utf8.h"

#include <algorithm>
#include <cstdint>

namespace vsync {

std::optional<char32_t> take_code_point(std::string_view& rest) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(rest[i]); };
  const std::uint8_t lead = byte(0);
  const std::size_t size = lead < 0x80 ? 1 : (lead >> 5U) == 0x06 ? 2 : (lead >> 4U) == 0x0e ? 3 : (lead >> 3U) == 0x1e ? 4 : 0;
  if (size == 0 || size > rest.size()) {
    return std::nullopt;
  }
  char32_t code = size == 1 ? lead : lead & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) {
      return std::nullopt;
    }
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    return std::nullopt;
  }
  rest.remove_prefix(size);
  return code;
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto ascii = std::find_if(text.begin(), text.end(), [](char letter) { return (letter & 0x80) != 0; }) - text.begin();
    text.remove_prefix(static_cast<std::size_t>(ascii));  // most of a text, and a large one must not take long
    if (!text.empty() && !take_code_point(text)) {
      return false;
    }
  }
  return true;
}

bool printable_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto code = take_code_point(text);
    if (!code || *code < 0x20 || (*code >= 0x7f && *code < 0xa0)) {
      return false;
    }
  }
  return true;
}

}  // namespace vsync
