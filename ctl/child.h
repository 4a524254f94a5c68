// The program that `run` and `lock` start: it and its signals, and that it does not outlive us.
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

 private:
  int fd_;
};

/// A process in a process group of its own, so that what it starts is stopped with it. SIGKILL comes to it when we die.
class Child {
 public:
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Starts the program; `environment` is added to ours. Signals that Signals blocks are not blocked in it. Empty, or what
  /// failed.
  [[nodiscard]] std::string start(const std::vector<std::string>& command,
                                  const std::vector<std::pair<std::string, std::string>>& environment);
  [[nodiscard]] bool running() const { return pid_ > 0; }
  void signal(int number) const;
  /// Its exit status as a shell tells it (128 + signal), once it has ended.
  [[nodiscard]] std::optional<int> ended();

 private:
  pid_t pid_ = 0;
};

}  // namespace vsync::ctl
