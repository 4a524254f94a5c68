#include "io/systemd.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace vsync::io::systemd {

void ready() {
  static_cast<void>(sd_notify(0, "READY=1"));
}
void status(const std::string& text) {
  static_cast<void>(sd_notify(0, ("STATUS=" + text).c_str()));
}
void stopping() {
  static_cast<void>(sd_notify(0, "STOPPING=1"));
}
void alive() {
  static_cast<void>(sd_notify(0, "WATCHDOG=1"));
}

void reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<std::int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
  static_cast<void>(sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds)).c_str()));
}

std::chrono::microseconds watchdog_interval() {
  std::uint64_t interval = 0;
  return std::chrono::microseconds(sd_watchdog_enabled(0, &interval) > 0 ? interval : 0);
}

int listen_socket() {
  const int count = sd_listen_fds(1);
  for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; ++fd) {
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, nullptr, 0) > 0) {
      return fd;
    }
  }
  return -1;
}

bool logs_to_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");  // device:inode of the journal's socket
  unsigned long device = 0;
  unsigned long inode = 0;
  struct stat error {};
  return stream != nullptr && std::sscanf(stream, "%lu:%lu", &device, &inode) == 2 && ::fstat(STDERR_FILENO, &error) == 0 &&
         error.st_dev == device && error.st_ino == inode;
}

}  // namespace vsync::io::systemd
