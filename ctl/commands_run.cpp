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

 private:
  static vsync::Options options(const Context& context) {
    vsync::Options options;
    options.socket = context.socket;
    options.name = "vsyncctl run";
    options.timeout = context.timeout;
    return options;
  }

  Outcome<void> join();
  [[nodiscard]] bool another_of_this_host(const GroupView& view);
  [[nodiscard]] std::optional<Outcome<Exit>> step();
  std::optional<Outcome<Exit>> start();
  std::optional<Outcome<Exit>> signals();
  void stop(Time now);
  void wait() const;
  Outcome<Exit> end(int status);

  /// The program must be gone a little before the lease is: a kill takes time too.
  [[nodiscard]] Time kill_at() const { return lease_.until - std::max<Duration>(lease_.length / 20, Milliseconds(10)); }
  [[nodiscard]] Duration grace() const { return wishes_.grace.count() > 0 ? Duration(wishes_.grace) : lease_.length / 4; }
  [[nodiscard]] Time stop_at() const { return kill_at() - grace(); }

  const Wishes& wishes_;
  const Context& context_;
  const Signals signals_;
  Client client_;
  Child child_;
  Lease lease_;
  bool lost_ = true;              ///< no lease, or none that will be renewed
  std::optional<Time> stopping_;  ///< SIGTERM was sent, SIGKILL follows then
  bool killed_ = false;
};

Outcome<Exit> Keeper::run() {
  if (auto joined = join(); !joined) {
    return tl::unexpected(joined.error());
  }
  for (;;) {
    if (auto over = step()) {
      return *over;
    }
    wait();
    if (auto polled = client_.poll(); !polled) {
      return problem(Exit::unreachable, polled.failure().message);
    }
  }
}

Outcome<void> Keeper::join() {
  const auto joined = client_.join(wishes_.group, {.member_name = wishes_.name, .total_only = true, .lease = true});
  if (!joined) {
    const auto& failure = joined.failure();
    return problem(failure.code == "unreachable" ? Exit::unreachable
                   : failure.code == "timeout"   ? Exit::unknown
                                                 : Exit::failed,
                   failure.message + " (" + failure.code + ")");
  }
  if (wishes_.one_per_host && another_of_this_host(*joined)) {
    static_cast<void>(client_.leave(wishes_.group));
    return problem(Exit::failed, "this host takes part in '" + wishes_.group + "' already\n'vsyncctl group " + wishes_.group +
                                     "' shows who; --hosts-only-one allows one of each host.");
  }
  return {};
}

bool Keeper::another_of_this_host(const GroupView& view) {
  const auto daemon = client_.status();
  return daemon && std::count_if(view.members.begin(), view.members.end(),
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
    static_cast<void>(client_.leave(wishes_.group));
    return problem(Exit::failed, "cannot run '" + wishes_.command.front() + "': " + failed);
  }
  return std::nullopt;
}

void Keeper::stop(Time now) {
  if (!stopping_ && (lost_ || now >= stop_at())) {
    stopping_ = std::min(now + grace(), kill_at());
    std::cerr << "vsyncctl: leads '" << wishes_.group << "' no more: stops " << wishes_.command.front() << '\n';
    child_.signal(SIGTERM);
    child_.signal(SIGCONT);
  }
  if (stopping_ && !killed_ && now >= *stopping_) {
    killed_ = true;
    child_.signal(SIGKILL);
  }
}

/// Signals go on to the program; without one, those that ask to end are the end.
std::optional<Outcome<Exit>> Keeper::signals() {
  while (const auto number = signals_.next()) {
    if (*number == SIGCHLD) {
      continue;
    }
    if (child_.running()) {
      child_.signal(*number);
    } else if (*number == SIGTERM || *number == SIGINT || *number == SIGHUP || *number == SIGQUIT) {
      return end(128 + *number);
    }
  }
  return std::nullopt;
}

void Keeper::wait() const {
  std::optional<Time> until;
  if (child_.running() && !killed_) {
    until = stopping_ ? *stopping_ : stop_at();
  }
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
  static_cast<void>(client_.leave(wishes_.group));
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
