#include "sim/world.h"

#include <algorithm>

#include "core/model/mutant.h"
#include "sim/narrate.h"

namespace vsync::sim {

using namespace core;

World::World(std::uint64_t seed, Setup setup) : rng_(seed), setup_(std::move(setup)), network_(scheduler_, rng_, *this) {}
World::~World() = default;

// ---------------------------------------------------------------- machines

HostId World::add_host(bool numbered, bool witness) {
  const auto id = static_cast<HostId>(hosts_.size() + 1);
  auto& host = hosts_[id];
  host.id = id;
  host.numbered = numbered;
  host.witness = witness;
  host.disk.node = numbered ? id : 0;
  host.disk.vote_epoch = rng_.next() | 1U;
  if (setup_.clock_drift > 0) {
    host.rate += setup_.clock_drift * (static_cast<double>(rng_.below(2001)) / 1000 - 1);
  }
  return id;
}

Time World::clock(HostId id) const {
  return Time(static_cast<Time::rep>(static_cast<double>(now().count()) * hosts_.at(id).rate));
}

Time World::when(HostId id, Time clock) const {
  const auto& host = hosts_.at(id);
  return host.rate == 1 ? clock : Time(static_cast<Time::rep>(static_cast<double>(clock.count()) / host.rate) + 2);
}

std::vector<HostId> World::hosts() const {
  std::vector<HostId> ids;
  for (const auto& [id, host] : hosts_) {
    ids.push_back(id);
  }
  return ids;
}

Config World::config(Host& host) {
  auto& disk = host.disk;
  Config config;
  config.amnesiac = disk.damaged;
  if (disk.damaged) {
    // Damaged state: what was promised is unknown, so this node has no vote until a view names its new epoch.
    const auto uuid = disk.record.decided ? disk.record.decided->uuid : Uuid{};
    disk.vote_epoch = rng_.next() | 1U;
    disk.record = {};
    disk.damaged = false;
    config.uuid = uuid;
  } else if (disk.record.decided) {
    config.uuid = disk.record.decided->uuid;
  }
  config.self.pid = {disk.node, disk.incarnation, 0};
  config.self.vote_epoch = disk.vote_epoch;
  config.self.name = "n" + std::to_string(host.id);
  config.self.address = {"h" + std::to_string(host.id), static_cast<std::uint16_t>(host.id), static_cast<std::uint16_t>(host.id)};
  config.self.witness = host.witness;
  config.config_hash = host.options.config_hash;
  config.limits = setup_.limits;
  config.quorum = setup_.quorum;
  config.static_voters = setup_.static_voters;
  config.highest_configured_node = static_cast<NodeId>(hosts_.size());
  config.cold_start = setup_.cold_start;
  config.bootstrap = host.options.bootstrap;
  config.found_if_alone = host.options.found_if_alone;
  config.join = hosts_.size() > 1;
  config.restored = mutant(Mutant::no_persist) ? AcceptorRecord{disk.record.decided, disk.record.previous, {}, {}} : disk.record;
  std::erase_if(host.exclusions, [&](Time t) { return t + std::chrono::minutes(5) < now(); });
  config.recent_exclusions = static_cast<std::uint32_t>(host.exclusions.size());
  config.seed = rng_.next();
  config.trace = setup_.core_trace;
  return config;
}

void World::start(HostId id, const StartOptions& options) {
  auto& host = hosts_.at(id);
  host.powered = true;
  host.paused = false;
  host.options = options;
  ++host.starts;
  // I1. A machine without an id yet needs an incarnation that no other such machine has.
  host.disk.incarnation = host.disk.node == 0 ? rng_.next() >> 1U : host.disk.incarnation + 1;
  auto process = std::make_shared<Process>();
  process->id = ++last_process_;
  process->host = id;
  auto settings = config(host);
  process->pid = settings.self.pid;
  host.process = process;
  processes_[process->id] = process;
  mount(host, process);
  network_.attach(process->id, id, process->pid);
  say(id, "starts");
  process->node = std::make_unique<Node>(std::move(settings));
  Effects effects;
  process->node->start(clock(id), effects);
  if (execute(process, effects)) {
    plan_turn(process);
  }
}

void World::restart_after(Host& host, Duration delay) {
  if (!auto_restart) {
    return;
  }
  scheduler_.after(delay, [this, id = host.id, starts = host.starts] {
    auto& again = hosts_.at(id);
    if (again.starts == starts && !again.process && again.powered) {
      auto options = again.options;
      options.bootstrap = false;
      start(id, options);
    }
  });
}

void World::end(Host& host, Network::End how) {
  const auto process = host.process;
  if (!process) {
    return;
  }
  if (how == Network::End::closed) {
    process->keeper->over();
  }
  process->ended = true;
  process->inbox.clear();
  process->store->end(how != Network::End::closed);
  processes_.erase(process->id);
  host.process = nullptr;
  host.paused = false;
  network_.detach(process->id, how);
  if (applications != nullptr) {
    applications->process_ended(host.id, how != Network::End::closed);
  }
}

void World::crash(HostId id, CrashKind kind) {
  auto& host = hosts_.at(id);
  ++host.starts;
  if (host.process) {
    say(id, kind == CrashKind::machine ? "loses power" : "crashes");
    record(id, check::Crash{});
    if (!host.process->writes.empty() && rng_.chance(0.5)) {
      host.disk.record = host.process->writes.front().record;  // the write under way may have reached the disk
    }
    end(host, kind == CrashKind::process   ? Network::End::crashed
              : kind == CrashKind::drained ? Network::End::drained
                                           : Network::End::silent);
  }
  host.powered = kind != CrashKind::machine;
}

void World::wipe(HostId id) {
  auto& host = hosts_.at(id);
  say(id, "loses its disk");
  host.disk = Disk{};
  lost_disks.insert(id);
  host.disk.node = host.numbered ? id : 0;
  host.disk.vote_epoch = rng_.next() | 1U;
}

ViewPtr World::past_view(ViewId id, std::uint64_t incarnation, const std::vector<HostId>& members) const {
  View view;
  view.uuid = {7, 7};
  view.ref.epoch = id;
  view.config_hash = 1;
  view.policy = setup_.quorum;
  view.tiebreak = 1;
  for (const auto host : members) {
    const auto& disk = hosts_.at(host).disk;
    const auto port = static_cast<std::uint16_t>(host);
    const auto name = std::to_string(host);
    auto& named = witness(host) ? view.witnesses : view.members;
    named.push_back({{disk.node, incarnation, 0}, disk.vote_epoch, "n" + name, {"h" + name, port, port}, witness(host)});
    view.voters.push_back({disk.node, disk.vote_epoch, 1});
    view.history[disk.node] = incarnation;
  }
  return std::make_shared<const View>(std::move(view));
}

void World::install_disk(HostId id, std::uint64_t incarnation, ViewPtr decided) {
  auto& disk = hosts_.at(id).disk;
  disk.incarnation = incarnation;
  disk.record = AcceptorRecord{std::move(decided), nullptr, {}, {}};
}

void World::pause(HostId id, bool paused) {
  auto& host = hosts_.at(id);
  if (!host.process || host.paused == paused) {
    return;
  }
  say(id, paused ? "is paused" : "goes on");
  host.paused = paused;
  if (!paused) {
    plan_turn(host.process);
  }
}

bool World::running(HostId id) const {
  return hosts_.at(id).process != nullptr;
}
bool World::paused(HostId id) const {
  return hosts_.at(id).paused;
}
const Node& World::node(HostId id) const {
  return *hosts_.at(id).process->node;
}
Pid World::pid(HostId id) const {
  return hosts_.at(id).process->pid;
}

ViewPtr World::common_view() const {
  ViewPtr view;
  std::size_t running = 0;
  for (const auto& [id, host] : hosts_) {
    if (!host.process) {
      continue;
    }
    const auto status = this->status(id);
    const auto role = host.witness ? Role::witness : Role::member;
    const bool same = status.view && (!view || view == status.view || *view == *status.view);
    if (!same || status.role != role || status.send_queue != 0 || !status.view->names(host.process->pid)) {
      return nullptr;
    }
    view = status.view;
    ++running;
  }
  return view && view->everybody().size() == running ? view : nullptr;
}

std::optional<ProcessId> World::process_on(HostId id) const {
  const auto it = hosts_.find(id);
  return it == hosts_.end() || !it->second.process ? std::nullopt : std::optional(it->second.process->id);
}

Hello World::hello(ProcessId process) const {
  return processes_.at(process)->node->hello();
}

// ---------------------------------------------------------------- turns

void World::run_until(Time when) {
  scheduler_.run_until(when);
}

void World::request(HostId id, Input input) {
  if (const auto process = process_on(id)) {
    this->input(*process, std::move(input));
  }
}

void World::input(ProcessId id, Input input) {
  const auto process = processes_.find(id);
  if (process == processes_.end()) {
    return;
  }
  const auto* piece = std::get_if<ClientState>(&input);
  if (piece != nullptr && (piece->token >> 63U) != 0) {
    patient_.insert({piece->client, piece->request});  // it may end with the process, as the daemon's control socket would tell
  }
  if (const auto* join = std::get_if<ClientJoin>(&input); join != nullptr && join->policy.disks > 0) {
    patient_.insert({join->client, join->request});
  }
  if (kept(*process->second, input)) {
    return;  // the keeper passes it on, before what comes later
  }
  put(id, {std::move(input)});
}

void World::put(ProcessId id, Incoming incoming) {
  const auto it = processes_.find(id);
  if (it == processes_.end()) {
    return;
  }
  it->second->inbox.push_back(std::move(incoming));
  plan_turn(it->second);
}

void World::plan_turn(const std::shared_ptr<Process>& process) {
  if (process->turn_due || process->ended || hosts_.at(process->host).paused) {
    return;
  }
  process->turn_due = true;
  const auto delay = Duration(rng_.below(static_cast<std::uint64_t>(setup_.turn_max.count()) + 1));
  scheduler_.after(delay, [this, process] {
    process->turn_due = false;
    turn(process);
  });
}

void World::turn(const std::shared_ptr<Process>& process) {
  if (process->ended || hosts_.at(process->host).paused) {
    return;
  }
  // F2: everything that is readable comes before any deadline.
  for (auto left = process->inbox.size(); left > 0; --left) {
    auto next = std::move(process->inbox.front());
    process->inbox.pop_front();
    if (!step(process, std::move(next))) {
      return;
    }
  }
  if (process->node->next_deadline() <= clock(process->host) && !step(process, {Tick{}})) {
    return;
  }
  if (step(process, {EndOfTurn{}})) {
    process->keeper->tick();
    arm_timer(process);
  }
}

void World::arm_timer(const std::shared_ptr<Process>& process) {
  const auto deadline = process->node->next_deadline();
  if (deadline == kNever) {
    return;
  }
  const auto version = ++process->timer;
  const auto late = rng_.below(static_cast<std::uint64_t>(setup_.timer_late_max.count()) + 1);
  const auto at = std::max(when(process->host, deadline), now()) + Duration(late + 1);
  scheduler_.at(at, [this, process, version] {
    if (process->timer == version && !process->turn_due) {
      turn(process);
    }
  });
}

bool World::step(const std::shared_ptr<Process>& process, Incoming incoming) {
  ++steps_;
  auto& input = incoming.input;
  const auto* send = std::get_if<ClientSend>(&input);
  const bool patient = send != nullptr && send->durable;
  for (std::uint32_t i = 0; patient && i < send->count; ++i) {
    patient_.insert({send->client, send->request + i});
  }
  const auto asked = incoming.from_keeper || patient ? std::nullopt : asked_by(input);
  if (asked) {
    record(process->host, *asked);
  }
  if (const auto* gone = std::get_if<ClientGone>(&input)) {
    record(process->host, check::ClientDied{gone->client});
  }
  Effects effects;
  process->node->step(clock(process->host), std::move(input), effects);
  return execute(process, effects);
}

bool World::fuse_blows(Host& host, const Effect& effect) {
  auto& fuse = host.fuse;
  if (fuse.count == 0) {
    return false;
  }
  const auto* send = std::get_if<SendFrame>(&effect);
  if (!fuse.kind.empty() && (send == nullptr || frame_name(*send->frame) != fuse.kind)) {
    return false;
  }
  return --fuse.count == 0;
}

bool World::execute(const std::shared_ptr<Process>& process, Effects& effects) {
  auto& host = hosts_.at(process->host);
  for (auto& effect : effects) {
    if (fuse_blows(host, effect)) {
      host.fuse = {};
      crash(host.id, network_.conduct.luck ? CrashKind::process : CrashKind::drained);
    }
    if (process->ended) {
      return false;
    }
    perform(process, effect);
  }
  return !process->ended;
}

void World::perform(const std::shared_ptr<Process>& process, Effect& effect) {
  auto& host = hosts_.at(process->host);
  if (kept(*process, effect)) {
    return;
  }
  if (auto line = tell(effect); !line.empty()) {
    say(host.id, line);
  }
  if (auto answered = answered_by(effect); answered && !patient_.contains({answered->client, answered->request})) {
    record(host.id, *answered);
  }
  if (auto* send = std::get_if<SendFrame>(&effect)) {
    network_.send(process->id, send->to, std::move(send->frame));
  } else if (const auto* datagram = std::get_if<SendDatagram>(&effect)) {
    network_.send(process->id, static_cast<HostId>(datagram->to.address.port), datagram->datagram);
  } else if (auto* persist = std::get_if<Persist>(&effect)) {
    process->writes.push_back(std::move(*persist));
    write_next(process);
  } else if (const auto* want = std::get_if<WantLinks>(&effect)) {
    network_.want(process->id, want->peers, want->seek ? hosts() : std::vector<HostId>{});
  } else if (const auto* reset = std::get_if<ResetLink>(&effect)) {
    network_.reset(process->id, reset->peer);
  } else if (auto* traced = std::get_if<Trace>(&effect)) {
    if (const auto* taken = std::get_if<trace::Step>(&traced->event)) {
      step_counts[std::string(taken->name)] += taken->amount;
    } else {
      to_real_time(host.id, traced->event);
      record(host.id, std::move(traced->event));
    }
  } else if (const auto* refused = std::get_if<InputRefused>(&effect)) {
    ++refusals[std::string(refused->frame) + ": " + std::string(refused->why)];
  } else if (const auto* fatal = std::get_if<Fatal>(&effect)) {
    fatal_.push_back(to_string(process->pid) + ": " + fatal->reason);
    record(host.id, check::Crash{});
    end(host, Network::End::crashed);
  } else if (const auto* excluded = std::get_if<Excluded>(&effect)) {
    const auto delay = excluded->backoff;
    host.exclusions.push_back(now());
    end(host, Network::End::closed);
    if (mutant(Mutant::same_incarnation)) {
      --host.disk.incarnation;
    }
    restart_after(host, delay);
  } else if (const auto* identity = std::get_if<IdentityRefused>(&effect)) {
    const auto told = *identity;
    end(host, Network::End::closed);
    if (told.reason == RejectReason::assign_id) {
      host.disk.node = told.node;
      host.disk.incarnation = 0;
      restart_after(host, Duration{});
    } else if (told.reason == RejectReason::incarnation_used) {
      host.disk.incarnation = std::max(host.disk.incarnation, told.incarnation);
      restart_after(host, Duration{});
    } else if (told.reason == RejectReason::node_in_use && !host.numbered) {
      host.disk.node = 0;  // two leaders gave the same id to two machines; nobody configured it, so this one asks again
      restart_after(host, Duration{});
    } else if (told.reason == RejectReason::node_in_use || told.reason == RejectReason::name_in_use) {
      restart_after(host, std::chrono::seconds(1));  // the service manager tries again
    }
  } else if (std::holds_alternative<LeftCluster>(effect)) {
    end(host, Network::End::closed);
    if (restart_leavers) {
      restart_after(host, std::chrono::milliseconds(200));
    }
  } else if (applications != nullptr) {
    applications->effect(host.id, effect);
    keep(*process, effect);
  }
}

/// The machine's clock is its own; the checkers ask for the real time.
void World::to_real_time(HostId host, trace::Event& event) const {
  if (auto* granted = std::get_if<trace::LeaseGranted>(&event)) {
    granted->from = when(host, granted->from);
    granted->until = when(host, granted->until);
  } else if (auto* released = std::get_if<trace::LeaseReleased>(&event)) {
    released->at = when(host, released->at);
  }
}

// ---------------------------------------------------------------- disks

void World::write_next(const std::shared_ptr<Process>& process) {
  if (process->writing || process->writes.empty()) {
    return;
  }
  process->writing = true;
  const auto spread = static_cast<std::uint64_t>((setup_.write_max - setup_.write_min).count());
  scheduler_.after(setup_.write_min + Duration(rng_.below(spread + 1)), [this, process] {
    if (process->ended) {
      return;
    }
    process->writing = false;
    auto& host = hosts_.at(process->host);
    if (host.disk_stopped) {
      scheduler_.after(std::chrono::milliseconds(10), [this, process] { write_next(process); });
      return;
    }
    auto write = std::move(process->writes.front());
    process->writes.pop_front();
    if (host.disk_fails) {
      input(process->id, PersistFailed{write.token, "no space left on device"});
      return;
    }
    host.disk.record = std::move(write.record);
    input(process->id, Persisted{write.token});
    write_next(process);
  });
}

// ---------------------------------------------------------------- what happened

void World::record(HostId id, check::Fact fact) {
  const auto& host = hosts_.at(id);
  if (host.process) {
    records_.push_back({now(), host.process->pid, std::move(fact)});
    if (narrate) {
      if (auto line = tell(records_.back().fact, host.process->pid); !line.empty()) {
        say(id, line);
      }
    }
  }
}

void World::say(HostId id, const std::string& text) {
  if (narrate) {
    const auto& host = hosts_.at(id);
    narrate(clock_text(now()) + " " + (host.process ? to_string(host.process->pid) : "n" + std::to_string(id)) + " " + text);
  }
}

void World::saw_frame(const Pid& from, const Pid& to, const Frame& frame, std::string_view what) {
  if (narrate && narrate_frames) {
    narrate(clock_text(now()) + " " + to_string(from) + " > " + to_string(to) + " " + frame_text(frame) +
            (what.empty() ? "" : " [" + std::string(what) + "]"));
  }
}

}  // namespace vsync::sim
