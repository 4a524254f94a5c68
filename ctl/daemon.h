// The daemon at the other end of the control socket.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "client/frame_socket.h"
#include "outcome.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync::ctl {

namespace pb = control::v1;

using Milliseconds = std::chrono::milliseconds;

/// SIGINT and SIGTERM as something to wait for, from now on.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool raised() const;

 private:
  int fd_;
};

/// One connection. Requests are asked one at a time; events wait until next() asks for them.
class Daemon {
 public:
  static Outcome<std::unique_ptr<Daemon>> connect(const std::string& path);

  /// Sends the request and waits for its reply. A reply that is an error is a Problem.
  Outcome<pb::Reply> ask(pb::Request& request, Milliseconds timeout);
  /// Sends without waiting. Returns the id.
  std::uint64_t send(pb::Request& request);
  /// The next reply or event. nullopt: interrupted, or nothing came in time (none: waits for ever).
  Outcome<std::optional<pb::Reply>> next(std::optional<Milliseconds> timeout, const Interrupt* interrupt);

 private:
  Daemon() = default;
  [[nodiscard]] tl::unexpected<Problem> gone() const;

  FrameSocket socket_;
  std::uint64_t last_id_ = 0;
  std::string closing_why_;
};

/// The words for an error reply.
[[nodiscard]] Problem explain(const pb::Error& error);

}  // namespace vsync::ctl
