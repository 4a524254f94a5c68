#include "io/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace vsync::io {

namespace {

/// Bytes to an open file, durable. 0 or errno.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return errno;
    }
    bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

Error os_error(std::string_view doing, std::string_view what, int error) {
  return {"cannot " + std::string(doing) + " " + std::string(what) + ": " + std::generic_category().message(error)};
}

Result<void> replace_file(int directory, const std::string& name, std::string_view bytes) {
  const std::string beside = name + ".new";
  const FileDescriptor file(::openat(directory, beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return tl::unexpected(os_error("create", beside, errno));
  }
  if (const int error = write_all(file.get(), bytes); error != 0) {
    ::unlinkat(directory, beside.c_str(), 0);
    return tl::unexpected(os_error("write", beside, error));
  }
  if (::renameat(directory, beside.c_str(), directory, name.c_str()) != 0) {
    return tl::unexpected(os_error("rename", beside, errno));
  }
  if (::fsync(directory) != 0) {
    return tl::unexpected(os_error("make durable", name, errno));
  }
  return {};
}

tl::expected<std::string, FileError> read_file(int directory, const std::string& name, std::size_t max_size) {
  const FileDescriptor file(::openat(directory, name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) {
    return tl::unexpected(FileError{errno == ENOENT, os_error("open", name, errno)});
  }
  std::string content;
  std::array<char, 16384> piece{};
  while (content.size() <= max_size) {
    const ssize_t count = ::read(file.get(), piece.data(), std::min(piece.size(), max_size + 1 - content.size()));
    if (count == 0) {
      break;
    }
    if (count < 0 && errno != EINTR) {
      return tl::unexpected(FileError{false, os_error("read", name, errno)});
    }
    content.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  }
  return content;
}

}  // namespace vsync::io
