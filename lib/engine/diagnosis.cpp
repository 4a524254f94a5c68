// What `vsyncctl doctor` asks the daemon.
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "engine/engine.h"

namespace vsync::engine {
namespace {

Result<std::uint64_t> free_bytes(const std::string& directory) {
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0) {
    return fail("cannot look at " + directory + ": " + std::generic_category().message(errno));
  }
  return space.f_bavail * space.f_frsize;
}

std::uint64_t count_open_files() {
  std::error_code error;
  std::uint64_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", error); !error && entry != end(entry);
       entry.increment(error)) {
    ++count;
  }
  return count > 0 ? count - 1 : 0;  // but the one that looks
}

}  // namespace

io::Diagnosis Engine::diagnose() const {
  io::Diagnosis found;
  found.listen = {options_.transport.listen.host, transport_.port()};
  found.heartbeat_port = transport_.heartbeat_port();
  found.advertise = {self_.address.host, self_.address.port};
  found.peers = seeds_;
  found.state_dir = options_.state_dir;
  found.state_free_bytes = free_bytes(options_.state_dir);
  found.open_files = count_open_files();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    found.file_limit = limit.rlim_cur;
  }
  found.suspect_after = options_.limits.suspect_after;
  found.settings = settings_.check();
  return found;
}

}  // namespace vsync::engine
