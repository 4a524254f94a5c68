// CRC-32C (Castagnoli), for records on disk and datagrams. Detects damage, not malice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vsync {

namespace detail {
constexpr std::array<std::uint32_t, 256> make_crc32c_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    }
    table[i] = crc;
  }
  return table;
}
inline constexpr auto kCrc32cTable = make_crc32c_table();
}  // namespace detail

/// CRC-32C of `bytes`; pass the result of the part before as `crc` to go on.
[[nodiscard]] constexpr std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) {
  crc = ~crc;
  for (const char c : bytes) {
    crc = (crc >> 8U) ^ detail::kCrc32cTable[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
  }
  return ~crc;
}

}  // namespace vsync
