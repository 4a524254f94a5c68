// The IPv4 networks that this host is on.
#pragma once

#include <asio/ip/address_v4.hpp>
#include <optional>
#include <vector>

namespace vsync::io {

struct LocalNetwork {
  asio::ip::address_v4 address;  ///< of this host
  asio::ip::address_v4 mask;
  std::optional<asio::ip::address_v4> broadcast;  ///< none on links between two points
  bool loopback = false;

  [[nodiscard]] bool contains(const asio::ip::address_v4& other) const {
    return (other.to_uint() & mask.to_uint()) == (address.to_uint() & mask.to_uint());
  }
};

/// Those of interfaces that are up, as of now. Empty when the system does not tell.
[[nodiscard]] std::vector<LocalNetwork> local_networks();

}  // namespace vsync::io
