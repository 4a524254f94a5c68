// One TCP connection to a peer: bytes to frames and back. What the frames mean is the business of the derived class.
#pragma once

#include <sys/uio.h>

#include <asio/ip/tcp.hpp>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/model/frame.h"
#include "io/transport_buffer.h"
#include "wire/frame_codec.h"

namespace vsync::io {

using EncodedPtr = std::shared_ptr<const wire::EncodedFrame>;

/// What may wait while something else goes first (protocol.md section 6).
enum class Lane { control, bulk };

/// Closed by its destructor, abortively: at the death of the process the peer's kernel is told at once (F9).
/// Single-threaded; hold it by shared_ptr.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  struct Limits {
    std::size_t max_queue = std::size_t{64} << 20U;  ///< bytes that may wait to be written
    std::chrono::milliseconds user_timeout{4000};    ///< TCP_USER_TIMEOUT
  };

  Connection(asio::ip::tcp::socket socket, const Limits& limits, BlockPool& pool);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() { close(); }

  /// Begins to read. Call once.
  void start();
  /// Queues a frame; write() sends it. Frames of one lane keep their order; control frames go before waiting bulk ones.
  /// False: the queue is full and the connection of no more use.
  [[nodiscard]] bool send(EncodedPtr frame, Lane lane);
  /// One gathered write of what is queued; the rest follows by itself when the socket takes it.
  void write();
  /// Ends it now; the peer sees a reset. No callback follows.
  void abort();
  /// Ends it now, politely: the peer sees an end of stream (unless it has said something that was not read).
  void hang_up();
  /// Ends it in order: what is queued is sent, then FIN. Input is ignored from now on, no callback follows.
  void finish();

  [[nodiscard]] bool ended() const { return state_ != State::running; }  ///< no callback will follow
  [[nodiscard]] bool closed() const { return state_ == State::closed; }
  [[nodiscard]] const std::string& remote() const { return remote_; }  ///< "10.0.0.2:40112", for messages
  [[nodiscard]] const asio::ip::address& remote_address() const { return remote_address_; }

 protected:
  /// A whole, valid frame. abort() and finish() may be called from inside.
  virtual void on_frame(core::Frame frame) = 0;
  /// The network ended it (`garbage`: the peer's bytes did). Called once; it is closed already.
  virtual void on_lost(const std::string& why, bool garbage) = 0;
  [[nodiscard]] virtual const wire::Context& context() const = 0;

 private:
  enum class State { running, finishing, closed };

  void wait_readable();
  void read();
  bool decode();  // false: not running any more
  void wait_writable();
  [[nodiscard]] std::pair<std::size_t, std::size_t> gather(std::span<iovec> parts) const;  // parts and bytes
  void written(std::size_t count);
  void close();
  void lost(const std::string& why, bool garbage);

  asio::ip::tcp::socket socket_;
  asio::ip::address remote_address_;
  std::string remote_;
  Limits limits_;
  State state_ = State::running;
  ReceiveBuffer in_;
  std::deque<EncodedPtr> control_;
  std::deque<EncodedPtr> bulk_;
  EncodedPtr partial_;            // begun: it must be finished before anything else
  std::size_t partial_sent_ = 0;  // bytes of it
  std::size_t queued_ = 0;        // bytes not yet taken by the kernel
  bool blocked_ = false;          // waiting for the socket to become writable
};

}  // namespace vsync::io
