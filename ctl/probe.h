// What other hosts look like from here.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace vsync::ctl {

struct Probe {
  std::string host;
  std::uint16_t port = 0;                ///< 0: only the name is looked up
  std::vector<std::string> addresses{};  ///< of the host; empty with an `error`
  bool connected = false;
  std::string error{};  ///< why not
};

/// Looks the hosts up and connects to them by TCP, all at once. Nothing is said on the connections. Gives up after `timeout`.
void probe(std::vector<Probe>& targets, std::chrono::milliseconds timeout);

/// Is it an address of this host?
[[nodiscard]] bool is_local(const std::string& address);
[[nodiscard]] bool is_loopback(const std::string& address);

}  // namespace vsync::ctl
