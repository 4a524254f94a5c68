// Of all tickers on all hosts one ticks: the leader of the group "ticker". A tick appends a line to FILE, which stands for
// whatever must never be written by two: TOKEN NAME, when it was written, and until when the lease goes (microseconds of
// CLOCK_BOOTTIME).
//   c++ -std=c++20 ticker.cpp -lvsync && ./a.out NAME FILE
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <vsync/client.h>

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

using namespace std::chrono_literals;

constexpr const char* kGroup = "ticker";
constexpr auto kTick = 50ms;
constexpr auto kLongestAct = 100ms;  // a lease must last for the whole act, not only for its beginning

struct Ticker : vsync::Handler {
  void on_lease(const vsync::Lease& lease) override { token = lease.token; }
  std::uint64_t token = 0;
};

/// A resource that fences: it refuses who comes with a smaller token than one that it has seen.
class Resource {
 public:
  explicit Resource(std::string path) : path_(std::move(path)), file_(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT, 0644)) {}
  ~Resource() { ::close(file_); }
  Resource(const Resource&) = delete;
  Resource& operator=(const Resource&) = delete;

  bool append(std::uint64_t token, const std::string& text) {
    if (::flock(file_, LOCK_EX) != 0) {
      return false;
    }
    const std::string line = std::to_string(token) + " " + text + "\n";
    const auto size = static_cast<ssize_t>(line.size());
    const bool written = token >= newest() && ::write(file_, line.data(), line.size()) == size;
    ::flock(file_, LOCK_UN);
    return written;
  }

 private:
  [[nodiscard]] std::uint64_t newest() const {
    std::ifstream in(path_);
    std::uint64_t last = 0;
    for (std::string line; std::getline(in, line);) {
      last = std::stoull(line);
    }
    return last;
  }

  std::string path_;
  int file_;
};

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: ticker NAME FILE\n";
    return 2;
  }
  const std::string name = argv[1];
  Resource resource(argv[2]);
  Ticker ticker;
  vsync::Client client(ticker);  // it connects again and joins again by itself
  if (const auto view = client.join(kGroup, {.member_name = name, .total_only = true, .lease = true}); !view) {
    std::cerr << "cannot join: " << view.failure().message << '\n';
    return 1;
  }
  for (auto next = vsync::BootClock::now();;) {
    if (!client.poll(kTick)) {
      return 1;
    }
    const auto now = vsync::BootClock::now();
    const auto until = client.lease_until(kGroup);
    if (now < next || now + kLongestAct > until) {
      continue;  // not the leader, or not for long enough
    }
    next = now + kTick;
    std::ostringstream line;
    line << name << ' ' << now.time_since_epoch().count() << ' ' << until.time_since_epoch().count();
    if (!resource.append(ticker.token, line.str())) {
      std::cerr << name << ": refused, a newer leader was here\n";
    }
  }
}
