// run, lock: a program that runs only while this member leads its group (F10 in docs/PROTOCOL.md).
#include <poll.h>

#include <algorithm>
#include <csignal>
#include <iostream>

#include "child.h"
#include "command.h"
#include "vsync/client.h"

namespace vsync::ctl {
namespace {

using Time = BootClock::time_point;
using Duration = BootClock::duration;

constexpr Milliseconds kTurn{1};         // in the client, between looks at the signals
constexpr Milliseconds kLook{200};       // at a join that waits
constexpr Milliseconds kFarewell{1000};  // the daemon has heard of a leave long before

struct Wishes {
  std::string group;
  std::vector<std::string> command;
  std::string name;
  bool one_per_host = false;
  bool once = false;      ///< a lost lease is the end; else the program starts again with the next one
  Milliseconds grace{0};  ///< 0 = a quarter of a lease
};

/// Keeps the program in step with the lease: started when there is one, told to end in time, killed before the lease runs out.
class Keeper final : public Handler {
 public:
  Keeper(const Context& context, const Wishes& wishes) : wishes_(wishes), context_(context), client_(*this, options(context)) {}

  Outcome<Exit> run();

  void on_lease(const Lease& lease) override {
    lease_ = lease;
    lost_ = false;
  }
  void on_excluded(std::string_view, std::string_view) override { lost_ = true; }
  void on_view(const GroupView& view) override { view_ = view; }

 private:
  static vsync::Options options(const Context& context) {
    vsync::Options options;
    options.socket = context.socket;
    options.name = "vsyncctl run";
    options.timeout = context.timeout;
    return options;
  }

  std::optional<Outcome<Exit>> join();
  [[nodiscard]] std::optional<Problem> cannot_join(const Failure& failure, bool late);
  [[nodiscard]] bool another_of_this_host();
  [[nodiscard]] std::optional<Outcome<Exit>> step();
  std::optional<Outcome<Exit>> start();
  std::optional<Outcome<Exit>> signals();
  void stop(Time now);
  void stopped(int by);
  [[nodiscard]] std::optional<Time> next_step() const;
  void wait(std::optional<Time> until) const;
  void leave() { static_cast<void>(client_.leave(wishes_.group, std::min(context_.timeout, kFarewell))); }
  Outcome<Exit> end(int status);

  /// The program must be gone a little before the lease is: a kill takes time too.
  [[nodiscard]] Time kill_at() const { return lease_.until - std::max<Duration>(lease_.length / 20, Milliseconds(10)); }
  [[nodiscard]] Duration grace() const { return wishes_.grace.count() > 0 ? Duration(wishes_.grace) : lease_.length / 4; }
  [[nodiscard]] Time stop_at() const { return kill_at() - grace(); }
  [[nodiscard]] bool must_stop(Time now) const { return lost_ || now >= stop_at(); }

  const Wishes& wishes_;
  const Context& context_;
  const Signals signals_;
  Client client_;
  Child child_;
  GroupView view_;
  Lease lease_;
  bool reached_ = false;  ///< the daemon, once
  bool told_ = false;     ///< that the join waits
  bool joined_ = false;
  bool lost_ = true;              ///< no lease, or none that will be renewed
  std::optional<Time> stopping_;  ///< SIGTERM was sent, SIGKILL follows then
  bool killed_ = false;
};

Outcome<Exit> Keeper::run() {
  if (auto over = join()) {
    return *over;
  }
  for (;;) {
    if (auto over = step()) {
      return *over;
    }
    wait(next_step());
    if (auto polled = client_.poll(); !polled) {
      return problem(Exit::unreachable, polled.failure().message);
    }
  }
}

/// Waits as long as it takes: for the daemon to be a member, for a quorum, for a daemon that starts again. A value: the end.
std::optional<Outcome<Exit>> Keeper::join() {
  const Time patience = BootClock::now() + context_.timeout;
  while (!joined_) {
    if (auto over = signals()) {
      return over;
    }
    const auto joined = client_.join(wishes_.group, {.member_name = wishes_.name, .total_only = true, .lease = true}, kTurn);
    reached_ = reached_ || client_.connected();
    joined_ = joined || joined.failure().code == "already_member";
    if (!joined_) {
      if (auto why = cannot_join(joined.failure(), BootClock::now() >= patience)) {
        return tl::unexpected(std::move(*why));
      }
      wait(BootClock::now() + kLook);
    }
  }
  if (wishes_.one_per_host && another_of_this_host()) {
    leave();
    return problem(Exit::failed, "this host takes part in '" + wishes_.group + "' already\n'vsyncctl group " + wishes_.group +
                                     "' shows who; --hosts-only-one allows one of each host.");
  }
  return std::nullopt;
}

/// nullopt: it may still become one; when that takes long, somebody may want to know.
std::optional<Problem> Keeper::cannot_join(const Failure& failure, bool late) {
  static constexpr std::string_view kPassing[] = {"timeout",    "unreachable",   "disconnected", "excluded",
                                                  "not_member", "shutting_down", "busy"};
  const bool passes = std::ranges::find(kPassing, failure.code) != std::end(kPassing);
  if (!passes || (late && !reached_)) {
    const Exit exit = failure.code == "unreachable" ? Exit::unreachable : passes ? Exit::unknown : Exit::failed;
    return Problem{exit, failure.message + " (" + failure.code + ")"};
  }
  if (late && !std::exchange(told_, true)) {
    std::cerr << "vsyncctl: waits to join '" << wishes_.group << "': " << failure.message
              << "; 'vsyncctl status' tells whether the daemon is a member and has a quorum\n";
  }
  return std::nullopt;
}

bool Keeper::another_of_this_host() {
  const auto daemon = client_.status();
  return daemon && std::count_if(view_.members.begin(), view_.members.end(),
                                 [&](const auto& member) { return member.node == daemon->node; }) > 1;
}

/// What is due now. A value: the end.
std::optional<Outcome<Exit>> Keeper::step() {
  if (auto over = signals()) {
    return over;
  }
  const Time now = BootClock::now();
  if (const auto status = child_.ended()) {
    const bool by_us = stopping_.has_value();
    stopping_.reset();
    killed_ = false;
    if (!by_us) {
      return end(*status);
    }
    if (wishes_.once) {
      return problem(Exit::failed, "lost '" + wishes_.group + "': " + wishes_.command.front() + " was stopped");
    }
  }
  if (const auto by = child_.stopped()) {
    stopped(*by);  // perhaps for long: the leases that came meanwhile are to be read first
    return std::nullopt;
  }
  if (child_.running()) {
    stop(now);
    return std::nullopt;
  }
  // With less than half of it left something delays the renewals: a start now might be a stop at once.
  const bool leads = !lost_ && lease_.until - now > lease_.length / 2;
  return leads ? start() : std::nullopt;
}

std::optional<Outcome<Exit>> Keeper::start() {
  if (grace() > lease_.length / 2) {
    return problem(Exit::usage, "--grace is longer than half a lease of this cluster (" +
                                    std::to_string(std::chrono::duration_cast<Milliseconds>(lease_.length).count()) +
                                    " ms)\nMake it shorter, or the setting lease of all daemons longer.");
  }
  const auto failed =
      child_.start(wishes_.command, {{"VSYNC_GROUP", wishes_.group}, {"VSYNC_TOKEN", std::to_string(lease_.token)}});
  if (!failed.empty()) {
    leave();
    return problem(Exit::failed, "cannot run '" + wishes_.command.front() + "': " + failed);
  }
  return std::nullopt;
}

void Keeper::stop(Time now) {
  if (!stopping_ && must_stop(now)) {
    stopping_ = std::min(now + grace(), kill_at());
    std::cerr << "vsyncctl: leads '" << wishes_.group << "' no more: stops " << wishes_.command.front() << '\n';
    if (now < *stopping_) {  // else it must not run any more, not even to end
      child_.signal(SIGTERM);
      child_.signal(SIGCONT);
    }
  }
  if (stopping_ && !killed_ && now >= *stopping_) {
    killed_ = true;
    child_.signal(SIGKILL);
  }
}

/// The program was stopped. On a terminal it is a job of the user's shell together with us: what wants the terminal gets it when
/// we have it; else we are stopped too, and it goes on when we do (SIGCONT).
void Keeper::stopped(int by) {
  if (!child_.terminal().there() || by == SIGSTOP) {
    return;  // somebody's own wish
  }
  if (by != SIGTSTP && child_.terminal().ours()) {
    return child_.resume();
  }
  child_.release_terminal();
  if (!signals_.suspend()) {  // there is no shell
    if (!child_.terminal().ours()) {
      child_.signal(SIGHUP);
    }
    child_.resume();
  }
}

/// Signals go on to the program; without one, those that ask to end are the end.
std::optional<Outcome<Exit>> Keeper::signals() {
  while (const auto number = signals_.next()) {
    if (*number == SIGCHLD) {
      continue;
    }
    if (*number == SIGCONT && child_.running()) {
      if (!must_stop(BootClock::now())) {
        child_.resume();
      }
    } else if (child_.running()) {
      child_.signal(*number);
    } else if (*number == SIGTSTP) {
      static_cast<void>(signals_.suspend());
    } else if (*number == SIGTERM || *number == SIGINT || *number == SIGHUP || *number == SIGQUIT) {
      return end(128 + *number);
    }
  }
  return std::nullopt;
}

/// When something is due, whatever comes.
std::optional<Time> Keeper::next_step() const {
  if (!child_.running() || killed_) {
    return std::nullopt;
  }
  return stopping_ ? *stopping_ : stop_at();
}

void Keeper::wait(std::optional<Time> until) const {
  int milliseconds = -1;
  if (until) {
    const auto left = std::chrono::ceil<Milliseconds>(*until - BootClock::now()).count();
    milliseconds = static_cast<int>(std::clamp<Milliseconds::rep>(left, 0, 60'000));
  }
  pollfd entries[] = {{client_.native_handle(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}};
  ::poll(entries, 2, milliseconds);
}

/// By leaving, the lease is given up at once: the next member need not wait for its end.
Outcome<Exit> Keeper::end(int status) {
  if (joined_) {
    leave();
  }
  return static_cast<Exit>(status);
}

class Run final : public Command {
 public:
  Run() : Command("run", "runs a program only while this member leads the group, and stops it in time when it does not") {}
  void declare(CLI::App& app) override {
    app.add_option("--group", wishes_.group, "the group")->required();
    app.add_flag("--hosts-only-one", wishes_.one_per_host, "fail if a member of this host is in the group already");
    app.add_option("--name", wishes_.name, "how the others see this member");
    app.add_option("--grace", grace_, "milliseconds between SIGTERM and SIGKILL; must fit into a lease (default: a quarter)");
    app.add_option("CMD", wishes_.command, "the program and its arguments, after --")->required();
  }
  Outcome<Exit> run(const Context& context) override {
    wishes_.grace = Milliseconds(grace_);
    return Keeper(context, wishes_).run();
  }

 private:
  Wishes wishes_;
  unsigned grace_ = 0;
};

class Lock final : public Command {
 public:
  Lock() : Command("lock", "waits for the lock NAME, runs a program under it, and gives it back") {}
  void declare(CLI::App& app) override {
    app.add_option("NAME", name_, "of the lock; its group is lock:NAME")->required();
    app.add_option("CMD", wishes_.command, "the program and its arguments, after --")->required();
  }
  Outcome<Exit> run(const Context& context) override {
    if (name_.empty()) {
      return problem(Exit::usage, "a lock needs a name");
    }
    wishes_.group = "lock:" + name_;
    wishes_.once = true;
    return Keeper(context, wishes_).run();
  }

 private:
  std::string name_;
  Wishes wishes_;
};

}  // namespace

void add_run_commands(Commands& commands) {
  commands.push_back(std::make_unique<Run>());
  commands.push_back(std::make_unique<Lock>());
}

}  // namespace vsync::ctl
