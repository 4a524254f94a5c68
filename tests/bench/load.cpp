// Load on one daemon, and what comes back: joins a group, waits for its members, sends, counts the deliveries of all, and prints
// one line of JSON. Times are CLOCK_MONOTONIC, so the lines of several processes of one host can be put together.
//
// Without --rate it sends as fast as the outcomes come back. With --rate it is an open loop: latency counts from the moment a
// message was due, whatever kept it from leaving.
#include <poll.h>
#include <sys/resource.h>
#include <vsync/client.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Nanoseconds = std::chrono::nanoseconds;

struct Settings {
  std::string socket;
  std::string group = "load";
  std::string name = "load";
  std::size_t members = 1;
  std::uint64_t send = 0;
  std::uint64_t expect = 0;
  std::size_t size = 64;
  vsync::Service service = vsync::Service::total;
  double rate = 0;
  int seconds = 60;
};

double seconds(Clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

class Load final : public vsync::Handler {
 public:
  explicit Load(Settings settings)
      : settings_(std::move(settings)),
        client_(*this, {.socket = settings_.socket, .name = "vsync_load", .reconnect = false}),
        message_(std::max(settings_.size, sizeof(std::int64_t)), 'x') {}

  int run() {
    const auto deadline = Clock::now() + std::chrono::seconds(settings_.seconds);
    if (const auto view = client_.join(settings_.group, {.member_name = settings_.name}); !view) {
      std::fprintf(stderr, "vsync_load: cannot join: %s\n", view.failure().message.c_str());
      return 1;
    }
    while (!done()) {
      if (Clock::now() > deadline) {
        std::fprintf(stderr, "vsync_load: %llu of %llu messages came in %d s\n", static_cast<unsigned long long>(delivered_),
                     static_cast<unsigned long long>(settings_.expect), settings_.seconds);
        return 1;
      }
      if (!turn()) {
        return 1;
      }
    }
    print();
    return 0;
  }

 private:
  void on_view(const vsync::GroupView& view) override {
    if (!started() && view.members.size() >= settings_.members) {
      start_ = last_ = Clock::now();
    }
  }

  void on_messages(const vsync::Delivery& delivery) override {
    delivered_ += delivery.messages.size();
    last_ = Clock::now();
    if (settings_.rate > 0 && delivery.sender.name == settings_.name) {
      for (const auto message : delivery.messages) {
        std::int64_t due = 0;
        std::memcpy(&due, message.data(), sizeof due);
        latencies_.push_back(last_.time_since_epoch() - Nanoseconds(due));
      }
    }
  }

  void on_sent(const vsync::Sent& sent) override {
    answered_ += sent.count;
    refused_ += sent.fate == vsync::Fate::delivered ? 0 : sent.count;
  }

  [[nodiscard]] bool started() const { return start_ != Clock::time_point(); }
  [[nodiscard]] bool done() const {
    return started() && delivered_ >= settings_.expect && sent_ >= settings_.send && answered_ >= sent_;
  }

  /// The message that is due at the given time carries it.
  [[nodiscard]] Clock::time_point due() const {
    return start_ + std::chrono::duration_cast<Nanoseconds>(std::chrono::duration<double>(double(sent_) / settings_.rate));
  }

  bool turn() {
    if (!started() || sent_ >= settings_.send) {
      return polled(client_.poll(std::chrono::milliseconds(100)));
    }
    return settings_.rate > 0 ? paced_turn() : pipelined_turn();
  }

  bool pipelined_turn() {
    // The library's own window paces us: post() waits, and reads meanwhile.
    const auto ticket = client_.post(settings_.group, message_, {.service = settings_.service});
    sent_ += ticket ? 1U : 0U;
    return polled(ticket);
  }

  bool paced_turn() {
    const auto now = Clock::now();
    while (sent_ < settings_.send && due() <= now) {
      const std::int64_t stamp = due().time_since_epoch().count();
      std::memcpy(message_.data(), &stamp, sizeof stamp);
      if (const auto ticket = client_.try_post(settings_.group, message_, {.service = settings_.service}); !ticket) {
        if (ticket.failure().code != "would_block") {
          return polled(ticket);
        }
        break;
      }
      ++sent_;
    }
    if (!polled(client_.poll())) {
      return false;
    }
    const auto left = std::clamp<Nanoseconds>(due() - Clock::now(), Nanoseconds(0), std::chrono::milliseconds(100));
    const timespec wait{0, left.count()};
    pollfd entry{client_.native_handle(), POLLIN, 0};
    ::ppoll(&entry, 1, &wait, nullptr);
    return polled(client_.poll());
  }

  template <typename T>
  static bool polled(const vsync::Expected<T>& result) {
    if (!result) {
      std::fprintf(stderr, "vsync_load: %s: %s\n", result.failure().code.c_str(), result.failure().message.c_str());
    }
    return result.has_value();
  }

  /// Microseconds below which this part of the messages was delivered.
  [[nodiscard]] double percentile(double part) const {
    const auto at = static_cast<std::size_t>(part * static_cast<double>(latencies_.size() - 1));
    return std::chrono::duration<double, std::micro>(latencies_[at]).count();
  }

  void print() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const double cpu =
        double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + 1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    const double elapsed = std::chrono::duration<double>(last_ - start_).count();
    std::printf(
        R"({"start": %.6f, "end": %.6f, "sent": %llu, "refused": %llu, "delivered": %llu, "rate": %.0f, "cpu": %.3f, "rss_kib": %ld)",
        seconds(start_), seconds(last_), static_cast<unsigned long long>(sent_), static_cast<unsigned long long>(refused_),
        static_cast<unsigned long long>(delivered_), elapsed > 0 ? double(delivered_) / elapsed : 0.0, cpu, usage.ru_maxrss);
    if (!latencies_.empty()) {
      std::sort(latencies_.begin(), latencies_.end());
      std::printf(R"(, "p50_us": %.0f, "p99_us": %.0f, "p999_us": %.0f, "max_us": %.0f)", percentile(0.5), percentile(0.99),
                  percentile(0.999), percentile(1));
    }
    std::printf("}\n");
  }

  const Settings settings_;
  vsync::Client client_;
  std::string message_;
  Clock::time_point start_;
  Clock::time_point last_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t delivered_ = 0;
  std::vector<Nanoseconds> latencies_;
};

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Sends to a group through one daemon and counts what all members are delivered.");
  const std::map<std::string, vsync::Service> services{
      {"total", vsync::Service::total}, {"fifo", vsync::Service::fifo}, {"causal", vsync::Service::causal}};
  app.add_option("--socket", settings.socket, "control socket of the daemon");
  app.add_option("--group", settings.group, "group to join");
  app.add_option("--name", settings.name, "member name; must differ from the others'");
  app.add_option("--members", settings.members, "starts when the group has so many members");
  app.add_option("--send", settings.send, "messages to send");
  app.add_option("--expect", settings.expect, "ends after so many deliveries, from all members");
  app.add_option("--size", settings.size, "bytes of a message, at least 8");
  app.add_option("--service", settings.service, "total, fifo or causal")->transform(CLI::CheckedTransformer(services));
  app.add_option("--rate", settings.rate, "messages per second, open loop; 0: as fast as possible");
  app.add_option("--seconds", settings.seconds, "gives up after so many");
  CLI11_PARSE(app, argc, argv);
  return Load(settings).run();
}
