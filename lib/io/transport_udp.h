// A datagram socket: of heartbeats, of discovery.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace vsync::io {

class DatagramOwner {
 public:
  DatagramOwner() = default;
  DatagramOwner(const DatagramOwner&) = delete;
  DatagramOwner& operator=(const DatagramOwner&) = delete;
  virtual ~DatagramOwner() = default;
  virtual void datagram(const asio::ip::udp::endpoint& from, std::string_view bytes) = 0;
};

/// Single-threaded. The owner must outlive it.
class DatagramSocket {
 public:
  DatagramSocket(asio::io_context& io, DatagramOwner& owner) : socket_(io), owner_(owner) {}

  enum class Sharing { exclusive, shared };  ///< shared: with other processes, each gets every broadcast

  Result<void> open(const asio::ip::address& address, std::uint16_t port, Sharing sharing = Sharing::exclusive);
  Result<void> allow_broadcast();
  [[nodiscard]] std::uint16_t port() const;
  /// Fire and forget: a datagram that the kernel does not take is a lost one.
  void send(const asio::ip::address& to, std::uint16_t port, std::string_view bytes);

 private:
  void wait();
  void read();

  asio::ip::udp::socket socket_;
  DatagramOwner& owner_;
  bool v6_ = false;
};

/// `address` in the form that a dual-stack socket wants, and back to what people know.
[[nodiscard]] asio::ip::address mapped(const asio::ip::address& address);
[[nodiscard]] asio::ip::address unmapped(const asio::ip::address& address);

}  // namespace vsync::io
