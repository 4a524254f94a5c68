#include "daemon.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace vsync::ctl {

Interrupt::Interrupt() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);  // NOLINT(concurrency-mt-unsafe): there is one thread
  fd_ = ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

Interrupt::~Interrupt() {
  ::close(fd_);
}

bool Interrupt::raised() const {
  pollfd entry{fd_, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

Outcome<std::unique_ptr<Daemon>> Daemon::connect(const std::string& path) {
  std::unique_ptr<Daemon> daemon(new Daemon);
  if (const auto why = daemon->socket_.connect(path)) {
    return problem(Exit::unreachable,
                   "cannot reach vsyncd at '" + path + "': " + *why +
                       "\nIs it running (systemctl status vsyncd), and may you use its socket? --socket names another.");
  }
  return daemon;
}

tl::unexpected<Problem> Daemon::gone() const {
  return problem(Exit::unreachable,
                 "the daemon closed the connection" +
                     (closing_why_.empty() ? ", and no reason came\nIt has ended, serves too many clients, or this one did not "
                                             "read in time: its log tells."
                                           : ": " + closing_why_));
}

std::uint64_t Daemon::send(pb::Request& request) {
  request.set_id(++last_id_);
  socket_.append(request);
  return last_id_;
}

Outcome<std::optional<pb::Reply>> Daemon::next(std::optional<Milliseconds> timeout, const Interrupt* interrupt) {
  const auto deadline = std::chrono::steady_clock::now() + timeout.value_or(Milliseconds(0));
  for (;;) {
    if (const auto frame = socket_.next_frame()) {
      pb::Reply reply;
      if (!reply.ParseFromArray(frame->data(), static_cast<int>(frame->size()))) {
        return problem(Exit::failed, "what answers on the socket is no vsyncd of this version");
      }
      if (reply.event().has_closing()) {
        closing_why_ = reply.event().closing().why();
      }
      return reply;
    }
    if (socket_.broken()) {
      return problem(Exit::failed, "what answers on the socket is no vsyncd");
    }
    static_cast<void>(socket_.write());  // a lost connection shows at the next read
    int wait = -1;
    if (timeout) {
      const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      if (left <= 0) {
        return std::nullopt;
      }
      wait = static_cast<int>(left);
    }
    const auto wanted = static_cast<short>(POLLIN | (socket_.unwritten() > 0 ? POLLOUT : 0));
    pollfd entries[] = {{socket_.fd(), wanted, 0}, {interrupt == nullptr ? -1 : interrupt->fd(), POLLIN, 0}};
    if (::poll(entries, 2, wait) > 0 && entries[1].revents != 0) {
      return std::nullopt;
    }
    if (entries[0].revents != 0 && socket_.read() == FrameSocket::Progress::lost) {
      return gone();
    }
  }
}

Outcome<pb::Reply> Daemon::ask(pb::Request& request, Milliseconds timeout) {
  const std::uint64_t id = send(request);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - std::chrono::steady_clock::now());
    auto reply = next(left, nullptr);
    if (!reply) {
      return tl::unexpected(reply.error());
    }
    if (!*reply) {
      return problem(Exit::unknown, "no answer within " + std::to_string(timeout.count()) +
                                        " ms; it may still happen: look with 'vsyncctl status', or wait longer with --timeout");
    }
    if ((*reply)->id() == id && !(*reply)->has_event()) {
      if ((*reply)->has_error()) {
        return tl::unexpected(explain((*reply)->error()));
      }
      return std::move(**reply);
    }
  }
}

Problem explain(const pb::Error& error) {
  struct Advice {
    std::string_view code;
    const char* text;
  };
  static constexpr Advice kAdvice[] = {
      {"denied", "Run it as root or as the daemon's user, or join its admin group (--admin-group)."},
      {"no_such_group", "'vsyncctl groups' lists the groups that have members."},
      {"not_kept", "'vsyncctl checkpoint list' tells what the disk here has."},
      {"no_such_member", "'vsyncctl members' lists the members."},
      {"no_quorum", "'vsyncctl status' tells who is missing."},
      {"not_member", "'vsyncctl status' tells its state; 'vsyncctl join HOST' lets it join a cluster."},
      {"too_many", "Close other clients or come again later."},
      {"excluded", "The daemon joins again by itself; try again then."},
  };
  std::string text =
      error.message().empty() ? "the daemon refused: " + error.code() : error.message() + " (" + error.code() + ")";
  for (const auto& advice : kAdvice) {
    if (advice.code == error.code()) {
      text += std::string("\n") + advice.text;
    }
  }
  return {Exit::failed, std::move(text)};
}

}  // namespace vsync::ctl
