// vsyncd: assembly only. Exit status: 0 ended as told, 1 failed or refused, 2 wrong settings, 3 must not go on (engine/engine.h).
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "daemon/options.h"
#include "engine/engine.h"
#include "io/systemd.h"

#ifndef VSYNC_VERSION
#error "VSYNC_VERSION is set by the build"
#endif

namespace vsync::daemon {
namespace {

using engine::ExitStatus;

/// F9: a crash is seen by the peers at once, and not only when the core is dumped: the abortive close of the sockets resets
/// every link.
extern "C" void close_and_die(int signal) {
  static_cast<void>(::close_range(STDERR_FILENO + 1, ~0U, 0));
  static_cast<void>(::raise(signal));  // with the default action, see SA_RESETHAND
}

void die_visibly() {
  struct sigaction action {};
  action.sa_handler = close_and_die;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
    static_cast<void>(::sigaction(signal, &action, nullptr));
  }
}

/// For all but clients and durable groups: links, strangers, dials, clients that are turned away, logs, the state.
constexpr rlim_t kOwnDescriptors = 640;
constexpr rlim_t kPerDatabase = 3;  ///< the file, its journal, and the journal's index
constexpr rlim_t kFewestClients = 16;
constexpr rlim_t kFewestGroups = 64;  // so many databases the store has open in any case

/// Clients and durable groups must not take the descriptors that the rest needs: a state that cannot be written ends the daemon.
/// Of few, each gets a half.
void share_descriptors(io::ControlLimits& limits, std::size_t& durable_groups) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) {
    return;
  }
  const rlim_t clients = limits.max_clients + limits.reserved_for_admins;
  const rlim_t wanted = clients + kOwnDescriptors + kPerDatabase * durable_groups;
  if (files.rlim_cur < wanted) {
    files.rlim_cur = std::min(wanted, files.rlim_max);
    static_cast<void>(::setrlimit(RLIMIT_NOFILE, &files));  // never above the hard limit, so allowed
  }
  rlim_t left = files.rlim_cur - std::min(files.rlim_cur, kOwnDescriptors);
  const rlim_t for_groups = std::max(left / 2, left - std::min(left, clients));
  durable_groups = std::clamp<rlim_t>(for_groups / kPerDatabase, kFewestGroups, durable_groups);
  left -= std::min(left, kPerDatabase * durable_groups);
  const rlim_t ordinary = left - std::min<rlim_t>(left, limits.reserved_for_admins);
  limits.max_clients = std::min<rlim_t>(limits.max_clients, std::max(ordinary, kFewestClients));
  limits.max_clients_of_user = std::min(limits.max_clients_of_user, limits.max_clients - limits.max_clients / 4);
}

int end_with(ExitStatus status, const std::string& message) {
  const char* level = io::systemd::logs_to_journal() ? "<3>" : "";  // an error, to sd-daemon(3)
  std::fprintf(stderr, "%svsyncd: %s\n", level, message.c_str());
  return static_cast<int>(status);
}

/// Signals of the operator and of systemd.
class Signals {
 public:
  Signals(asio::io_context& io, engine::Engine& engine) : io_(io), engine_(engine), signals_(io, SIGTERM, SIGINT, SIGHUP) {
    wait();
  }
  /// From now on there is something to leave and to reload.
  void opened() { opened_ = true; }

 private:
  void wait() {
    signals_.async_wait([this](const asio::error_code& error, int signal) {
      if (error) {
        return;
      }
      wait();
      if (!opened_) {
        if (signal != SIGHUP) {
          io_.stop();
        }
      } else if (signal == SIGHUP) {
        static_cast<void>(engine_.reload());  // it logs what came of it
      } else {
        engine_.terminate();
      }
    });
  }

  asio::io_context& io_;
  engine::Engine& engine_;
  asio::signal_set signals_;
  bool opened_ = false;
};

int run(engine::Options options, engine::Logs& logs, SettingsReloader& settings, std::chrono::microseconds delay) {
  asio::io_context io(1);
  engine::Engine engine(io, std::move(options), logs, settings);
  Signals signals(io, engine);
  int status = 0;
  asio::steady_timer start(io, delay);
  start.async_wait([&](const asio::error_code&) {
    if (auto opened = engine.open(); !opened) {
      status = end_with(ExitStatus::failed, opened.error().message);
      return io.stop();
    }
    signals.opened();
  });
  engine.run();
  return status != 0 ? status : static_cast<int>(engine.exit_status());
}

int main(const std::vector<std::string>& arguments) {
  const auto command = parse_settings(arguments);
  if (!command) {
    return end_with(ExitStatus::usage, command.error().message);
  }
  if (!command->answer.empty()) {
    std::fputs(command->answer.c_str(), stdout);
    return 0;
  }
  auto options = make_options(command->settings);
  if (!options) {
    return end_with(ExitStatus::usage, options.error().message);
  }
  if (command->check_config) {
    std::fputs(command->settings.to_file().c_str(), stdout);
    return 0;
  }
  if (const auto startable = check_startable(*options); !startable) {
    return end_with(ExitStatus::usage, startable.error().message);
  }
  auto logs = engine::Logs::open(make_log_options(command->settings));
  if (!logs) {
    return end_with(ExitStatus::failed, logs.error().message);
  }
  options->version = VSYNC_VERSION;
  share_descriptors(options->control.limits, options->durable_groups);
  options->control.listen_fd = io::systemd::listen_socket();
  std::signal(SIGPIPE, SIG_IGN);
  die_visibly();
  SettingsReloader reloader(arguments, command->settings);
  return run(std::move(*options), **logs, reloader, start_delay(command->settings));
}

}  // namespace
}  // namespace vsync::daemon

int main(int count, char** arguments) {
  return vsync::daemon::main({arguments + 1, arguments + count});
}
