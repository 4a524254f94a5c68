#include "daemon/hosts_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <utility>

namespace vsync::daemon {
namespace {

constexpr std::size_t kMostHosts = 4096;  // more are a mistake: a cluster has tens of members

std::string trimmed(const std::string& line) {
  const auto text = line.substr(0, line.find('#'));
  const auto first = text.find_first_not_of(" \t\r");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Result<std::vector<io::HostPort>> read_hosts(const std::string& path, std::uint16_t default_port) {
  std::ifstream file(path);
  if (!file) {
    return fail("cannot read the hosts file '" + path + "': " + std::strerror(errno));
  }
  std::vector<io::HostPort> hosts;
  std::set<std::pair<std::string, std::uint16_t>> known;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    const auto text = trimmed(line);
    if (text.empty()) {
      continue;
    }
    auto host = io::parse_host_port(text, default_port);
    if (!host || host->host.empty()) {
      return fail(path + ": line " + std::to_string(number) + ": " + (host ? "a host is expected" : host.error().message));
    }
    if (!known.emplace(host->host, host->port).second) {
      return fail(path + ": line " + std::to_string(number) + ": '" + text + "' is listed twice");
    }
    if (hosts.size() == kMostHosts) {
      return fail("the hosts file '" + path + "' names more than " + std::to_string(kMostHosts) + " hosts");
    }
    hosts.push_back(std::move(*host));
  }
  if (file.bad()) {
    return fail("cannot read the hosts file '" + path + "': " + std::strerror(errno));
  }
  if (hosts.empty()) {
    return fail("the hosts file '" + path + "' names no host");
  }
  return hosts;
}

Result<std::size_t> find_own_line(const std::vector<io::HostPort>& hosts, const OwnNames& own, const std::string& path) {
  if (own.id != 0) {
    if (own.id > hosts.size()) {
      return fail("--id " + std::to_string(own.id) + " has no line in the hosts file '" + path + "', which names " +
                  std::to_string(hosts.size()) + " hosts");
    }
    return own.id - 1;
  }
  // The most telling first: an address that we use, then our name, then the machine's, then its addresses.
  for (const auto& address : own.addresses) {
    if (const auto line = std::ranges::find(hosts, address); line != hosts.end()) {
      return static_cast<std::size_t>(line - hosts.begin());
    }
  }
  for (const auto& name : {own.name, own.host_name}) {
    const auto line = std::ranges::find(hosts, name, &io::HostPort::host);
    if (line != hosts.end()) {
      return static_cast<std::size_t>(line - hosts.begin());
    }
  }
  for (const auto& address : own.interfaces) {
    if (const auto line = std::ranges::find(hosts, address); line != hosts.end()) {
      return static_cast<std::size_t>(line - hosts.begin());
    }
  }
  return fail("the hosts file '" + path + "' has no line for this host: looked for '" + own.name + "' (--name), '" +
              own.host_name + "' (host name) and the addresses of --listen, --advertise and this host; or give --id");
}

}  // namespace vsync::daemon
