// Finds members of the cluster on the local network by broadcast, and answers those who look for it (docs/PROTOCOL.md,
// "Discovery").
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/host_port.h"
#include "io/local_networks.h"
#include "io/refusals.h"
#include "io/transport_udp.h"
#include "wire/discovery_codec.h"

namespace vsync::io {

inline constexpr std::size_t kMaxClusterName = wire::kMaxClusterName;

struct DiscoveryOptions {
  bool on = false;
  std::string cluster = "vsync";  ///< its name
  std::uint16_t port = 7476;      ///< UDP, where questions come to: the same on every host
  std::chrono::milliseconds interval{10000};
};

struct DiscoveryCounters {
  std::uint64_t asked = 0, answered = 0, found = 0, refused = 0;
};

/// The engine, as discovery sees it. Calls come from the event loop.
class DiscoveryHandler {
 public:
  DiscoveryHandler() = default;
  DiscoveryHandler(const DiscoveryHandler&) = delete;
  DiscoveryHandler& operator=(const DiscoveryHandler&) = delete;
  virtual ~DiscoveryHandler() = default;

  /// What to tell those who look for the cluster (nonce and name are filled in); nothing while this daemon is in no view.
  [[nodiscard]] virtual std::optional<wire::Found> whereabouts() const = 0;
  /// Places to join through, all that are known from the answers to the last question. Called when there are more of them.
  virtual void discovered(const std::vector<HostPort>& places) = 0;
  /// The first question had no answer. Called once for each search.
  virtual void nobody_answers() = 0;
  /// Input was refused and counted. Called once per address and reason.
  virtual void refused_discovery(const std::string& from, const std::string& why) = 0;
};

/// Single-threaded. The handler must outlive it.
class Discovery : private DatagramOwner {
 public:
  Discovery(asio::io_context& io, DiscoveryOptions options, DiscoveryHandler& handler);

  /// Answers questions from now on. `local`: the address that is listened on for peers; only its networks are used, or all when
  /// it is unspecified.
  Result<void> open(const asio::ip::address& local);
  /// Asks at once and then again and again until rest(). `cluster`: believe only members of this one; none = of any of the name.
  void seek(const core::Uuid& cluster);
  void rest();

  [[nodiscard]] const DiscoveryCounters& counters() const { return counters_; }

 private:
  void datagram(const asio::ip::udp::endpoint& from, std::string_view bytes) override;
  void question(const asio::ip::udp::endpoint& from, const wire::Seek& seek);
  void answer(const asio::ip::udp::endpoint& from, const wire::Found& found);
  void ask();
  void refuse(const asio::ip::udp::endpoint& from, const std::string& why);
  [[nodiscard]] bool may_answer(const asio::ip::udp::endpoint& to);
  [[nodiscard]] std::vector<LocalNetwork> networks() const;

  const DiscoveryOptions options_;
  DiscoveryHandler& handler_;
  DatagramSocket listener_;  ///< shared with other daemons of this host: a broadcast reaches them all
  DatagramSocket asker_;     ///< our own: questions leave from it and answers come to it
  asio::steady_timer timer_;
  asio::ip::address_v4 local_;
  DiscoveryCounters counters_;
  Refusals refusals_;

  core::Uuid wanted_;             ///< none = whichever answers first
  std::uint64_t nonce_ = 0;       ///< of the last question, 0 = none is open
  core::Uuid chosen_;             ///< of the answers to it
  std::vector<HostPort> places_;  ///< from them
  bool told_ = false;             ///< that nobody answers

  std::chrono::steady_clock::time_point answers_since_;  ///< the second that the following were answered in
  std::set<asio::ip::address> answered_;
};

}  // namespace vsync::io
