// The socket file that clients connect to, and who they are.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"

namespace vsync::io {

/// A listening Unix socket and its file, which goes with it.
class ListenSocket {
 public:
  /// Creates the file with exactly `mode` (from its first moment on) and, when given, this group. A file that is no socket or a
  /// socket that somebody answers on is refused, a stale one replaced.
  static Result<ListenSocket> create(const std::string& path, std::uint32_t mode, std::optional<gid_t> group);
  /// Takes over a listening socket of systemd; the file stays systemd's.
  static Result<ListenSocket> adopt(int fd);

  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ListenSocket(const ListenSocket&) = delete;
  ListenSocket& operator=(const ListenSocket&) = delete;
  /// Removes the file if it is still the one created here.
  ~ListenSocket();

  /// The descriptor, which the caller owns from now on (the file stays with this object). Call once.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  explicit ListenSocket(int fd) : fd_(fd) {}

  int fd_ = -1;
  std::string path_;  ///< empty: not ours to remove
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

/// Group id of a group's name or number.
[[nodiscard]] Result<gid_t> find_group(const std::string& name);

}  // namespace vsync::io
