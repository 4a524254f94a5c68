// The same load on the process groups of the local Corosync (libcpg): joins, waits for the members, sends agreed messages, counts
// the deliveries of all, and prints the line of JSON that vsync_load prints.
#include <corosync/cpg.h>
#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "task_options.h"

namespace {

using vsync::bench::Clock;
using vsync::bench::Nanoseconds;
using vsync::bench::Tally;
using vsync::bench::Task;

constexpr std::chrono::milliseconds kRetry{10};          // while the daemon starts
constexpr auto kPause = std::chrono::microseconds(100);  // while its queue is full: it has no way to wait for room

class Load {
 public:
  explicit Load(Task task) : task_(std::move(task)), tally_(task_), message_(std::max(task_.size, sizeof(std::int64_t)), 'x') {}

  int run() {
    const auto deadline = Clock::now() + std::chrono::seconds(task_.seconds);
    if (!join(deadline)) {
      return 1;
    }
    while (task_.views || !(tally_.complete() && sent_ >= task_.send)) {
      if (!task_.views && Clock::now() > deadline) {
        std::fprintf(stderr, "vsync_cpg: %llu of %llu messages came in %d s\n",
                     static_cast<unsigned long long>(tally_.delivered()), static_cast<unsigned long long>(task_.expect),
                     task_.seconds);
        return 1;
      }
      if (!dispatch(tally_.started() && sent_ < task_.send ? send() : Nanoseconds(std::chrono::milliseconds(100)))) {
        return 1;
      }
    }
    if (!task_.views) {
      tally_.print(sent_, 0);
    }
    return 0;
  }

 private:
  static Load& of(cpg_handle_t handle) {
    void* context = nullptr;
    cpg_context_get(handle, &context);
    return *static_cast<Load*>(context);
  }

  static void on_messages(cpg_handle_t handle, const cpg_name* /*group*/, std::uint32_t node, std::uint32_t /*pid*/,
                          void* message, std::size_t size) {
    Load& self = of(handle);
    self.tally_.arrived();
    self.tally_.took({static_cast<const char*>(message), size}, node == self.node_);
  }

  static void on_configuration(cpg_handle_t handle, const cpg_name* /*group*/, const cpg_address* /*members*/, std::size_t count,
                               const cpg_address* /*left*/, std::size_t /*left_count*/, const cpg_address* /*joined*/,
                               std::size_t /*joined_count*/) {
    Load& self = of(handle);
    if (self.task_.views) {
      vsync::bench::print_view(count);
    } else if (!self.tally_.started() && count >= self.task_.members) {
      self.tally_.start();
    }
  }

  /// The daemon may still be starting.
  bool join(Clock::time_point deadline) {
    cpg_model_v1_data_t model{};
    model.cpg_deliver_fn = on_messages;
    model.cpg_confchg_fn = on_configuration;
    cpg_name name{};
    name.length = static_cast<std::uint32_t>(task_.group.copy(name.value, sizeof name.value));
    cs_error_t error = CS_ERR_TRY_AGAIN;
    while (Clock::now() < deadline) {
      error = cpg_model_initialize(&handle_, CPG_MODEL_V1, reinterpret_cast<cpg_model_data_t*>(&model), this);
      if (error == CS_OK) {
        error = cpg_local_get(handle_, &node_);
      }
      if (error == CS_OK) {
        error = cpg_join(handle_, &name);
      }
      if (error == CS_OK) {
        return true;
      }
      vsync::bench::pause(kRetry);
    }
    std::fprintf(stderr, "vsync_cpg: cannot join: %s\n", cs_strerror(error));
    return false;
  }

  /// Sends what is due. Returns how long there is nothing to send.
  Nanoseconds send() {
    for (unsigned i = 0; i < 64 && sent_ < task_.send; ++i) {
      if (task_.rate > 0) {
        if (const auto left = tally_.due(sent_) - Clock::now(); left.count() > 0) {
          return left;
        }
        tally_.stamp(message_, sent_);
      }
      const iovec part{message_.data(), message_.size()};
      if (cpg_mcast_joined(handle_, CPG_TYPE_AGREED, &part, 1) != CS_OK) {
        return kPause;
      }
      ++sent_;
    }
    return Nanoseconds(0);
  }

  bool dispatch(Nanoseconds patience) {
    int fd = -1;
    cpg_fd_get(handle_, &fd);
    pollfd entry{fd, POLLIN, 0};
    const timespec wait{0, patience.count()};
    if (::ppoll(&entry, 1, &wait, nullptr) <= 0) {
      return true;
    }
    const auto error = cpg_dispatch(handle_, CS_DISPATCH_ALL);
    if (error != CS_OK && error != CS_ERR_TRY_AGAIN) {
      std::fprintf(stderr, "vsync_cpg: %s\n", cs_strerror(error));
      return false;
    }
    return true;
  }

  const Task task_;
  Tally tally_;
  std::string message_;
  cpg_handle_t handle_ = 0;
  unsigned node_ = 0;
  std::uint64_t sent_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  vsync::bench::keep_exact_time();
  Task task;
  CLI::App app("Sends to a group through one Corosync and counts what all members are delivered.");
  vsync::bench::add_options(app, task);
  CLI11_PARSE(app, argc, argv);
  return Load(std::move(task)).run();
}
