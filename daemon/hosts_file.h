// The hosts file: one HOST[:PORT] per line, the same file on every host of the cluster.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/host_port.h"

namespace vsync::daemon {

/// Blank lines and comments after # are skipped. The n-th host has id n; the first founds the cluster.
[[nodiscard]] Result<std::vector<io::HostPort>> read_hosts(const std::string& path, std::uint16_t default_port);

/// By what a daemon finds its own line.
struct OwnNames {
  std::uint32_t id = 0;                       ///< as set, 0 = not
  std::string name;                           ///< --name
  std::string host_name;                      ///< of the machine
  std::vector<io::HostPort> addresses;        ///< --listen and --advertise, where they name a host
  std::vector<io::HostPort> interfaces = {};  ///< what we listen on when --listen names no host
};

/// Index of the line that is this daemon. An error says what was looked for.
[[nodiscard]] Result<std::size_t> find_own_line(const std::vector<io::HostPort>& hosts, const OwnNames& own,
                                                const std::string& path);

}  // namespace vsync::daemon
