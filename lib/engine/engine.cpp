#include "engine/engine.h"

#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "base/hash.h"
#include "io/systemd.h"

namespace vsync::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLeaveLimit{15};              // for a leave that nobody answers
constexpr milliseconds kFarewell{1000};         // for the last bytes to clients and peers
constexpr milliseconds kFarewellStep{5};        // how often that is looked at
constexpr std::int64_t kExclusionMemory = 300;  // F8: seconds
constexpr std::uint64_t kManyFrames = 100;      // may leave much free memory behind

std::uint64_t random_number() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Settings that must be equal in a cluster, or its daemons would decide differently.
std::uint64_t config_hash(const Options& options) {
  Hasher hash;
  hash.add(static_cast<std::uint64_t>(options.quorum));
  for (const auto& voter : options.static_voters) {
    hash.add(voter.node).add(voter.weight);
  }
  hash.add(options.limits.max_members).add(static_cast<std::uint64_t>(options.limits.lease.count()));
  return hash.value();
}

}  // namespace

Engine::Engine(asio::io_context& io, Options options, Logs& logs, SettingsSource& settings)
    : io_(io),
      options_(std::move(options)),
      logs_(logs),
      settings_(settings),
      transport_(io, options_.transport, *this),
      discovery_(io, options_.discovery, *this),
      seeds_(options_.transport.seeds),
      busy_poll_(options_.busy_poll),
      deadline_timer_(io),
      restart_timer_(io),
      fault_timer_(io),
      watchdog_timer_(io),
      end_timer_(io) {
  logs_.set_source(this);
}

Engine::~Engine() {
  logs_.set_source(nullptr);
}

// ---------------------------------------------------------------- lifecycle

Result<void> Engine::open() {
  auto storage = io::Storage::open(options_.state_dir, io_.get_executor());
  if (!storage) {
    return tl::unexpected(storage.error());
  }
  storage_ = std::move(*storage);
  for (const auto& wanted : options_.event_logs) {
    auto log = EventLog::open(wanted.path, wanted.format);
    if (!log) {
      return tl::unexpected(log.error());
    }
    event_logs_.push_back(std::move(*log));
  }
  if (auto opened = transport_.open(); !opened) {
    return opened;
  }
  if (options_.discovery.on) {
    if (auto opened = discovery_.open(transport_.address()); !opened) {
      return opened;
    }
  }
  auto control = io::ControlServer::open(io_, options_.control, *this);
  if (!control) {
    return tl::unexpected(control.error());
  }
  control_ = std::move(*control);
  durable_.reset(  // only we know that we are its shell
      new DurableGroups(io_, options_.state_dir + "/groups",
                        {.log_bytes = options_.durable_limit, .groups = options_.durable_groups}, *this));

  auto node = options_.node;
  if (node == 0 && (options_.bootstrap || options_.found_if_alone)) {
    const auto known = storage_->load_identity();
    node = known && known->node != 0 ? known->node : 1;  // a founder gives itself the first id
  }
  auto state = storage_->begin(node, options_.name);
  if (!state) {
    return tl::unexpected(state.error());
  }
  state_ = std::move(*state);
  if (state_.amnesiac) {
    log(Subsystem::storage).warn("the stored state is lost or damaged ({}): starts without a vote and may only join", state_.why);
  }
  if (options_.faults.crash_after) {
    fault_timer_.expires_after(*options_.faults.crash_after);
    fault_timer_.async_wait([this](const asio::error_code& error) {
      if (!error) {
        crash("the time of a fault point has come");
      }
    });
  }
  start_node();
  io::systemd::ready();
  feed_watchdog();
  return {};
}

core::Config Engine::make_config() const {
  core::Config config;
  config.self = self_;
  config.uuid = state_.identity.uuid;
  config.config_hash = config_hash(options_);
  config.limits = options_.limits;
  config.quorum = options_.quorum;
  config.static_voters = options_.static_voters;
  config.highest_configured_node = options_.highest_configured_node;
  config.cold_start = options_.cold_start;
  config.bootstrap = options_.bootstrap;
  config.found_if_alone = options_.found_if_alone;
  config.join = !seeds_.empty() || options_.discovery.on || left_;
  config.amnesiac = state_.amnesiac;
  config.restored = state_.acceptor;
  config.recent_exclusions = recent_exclusions();
  config.seed = random_number();
  config.trace = !event_logs_.empty();
  return config;
}

std::uint32_t Engine::recent_exclusions() const {
  const auto since = wall_seconds() - kExclusionMemory;
  return static_cast<std::uint32_t>(
      std::ranges::count_if(state_.identity.exclusions, [&](std::int64_t when) { return when >= since; }));
}

void Engine::start_node() {
  const auto& identity = state_.identity;
  self_.pid = {identity.node, identity.incarnation, 0};
  if (identity.node == 0) {
    self_.pid.incarnation = random_number() >> 1U;  // many may ask for an id at once: their pids must differ
  }
  self_.vote_epoch = identity.vote_epoch;
  self_.name = options_.name;
  self_.address = options_.advertise;
  self_.witness = options_.witness;
  if (self_.address.port == 0) {
    self_.address.port = transport_.port();
  }
  if (self_.address.heartbeat_port == 0) {
    self_.address.heartbeat_port = transport_.heartbeat_port();
  }
  const auto config = make_config();
  node_ = std::make_unique<core::Node>(config);
  left_ = false;
  log(Subsystem::membership, "start", self_.pid)
      .info("starts as {}{} ({}) at {}:{}", self_.witness ? "witness " : "", core::to_string(self_.pid), self_.name,
            self_.address.host, self_.address.port);
  if (!config.join && !config.bootstrap && !config.found_if_alone && !config.restored.decided) {
    log(Subsystem::membership)
        .warn("belongs to no cluster: found one (--bootstrap, --hosts) or join one (--peer, --discover, vsyncctl join)");
  }
  transport_.start();
  node_->start(now(), effects_);
  pump();
  if (joining_) {
    step(*joining_);
  }
  control_->incarnation_begins();
  if (options_.discovery.on && !view_ && !told_where_to_join_) {
    discovery_.seek(state_.identity.uuid);
  }
  schedule_turn();
  tell_status();
}

/// The incarnation is over; the next one starts after `backoff`, under an identity that is durable.
void Engine::restart_node(core::Duration backoff) {
  node_over_ = true;
  durable_->keeper().over();
  view_.reset();
  discovery_.rest();
  tell_status();
  transport_.stop("starts again as a new incarnation");
  state_.identity.incarnation += 1;  // I2
  storage_->save(state_.identity, [this, backoff](const Result<void>& saved) {
    if (finished_) {
      return;
    }
    if (!saved) {
      log(Subsystem::storage).error("cannot store the new incarnation: {}", saved.error().message);
      return finish(ExitStatus::fatal);
    }
    restart_timer_.expires_after(backoff);
    restart_timer_.async_wait([this](const asio::error_code& error) {
      if (!error && !finished_ && !terminating_) {
        start_node();
      }
    });
  });
}

/// Left by command: the daemon stays, until somebody tells it to join again.
void Engine::stay_out() {
  left_ = true;
  durable_->keeper().over();
  view_.reset();
  discovery_.rest();
  transport_.stop("left the cluster");
  tell_status();
}

void Engine::run() {
  while (!io_.stopped()) {
    io_.run_one();
    while (!io_.stopped() && busy_poll_.awake(now())) {
      if (io_.poll() == 0) {
        std::this_thread::yield();  // the clients have work, too
      }
    }
  }
}

void Engine::terminate() {
  io::systemd::stopping();
  if (terminating_) {  // asked twice: at once
    log(Subsystem::membership).warn("ends without waiting");
    exit_status_ = finished_ ? exit_status_ : ExitStatus::failed;
    finished_ = true;
    return io_.stop();
  }
  if (!node_) {
    return finish(ExitStatus::clean);
  }
  terminating_ = true;
  log(Subsystem::membership).info("leaves the cluster");
  end_timer_.expires_after(kLeaveLimit);
  end_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) {
      log(Subsystem::membership).warn("could not leave in time");
      finish(ExitStatus::failed);
    }
  });
  step(core::AdminLeave{});
}

/// The last bytes go out, then the event loop stops.
void Engine::finish(ExitStatus status) {
  if (finished_) {
    return;
  }
  finished_ = true;
  exit_status_ = status;
  node_over_ = node_ != nullptr;
  for (const auto& event_log : event_logs_) {
    static_cast<void>(event_log->flush());
  }
  if (status == ExitStatus::fatal) {
    return io_.stop();  // nothing may be said any more
  }
  discovery_.rest();
  control_->shut_down("the daemon stops");
  transport_.stop("the daemon stops");
  const auto until = now() + kFarewell;
  const auto wait = [this, until](const auto& again) -> void {
    if ((transport_.idle() && control_->clients() == 0) || now() >= until) {
      return io_.stop();
    }
    end_timer_.expires_after(kFarewellStep);
    end_timer_.async_wait([again](const asio::error_code& error) {
      if (!error) {
        again(again);
      }
    });
  };
  wait(wait);
}

/// A fault point: dies like a process that is killed, but for its last words.
void Engine::crash(const std::string& why) {
  log(Subsystem::membership, "crashing", self_.pid).warn("crashing: {}", why);
  for (const auto& event_log : event_logs_) {
    event_log->crashing(self_.pid);
    static_cast<void>(event_log->flush());
  }
  transport_.flush();
  ::_exit(static_cast<int>(ExitStatus::failed));
}

void Engine::feed_watchdog() {
  const auto interval = io::systemd::watchdog_interval();
  if (interval.count() == 0) {
    return;
  }
  io::systemd::alive();
  watchdog_timer_.expires_after(interval / 2);
  watchdog_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) {
      feed_watchdog();
    }
  });
}

/// One line for `systemctl status`.
void Engine::tell_status() {
  if (!node_ || !view_) {
    const bool looks = !seeds_.empty() || options_.discovery.on;
    return io::systemd::status(left_ ? "has left its cluster" : looks ? "joins a cluster" : "in no cluster yet");
  }
  const auto status = node_->status(now());
  const std::string quorum = status.role == core::Role::left ? "left it"
                             : !status.has_quorum            ? "no quorum: waits"
                                                             : "quorum, survives " + std::to_string(status.tolerates) + " more";
  io::systemd::status("view " + view_->summary() + ", leader " + view_->find(view_->leader())->name + ", " + quorum);
}

Result<io::ReloadReport> Engine::reload() {
  io::systemd::reloading();
  auto reloaded = settings_.reload();
  auto reopened = logs_.reopen();
  io::systemd::ready();
  if (!reloaded || !reopened) {
    const auto& error = reloaded ? reopened.error() : reloaded.error();
    log(Subsystem::control).error("reload failed, nothing changes: {}", error.message);
    return tl::unexpected(error);
  }
  for (const auto& level : reloaded->log_levels) {
    static_cast<void>(logs_.set_level(level.level, level.subsystem));  // was checked when it was read
  }
  seeds_ = reloaded->seeds;
  transport_.set_seeds(seeds_);
  log(Subsystem::control)
      .info("reloaded: {} settings applied, {} need a restart", reloaded->report.applied.size(),
            reloaded->report.needs_restart.size());
  return std::move(reloaded->report);
}

// ---------------------------------------------------------------- the pump

/// F10: a lease is told to clients by this clock, and it must run out while the host is suspended.
core::Time Engine::now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void Engine::step(core::Input input) {
  if (!node_ || finished_) {
    return;
  }
  if (pumping_) {
    waiting_.push_back(std::move(input));  // the core is never re-entered
    return schedule_turn();
  }
  node_->step(now(), std::move(input), effects_);
  pump();
  schedule_turn();
}

void Engine::pump() {
  pumping_ = true;
  execute();
  while (!waiting_.empty() && node_) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    node_->step(now(), std::move(next), effects_);
    execute();
  }
  waiting_.clear();
  pumping_ = false;
}

void Engine::execute() {
  for (auto& effect : effects_) {
    if (finished_) {
      break;
    }
    std::visit([this](auto& body) { apply(body); }, effect);
  }
  effects_.clear();
  if (node_over_) {
    node_over_ = false;
    node_.reset();
  }
}

void Engine::schedule_turn() {
  if (!turn_scheduled_) {
    turn_scheduled_ = true;
    asio::post(io_, [this] { end_turn(); });  // behind everything that is ready now
  }
}

void Engine::end_turn() {
  if (node_ && !finished_) {
    node_->step(now(), core::EndOfTurn{}, effects_);
    pump();
  }
  turn_scheduled_ = false;  // what was queued until now goes out below
  for (const auto& event_log : event_logs_) {
    if (auto flushed = event_log->flush(); !flushed && refusals_.first("event log", flushed.error().message)) {
      log(Subsystem::storage).error("{}", flushed.error().message);
    }
  }
  transport_.flush();
  control_->end_of_turn();
  arm_timer();
  if (std::exchange(traffic_, false)) {
    busy_poll_.message(now());
  }
}

/// A timer that is too early costs a needless Tick; re-arming it in each turn would cost a system call per turn.
void Engine::arm_timer() {
  const auto deadline = node_ ? node_->next_deadline() : core::kNever;
  if (deadline >= armed_for_) {
    return;
  }
  armed_for_ = deadline;
  deadline_timer_.expires_after(std::max(deadline - now(), core::Duration(0)));  // its clock stands still in a suspended host
  deadline_timer_.async_wait([this](const asio::error_code& error) {
    if (error) {
      return;
    }
    armed_for_ = core::kNever;
    if (node_ && node_->next_deadline() > now()) {
      return arm_timer();
    }
    step(core::Tick{});
    give_back_memory();
  });
}

/// A burst leaves holes in the heap. When it is over they go back to the system; before that they would soon be needed again.
void Engine::give_back_memory() {
  const auto frames = transport_.counters().frames_in + transport_.counters().frames_out;
  const bool quiet = std::exchange(frames_at_tick_, frames) == frames;
  if (quiet && frames - frames_at_trim_ >= kManyFrames) {
    frames_at_trim_ = frames;
    ::malloc_trim(0);
  }
}

}  // namespace vsync::engine
