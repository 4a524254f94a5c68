#include "io/control_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "io/control_server.h"

namespace vsync::io {
namespace {

constexpr int kBacklog = 128;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::string reason() {
  return std::strerror(errno);  // NOLINT(concurrency-mt-unsafe): glibc's is thread-safe
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty()) {
    return fail("the control socket needs a path");
  }
  if (path.size() >= sizeof address.sun_path) {
    return fail("control socket path '" + path + "' has " + std::to_string(path.size()) + " bytes; the kernel allows " +
                std::to_string(sizeof address.sun_path - 1) + ": choose a shorter one");
  }
  path.copy(address.sun_path, path.size());
  return address;
}

Fd new_socket() {
  return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

/// Makes room at `path`: nothing is there, or a socket that nobody listens on.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? Result<void>() : fail("cannot look at '" + path + "': " + reason());
  }
  if (!S_ISSOCK(info.st_mode)) {
    return fail("'" + path + "' exists and is not a socket; it is left alone: remove it or choose another control socket");
  }
  const Fd probe = new_socket();
  // EAGAIN: somebody listens and is busy.
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN) {
    return fail("another daemon answers on '" + path + "': stop it or choose another control socket");
  }
  if (errno != ECONNREFUSED && errno != ENOENT) {
    return fail("cannot tell whether a daemon answers on '" + path + "': " + reason());
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail("cannot replace the stale socket '" + path + "': " + reason());
  }
  return {};
}

}  // namespace

Result<ListenSocket> ListenSocket::create(const std::string& path, std::uint32_t mode, std::optional<gid_t> group) {
  const auto address = address_of(path);
  if (!address) {
    return tl::unexpected(address.error());
  }
  if (const auto room = remove_stale(path, *address); !room) {
    return tl::unexpected(room.error());
  }
  Fd fd = new_socket();
  if (fd.get() < 0) {
    return fail("cannot make the control socket: " + reason());
  }
  // The mode must be right before anybody can connect: chmod after bind would be too late.
  const mode_t before = ::umask(static_cast<mode_t>(~mode & 0777U));
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  const std::string bind_reason = reason();
  ::umask(before);
  if (bound != 0) {
    return fail("cannot make the control socket '" + path + "': " + bind_reason);
  }
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    return fail("cannot look at '" + path + "': " + reason());
  }
  ListenSocket made(fd.release());
  made.path_ = path;
  made.device_ = info.st_dev;
  made.inode_ = info.st_ino;
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) {
    return fail("cannot give the control socket '" + path + "' to the admin group: " + reason());
  }
  if (::listen(made.fd_, kBacklog) != 0) {
    return fail("cannot listen on '" + path + "': " + reason());
  }
  return made;
}

Result<ListenSocket> ListenSocket::adopt(int fd) {
  ListenSocket made(fd);
  int domain = 0;
  int type = 0;
  int listening = 0;
  socklen_t size = sizeof(int);
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
                     ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
                     ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0;
  if (!known || domain != AF_UNIX || type != SOCK_STREAM || listening == 0) {
    return fail(
        "the control socket that was passed in is not a listening Unix stream socket: check ListenStream= of the socket unit");
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    return fail("cannot use the control socket that was passed in: " + reason());
  }
  return made;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
  struct stat info {};
  if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

Result<gid_t> find_group(const std::string& name) {
  gid_t number = 0;
  const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (ec == std::errc() && end == name.data() + name.size()) {
    return number;
  }
  std::vector<char> space(16384);
  group entry{};
  group* found = nullptr;
  while (::getgrnam_r(name.c_str(), &entry, space.data(), space.size(), &found) == ERANGE && space.size() < (1U << 20U)) {
    space.resize(space.size() * 2);
  }
  if (found == nullptr) {
    return fail("there is no group '" + name + "' on this host: create it or choose another admin group");
  }
  return found->gr_gid;
}

Result<Credentials> peer_credentials(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail("cannot tell who the client is: " + reason());
  }
  Credentials credentials{peer.uid, {peer.gid}};
  std::vector<gid_t> groups(64);
  auto bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  if (got != 0 && errno == ERANGE) {
    groups.resize(bytes / sizeof(gid_t));
    got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes);
  }
  if (got == 0) {
    groups.resize(bytes / sizeof(gid_t));
    credentials.groups.insert(credentials.groups.end(), groups.begin(), groups.end());
  }
  return credentials;
}

}  // namespace vsync::io
