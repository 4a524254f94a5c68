#include "child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace vsync::ctl {
namespace {

constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH};

sigset_t waited_for() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : kForwarded) {
    ::sigaddset(&signals, number);
  }
  ::sigaddset(&signals, SIGCHLD);
  return signals;
}

/// SIGTTOU too: who gives and takes the terminal, or writes to it from the background, must not be stopped for it.
sigset_t blocked() {
  sigset_t signals = waited_for();
  ::sigaddset(&signals, SIGTTOU);
  return signals;
}

/// In the child, until exec or the end.
[[noreturn]] void become(pid_t parent, char* const* arguments, int report, const Terminal* terminal) {
  ::setpgid(0, 0);
  if (terminal != nullptr) {
    terminal->give(::getpid());
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const sigset_t signals = blocked();
  ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  if (::getppid() == parent) {  // else it died before we asked to die with it
    ::execvp(arguments[0], arguments);
  }
  const int error = errno;
  static_cast<void>(!::write(report, &error, sizeof error));
  ::_exit(error == ENOENT ? 127 : 126);
}

}  // namespace

Signals::Signals() {
  const sigset_t block = blocked();
  ::sigprocmask(SIG_BLOCK, &block, nullptr);  // NOLINT(concurrency-mt-unsafe): there is one thread
  const sigset_t signals = waited_for();
  fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() {
  ::close(fd_);
}

std::optional<int> Signals::next() const {
  signalfd_siginfo info{};
  const bool came = ::read(fd_, &info, sizeof info) == sizeof info;
  return came ? std::optional(static_cast<int>(info.ssi_signo)) : std::nullopt;
}

bool Signals::suspend() const {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // NOLINT(concurrency-mt-unsafe): there is one thread
  ::kill(0, SIGTSTP);                          // the kernel ignores it where no shell could continue us
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);    // NOLINT(concurrency-mt-unsafe)
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGCONT) == 1;
}

Terminal::Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {}

Terminal::~Terminal() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool Terminal::ours() const {
  return fd_ >= 0 && ::tcgetpgrp(fd_) == ::getpgrp();
}

void Terminal::give(pid_t group) const {
  ::tcsetpgrp(fd_, group);
}

void Terminal::take_from(pid_t group) const {
  if (fd_ >= 0 && group > 0 && ::tcgetpgrp(fd_) == group) {
    ::tcsetpgrp(fd_, ::getpgrp());
  }
}

std::string Child::start(const std::vector<std::string>& command,
                         const std::vector<std::pair<std::string, std::string>>& environment) {
  std::vector<char*> arguments;
  for (const auto& word : command) {
    arguments.push_back(const_cast<char*>(word.c_str()));  // exec does not write to them
  }
  arguments.push_back(nullptr);
  for (const auto& [name, value] : environment) {
    ::setenv(name.c_str(), value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): there is one thread
  }
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) {
    return std::strerror(errno);  // NOLINT(concurrency-mt-unsafe)
  }
  const pid_t self = ::getpid();
  const bool reads = terminal_.ours() && ::isatty(STDIN_FILENO) == 1;  // else it gets the terminal when it wants it
  pid_ = ::fork();
  if (pid_ == 0) {
    become(self, arguments.data(), report[1], reads ? &terminal_ : nullptr);
  }
  int error = pid_ < 0 ? errno : 0;
  ::close(report[1]);
  if (pid_ > 0) {
    ::setpgid(pid_, pid_);                                        // whoever is first; a signal must find the group
    static_cast<void>(!::read(report[0], &error, sizeof error));  // nothing comes when exec succeeds
  }
  ::close(report[0]);
  if (error == 0) {
    return {};
  }
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
    release_terminal();
  }
  pid_ = 0;
  return std::strerror(error);  // NOLINT(concurrency-mt-unsafe)
}

void Child::signal(int number) const {
  if (running()) {
    ::kill(-pid_, number);
  }
}

void Child::resume() const {
  if (terminal_.ours()) {
    terminal_.give(pid_);
  }
  signal(SIGCONT);
}

std::optional<int> Child::ended() {
  int status = 0;
  if (!running() || ::waitpid(pid_, &status, WNOHANG | WUNTRACED) != pid_) {
    return std::nullopt;
  }
  if (WIFSTOPPED(status)) {
    stopped_ = WSTOPSIG(status);
    return std::nullopt;
  }
  ::kill(-pid_, SIGKILL);  // what it left behind in its group
  release_terminal();
  pid_ = 0;
  stopped_.reset();
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace vsync::ctl
