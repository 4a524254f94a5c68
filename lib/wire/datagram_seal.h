// What every datagram has: a magic in front, a checksum at the end, a bounded size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/codec.h"
#include "base/crc.h"
#include "base/result.h"

namespace vsync::wire {

/// No datagram is longer; fits every path without fragmentation.
inline constexpr std::size_t kMaxDatagram = 1200;
inline constexpr std::size_t kDatagramChecksum = 4;

/// `bytes` begin with the magic.
[[nodiscard]] inline std::string seal_datagram(std::string bytes) {
  const std::uint32_t checksum = crc32c(bytes);
  return std::move(bytes) + Writer().put(checksum).take();
}

/// What is between magic and checksum.
[[nodiscard]] inline Result<std::string_view> open_datagram(std::string_view bytes, std::string_view magic) {
  if (bytes.size() > kMaxDatagram || !bytes.starts_with(magic) || bytes.size() < magic.size() + kDatagramChecksum) {
    return fail("not the peer protocol");
  }
  const std::string_view sealed = bytes.substr(0, bytes.size() - kDatagramChecksum);
  if (Reader(bytes.substr(sealed.size())).value<std::uint32_t>() != crc32c(sealed)) {
    return fail("wrong checksum");
  }
  return sealed.substr(magic.size());
}

}  // namespace vsync::wire
