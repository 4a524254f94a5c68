// Who is dialled when: members that the core wants links to, and the configured seeds while it looks for a cluster.
#pragma once

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/model/view.h"
#include "io/host_port.h"
#include "io/host_resolver.h"

namespace vsync::io {

struct DialTimes {
  std::chrono::milliseconds grace{200};        ///< after a link was lost: short retries, to tell a dead process at once
  std::chrono::milliseconds backoff_min{500};  ///< then exponential back-off with jitter
  std::chrono::milliseconds backoff_max{16000};
  std::chrono::milliseconds connect{2000};  ///< bound of one attempt, until the link is open
};

/// When to dial next. Pure: time and randomness are arguments.
class DialSchedule {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit DialSchedule(Time now) : due_(now) {}
  /// A link is open: what failed before is forgotten.
  void opened(Time now);
  /// The link was lost: dial again at once, unless it is lost again and again.
  void lost(Time now);
  /// The kernel answered for a dead process: there is nothing more to learn by short retries.
  void nobody_there() { quick_ = kNoQuickRetries; }
  void failed(Time now, const DialTimes& times, Rng& rng);
  /// A sign that the peer is back: the first one after a failure is worth an attempt at once.
  void hint(Time now, const DialTimes& times);
  void attempted(Time now) { last_attempt_ = now; }
  [[nodiscard]] Time due() const { return due_; }

 private:
  static constexpr std::uint32_t kNoQuickRetries = 1000;

  Time due_;
  Time last_attempt_{};
  Time lost_at_{};
  Time opened_at_{};
  std::uint32_t quick_ = 0;     // attempts since the loss, within the grace time
  std::uint32_t failures_ = 0;  // attempts of the back-off
  bool hinted_ = false;
};

/// A place to dial. Shared with the attempt under way, which may outlive the wish.
struct DialTarget {
  DialTarget(core::Address where, std::optional<core::Pid> who, DialSchedule::Time now)
      : address(std::move(where)), pid(who), schedule(now) {}

  core::Address address;
  std::optional<core::Pid> pid;          ///< whom the core wants; none for a seed
  std::optional<core::Pid> answered_by;  ///< who was found there last
  DialSchedule schedule;
  bool busy = false;     ///< an attempt or a name look-up is under way
  bool tried = false;    ///< (seeds) since the search began
  bool dropped = false;  ///< nobody wants it any more
  std::size_t next_address = 0;
  std::string last_error;
};

using TargetPtr = std::shared_ptr<DialTarget>;

class DialerOwner {
 public:
  DialerOwner() = default;
  DialerOwner(const DialerOwner&) = delete;
  DialerOwner& operator=(const DialerOwner&) = delete;
  virtual ~DialerOwner() = default;

  [[nodiscard]] virtual bool linked(const core::Pid& pid) const = 0;  ///< also true for ourselves
  /// Connected: exchange HELLOs, then call attempt_ended().
  virtual void dialled(asio::ip::tcp::socket socket, const TargetPtr& target) = 0;
  /// Nobody listens there: the process is gone (FIRM evidence).
  virtual void refused(const core::Pid& pid) = 0;
  virtual void dial_failed(const DialTarget& target, const std::string& why) = 0;
  virtual void seeds_tried() = 0;
};

/// Single-threaded. The owner must outlive it.
class Dialer : private ResolverOwner {
 public:
  Dialer(asio::io_context& io, const DialTimes& times, std::uint64_t seed, DialerOwner& owner);

  /// Outgoing connections come from this address (the one that is listened on, when it is a specific one).
  void bind_to(const asio::ip::address& address);
  void set_seeds(const std::vector<HostPort>& seeds);
  void want(const std::vector<core::Member>& peers, bool seek);

  void attempt_ended(const TargetPtr& target, std::optional<core::Pid> answered_by, const std::string& error);
  void link_opened(const core::Pid& pid);
  void link_lost(const core::Pid& pid);
  void hint(core::NodeId node);
  /// For datagrams: the last known addresses of a host; empty while unknown.
  const std::vector<asio::ip::address>& addresses(const std::string& host) { return resolver_.lookup(host).addresses; }
  /// Nobody is wanted any more; the seeds are kept for the next search.
  void stop();

 private:
  void resolved(const std::string& host) override;
  void run();  // dials what is due and arms the timer
  [[nodiscard]] bool satisfied(const DialTarget& target) const;
  void dial(const TargetPtr& target);
  void connect(const TargetPtr& target, const asio::ip::address& address);
  void failed(const TargetPtr& target, const std::string& why);
  void mark_tried(DialTarget& target);
  void report_seeds();
  [[nodiscard]] std::vector<TargetPtr> targets() const;

  asio::io_context& io_;
  DialTimes times_;
  Rng rng_;
  DialerOwner& owner_;
  HostResolver resolver_;
  asio::steady_timer timer_;
  std::optional<asio::ip::address> source_;
  std::map<core::Pid, TargetPtr> wanted_;
  std::vector<TargetPtr> seeds_;
  bool seek_ = false;
  bool seeds_reported_ = false;
};

}  // namespace vsync::io
