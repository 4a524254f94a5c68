#include "io/transport.h"

#include <fcntl.h>

#include <asio/ip/tcp.hpp>
#include <asio/ip/v6_only.hpp>
#include <utility>

#include "io/transport_mesh.h"
#include "io/transport_udp.h"
#include "wire/datagram_codec.h"

namespace vsync::io {
namespace {

using asio::ip::tcp;

constexpr std::chrono::milliseconds kAcceptPause{100};  // when descriptors run out

/// Where to listen: the addresses to try in turn, the first that works is it.
Result<std::vector<asio::ip::address>> listen_addresses(asio::io_context& io, const std::string& host) {
  if (host.empty()) {
    // Dual-stack; machines without IPv6 fall back.
    return std::vector<asio::ip::address>{asio::ip::address_v6::any(), asio::ip::address_v4::any()};
  }
  asio::error_code error;
  if (const auto literal = asio::ip::make_address(host, error); !error) {
    return std::vector<asio::ip::address>{literal};
  }
  tcp::resolver resolver(io);
  std::vector<asio::ip::address> addresses;
  for (const auto& result : resolver.resolve(host, "", error)) {
    addresses.push_back(result.endpoint().address());
  }
  if (error || addresses.empty()) {
    return fail("cannot resolve the listen address '" + host + "': " + error.message());
  }
  return addresses;
}

Result<void> bind_and_listen(tcp::acceptor& acceptor, const asio::ip::address& address, std::uint16_t port) {
  asio::error_code error;
  const tcp::endpoint endpoint(address, port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) {
    static_cast<void>(::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC));
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  }
  if (!error && address.is_v6() && address.is_unspecified()) {
    acceptor.set_option(asio::ip::v6_only(false), error);
  }
  if (!error) {
    acceptor.bind(endpoint, error);
  }
  if (!error) {
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  }
  if (error) {
    asio::error_code ignored;
    acceptor.close(ignored);
    return fail(error.message());
  }
  return {};
}

}  // namespace

class Transport::Impl : private DatagramOwner {
 public:
  Impl(asio::io_context& io, const TransportOptions& options, TransportHandler& handler)
      : io_(io),
        options_(options),
        handler_(handler),
        mesh_(io, options, handler, counters_),
        acceptor_(io),
        accept_pause_(io),
        udp_(io, *this) {}

  Result<void> open();
  void start();
  void stop(const std::string& reason);
  void send(const core::Member& to, const core::Datagram& datagram);
  void set_cluster(const core::Uuid& uuid) {
    uuid_ = uuid;
    mesh_.set_cluster(uuid);
  }

  [[nodiscard]] Mesh& mesh() { return mesh_; }
  [[nodiscard]] const TransportCounters& counters() const { return counters_; }
  [[nodiscard]] std::uint16_t port() const {
    asio::error_code ignored;
    return acceptor_.local_endpoint(ignored).port();
  }
  [[nodiscard]] asio::ip::address address() const {
    asio::error_code ignored;
    return acceptor_.local_endpoint(ignored).address();
  }
  [[nodiscard]] std::uint16_t heartbeat_port() const { return udp_.port(); }

 private:
  void accept();
  void datagram(const asio::ip::udp::endpoint& from, std::string_view bytes) override;

  asio::io_context& io_;
  const TransportOptions options_;
  TransportHandler& handler_;
  TransportCounters counters_;
  Mesh mesh_;
  tcp::acceptor acceptor_;
  asio::steady_timer accept_pause_;
  DatagramSocket udp_;
  core::Uuid uuid_;
  bool started_ = false;
  bool accepting_ = false;
};

Result<void> Transport::Impl::open() {
  const auto addresses = listen_addresses(io_, options_.listen.host);
  if (!addresses) {
    return tl::unexpected(addresses.error());
  }
  Result<void> listening = fail("no address");
  for (const auto& address : *addresses) {
    listening = bind_and_listen(acceptor_, address, options_.listen.port);
    if (!listening) {
      continue;
    }
    mesh_.dialer().bind_to(address);
    mesh_.dialer().set_seeds(options_.seeds);
    if (auto bound = udp_.open(address, options_.heartbeat_port); !bound) {
      return fail("cannot use UDP port " + to_string(HostPort{options_.listen.host, options_.heartbeat_port}) +
                  " for heartbeats: " + bound.error().message);
    }
    return {};
  }
  return fail("cannot listen on " + to_string(options_.listen) + ": " + listening.error().message);
}

void Transport::Impl::start() {
  started_ = true;
  uuid_ = handler_.hello().uuid;
  mesh_.start();
  if (!accepting_) {
    accept();
  }
}

void Transport::Impl::stop(const std::string& reason) {
  started_ = false;
  mesh_.stop(reason);
}

void Transport::Impl::accept() {
  accepting_ = true;
  acceptor_.async_accept([this](const asio::error_code& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) {
      return;
    }
    if (error == asio::error::no_descriptors || error == asio::error::no_memory || error == asio::error::no_buffer_space) {
      mesh_.refuse("the system", "cannot accept: " + error.message());
      accept_pause_.expires_after(kAcceptPause);
      accept_pause_.async_wait([this](const asio::error_code& cancelled) {
        if (!cancelled) {
          accept();
        }
      });
      return;
    }
    if (!error && started_) {
      mesh_.accepted(std::move(socket));
    }
    accept();
  });
}

void Transport::Impl::send(const core::Member& to, const core::Datagram& datagram) {
  const auto& addresses = mesh_.dialer().addresses(to.address.host);
  if (!addresses.empty()) {
    counters_.datagrams_out += 1;
    udp_.send(addresses.front(), to.address.heartbeat_port, wire::encode_datagram(datagram));
  }
}

void Transport::Impl::datagram(const asio::ip::udp::endpoint& from, std::string_view bytes) {
  if (!started_) {
    return;
  }
  auto datagram = wire::decode_datagram(bytes, uuid_);
  if (!datagram) {
    counters_.refused_datagrams += 1;
    mesh_.refuse(from.address().to_string() + " (UDP)", datagram.error().message);
    return;
  }
  counters_.datagrams_in += 1;
  mesh_.dialer().hint(std::visit([](const auto& content) { return content.pid.node; }, *datagram));
  handler_.datagram(std::move(*datagram));
}

Transport::Transport(asio::io_context& io, const TransportOptions& options, TransportHandler& handler)
    : impl_(std::make_unique<Impl>(io, options, handler)) {}
Transport::~Transport() = default;

Result<void> Transport::open() {
  return impl_->open();
}
void Transport::start() {
  impl_->start();
}
void Transport::stop(const std::string& reason) {
  impl_->stop(reason);
}
bool Transport::idle() const {
  return impl_->mesh().idle();
}
std::uint16_t Transport::port() const {
  return impl_->port();
}
asio::ip::address Transport::address() const {
  return impl_->address();
}
std::uint16_t Transport::heartbeat_port() const {
  return impl_->heartbeat_port();
}
void Transport::set_seeds(const std::vector<HostPort>& seeds) {
  impl_->mesh().dialer().set_seeds(seeds);
}
void Transport::set_cluster(const core::Uuid& uuid) {
  impl_->set_cluster(uuid);
}
void Transport::want(const std::vector<core::Member>& peers, bool seek) {
  impl_->mesh().dialer().want(peers, seek);
}
void Transport::send(const core::Pid& to, const core::FramePtr& frame) {
  impl_->mesh().send(to, frame);
}
void Transport::send(const core::Member& to, const core::Datagram& datagram) {
  impl_->send(to, datagram);
}
void Transport::reset(const core::Pid& peer, const std::string& why) {
  impl_->mesh().reset(peer, why);
}
void Transport::flush() {
  impl_->mesh().flush();
}
const TransportCounters& Transport::counters() const {
  return impl_->counters();
}

}  // namespace vsync::io
