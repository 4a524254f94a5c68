// Small files that are replaced whole: after a crash there is the old content or the new one, never a mixture.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vsync::io {

/// Closes its descriptor. -1 = none.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// "cannot write acceptor: No space left on device".
[[nodiscard]] Error os_error(std::string_view doing, std::string_view what, int error);

/// Replaces `name` in the directory: write beside it, fsync, rename, fsync the directory. Durable when it returns without error.
[[nodiscard]] Result<void> replace_file(int directory, const std::string& name, std::string_view bytes);

struct FileError {
  bool absent = false;  ///< there is no such file; else it could not be read
  Error error;
};

/// The whole content; a longer file than `max_size` is read up to there and one byte more.
[[nodiscard]] tl::expected<std::string, FileError> read_file(int directory, const std::string& name, std::size_t max_size);

}  // namespace vsync::io
