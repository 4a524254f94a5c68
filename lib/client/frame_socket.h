// A connection to the daemon's control socket: frames out, frames in (proto/vsync/control/v1/control.proto).
#pragma once

#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vsync {

/// $VSYNCD_SOCKET or the installed place.
[[nodiscard]] std::string default_socket();

/// Non-blocking. Not thread-safe.
class FrameSocket {
 public:
  enum class Progress { done, blocked, lost };

  FrameSocket() = default;
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;
  ~FrameSocket() { close(); }

  /// Connects anew. nullopt: done; otherwise why not.
  [[nodiscard]] std::optional<std::string> connect(const std::string& path);
  void close();

  void append(const google::protobuf::MessageLite& message);
  /// The head of a frame of `size` bytes and its first bytes; the rest follows by append_raw.
  void append_head(std::size_t size);
  void append_raw(std::string_view bytes) { output_ += bytes; }

  /// What is queued, for another one to write; this one is empty then.
  [[nodiscard]] std::string take_output();

  /// Writes what is queued, as much as the daemon takes.
  Progress write();
  /// Reads what is there, up to a bound.
  Progress read();
  /// The last read took as much as it could: there may be more.
  [[nodiscard]] bool more() const { return more_; }
  /// The next whole frame that was read; valid until the next call of read(). None, and broken(), when the stream makes no sense.
  [[nodiscard]] std::optional<std::string_view> next_frame();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] std::size_t unwritten() const { return output_.size() - written_; }
  /// Bytes appended, and written, since the connection began.
  [[nodiscard]] std::uint64_t appended_total() const { return written_total_ + unwritten(); }
  [[nodiscard]] std::uint64_t written_total() const { return written_total_; }
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  int fd_ = -1;
  std::string output_;
  std::size_t written_ = 0;  ///< of output_
  std::uint64_t written_total_ = 0;
  std::string input_;
  std::size_t used_ = 0;  ///< of input_
  std::size_t got_ = 0;   ///< of input_, read
  bool more_ = false;
  bool broken_ = false;
};

}  // namespace vsync
