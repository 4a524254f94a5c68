#include "probe.h"

#include <asio/connect.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <deque>

namespace vsync::ctl {
namespace {

using asio::ip::tcp;

/// The look-up and the connection of one target.
class Attempt {
 public:
  Attempt(asio::io_context& io, Probe& target) : target_(target), resolver_(io), socket_(io) {
    target_.error = "no answer";  // until there is one
    resolver_.async_resolve(target.host, std::to_string(target.port),
                            [this](const asio::error_code& error, const auto& results) { resolved(error, results); });
  }

 private:
  void resolved(const asio::error_code& error, const tcp::resolver::results_type& results) {
    if (error) {
      target_.error = "its name cannot be resolved: " + error.message();
      return;
    }
    for (const auto& result : results) {
      target_.addresses.push_back(result.endpoint().address().to_string());
    }
    if (target_.port == 0) {
      target_.error.clear();
      return;
    }
    asio::async_connect(socket_, results, [this](const asio::error_code& failure, const tcp::endpoint&) {
      target_.connected = !failure;
      target_.error = failure ? failure.message() : "";
    });
  }

  Probe& target_;
  tcp::resolver resolver_;
  tcp::socket socket_;
};

}  // namespace

void probe(std::vector<Probe>& targets, std::chrono::milliseconds timeout) {
  asio::io_context io;
  std::deque<Attempt> attempts;
  for (Probe& target : targets) {
    attempts.emplace_back(io, target);
  }
  io.run_for(timeout);
}

bool is_local(const std::string& address) {
  asio::io_context io;
  asio::error_code error;
  const auto parsed = asio::ip::make_address(address, error);
  if (error) {
    return false;
  }
  asio::ip::udp::socket socket(io, parsed.is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6());
  socket.bind({parsed, 0}, error);  // only addresses of this host can be bound
  return !error;
}

bool is_loopback(const std::string& address) {
  asio::error_code error;
  const auto parsed = asio::ip::make_address(address, error);
  return !error && parsed.is_loopback();
}

}  // namespace vsync::ctl
