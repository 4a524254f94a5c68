// A client of the control socket that knows nothing but bytes, for tests.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "io/control_codec.h"

namespace vsync::test {

namespace pb = control::v1;

/// Blocking, with a deadline on everything.
class RawClient {
 public:
  explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        return;  // the daemon closed the connection, which the test looks for
      }
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void line(std::string_view json) { write(std::string(json) + "\n"); }
  void frame(const pb::Request& request) {
    std::string bytes;
    io::append_frame(bytes, request);
    write(bytes);
  }
  void end_of_input() { ::shutdown(fd_, SHUT_WR); }

  /// The next line without its end; nullopt: closed by the daemon.
  std::optional<std::string> read_line() {
    std::size_t end = 0;
    while ((end = buffer_.find('\n')) == std::string::npos) {
      if (!fill()) {
        return std::nullopt;
      }
    }
    std::string text = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return text;
  }

  std::optional<pb::Reply> read_frame() {
    while (buffer_.size() < 4 || buffer_.size() < 4 + io::frame_length(buffer_)) {
      if (!fill()) {
        return std::nullopt;
      }
    }
    const std::size_t size = io::frame_length(buffer_);
    pb::Reply reply;
    REQUIRE(reply.ParseFromArray(buffer_.data() + 4, static_cast<int>(size)));
    buffer_.erase(0, 4 + size);
    return reply;
  }
  /// Reads lines until one contains `text`.
  std::string read_until(std::string_view text) {
    while (auto line = read_line()) {
      if (line->find(text) != std::string::npos) {
        return *line;
      }
    }
    FAIL("closed before '" << text << "' came");
    return {};
  }
  /// Everything up to the end of the connection.
  std::string read_all() {
    while (fill()) {
    }
    return buffer_;
  }

 private:
  bool fill() {
    pollfd entry{fd_, POLLIN, 0};
    REQUIRE(::poll(&entry, 1, 20000) == 1);
    char chunk[65536];
    const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
    if (got <= 0) {
      return false;
    }
    buffer_.append(chunk, static_cast<std::size_t>(got));
    return true;
  }

  int fd_;
  std::string buffer_;
};

}  // namespace vsync::test
