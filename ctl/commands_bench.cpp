// bench: load on a group from this node, and what it took until the messages came back.
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>

#include "bench_report.h"
#include "command.h"
#include "vsync/client.h"

namespace vsync::ctl {
namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

constexpr Nanoseconds kPatience = std::chrono::milliseconds(100);  // how often an interruption is looked for
constexpr Nanoseconds kProgress = std::chrono::seconds(1);
constexpr int kBurst = 64;  // messages between two looks at the clock

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

/// One run. A message carries the moment at which it was due (with a rate) or sent (without).
class Run final : public Handler {
 public:
  Run(const Context& context, BenchReport& report, const SendOptions& options, Milliseconds duration)
      : report_(report),
        options_(options),
        duration_(duration),
        timeout_(context.timeout),
        name_("vsyncctl-bench-" + std::to_string(std::random_device()())),
        client_(*this, {.socket = context.socket, .name = "vsyncctl", .reconnect = false, .timeout = context.timeout}),
        message_(report.size, 'x') {}

  Expected<Done> run() {
    if (auto joined = client_.join(report_.group, {.member_name = name_}); !joined) {
      return joined.failure();
    }
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);  // Linux wakes up to 50 µs late, which would count as latency
    start_ = last_ = Clock::now();
    next_progress_ = start_ + kProgress;
    while (!over()) {
      if (auto done = report_.rate > 0 ? paced_turn() : full_turn(); !done) {
        return done;
      }
      show_progress();
    }
    auto flushed = client_.flush();
    while (flushed && report_.delivered + report_.not_delivered < report_.sent && last_ + timeout_ > Clock::now()) {
      flushed = client_.poll(kPatience);  // an outcome may come before the message
    }
    report_.unknown = report_.sent - std::min(report_.sent, report_.delivered + report_.not_delivered);
    report_.seconds = seconds(last_ - start_);
    return flushed ? client_.leave(report_.group) : flushed;  // or the others see it crash
  }

 private:
  void on_view(const GroupView& view) override { report_.members = view.members.size(); }

  void on_messages(const Delivery& delivery) override {
    if (delivery.sender.name != name_) {
      return;
    }
    last_ = Clock::now();
    for (const auto message : delivery.messages) {
      std::int64_t moment = 0;
      std::memcpy(&moment, message.data(), sizeof moment);
      const auto latency = std::max<std::int64_t>(0, (last_.time_since_epoch() - Nanoseconds(moment)).count());
      report_.latency.add(static_cast<std::uint64_t>(latency));
    }
    report_.delivered += delivery.messages.size();
  }

  void on_sent(const Sent& sent) override { report_.not_delivered += sent.fate == Fate::not_delivered ? sent.count : 0; }

  void on_excluded(std::string_view /*group*/, std::string_view why) override {
    std::fprintf(stderr, "vsyncctl: not in the group any more: %.*s\n", static_cast<int>(why.size()), why.data());
    excluded_ = true;
  }

  [[nodiscard]] bool over() {
    const auto now = Clock::now();
    if (now >= next_look_) {
      next_look_ = now + kPatience;
      interrupted_ = interrupt_.raised();
    }
    return interrupted_ || excluded_ || now >= start_ + duration_;
  }

  [[nodiscard]] Clock::time_point due() const {
    return start_ + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(double(report_.sent) / report_.rate));
  }

  void stamp(Clock::time_point moment) {
    const std::int64_t count = moment.time_since_epoch().count();
    std::memcpy(message_.data(), &count, sizeof count);
  }

  /// An open loop: what could not leave in time is late, and counts as such.
  Expected<Done> paced_turn() {
    const auto now = Clock::now();
    for (int i = 0; i < kBurst && due() <= now; ++i) {
      stamp(due());
      if (auto ticket = client_.try_post(report_.group, message_, options_); !ticket) {
        if (ticket.failure().code == "would_block") {
          break;
        }
        return ticket.failure();
      }
      ++report_.sent;
    }
    return client_.poll(std::clamp<Nanoseconds>(due() - Clock::now(), Nanoseconds(0), kPatience));
  }

  /// As fast as outcomes come back: post() waits while too much is without.
  Expected<Done> full_turn() {
    const auto now = Clock::now();
    for (int i = 0; i < kBurst; ++i) {
      stamp(now);
      if (auto ticket = client_.post(report_.group, message_, options_); !ticket) {
        return ticket.failure();
      }
      ++report_.sent;
    }
    return client_.poll();
  }

  /// For people who wait, on a terminal or not; standard output is for the report.
  void show_progress() {
    const auto now = Clock::now();
    if (now < next_progress_) {
      return;
    }
    next_progress_ += kProgress;
    std::fprintf(stderr, "%4.0f s  %llu messages delivered, %.0f in the last second, %llu without outcome\n",
                 seconds(now - start_), static_cast<unsigned long long>(report_.delivered),
                 static_cast<double>(report_.delivered - shown_),
                 static_cast<unsigned long long>(report_.sent - report_.delivered));
    shown_ = report_.delivered;
  }

  BenchReport& report_;
  const SendOptions options_;
  const Milliseconds duration_;
  const Milliseconds timeout_;
  const std::string name_;
  Interrupt interrupt_;
  Client client_;
  std::string message_;
  Clock::time_point start_;
  Clock::time_point last_;
  Clock::time_point next_progress_;
  Clock::time_point next_look_;
  std::uint64_t shown_ = 0;
  bool interrupted_ = false;
  bool excluded_ = false;
};

class Bench final : public Command {
 public:
  Bench() : Command("bench", "sends load to a group and tells rate and latency; all members of the group get it") {}
  void declare(CLI::App& app) override {
    app.add_option("GROUP", report_.group, "the group; take one of its own, for its members get what is sent")->required();
    app.add_option("--rate", report_.rate, "messages a second; 0: as fast as the outcomes come back")
        ->check(CLI::Range(0.0, 1e8))
        ->capture_default_str();
    app.add_option("--size", report_.size, "bytes of a message")
        ->check(CLI::Range(sizeof(std::int64_t), std::size_t{1} << 30U))
        ->capture_default_str();
    app.add_option("--service", service_, "fifo, causal or total")
        ->check(CLI::IsMember({"fifo", "causal", "total"}))
        ->capture_default_str();
    app.add_option("--duration", duration_text_, "how long to send")->capture_default_str();
  }

  Outcome<Exit> run(const Context& context) override {
    Milliseconds duration{};
    if (const auto wrong = parse_duration(duration_text_, duration); !wrong.empty()) {
      return problem(Exit::usage, "--duration: " + wrong);
    }
    const std::map<std::string, Service> services{
        {"fifo", Service::fifo}, {"causal", Service::causal}, {"total", Service::total}};
    report_.service = service_;
    Run run(context, report_, {.service = services.at(service_)}, duration);
    const auto done = run.run();
    if (report_.sent > 0) {
      context.show.bench(report_);
    }
    if (!done) {
      const auto& failure = done.failure();
      return problem(failure.code == "unreachable" ? Exit::unreachable
                     : failure.code == "timeout"   ? Exit::unknown
                                                   : Exit::failed,
                     failure.message + " (" + failure.code + ")");
    }
    return report_.unknown > 0 ? Exit::unknown : report_.not_delivered > 0 ? Exit::failed : Exit::done;
  }

 private:
  BenchReport report_;
  std::string service_ = "total";
  std::string duration_text_ = "10s";
};

}  // namespace

void add_bench_command(Commands& commands) {
  commands.push_back(std::make_unique<Bench>());
}

}  // namespace vsync::ctl
