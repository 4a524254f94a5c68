#include "io/transport_udp.h"

#include <fcntl.h>

#include <array>
#include <asio/ip/v6_only.hpp>

namespace vsync::io {
namespace {

constexpr std::size_t kMostPerTurn = 1024;
constexpr int kReceiveBuffer = 1 << 20;  // heartbeats of many members survive a pause of ours

}  // namespace

asio::ip::address mapped(const asio::ip::address& address) {
  return address.is_v4() ? asio::ip::address(asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4())) : address;
}

asio::ip::address unmapped(const asio::ip::address& address) {
  return address.is_v6() && address.to_v6().is_v4_mapped()
             ? asio::ip::address(asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()))
             : address;
}

Result<void> DatagramSocket::open(const asio::ip::address& address, std::uint16_t port, Sharing sharing) {
  asio::error_code error;
  const asio::ip::udp::endpoint endpoint(address, port);
  v6_ = address.is_v6();
  socket_.open(endpoint.protocol(), error);
  if (!error) {
    static_cast<void>(::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC));
  }
  if (!error && v6_ && address.is_unspecified()) {
    socket_.set_option(asio::ip::v6_only(false), error);
  }
  if (!error && sharing == Sharing::shared) {
    socket_.set_option(asio::ip::udp::socket::reuse_address(true), error);
  }
  if (!error) {
    socket_.bind(endpoint, error);
  }
  if (error) {
    return fail(error.message());
  }
  asio::error_code ignored;
  socket_.set_option(asio::socket_base::receive_buffer_size(kReceiveBuffer), ignored);
  socket_.non_blocking(true, ignored);
  wait();
  return {};
}

Result<void> DatagramSocket::allow_broadcast() {
  asio::error_code error;
  socket_.set_option(asio::socket_base::broadcast(true), error);
  return error ? fail(error.message()) : Result<void>{};
}

std::uint16_t DatagramSocket::port() const {
  asio::error_code ignored;
  return socket_.local_endpoint(ignored).port();
}

void DatagramSocket::send(const asio::ip::address& to, std::uint16_t port, std::string_view bytes) {
  asio::error_code ignored;
  socket_.send_to(asio::buffer(bytes), {v6_ ? mapped(to) : to, port}, 0, ignored);
}

void DatagramSocket::wait() {
  socket_.async_wait(asio::ip::udp::socket::wait_read, [this](const asio::error_code& error) {
    if (!error) {
      read();
    }
  });
}

// F2: everything that is there, before anybody looks at a silence deadline.
void DatagramSocket::read() {
  std::array<char, 2048> bytes{};
  for (std::size_t i = 0; i < kMostPerTurn; ++i) {
    asio::ip::udp::endpoint from;
    asio::error_code error;
    const auto size = socket_.receive_from(asio::buffer(bytes), from, 0, error);
    if (error == asio::error::would_block) {
      break;
    }
    if (!error) {
      owner_.datagram({unmapped(from.address()), from.port()}, {bytes.data(), size});
    }
  }
  wait();
}

}  // namespace vsync::io
