#include "client/frame_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace vsync {
namespace {

constexpr std::size_t kHead = 4;
constexpr std::size_t kMaxFrame = std::size_t{65} << 20U;  // more is no daemon of ours
constexpr std::size_t kRead = std::size_t{256} << 10U;     // one read
constexpr std::size_t kForget = std::size_t{1} << 20U;     // written bytes kept in front of unwritten ones
constexpr std::size_t kKeep = std::size_t{4} << 20U;       // memory kept for later

std::uint32_t big_endian(const char* bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < kHead; ++i) {
    value = value << 8U | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

std::string default_socket() {
  const char* const path = std::getenv("VSYNCD_SOCKET");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return path != nullptr && *path != '\0' ? path : "/run/vsyncd/vsyncd.sock";
}

std::optional<std::string> FrameSocket::connect(const std::string& path) {
  close();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return "the path is longer than " + std::to_string(sizeof address.sun_path - 1) + " bytes";
  }
  path.copy(address.sun_path, path.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return std::nullopt;
  }
  std::string why = std::strerror(errno);  // NOLINT(concurrency-mt-unsafe): glibc's is thread-safe
  close();
  return why;
}

void FrameSocket::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
  output_.clear();
  written_ = 0;
  written_total_ = 0;
  used_ = got_ = 0;
  broken_ = false;
}

void FrameSocket::append_head(std::size_t size) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    output_ += static_cast<char>(size >> static_cast<unsigned>(shift) & 0xffU);
  }
}

void FrameSocket::append(const google::protobuf::MessageLite& message) {
  append_head(message.ByteSizeLong());
  message.AppendToString(&output_);
}

std::string FrameSocket::take_output() {
  std::string output = std::exchange(output_, {}).substr(std::exchange(written_, 0));
  written_total_ = 0;
  return output;
}

FrameSocket::Progress FrameSocket::write() {
  while (unwritten() > 0) {
    const ssize_t sent = ::send(fd_, output_.data() + written_, unwritten(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (written_ > kForget) {
        output_.erase(0, std::exchange(written_, 0));
      }
      return errno == EAGAIN ? Progress::blocked : Progress::lost;
    }
    written_ += static_cast<std::size_t>(sent);
    written_total_ += static_cast<std::uint64_t>(sent);
  }
  output_.clear();
  written_ = 0;
  if (output_.capacity() > kKeep) {
    output_.shrink_to_fit();
  }
  return Progress::done;
}

FrameSocket::Progress FrameSocket::read() {
  if (used_ == got_) {
    used_ = got_ = 0;
    if (input_.size() > kKeep) {
      input_ = {};
    }
  }
  if (input_.size() - got_ < kRead) {
    if (used_ > 0) {
      std::memmove(input_.data(), input_.data() + used_, got_ - used_);
      got_ -= std::exchange(used_, 0);
    }
    if (input_.size() - got_ < kRead) {
      input_.resize(std::max(got_ + kRead, std::min(2 * got_, kMaxFrame + kRead)));  // doubling keeps the copying linear
    }
  }
  const std::size_t space = input_.size() - got_;
  const ssize_t got = ::recv(fd_, input_.data() + got_, space, MSG_DONTWAIT);
  more_ = got == static_cast<ssize_t>(space);
  if (got <= 0) {
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? Progress::blocked : Progress::lost;
  }
  got_ += static_cast<std::size_t>(got);
  return Progress::done;
}

std::optional<std::string_view> FrameSocket::next_frame() {
  if (got_ - used_ < kHead) {
    return std::nullopt;
  }
  const std::size_t size = big_endian(input_.data() + used_);
  if (size > kMaxFrame) {
    broken_ = true;
    return std::nullopt;
  }
  if (got_ - used_ < kHead + size) {
    return std::nullopt;
  }
  const std::string_view frame(input_.data() + used_ + kHead, size);
  used_ += kHead + size;
  return frame;
}

}  // namespace vsync
