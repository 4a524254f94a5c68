#include "io/transport_dialer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vsync::io {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::array<int, 8> kQuickRetries{1, 2, 5, 10, 20, 40, 60, 60};  // ms, as far as the grace time goes
constexpr std::chrono::seconds kStable{1};                                // a link that lived longer was a good one

/// Closes a socket whose connect takes too long. Lives as long as the attempt.
struct Attempt {
  Attempt(asio::io_context& io, const TargetPtr& to) : socket(io), limit(io), target(to) {}
  asio::ip::tcp::socket socket;
  asio::steady_timer limit;
  TargetPtr target;
};

}  // namespace

void DialSchedule::opened(Time now) {
  opened_at_ = now;
  failures_ = 0;
  hinted_ = false;
}

void DialSchedule::lost(Time now) {
  const bool short_lived = now - opened_at_ < kStable && now - lost_at_ < kStable;
  if (short_lived) {
    quick_ += 1;  // a peer that accepts and hangs up is not dialled in a tight loop
  } else {
    quick_ = 0;
    lost_at_ = now;
  }
  due_ = quick_ < kQuickRetries.size() ? now : now + std::chrono::milliseconds(500);
}

void DialSchedule::failed(Time now, const DialTimes& times, Rng& rng) {
  if (quick_ < kQuickRetries.size() && now - lost_at_ < times.grace) {
    due_ = now + milliseconds(kQuickRetries[quick_++]);
    return;
  }
  const auto doubled = times.backoff_min * (1U << std::min(failures_, 10U));
  const auto ceiling = std::min<milliseconds>(doubled, times.backoff_max);
  failures_ += 1;
  const auto jitter = rng.below(static_cast<std::uint64_t>(ceiling.count() / 4) + 1);  // so that daemons do not dial in step
  due_ = now + ceiling - milliseconds(jitter);
}

void DialSchedule::hint(Time now, const DialTimes& times) {
  if (!hinted_ || now - last_attempt_ >= times.backoff_min) {
    hinted_ = true;
    due_ = std::min(due_, now);
  }
}

Dialer::Dialer(asio::io_context& io, const DialTimes& times, std::uint64_t seed, DialerOwner& owner)
    : io_(io), times_(times), rng_(seed), owner_(owner), resolver_(io, *this), timer_(io) {}

void Dialer::stop() {
  timer_.cancel();
  seek_ = false;
  for (const auto& [pid, target] : wanted_) {
    target->dropped = true;
  }
  wanted_.clear();
  for (auto& seed : seeds_) {  // attempts under way belong to the dropped ones
    seed->dropped = true;
    seed = std::make_shared<DialTarget>(seed->address, std::nullopt, Clock::now());
  }
}

void Dialer::bind_to(const asio::ip::address& address) {
  if (!address.is_unspecified()) {
    source_ = address;
    resolver_.restrict_to(address.is_v4() ? HostResolver::Family::v4 : HostResolver::Family::v6);
  } else if (address.is_v4()) {
    resolver_.restrict_to(HostResolver::Family::v4);
  }
}

void Dialer::set_seeds(const std::vector<HostPort>& seeds) {
  std::vector<TargetPtr> kept;
  for (const auto& seed : seeds) {
    const auto same = std::ranges::find_if(
        seeds_, [&](const TargetPtr& target) { return target->address.host == seed.host && target->address.port == seed.port; });
    kept.push_back(same != seeds_.end()
                       ? *same
                       : std::make_shared<DialTarget>(core::Address{seed.host, seed.port, 0}, std::nullopt, Clock::now()));
  }
  for (const auto& target : seeds_) {
    target->dropped = std::ranges::find(kept, target) == kept.end();
  }
  seeds_ = std::move(kept);
  run();
}

void Dialer::want(const std::vector<core::Member>& peers, bool seek) {
  const auto now = Clock::now();
  std::map<core::Pid, TargetPtr> wanted;
  for (const auto& peer : peers) {
    auto known = wanted_.find(peer.pid);
    const bool same = known != wanted_.end() && known->second->address == peer.address;
    wanted.emplace(peer.pid, same ? known->second : std::make_shared<DialTarget>(peer.address, peer.pid, now));
  }
  for (const auto& [pid, target] : wanted_) {
    const auto now_wanted = wanted.find(pid);
    target->dropped = now_wanted == wanted.end() || now_wanted->second != target;
  }
  wanted_ = std::move(wanted);
  if (seek && !seek_) {
    seeds_reported_ = false;
    for (const auto& seed : seeds_) {
      seed->tried = false;
      seed->schedule = DialSchedule(now);
    }
  }
  seek_ = seek;
  run();
}

std::vector<TargetPtr> Dialer::targets() const {
  std::vector<TargetPtr> all;
  for (const auto& [pid, target] : wanted_) {
    all.push_back(target);
  }
  if (seek_) {
    all.insert(all.end(), seeds_.begin(), seeds_.end());
  }
  return all;
}

// Dialling a place again whose daemon we are linked to would only make a second connection.
bool Dialer::satisfied(const DialTarget& target) const {
  return (target.pid && owner_.linked(*target.pid)) || (target.answered_by && owner_.linked(*target.answered_by));
}

void Dialer::run() {
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  for (const auto& target : targets()) {
    if (target->busy) {
      continue;
    }
    if (satisfied(*target)) {
      mark_tried(*target);
    } else if (target->schedule.due() <= now) {
      dial(target);
    } else {
      next = std::min(next, target->schedule.due());
    }
  }
  timer_.expires_at(next);  // also cancels the wait before
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) {
      run();
    }
  });
  report_seeds();  // last: the owner may call in again
}

void Dialer::dial(const TargetPtr& target) {
  target->busy = true;
  const auto& answer = resolver_.lookup(target->address.host);
  if (answer.pending) {
    return;  // resolved() goes on
  }
  if (answer.addresses.empty()) {
    const auto why = "host '" + target->address.host + "': " + answer.error;
    asio::post(io_, [this, target, why] { failed(target, why); });  // never from inside run()
    return;
  }
  connect(target, answer.addresses[target->next_address++ % answer.addresses.size()]);
}

void Dialer::resolved(const std::string& host) {
  for (const auto& target : targets()) {
    if (target->busy && target->address.host == host) {
      const auto& answer = resolver_.lookup(host);
      if (answer.addresses.empty()) {
        failed(target, "host '" + host + "': " + answer.error);
      } else {
        connect(target, answer.addresses[target->next_address++ % answer.addresses.size()]);
      }
    }
  }
}

void Dialer::connect(const TargetPtr& target, const asio::ip::address& address) {
  target->schedule.attempted(Clock::now());
  auto attempt = std::make_shared<Attempt>(io_, target);
  asio::error_code error;
  attempt->socket.open(address.is_v4() ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), error);
  if (!error && source_) {
    attempt->socket.bind({*source_, 0}, error);  // peers see the address that we advertise
  }
  if (error) {
    const auto why = error.message();
    asio::post(io_, [this, target, why] { failed(target, why); });
    return;
  }
  attempt->limit.expires_after(times_.connect);
  attempt->limit.async_wait([attempt](const asio::error_code& stopped) {
    if (!stopped) {
      asio::error_code ignored;
      attempt->socket.close(ignored);
    }
  });
  attempt->socket.async_connect({address, target->address.port}, [this, attempt](const asio::error_code& result) {
    attempt->limit.cancel();
    const auto& to = attempt->target;
    if (to->dropped) {
      to->busy = false;
    } else if (!result) {
      owner_.dialled(std::move(attempt->socket), to);
    } else {
      if (result == asio::error::connection_refused) {
        to->schedule.nobody_there();
        if (to->pid) {
          owner_.refused(*to->pid);
        }
      }
      failed(to, result == asio::error::operation_aborted ? "no answer" : result.message());
    }
  });
}

void Dialer::failed(const TargetPtr& target, const std::string& why) {
  if (!target->dropped && why != target->last_error) {
    target->last_error = why;
    const auto all = targets();
    const bool told = std::ranges::any_of(all, [&](const TargetPtr& other) {  // a member that is a seed as well
      return other != target && other->last_error == why && other->address.host == target->address.host &&
             other->address.port == target->address.port;
    });
    if (!told) {
      owner_.dial_failed(*target, why);
    }
  }
  attempt_ended(target, std::nullopt, why);
}

void Dialer::attempt_ended(const TargetPtr& target, std::optional<core::Pid> answered_by, const std::string& error) {
  target->busy = false;
  // Who dials a member and finds another node there has an old address of it.
  const bool mistaken = target->pid && answered_by && answered_by->node != target->pid->node;
  if (answered_by && !mistaken) {
    target->answered_by = answered_by;
  }
  if (error.empty()) {
    target->last_error.clear();
  }
  if (!error.empty() || mistaken) {
    resolver_.doubt(target->address.host);
    target->schedule.failed(Clock::now(), times_, rng_);
  }
  mark_tried(*target);
  run();
}

void Dialer::link_opened(const core::Pid& pid) {
  for (const auto& target : targets()) {
    if (target->pid == pid || target->answered_by == pid) {
      target->schedule.opened(Clock::now());
    }
  }
  run();
}

void Dialer::link_lost(const core::Pid& pid) {
  for (const auto& target : targets()) {
    if (target->pid == pid || (!target->pid && target->answered_by == pid)) {
      target->schedule.lost(Clock::now());
    }
  }
  run();
}

void Dialer::hint(core::NodeId node) {
  bool any = false;
  for (const auto& [pid, target] : wanted_) {
    if (pid.node == node && !target->busy && !satisfied(*target)) {
      target->schedule.hint(Clock::now(), times_);
      any = true;
    }
  }
  if (any) {
    run();
  }
}

void Dialer::mark_tried(DialTarget& target) {
  target.tried = target.tried || !target.pid;
}

void Dialer::report_seeds() {
  if (seek_ && !seeds_reported_ && std::ranges::all_of(seeds_, [](const TargetPtr& seed) { return seed->tried; })) {
    seeds_reported_ = true;
    owner_.seeds_tried();
  }
}

}  // namespace vsync::io
