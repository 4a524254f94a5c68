// One connection of the control socket: bytes to requests, replies to bytes, within bounds.
#pragma once

#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "io/control_buffer.h"
#include "io/control_codec.h"
#include "io/control_server.h"

namespace vsync::io {

/// What all connections share. It must outlive them.
struct Backlog {
  explicit Backlog(std::size_t large_frames) : large(large_frames) {}

  std::size_t bytes = 0;  ///< that wait to be read by clients, but for those who are being disconnected
  LargeFrames large;      ///< that come from clients
};

/// Reads while its user wants requests, queues replies, and closes itself when the peer is gone, the stream makes no sense or the
/// queue is over its bound. Nothing is written before flush(). Single-threaded.
class ControlConnection : public std::enable_shared_from_this<ControlConnection> {
 public:
  /// What is done with the requests. Called from the event loop only, except output_queued(), written(), given_up() and
  /// closed(), which may come from within any call to the connection.
  class User {
   public:
    User() = default;
    User(const User&) = delete;
    User& operator=(const User&) = delete;
    virtual void request(pb::Request& request) = 0;
    virtual void batch(BatchRequest batch) = 0;
    virtual void read_done() = 0;                        ///< all that one read brought has been passed in
    [[nodiscard]] virtual bool wants_input() const = 0;  ///< false: stop reading until resume()
    [[nodiscard]] virtual bool idle() const = 0;         ///< nothing more will be sent to a client that sends nothing more
    virtual void output_queued() = 0;                    ///< flush() is due
    virtual void written(std::size_t left) = 0;          ///< something was; so many bytes wait
    virtual void given_up(const std::string& why) = 0;   ///< it does not read, and will be closed
    virtual void closed() = 0;                           ///< once

   protected:
    ~User() = default;
  };

  ControlConnection(asio::local::stream_protocol::socket socket, const ControlLimits& limits, Backlog& backlog, User& user);

  void start() { read(); }
  /// The user may want input again. Requests that wait here come from a later turn of the event loop.
  void resume();
  /// Forgets the user and closes.
  void detach();

  void send(const pb::Reply& reply);
  void send(const SharedFrame& frame, const FrameTag& tag = {});
  /// Writes what the socket takes, in the middle of a turn: flush() is still due.
  void push();
  /// Lets go of what waits to be written of a group, but for what was begun (OutputQueue::drop).
  std::pair<FrameTag, std::size_t> drop(core::GroupId group);
  [[nodiscard]] bool droppable(core::GroupId group) const { return output_.droppable(group); }
  void send_error(std::uint64_t id, std::string_view code, std::string message);
  /// Writes what is queued, as much as the socket takes; the rest follows by itself.
  void flush();
  /// Tells why, stops reading, and closes when that is written or after a grace time.
  void finish(std::string why);
  /// As finish(), without what waits.
  void give_up(std::string why);
  void expire_after(std::chrono::milliseconds time);

  [[nodiscard]] Encoding encoding() const { return encoding_; }
  [[nodiscard]] bool is_open() const { return state_ == State::open; }
  [[nodiscard]] bool is_closed() const { return state_ == State::closed; }
  [[nodiscard]] std::size_t backlog() const { return output_.bytes(); }
  [[nodiscard]] std::size_t backlog_messages() const { return output_.messages(); }
  [[nodiscard]] Waiting waiting(core::GroupId group) const { return output_.waiting(group); }

 private:
  enum class State : std::uint8_t { open, finishing, closed };

  void read();
  void on_read(const std::error_code& error, std::size_t size);
  void process();
  bool next_frame();
  bool room_for(std::size_t length);
  [[nodiscard]] std::chrono::steady_clock::time_point large_frame_due() const;
  void watch_large_frame();
  bool next_line();
  void take_request(std::string_view bytes);
  void end_of_input();
  void queued();
  void account();
  void close();
  [[nodiscard]] bool may_take() const;
  [[nodiscard]] bool may_read() const;

  asio::local::stream_protocol::socket socket_;
  asio::steady_timer expiry_;
  asio::steady_timer progress_;                  ///< of a large frame
  std::chrono::steady_clock::time_point begun_;  ///< when it had its room
  const ControlLimits& limits_;
  Backlog& backlog_;
  User* user_;
  State state_ = State::open;
  Encoding encoding_ = Encoding::unknown;
  ClientInput input_;
  OutputQueue output_;
  std::size_t accounted_ = 0;  ///< of output_, in backlog_
  pb::Request request_;        ///< reused
  std::string scratch_;        ///< reused
  std::size_t scanned_ = 0;    ///< unread bytes without a line end
  std::size_t wanted_ = 0;     ///< size of the frame that has begun, 0 = not known
  bool reading_ = false;
  bool stalled_ = false;  ///< the user wanted no input
  bool waiting_ = false;  ///< for the socket to take more
  bool no_room_ = false;  ///< for the large frame that has begun
  bool input_ended_ = false;
};

}  // namespace vsync::io
