// The program that `run` and `lock` start: it, its signals and its terminal, and that it does not outlive us.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace vsync::ctl {

/// Signals as something to wait for: those that a user or a service manager sends, and the end of the child. One object at a
/// time.
class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();
  [[nodiscard]] int fd() const { return fd_; }  ///< readable: next() has one
  [[nodiscard]] std::optional<int> next() const;
  /// Stops our process group, as SIGTSTP does. True: somebody continued it (next() has the SIGCONT). False: nobody could, so it
  /// was not stopped.
  [[nodiscard]] bool suspend() const;

 private:
  int fd_;
};

/// The controlling terminal, which a shell gives to the process group of the job that may read from it. Without one nothing
/// happens. SIGTTOU must be blocked, as Signals does.
class Terminal {
 public:
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();
  [[nodiscard]] bool there() const { return fd_ >= 0; }
  [[nodiscard]] bool ours() const;
  void give(pid_t group) const;
  void take_from(pid_t group) const;

 private:
  int fd_;
};

/// A process in a process group of its own, so that what it starts is stopped with it. SIGKILL comes to it when we die. Where we
/// could read from the terminal it can: it has it while it runs.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { release_terminal(); }

  /// Starts the program; `environment` is added to ours. Signals that Signals blocks are not blocked in it. Empty, or what
  /// failed.
  [[nodiscard]] std::string start(const std::vector<std::string>& command,
                                  const std::vector<std::pair<std::string, std::string>>& environment);
  [[nodiscard]] bool running() const { return pid_ > 0; }
  void signal(int number) const;
  /// Its exit status as a shell tells it (128 + signal), once it has ended.
  [[nodiscard]] std::optional<int> ended();
  /// The signal that stopped it since the last call, as far as ended() knows.
  [[nodiscard]] std::optional<int> stopped() { return std::exchange(stopped_, std::nullopt); }
  /// It goes on, with the terminal if that is ours.
  void resume() const;
  void release_terminal() const { terminal_.take_from(pid_); }
  [[nodiscard]] const Terminal& terminal() const { return terminal_; }

 private:
  Terminal terminal_;
  std::optional<int> stopped_;
  pid_t pid_ = 0;
};

}  // namespace vsync::ctl
