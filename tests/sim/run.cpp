#include "sim/run.h"

#include <algorithm>
#include <array>

#include "sim/workload.h"
#include "support/check/checkers.h"

namespace vsync::sim {

using namespace core;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

template <typename T>
T one_of(Rng& rng, std::initializer_list<T> choices) {
  return *(choices.begin() + rng.below(choices.size()));
}

/// Everything about a run that is fixed before it starts.
struct Plan {
  std::size_t nodes;
  Setup setup;
  Conduct conduct;
  Appetite appetite;
  Duration chaos;
  bool ancient;     ///< starts as after a total failure, with counters near a limit
  bool unnumbered;  ///< some machines ask for their id
  bool witness;     ///< the last machine is one
};

Plan draw(const RunOptions& options, Rng& rng) {
  Plan plan{};
  const bool calm = options.profile == Profile::calm;
  plan.nodes = options.nodes != 0 ? options.nodes : one_of<std::size_t>(rng, {1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7});
  if (options.profile == Profile::witness && options.nodes == 0) {
    plan.nodes = one_of<std::size_t>(rng, {2, 3, 3, 3, 4, 5});
  }
  auto& limits = plan.setup.limits;
  limits.suspect_after = milliseconds(one_of(rng, {300, 500, 1000}));
  limits.heartbeat = limits.suspect_after / 10;
  limits.link_grace = limits.suspect_after / 5;
  limits.flush_timeout = limits.suspect_after * 3 / 10;
  limits.fetch_timeout = limits.flush_timeout / 2;
  limits.link_flap_max = one_of<std::uint32_t>(rng, {2, 10, 1000});
  limits.linger = limits.suspect_after * 2;
  limits.state_window = one_of<std::size_t>(rng, {1000, 10'000, 100'000});
  limits.state_queue_bytes = one_of<std::size_t>(rng, {5000, 1'000'000, 1'000'000});
  limits.state_timeout = milliseconds(one_of(rng, {200, 1000}));
  limits.slow_member = one_of<Duration>(rng, {seconds(0), seconds(2)});
  limits.window_bytes = one_of<std::size_t>(rng, {4000, 40'000, 1'000'000});
  limits.window_messages = one_of<std::size_t>(rng, {8, 100, 10'000});
  limits.client_queue_bytes = one_of<std::size_t>(rng, {4000, 100'000});
  limits.max_run_bytes = one_of<std::size_t>(rng, {200, 1000, 1000, 20'000, 100'000});
  limits.max_message = limits.max_run_bytes * 6;
  limits.client_queue_bytes = std::max(limits.client_queue_bytes, limits.max_message);
  limits.ack_direct_max = one_of<std::size_t>(rng, {2, 16, 16});
  limits.kept_views = one_of<std::size_t>(rng, {2, 16});
  plan.setup.quorum = one_of(rng, {QuorumPolicy::dynamic, QuorumPolicy::dynamic, QuorumPolicy::fixed});
  if (plan.setup.quorum == QuorumPolicy::fixed) {
    for (NodeId node = 1; node <= plan.nodes; ++node) {
      plan.setup.static_voters.push_back({node, 0, 1});
    }
  }
  limits.lease = limits.heartbeat * one_of(rng, {3, 7, 7, 20});
  plan.setup.clock_drift = one_of(rng, {0.0, 0.045});
  plan.setup.cold_start = one_of(rng, {ColdStart::wait_all, ColdStart::wait_all, ColdStart::quorum});
  plan.setup.write_max = one_of<Duration>(rng, {milliseconds(1), milliseconds(5), milliseconds(30)});
  plan.conduct.latency_max = calm ? milliseconds(2) : one_of<Duration>(rng, {milliseconds(1), milliseconds(5), milliseconds(25)});
  plan.conduct.loss = calm ? 0 : one_of(rng, {0.0, 0.01, 0.1});
  plan.conduct.duplicate = calm ? 0 : one_of(rng, {0.0, 0.05});
  plan.conduct.tcp_timeout = one_of<Duration>(rng, {milliseconds(500), seconds(2)});
  plan.conduct.encode = rng.chance(0.2);
  plan.appetite.lease = 0.8;
  plan.appetite.stability = 0.3;
  plan.appetite.several = one_of(rng, {0.0, 0.05});
  plan.appetite.direct = one_of(rng, {0.0, 0.05});
  plan.appetite.request = one_of(rng, {0.0, 0.05});
  plan.appetite.reply = 0.9;
  plan.appetite.requests = one_of(rng, {5.0, 30.0, 100.0});
  if (calm) {  // then every transfer must come to its end
    plan.appetite.refuses = plan.appetite.stuck = 0;
    limits.state_queue_bytes = std::size_t{64} << 20U;
    limits.state_timeout = seconds(5);
  }
  plan.chaos = options.chaos.count() != 0 ? options.chaos : seconds(one_of(rng, {4, 8, 15}));
  plan.ancient = !calm && rng.chance(0.1);
  plan.unnumbered = plan.setup.quorum == QuorumPolicy::dynamic && !plan.ancient && rng.chance(0.2);
  plan.witness = options.profile == Profile::witness || (!calm && plan.nodes > 1 && rng.chance(0.15));
  const auto members = plan.nodes - (plan.witness && plan.nodes > 1 ? 1 : 0);
  plan.appetite.disks = static_cast<std::uint32_t>(1 + rng.below(std::min<std::size_t>(members, 5)));
  plan.appetite.checkpoint_every = one_of<std::uint64_t>(rng, {3, 10, 35, 1'000'000});
  return plan;
}

class Run {
 public:
  explicit Run(const RunOptions& options)
      : options_(options),
        rng_(options.seed),
        plan_(draw(options, rng_)),
        world_(rng_.next(), plan_.setup),
        workload_(world_, plan_.appetite),
        chaos_(world_, options.profile) {
    world_.network().conduct = plan_.conduct;
    world_.narrate = options.narrate;
    world_.narrate_frames = options.narrate_frames;
    world_.restart_leavers = options.profile != Profile::calm;
  }

  RunResult go() {
    found();
    chaos_.go();
    advance(plan_.chaos);
    converge();
    judge();
    return std::move(result_);
  }

 private:
  void found();
  void make_ancient();
  void advance(Duration length);
  void converge();
  void bring_back(bool all);
  bool settle(Duration limit);
  [[nodiscard]] std::size_t messages_sent() const;
  [[nodiscard]] bool has_holder(const View& last) const;
  void judge();
  void count_views();

  RunOptions options_;
  Rng rng_;
  Plan plan_;
  World world_;
  Workload workload_;
  Chaos chaos_;
  RunResult result_;
  check::Ending ending_;
};

/// As after a total failure, with counters near a limit: everybody knows the last view, nobody runs.
void Run::make_ancient() {
  const auto limit = one_of<std::uint64_t>(rng_, {0xff, 0xffff, 0xffffff, 0x7fffffff});
  const auto decided = world_.past_view(limit - rng_.below(2), limit - 1, world_.hosts());
  for (const auto host : world_.hosts()) {
    world_.install_disk(host, limit - 1, decided);
  }
}

void Run::found() {
  for (std::size_t i = 0; i < plan_.nodes; ++i) {
    world_.add_host(i == 0 || !plan_.unnumbered, plan_.witness && i > 0 && i + 1 == plan_.nodes);
  }
  if (plan_.ancient) {
    make_ancient();
  }
  for (const auto host : world_.hosts()) {
    world_.scheduler().after(milliseconds(rng_.below(300)), [this, host] {
      if (!world_.running(host)) {
        world_.start(host, start_options(world_, host));
      }
    });
  }
  workload_.go();
  if (rng_.chance(0.7) || options_.profile == Profile::calm) {
    advance(seconds(1));  // otherwise the faults begin with the founding
  }
}

void Run::advance(Duration length) {
  const auto end = world_.now() + length;
  const auto slice = milliseconds(100);
  while (world_.now() < end) {
    const auto before = world_.steps();
    world_.run_until(std::min(world_.now() + slice, end));
    if (world_.steps() - before > 20'000 * plan_.nodes) {
      result_.report.violation("S61 busy loop", std::to_string(world_.steps() - before) + " steps in 100 ms");
      return;
    }
  }
}

/// A random set of machines that can go on is brought back; the others stay down.
void Run::bring_back(bool all) {
  const auto last = last_decided(world_);
  std::vector<HostId> stay_down;
  for (const auto host : world_.hosts()) {
    if (!all && last && !world_.running(host) && rng_.chance(0.3)) {
      auto others = world_.hosts();
      std::erase_if(others, [&](HostId h) { return h == host || std::count(stay_down.begin(), stay_down.end(), h) != 0; });
      if (votes_suffice(world_, *last, others)) {
        stay_down.push_back(host);
      }
    }
  }
  for (const auto host : world_.hosts()) {
    if (!world_.running(host)) {
      world_.power_on(host);
      if (std::count(stay_down.begin(), stay_down.end(), host) == 0) {
        world_.start(host, start_options(world_, host));
      }
    }
  }
}

bool Run::settle(Duration limit) {
  const auto end = world_.now() + limit;
  while (world_.now() < end && result_.report.clean()) {
    advance(milliseconds(200));
    if (world_.common_view()) {
      advance(seconds(6));  // what is in flight arrives, also at who was stuck; nothing may change any more
      if (world_.common_view()) {
        return true;
      }
    }
  }
  return false;
}

/// Can anybody go on from the last decided view with its state?
bool Run::has_holder(const View& last) const {
  return std::any_of(last.members.begin(), last.members.end(), [&](const Member& member) {
    for (const auto host : world_.hosts()) {
      if (world_.running(host) && world_.pid(host) == member.pid && world_.status(host).view) {
        return true;
      }
    }
    return false;
  });
}

void Run::converge() {
  chaos_.stop();
  chaos_.heal();
  world_.restart_leavers = true;
  bring_back(false);
  advance(seconds(1));
  workload_.stop();
  const auto views_before = last_decided(world_) ? last_decided(world_)->id() : 0;
  auto limit = plan_.setup.limits.suspect_after * 40 + seconds(20);
  bool done = settle(limit);
  if (!done && result_.report.clean()) {
    bring_back(true);  // a total failure of the holders needs all of them (B2, wait_all)
    done = settle(limit * 2);
  }
  // Members get the state of a durable group one after the other, and disks are slow: their daemons still have something to say.
  auto sent = SIZE_MAX;
  for (int i = 0; done && i < 60 && sent != messages_sent(); ++i) {
    sent = messages_sent();
    advance(seconds(1));
  }
  // A lease of few heartbeats lapses when some of them are lost or late; it must come back.
  for (int i = 0; done && i < 50 && !workload_.leaders_without_lease().empty(); ++i) {
    advance(milliseconds(100));
  }
  // Who was excluded often comes back late, and changes the view once more.
  done = done && (world_.common_view() || settle(limit));
  const auto last = last_decided(world_);
  if (done) {
    result_.end = RunEnd::converged;
    const auto installs = last->id() - views_before;
    if (installs > 6 * plan_.nodes + 20) {
      result_.report.violation("L6 no livelock", std::to_string(installs) + " views after healing");
    }
    for (const auto host : world_.hosts()) {
      if (world_.running(host) && !world_.witness(host)) {
        ending_.view = world_.status(host).view->id();
        ending_.live.push_back(world_.pid(host));
      }
    }
  } else if (last && !votes_suffice(world_, *last, world_.hosts())) {
    result_.end = RunEnd::votes_lost;
  } else if (last && !has_holder(*last) && plan_.setup.cold_start == ColdStart::manual) {
    result_.end = RunEnd::state_lost;
  } else if (result_.report.clean()) {
    const auto decided = last ? last->summary() : std::string("none");
    result_.report.violation(
        "L1 convergence",
        std::to_string(plan_.nodes) + " machines have no last view after healing, the last decided one is " + decided);
  }
}

std::size_t Run::messages_sent() const {
  const auto& records = world_.records();
  return static_cast<std::size_t>(std::count_if(records.begin(), records.end(),
                                                [](const auto& record) { return check::get<trace::Send>(record) != nullptr; }));
}

void Run::count_views() {
  std::map<ViewId, bool> seen;
  for (const auto& record : world_.records()) {
    if (const auto* install = check::get<trace::Install>(record)) {
      seen[install->view->id()] = install->view->cold;
    } else if (const auto* deliver = check::get<trace::Deliver>(record)) {
      result_.deliveries += deliver->count;
    }
  }
  result_.views = seen.size();
  result_.cold_views =
      static_cast<std::uint64_t>(std::count_if(seen.begin(), seen.end(), [](const auto& v) { return v.second; }));
}

void Run::judge() {
  const check::History history(world_.records());
  check::safety(history, result_.report);
  if (result_.end == RunEnd::converged) {
    check::everything_delivered(history, ending_, result_.report);
    check::nothing_held(history, ending_, result_.report);
    for (const auto& leader : workload_.leaders_without_lease()) {
      result_.report.violation("F10 the leader gets its lease", leader);
    }
    workload_.judge_states(result_.report);
  }
  check::everything_answered(history, ending_, result_.report);
  if (2 * world_.lost_disks.size() < plan_.appetite.disks) {
    check::durability(history, result_.report);
  }
  result_.durable = workload_.durable();
  result_.restored = workload_.restored();
  if (options_.profile == Profile::calm) {
    check::nothing_suspected(history, result_.report);
  }
  for (const auto& reason : world_.fatal()) {
    result_.report.violation("C1 fatal", reason);
  }
  count_views();
  result_.nodes = plan_.nodes;
  result_.simulated = world_.now();
  result_.steps = world_.steps();
  result_.faults = chaos_.counts();
  result_.steps_taken = world_.step_counts;
  result_.refusals = world_.refusals;
}

}  // namespace

RunResult run(const RunOptions& options) {
  return Run(options).go();
}

}  // namespace vsync::sim
