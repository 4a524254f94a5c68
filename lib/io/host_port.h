// HOST[:PORT] as people write it: 10.0.0.1, node-1:7475, [fe80::1]:7475, *.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vsync::io {

struct HostPort {
  std::string host;  ///< name or literal address without brackets; empty = all addresses
  std::uint16_t port = 0;

  bool operator==(const HostPort&) const = default;
};

/// Parses `text`; a missing port becomes `default_port`. A bare IPv6 address needs no brackets when it has no port.
/// `*` and the empty text mean all addresses.
[[nodiscard]] Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port);

/// "10.0.0.1:7475", "[::1]:7475", "*:7475".
[[nodiscard]] std::string to_string(const HostPort& address);

}  // namespace vsync::io
