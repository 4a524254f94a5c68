#include "io/host_port.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace vsync::io {
namespace {

constexpr std::size_t kLongestName = 253;  // of a DNS name

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 65535) {
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(value);
}

bool plausible_host(std::string_view host) {
  return host.size() <= kLongestName && std::ranges::all_of(host, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view(".-_:%").find(c) != std::string_view::npos;
         });
}

}  // namespace

Result<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
      return fail("'" + std::string(text) + "': the ']' is missing");
    }
    host = text.substr(1, close - 1);
    const auto rest = text.substr(close + 1);
    has_port = rest.starts_with(':');
    if (!rest.empty() && !has_port) {
      return fail("'" + std::string(text) + "': a ':PORT' is expected after ']'");
    }
    port = has_port ? rest.substr(1) : rest;
  } else if (std::ranges::count(text, ':') == 1) {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  if (host == "*") {
    host = {};
  }
  if (!plausible_host(host)) {
    return fail("'" + std::string(text) + "' is no HOST[:PORT]");
  }
  if (!has_port) {
    return HostPort{std::string(host), default_port};
  }
  const auto number = parse_port(port);
  if (!number) {
    return fail("'" + std::string(text) + "': the port must be a number from 0 to 65535");
  }
  return HostPort{std::string(host), *number};
}

std::string to_string(const HostPort& address) {
  const auto port = ":" + std::to_string(address.port);
  if (address.host.empty()) {
    return "*" + port;
  }
  return (address.host.find(':') == std::string::npos ? address.host : "[" + address.host + "]") + port;
}

}  // namespace vsync::io
