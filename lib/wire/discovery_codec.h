// How a daemon without peers finds its cluster on the local network, as UDP datagrams. All integers little-endian:
//
//   magic "vsyf", proto u16, type u8 (1 SEEK, 2 FOUND), zero u8, nonce u64, name of the cluster, then
//     SEEK   zeros up to kMaxDatagram: no answer is longer than its question, so nobody is flooded by asking in their name
//     FOUND  version of vsyncd, uuid 16 bytes, u32 n, n places (host, port u16): the sender first, then others by seniority
//   CRC-32C u32 of all that. Texts are a u32 length and printable UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "core/model/types.h"

namespace vsync::wire {

inline constexpr std::size_t kMaxClusterName = 64;
inline constexpr std::size_t kMaxPlaces = 8;

/// Is there a cluster of this name?
struct Seek {
  std::uint64_t nonce = 0;  ///< the answer repeats it
  std::string cluster;

  bool operator==(const Seek&) const = default;
};

/// Where a member is reached.
struct Place {
  std::string host;
  std::uint16_t port = 0;  ///< TCP

  bool operator==(const Place&) const = default;
};

/// The sender is in a view of that cluster.
struct Found {
  std::uint64_t nonce = 0;
  std::string cluster;
  std::string version;
  core::Uuid uuid;
  std::vector<Place> places;  ///< at least one

  bool operator==(const Found&) const = default;
};

using Discovery = std::variant<Seek, Found>;

/// Places that do not fit, or are more than kMaxPlaces, are left out.
[[nodiscard]] std::string encode_discovery(const Discovery& datagram);
/// An error is a short stable reason.
[[nodiscard]] Result<Discovery> decode_discovery(std::string_view bytes);

}  // namespace vsync::wire
