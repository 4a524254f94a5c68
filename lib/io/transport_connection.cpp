#include "io/transport_connection.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace vsync::io {
namespace {

constexpr std::size_t kReadPerTurn = std::size_t{2} << 20U;   // then others have their turn
constexpr std::size_t kWritePerCall = std::size_t{1} << 20U;  // bytes that one gathered write is worth
constexpr std::size_t kMostParts = 512;                       // of one gathered write, below IOV_MAX

void set_option(int socket, int level, int option, int value) {
  // Best effort: each option only makes things faster.
  static_cast<void>(::setsockopt(socket, level, option, &value, sizeof value));
}

void set_linger(int socket, bool abortive) {
  const linger option{.l_onoff = abortive ? 1 : 0, .l_linger = 0};
  static_cast<void>(::setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, sizeof option));
}

std::string describe(const asio::ip::tcp::endpoint& endpoint) {
  const auto port = ":" + std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + endpoint.address().to_string() + "]" + port : endpoint.address().to_string() + port;
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const Limits& limits, BlockPool& pool)
    : socket_(std::move(socket)), limits_(limits), in_(pool) {
  asio::error_code ignored;
  const auto remote = socket_.remote_endpoint(ignored);
  remote_address_ = remote.address();
  if (remote_address_.is_v6() && remote_address_.to_v6().is_v4_mapped()) {
    remote_address_ = asio::ip::make_address_v4(asio::ip::v4_mapped, remote_address_.to_v6());
  }
  remote_ = describe({remote_address_, remote.port()});
  socket_.non_blocking(true, ignored);
  const int fd = socket_.native_handle();
  static_cast<void>(::fcntl(fd, F_SETFD, FD_CLOEXEC));
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(limits_.user_timeout.count()));
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);  // a silent link that carries nothing dies as well
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_linger(fd, true);  // F9
}

void Connection::start() {
  wait_readable();
}

void Connection::wait_readable() {
  socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](const asio::error_code& error) {
    if (!error && !self->closed()) {
      self->read();
    }
  });
}

// One turn: everything that is there, in large reads.
void Connection::read() {
  std::size_t total = 0;
  while (total < kReadPerTurn) {
    const auto space = in_.space();
    const auto count = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
    if (count == 0) {
      return lost("closed by the peer", false);
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN) {
        break;
      }
      return lost(std::strerror(errno), false);
    }
    if (state_ == State::running) {
      in_.filled(static_cast<std::size_t>(count));
      static_cast<void>(decode());
    }
    if (closed()) {
      return;
    }
    total += static_cast<std::size_t>(count);
    if (static_cast<std::size_t>(count) < space.size()) {
      break;  // drained
    }
  }
  wait_readable();
}

bool Connection::decode() {
  while (state_ == State::running) {
    const auto size = wire::frame_size(in_.unread());
    if (!size) {
      lost(size.error().message, true);
      return false;
    }
    if (*size == 0) {
      return true;  // not even its length is there
    }
    if (in_.unread().size() < *size) {
      in_.expect(*size);
      return true;
    }
    auto frame = wire::decode_frame(in_.take(*size), context());
    if (!frame) {
      lost(frame.error().message, true);
      return false;
    }
    on_frame(std::move(*frame));
  }
  return false;
}

bool Connection::send(EncodedPtr frame, Lane lane) {
  if (state_ != State::running) {
    return true;  // it is on its way out: dropped like anything that a broken link loses
  }
  if (queued_ + frame->size > limits_.max_queue) {
    return false;
  }
  queued_ += frame->size;
  (lane == Lane::control ? control_ : bulk_).push_back(std::move(frame));
  return true;
}

void Connection::write() {
  auto keep = shared_from_this();
  while (queued_ > 0 && !blocked_ && state_ != State::closed) {
    std::array<iovec, kMostParts> parts;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled as far as it is used
    const auto [count, bytes] = gather(parts);
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0 && errno != EAGAIN) {
      return lost(std::strerror(errno), false);
    }
    const auto taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    written(taken);
    if (taken < bytes) {
      wait_writable();
    }
  }
  if (state_ == State::finishing && queued_ == 0) {
    asio::error_code ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
}

// In this order: what was begun, control frames, bulk frames.
std::pair<std::size_t, std::size_t> Connection::gather(std::span<iovec> parts) const {
  std::size_t count = 0;
  std::size_t bytes = 0;
  const auto add = [&](const wire::EncodedFrame& frame, std::size_t skip) {
    for (const auto& part : frame.parts) {
      if (skip >= part.size()) {
        skip -= part.size();
        continue;
      }
      if (count == parts.size() || bytes >= kWritePerCall) {
        return false;
      }
      parts[count++] = {const_cast<std::byte*>(part.data() + skip), part.size() - skip};  // sendmsg() only reads
      bytes += part.size() - skip;
      skip = 0;
    }
    return true;
  };
  bool room = !partial_ || add(*partial_, partial_sent_);
  for (const auto* lane : {&control_, &bulk_}) {
    for (auto frame = lane->begin(); room && frame != lane->end(); ++frame) {
      room = add(**frame, 0);
    }
  }
  return {count, bytes};
}

void Connection::written(std::size_t count) {
  queued_ -= count;
  while (count > 0) {
    if (!partial_) {
      auto& lane = control_.empty() ? bulk_ : control_;
      partial_ = std::move(lane.front());
      partial_sent_ = 0;
      lane.pop_front();
    }
    const auto now = std::min(count, partial_->size - partial_sent_);
    partial_sent_ += now;
    count -= now;
    if (partial_sent_ == partial_->size) {
      partial_.reset();
    }
  }
}

void Connection::wait_writable() {
  blocked_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_write, [self = shared_from_this()](const asio::error_code& error) {
    self->blocked_ = false;
    if (!error && !self->closed()) {
      self->write();
    }
  });
}

void Connection::abort() {
  close();
}

void Connection::hang_up() {
  set_linger(socket_.native_handle(), false);
  close();
}

void Connection::finish() {
  if (state_ == State::running) {
    state_ = State::finishing;
    set_linger(socket_.native_handle(), false);
    write();
  }
}

void Connection::lost(const std::string& why, bool garbage) {
  const bool told = state_ == State::running;
  close();
  if (told) {
    on_lost(why, garbage);
  }
}

void Connection::close() {
  state_ = State::closed;
  asio::error_code ignored;
  socket_.close(ignored);
  control_.clear();
  bulk_.clear();
  partial_.reset();
  queued_ = 0;
}

}  // namespace vsync::io
