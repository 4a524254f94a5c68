#include "durable/wal.h"

#include <cstdint>
#include <fstream>
#include <string_view>

namespace vsync::durable {

namespace {

constexpr std::size_t kHeader = 32;
constexpr std::size_t kFrameHeader = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // and 1 more if the checksums are of big-endian words
constexpr std::uint32_t kLargestPage = 65536;

std::uint32_t word(std::string_view bytes, std::size_t at, bool big_endian = true) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const auto byte = static_cast<std::uint8_t>(bytes[at + i]);
    value |= std::uint32_t{byte} << (big_endian ? 24U - 8U * i : 8U * i);
  }
  return value;
}

/// It runs on from frame to frame.
struct Checksum {
  bool big_endian = false;
  std::uint32_t first = 0;
  std::uint32_t second = 0;

  void add(std::string_view bytes) {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      first += word(bytes, i, big_endian) + second;
      second += word(bytes, i + 4, big_endian) + first;
    }
  }
  [[nodiscard]] bool is(std::string_view bytes, std::size_t at) const {
    return word(bytes, at) == first && word(bytes, at + 4) == second;
  }
};

bool read(std::ifstream& file, std::string& bytes) {
  return static_cast<bool>(file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())));
}

}  // namespace

bool log_is_damaged(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string header(kHeader, '\0');
  if (!file || !read(file, header) || (word(header, 0) & ~1U) != kMagic) {
    return false;
  }
  Checksum sum{(word(header, 0) & 1U) != 0};
  sum.add(std::string_view(header).substr(0, kHeader - 8));
  const auto page_size = word(header, 8);
  if (!sum.is(header, kHeader - 8) || page_size == 0 || page_size > kLargestPage) {
    return false;  // cut off in its first write
  }
  const auto salts = std::string_view(header).substr(16, 8);
  bool fits = true;
  int ends = 0;
  for (std::string frame(kFrameHeader + page_size, '\0'); ends < 2 && read(file, frame);) {
    const auto bytes = std::string_view(frame);
    const bool of_this_log = bytes.substr(8, 8) == salts;
    sum.add(bytes.substr(0, 8));
    sum.add(bytes.substr(kFrameHeader));
    fits = fits && of_this_log && sum.is(bytes, 16);
    ends += !fits && of_this_log && word(bytes, 4) != 0 ? 1 : 0;
  }
  return ends == 2;
}

}  // namespace vsync::durable
