#include "io/local_networks.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <memory>

namespace vsync::io {
namespace {

constexpr std::uint32_t kPointToPoint = 0xfffffffe;  // a mask so long leaves no address for a broadcast

asio::ip::address_v4 address_of(const sockaddr* address) {
  return asio::ip::address_v4(ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr));
}

}  // namespace

std::vector<LocalNetwork> local_networks() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) {
    return {};
  }
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<LocalNetwork> networks;
  for (const auto* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET || entry->ifa_netmask == nullptr ||
        (entry->ifa_flags & IFF_UP) == 0) {
      continue;
    }
    LocalNetwork network{address_of(entry->ifa_addr), address_of(entry->ifa_netmask), std::nullopt, false};
    network.loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
    // As the kernel knows it for the prefix: what the interface is configured with may be nothing.
    if (((entry->ifa_flags & IFF_BROADCAST) != 0 || network.loopback) && network.mask.to_uint() < kPointToPoint) {
      network.broadcast = asio::ip::address_v4(network.address.to_uint() | ~network.mask.to_uint());
    }
    networks.push_back(network);
  }
  return networks;
}

}  // namespace vsync::io
