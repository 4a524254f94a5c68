// Load on one vsyncd, and what comes back: joins a group, waits for its members, sends, counts the deliveries of all, and prints
// one line of JSON. Without --rate it sends as fast as the outcomes come back.
#include <vsync/client.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "task_options.h"

namespace {

using vsync::bench::Clock;
using vsync::bench::Nanoseconds;
using vsync::bench::Tally;
using vsync::bench::Task;

constexpr std::chrono::milliseconds kPatience{100};  // then the deadline is looked at
constexpr std::chrono::milliseconds kRetry{10};      // while the daemon starts

class Load final : public vsync::Handler {
 public:
  Load(Task task, const std::string& socket, vsync::Service service)
      : task_(std::move(task)),
        tally_(task_),
        client_(*this, {.socket = socket, .name = "vsync_load", .reconnect = task_.views, .longest_pause = kRetry}),
        message_(std::max(task_.size, sizeof(std::int64_t)), 'x') {
    options_.service = service;
  }

  int run() { return task_.views ? watch() : load(); }

 private:
  /// The daemon may still be starting, or be excluded for a while.
  int watch() {
    if (auto joined = client_.join(task_.group, {.member_name = task_.name}, std::chrono::seconds(task_.seconds)); !joined) {
      return failed(joined);
    }
    return failed(client_.run());
  }

  int load() {
    const auto deadline = Clock::now() + std::chrono::seconds(task_.seconds);
    if (const auto joined = client_.join(task_.group, {.member_name = task_.name}); !joined) {
      return failed(joined);
    }
    while (!done()) {
      if (Clock::now() > deadline) {
        std::fprintf(stderr, "vsync_load: %llu of %llu messages came in %d s\n",
                     static_cast<unsigned long long>(tally_.delivered()), static_cast<unsigned long long>(task_.expect),
                     task_.seconds);
        return 1;
      }
      if (!turn()) {
        return 1;
      }
    }
    tally_.print(sent_, refused_);
    return 0;
  }

  void on_view(const vsync::GroupView& view) override {
    if (task_.views) {
      vsync::bench::print_view(view.members.size());
    } else if (!tally_.started() && view.members.size() >= task_.members) {
      tally_.start();
    }
  }

  void on_messages(const vsync::Delivery& delivery) override {
    tally_.arrived();
    const bool own = delivery.sender.name == task_.name;
    for (const auto message : delivery.messages) {
      tally_.took(message, own);
    }
  }

  void on_sent(const vsync::Sent& sent) override {
    answered_ += sent.count;
    refused_ += sent.fate == vsync::Fate::delivered ? 0 : sent.count;
  }

  [[nodiscard]] bool done() const { return tally_.complete() && sent_ >= task_.send && answered_ >= sent_; }

  bool turn() {
    if (!tally_.started() || sent_ >= task_.send) {
      return polled(client_.poll(kPatience));
    }
    return task_.rate > 0 ? paced_turn() : pipelined_turn();
  }

  bool pipelined_turn() {
    // The library's own window paces us: post() waits, and reads meanwhile.
    const auto ticket = client_.post(task_.group, message_, options_);
    sent_ += ticket ? 1U : 0U;
    return polled(ticket);
  }

  bool paced_turn() {
    const auto now = Clock::now();
    while (sent_ < task_.send && tally_.due(sent_) <= now) {
      tally_.stamp(message_, sent_);
      if (const auto ticket = client_.try_post(task_.group, message_, options_); !ticket) {
        if (ticket.failure().code != "would_block") {
          return polled(ticket);
        }
        break;
      }
      ++sent_;
    }
    return polled(client_.poll(std::clamp<Nanoseconds>(tally_.due(sent_) - Clock::now(), Nanoseconds(0), kPatience)));
  }

  template <typename T>
  static int failed(const vsync::Expected<T>& result) {
    if (!result) {
      std::fprintf(stderr, "vsync_load: %s: %s\n", result.failure().code.c_str(), result.failure().message.c_str());
    }
    return result ? 0 : 1;
  }
  template <typename T>
  static bool polled(const vsync::Expected<T>& result) {
    return failed(result) == 0;
  }

  const Task task_;
  Tally tally_;
  vsync::Client client_;
  vsync::SendOptions options_;
  std::string message_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  vsync::bench::keep_exact_time();
  Task task;
  std::string socket;
  vsync::Service service = vsync::Service::total;
  CLI::App app("Sends to a group through one vsyncd and counts what all members are delivered.");
  const std::map<std::string, vsync::Service> services{
      {"total", vsync::Service::total}, {"fifo", vsync::Service::fifo}, {"causal", vsync::Service::causal}};
  app.add_option("--socket", socket, "control socket of the daemon");
  app.add_option("--service", service, "total, fifo or causal")->transform(CLI::CheckedTransformer(services));
  vsync::bench::add_options(app, task);
  CLI11_PARSE(app, argc, argv);
  return Load(std::move(task), socket, service).run();
}
