// Links to the other daemons: a TCP mesh, and UDP for heartbeats (protocol.md sections 6, 7 R9 and 9 F9).
//
// How two daemons that dial each other at the same time settle on one connection:
//   1. Who accepts a connection greets with HELLO. Who dialled answers with HELLO, unless it is talking to itself or has a link
//   to
//      that pid already: then it hangs up. So a dialler's HELLO means "I have no link to you".
//   2. The end with the smaller pid chooses: it says HELLO a second time (JOIN, JOIN-ACK, ACK in other words) on the first
//      connection for which it holds the peer's HELLO, and its link is open. The other end's link is open when that comes.
//   3. A connection that arrives while the chosen one is young is its crossing twin, and closed. Later it shows that the peer has
//      lost the chosen one: the new one takes its place.
// Frames flow only after that, so nothing is ever sent on a connection that loses. There is at most one link per pid.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model/frame.h"
#include "io/host_port.h"

namespace vsync::io {

struct TransportOptions {
  HostPort listen{"", 7475};            ///< TCP; port 0 = any free one
  std::uint16_t heartbeat_port = 7475;  ///< UDP; 0 = any free one
  std::vector<HostPort> seeds;          ///< peers to join through

  std::chrono::milliseconds link_grace{200};   ///< short retries after a lost link
  std::chrono::milliseconds backoff_min{500};  ///< then exponential back-off with jitter
  std::chrono::milliseconds backoff_max{16000};
  std::chrono::milliseconds handshake{2000};       ///< from connecting to the open link
  std::chrono::milliseconds user_timeout{4000};    ///< unacknowledged bytes end a link
  std::size_t max_queue = std::size_t{64} << 20U;  ///< bytes waiting for one peer before its link is reset
  std::size_t max_strangers = 256;                 ///< connections without HELLO
  std::size_t max_strangers_per_address = 16;
  std::uint64_t seed = 0;  ///< of the jitter
};

/// What the transport has counted since its start.
struct TransportCounters {
  std::uint64_t accepted = 0, dialled = 0, opened = 0, lost = 0, resets = 0, refused = 0, refused_datagrams = 0;
  std::uint64_t frames_in = 0, frames_out = 0, datagrams_in = 0, datagrams_out = 0;
};

/// The engine, as the transport sees it. Calls come from the event loop, also from inside calls of the transport: input that
/// arrives while the core is stepping must be queued.
class TransportHandler {
 public:
  TransportHandler() = default;
  TransportHandler(const TransportHandler&) = delete;
  TransportHandler& operator=(const TransportHandler&) = delete;
  virtual ~TransportHandler() = default;

  /// What to say in the next HELLO.
  [[nodiscard]] virtual core::Hello hello() const = 0;
  virtual void link_opened(const core::Hello& peer) = 0;
  /// `clean`: after a GOODBYE.
  virtual void link_closed(const core::Pid& peer, bool clean, const std::string& why) = 0;
  virtual void frame(const core::Pid& from, core::Frame frame) = 0;
  virtual void datagram(core::Datagram datagram) = 0;
  /// Nobody listens at the peer's address any more (FIRM evidence).
  virtual void peer_gone(const core::Pid& peer, const std::string& why) = 0;
  virtual void seeds_tried() = 0;
  /// Input was refused and counted. Called once per address and reason: worth a line in the log.
  virtual void refused(const std::string& from, const std::string& why) = 0;
  /// A peer cannot be reached. Called when the reason changes, not at each attempt.
  virtual void dial_failed(const std::string& address, const std::string& why) = 0;
};

/// Single-threaded: construct, call and destroy on the io_context's thread. The handler must outlive it.
class Transport {
 public:
  Transport(asio::io_context& io, const TransportOptions& options, TransportHandler& handler);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// Binds and listens. Nothing is accepted or dialled before start().
  Result<void> open();
  /// The identity in hello() is valid from now on.
  void start();
  /// Hangs up all links with GOODBYE and dials and accepts nobody, until start(). No callback follows.
  void stop(const std::string& reason);
  /// After stop(): everything was sent.
  [[nodiscard]] bool idle() const;

  [[nodiscard]] asio::ip::address address() const;     ///< as bound, perhaps unspecified
  [[nodiscard]] std::uint16_t port() const;            ///< TCP, as bound
  [[nodiscard]] std::uint16_t heartbeat_port() const;  ///< UDP, as bound

  void set_seeds(const std::vector<HostPort>& seeds);
  /// We belong to this cluster from now on: frames and datagrams of others are refused.
  void set_cluster(const core::Uuid& uuid);
  /// Keeps links to these members, and to the seeds while `seek`.
  void want(const std::vector<core::Member>& peers, bool seek);
  /// Queues a frame for the link to this pid; dropped if there is none. One frame for many is encoded once.
  void send(const core::Pid& to, const core::FramePtr& frame);
  void send(const core::Member& to, const core::Datagram& datagram);
  /// The peer broke the protocol: resets the link, which may be dialled again.
  void reset(const core::Pid& peer, const std::string& why);
  /// Writes what was queued, once per link. Call it at the end of each turn of the event loop.
  void flush();

  [[nodiscard]] const TransportCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The part of HELLO that needs no state: may `peer` be linked to `own`? An error is a stable reason for the log.
[[nodiscard]] Result<void> check_hello(const core::Hello& own, const core::Hello& peer);

}  // namespace vsync::io
