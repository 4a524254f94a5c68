#include "io/discovery.h"

#include <algorithm>
#include <random>
#include <utility>

namespace vsync::io {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostPlaces = 32;
constexpr std::size_t kMostAnswers = 32;  // in a second
constexpr std::chrono::seconds kSecond{1};

std::uint64_t random_nonce() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device() | 1U;  // 0 means none
}

}  // namespace

Discovery::Discovery(asio::io_context& io, DiscoveryOptions options, DiscoveryHandler& handler)
    : options_(std::move(options)), handler_(handler), listener_(io, *this), asker_(io, *this), timer_(io) {}

Result<void> Discovery::open(const asio::ip::address& local) {
  if (local.is_v6() && !local.is_unspecified()) {
    return fail("discovery works by IPv4 broadcasts, and only the IPv6 address " + local.to_string() + " is listened on");
  }
  local_ = local.is_v4() ? local.to_v4() : asio::ip::address_v4::any();
  auto opened = asker_.open(local_, 0);
  if (opened) {
    opened = asker_.allow_broadcast();
  }
  if (opened) {
    opened = listener_.open(asio::ip::address_v4::any(), options_.port, DatagramSocket::Sharing::shared);
  }
  if (!opened) {
    return fail("cannot use UDP port " + std::to_string(options_.port) + " for discovery: " + opened.error().message);
  }
  return {};
}

/// Those through which peers can reach us.
std::vector<LocalNetwork> Discovery::networks() const {
  auto all = local_networks();
  std::erase_if(
      all, [&](const LocalNetwork& network) { return local_.is_unspecified() ? network.loopback : !network.contains(local_); });
  return all;
}

// ---------------------------------------------------------------- who looks for a cluster

void Discovery::seek(const core::Uuid& cluster) {
  wanted_ = cluster;
  told_ = false;
  ask();
}

void Discovery::rest() {
  nonce_ = 0;
  timer_.cancel();
}

void Discovery::ask() {
  nonce_ = random_nonce();
  chosen_ = wanted_;
  places_.clear();
  const auto bytes = wire::encode_discovery(wire::Seek{nonce_, options_.cluster});
  for (const LocalNetwork& network : networks()) {
    if (network.broadcast) {
      asker_.send(*network.broadcast, options_.port, bytes);
    }
  }
  counters_.asked += 1;
  timer_.expires_after(options_.interval);
  timer_.async_wait([this](const asio::error_code& error) {
    if (error || nonce_ == 0) {
      return;
    }
    if (places_.empty() && !std::exchange(told_, true)) {
      handler_.nobody_answers();
    }
    ask();
  });
}

void Discovery::answer(const asio::ip::udp::endpoint& from, const wire::Found& found) {
  if (found.nonce != nonce_ || nonce_ == 0) {
    return refuse(from, "answers a question that nobody asked");
  }
  if (found.cluster != options_.cluster) {
    return refuse(from, "is of another cluster than it was asked for");
  }
  if (!chosen_.none() && found.uuid != chosen_) {
    return refuse(from, "is of another cluster with the same name");  // the first answer decides, or what is stored
  }
  chosen_ = found.uuid;
  counters_.found += 1;
  const auto known = places_.size();
  const auto add = [&](const std::string& host, std::uint16_t port) {
    const HostPort place{host, port};
    if (places_.size() < kMostPlaces && std::ranges::find(places_, place) == places_.end()) {
      places_.push_back(place);
    }
  };
  add(from.address().to_string(), found.places.front().port);  // works also where its name means nothing
  for (const wire::Place& place : found.places) {
    add(place.host, place.port);
  }
  if (places_.size() > known) {
    handler_.discovered(places_);
  }
}

// ---------------------------------------------------------------- who is in one

void Discovery::question(const asio::ip::udp::endpoint& from, const wire::Seek& seek) {
  if (seek.nonce == nonce_) {
    return;  // a broadcast comes back
  }
  if (seek.cluster != options_.cluster) {
    return refuse(from, "looks for another cluster");
  }
  auto found = handler_.whereabouts();
  if (!found) {
    return;  // we look ourselves
  }
  if (!may_answer(from)) {
    counters_.refused += 1;
    return;
  }
  found->nonce = seek.nonce;
  found->cluster = options_.cluster;
  asker_.send(from.address(), from.port(), wire::encode_discovery(*found));
  counters_.answered += 1;
}

/// Nobody can use us to flood somebody: questions come from the local networks, and few of them are answered.
bool Discovery::may_answer(const asio::ip::udp::endpoint& to) {
  const auto now = Clock::now();
  if (now - answers_since_ >= kSecond) {
    answers_since_ = now;
    answered_.clear();
  }
  if (answered_.size() >= kMostAnswers || answered_.contains(to.address())) {
    return false;
  }
  const auto near = networks();
  const bool local = std::ranges::any_of(
      near, [&](const LocalNetwork& network) { return to.address().is_v4() && network.contains(to.address().to_v4()); });
  return local && answered_.insert(to.address()).second;
}

// ---------------------------------------------------------------- both

void Discovery::datagram(const asio::ip::udp::endpoint& from, std::string_view bytes) {
  const auto datagram = wire::decode_discovery(bytes);
  if (!datagram) {
    return refuse(from, datagram.error().message);
  }
  if (const auto* seek = std::get_if<wire::Seek>(&*datagram)) {
    question(from, *seek);
  } else {
    answer(from, std::get<wire::Found>(*datagram));
  }
}

void Discovery::refuse(const asio::ip::udp::endpoint& from, const std::string& why) {
  counters_.refused += 1;
  const auto who = from.address().to_string() + " (discovery)";
  if (refusals_.first(who, why)) {
    handler_.refused_discovery(who, why);
  }
}

}  // namespace vsync::io
