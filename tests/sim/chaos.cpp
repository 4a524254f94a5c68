#include "sim/chaos.h"

#include <algorithm>
#include <array>

namespace vsync::sim {

using namespace core;
using std::chrono::milliseconds;

std::optional<Profile> profile_named(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Profile>, 6> names{{{"mixed", Profile::mixed},
                                                                       {"crash", Profile::crash},
                                                                       {"calm", Profile::calm},
                                                                       {"network", Profile::network},
                                                                       {"joins", Profile::joins},
                                                                       {"witness", Profile::witness}}};
  for (const auto& [text, profile] : names) {
    if (text == name) {
      return profile;
    }
  }
  return std::nullopt;
}

ViewPtr last_decided(const World& world) {
  ViewPtr last;
  for (const auto host : world.hosts()) {
    const auto& decided = world.disk(host).record.decided;
    if (decided && (!last || decided->id() > last->id())) {
      last = decided;
    }
  }
  return last;
}

bool votes_suffice(const World& world, const View& view, const std::vector<HostId>& hosts) {
  VoterSet votes;
  for (const auto host : hosts) {
    if (!world.disk(host).damaged) {
      votes.insert({world.disk(host).node, world.disk(host).vote_epoch});
    }
  }
  return quorum(view, votes);
}

World::StartOptions start_options(const World& world, HostId host) {
  World::StartOptions options;
  options.bootstrap = host == 1 && last_decided(world) == nullptr;
  return options;
}

Chaos::Chaos(World& world, Profile profile) : world_(world), rng_(world.rng()) {
  if (profile == Profile::calm) {
    return;
  }
  const bool mixed = profile == Profile::mixed || profile == Profile::witness;
  const bool crash = mixed || profile == Profile::crash;
  const bool network = mixed || profile == Profile::network;
  const bool joins = mixed || profile == Profile::joins;
  const auto draw = [&](bool wanted, std::initializer_list<double> rates) {
    const auto* rate = rates.begin() + rng_.below(rates.size());
    return wanted ? *rate : 0.0;
  };
  kinds_ = {
      {"process crash", draw(crash, {0, 0.3, 1}), &Chaos::crash_process},
      {"machine crash", draw(crash, {0, 0, 0.3}), &Chaos::crash_machine},
      {"crash at a step", draw(crash, {0, 0.5, 2}), &Chaos::crash_at_step},
      {"restart", draw(crash || joins, {1, 2, 4}), &Chaos::restart},
      {"restart without disk", draw(crash, {0, 0, 0.2}), &Chaos::restart_wiped},
      {"restart with damaged disk", draw(crash, {0, 0, 0.2}), &Chaos::restart_damaged},
      {"pause", draw(mixed, {0, 0.2, 0.5}), &Chaos::pause},
      {"partition", draw(network, {0, 0.2, 0.5}), &Chaos::partition},
      {"one-way partition", draw(network, {0, 0.2, 0.5}), &Chaos::one_way},
      {"edge cut", draw(network, {0, 0, 0.3}), &Chaos::isolate_edge},
      {"network healed", draw(network, {0.5, 1, 2}), &Chaos::heal_network},
      {"connection broken", draw(network, {0, 1, 4}), &Chaos::cut},
      {"connection half open", draw(network, {0, 0, 0.5}), &Chaos::half_open},
      {"link clogged", draw(network, {0, 1, 3}), &Chaos::clog},
      {"slow machine", draw(network, {0, 0, 0.3}), &Chaos::slow_host},
      {"disk stalled", draw(mixed, {0, 0, 0.3}), &Chaos::stall_disk},
      {"leave", draw(joins, {0, 0.2, 0.6}), &Chaos::leave},
      {"eviction", draw(joins, {0, 0.2, 0.6}), &Chaos::evict},
  };
}

void Chaos::go() {
  running_ = true;
  for (std::size_t kind = 0; kind < kinds_.size(); ++kind) {
    plan(kind);
  }
}

void Chaos::plan(std::size_t kind) {
  if (kinds_[kind].rate <= 0) {
    return;
  }
  const auto mean = 1e9 / kinds_[kind].rate;
  world_.scheduler().after(Duration(1 + rng_.below(static_cast<std::uint64_t>(2 * mean))), [this, kind] {
    if (running_) {
      (this->*kinds_[kind].inject)();
      plan(kind);
    }
  });
}

void Chaos::heal() {
  world_.network().heal();
  world_.network().slow_hosts.clear();
  world_.network().conduct.loss = 0;
  for (const auto a : world_.hosts()) {
    for (const auto b : world_.hosts()) {
      world_.network().unhold(a, b);
    }
    world_.set_fuse(a, {});
    world_.stop_disk(a, false);
    world_.pause(a, false);
  }
}

HostId Chaos::any_host() {
  const auto hosts = world_.hosts();
  return hosts[rng_.below(hosts.size())];
}

std::pair<HostId, HostId> Chaos::any_pair() {
  const auto hosts = world_.hosts();
  const auto a = rng_.below(hosts.size());
  const auto b = (a + 1 + rng_.below(std::max<std::size_t>(hosts.size(), 2) - 1)) % hosts.size();
  return {hosts[a], hosts[b]};
}

void Chaos::start(HostId host) {
  world_.start(host, start_options(world_, host));
}

// ---------------------------------------------------------------- machines

void Chaos::crash_process() {
  const auto host = any_host();
  if (world_.running(host)) {
    ++counts_["process crash"];
    world_.crash(host, CrashKind::process);
  }
}

void Chaos::crash_machine() {
  const auto host = any_host();
  if (world_.running(host)) {
    ++counts_["machine crash"];
    world_.crash(host, CrashKind::machine);
  }
}

void Chaos::crash_at_step() {
  static const std::vector<std::string> kinds{"",         "PREPARE",  "PROMISE",   "FLUSH",   "FORWARD", "HAVE_ALL", "ACCEPT",
                                              "ACCEPTED", "INSTALL",  "INSTALLED", "TABLE",   "DATA",    "ACK",      "JOIN",
                                              "READY",    "READY_OK", "LINKUP",    "PREVOTE", "SUSPECT"};
  ++counts_["crash at a step"];
  const auto& kind = kinds[rng_.below(kinds.size())];
  world_.set_fuse(any_host(), {kind, 1 + rng_.below(kind.empty() ? 200 : 4)});
}

void Chaos::restart() {
  const auto host = any_host();
  if (!world_.running(host)) {
    ++counts_["restart"];
    start(host);
  }
}

bool Chaos::may_lose_vote(HostId host) const {
  const auto last = last_decided(world_);
  auto others = world_.hosts();
  std::erase(others, host);
  return last && votes_suffice(world_, *last, others) && world_.disk(host).node != 0 && world_.numbered(host);
}

void Chaos::restart_wiped() {
  const auto host = any_host();
  if (may_lose_vote(host)) {
    ++counts_["restart without disk"];
    world_.crash(host, CrashKind::process);
    world_.wipe(host);
    start(host);
  }
}

void Chaos::restart_damaged() {
  const auto host = any_host();
  if (may_lose_vote(host) && world_.disk(host).record.decided) {
    ++counts_["restart with damaged disk"];
    world_.crash(host, CrashKind::process);
    world_.damage(host);
    start(host);
  }
}

void Chaos::pause() {
  const auto host = any_host();
  if (world_.running(host) && !world_.paused(host)) {
    ++counts_["pause"];
    world_.pause(host, true);
    const auto limit = static_cast<std::uint64_t>((3 * world_.setup().limits.suspect_after).count());
    world_.scheduler().after(Duration(rng_.below(limit)), [this, host] { world_.pause(host, false); });
  }
}

void Chaos::stall_disk() {
  const auto host = any_host();
  ++counts_["disk stalled"];
  world_.stop_disk(host, true);
  world_.scheduler().after(milliseconds(rng_.below(800)), [this, host] { world_.stop_disk(host, false); });
}

void Chaos::leave() {
  const auto host = any_host();
  // A founder that leaves before it founded would have to be told again to found: then there is no cluster to judge.
  if (world_.running(host) && last_decided(world_) != nullptr) {
    ++counts_["leave"];
    world_.request(host, AdminLeave{});
  }
}

void Chaos::evict() {
  const auto host = any_host();
  const auto target = any_host();
  if (world_.running(host) && world_.disk(target).node != 0) {
    ++counts_["eviction"];
    world_.request(host, AdminEvict{0, 0, world_.disk(target).node, "", "for a test"});
  }
}

// ---------------------------------------------------------------- network

void Chaos::partition() {
  ++counts_["partition"];
  std::map<HostId, bool> side;
  for (const auto host : world_.hosts()) {
    side[host] = rng_.chance(0.5);
  }
  for (const auto& [a, left] : side) {
    for (const auto& [b, right] : side) {
      if (left != right) {
        world_.network().block(a, b);
      }
    }
  }
}

void Chaos::one_way() {
  ++counts_["one-way partition"];
  const auto host = any_host();
  const bool in = rng_.chance(0.5);
  for (const auto other : world_.hosts()) {
    if (other != host && rng_.chance(0.7)) {
      in ? world_.network().block(other, host) : world_.network().block(host, other);
    }
  }
}

void Chaos::isolate_edge() {
  ++counts_["edge cut"];
  const auto [a, b] = any_pair();
  world_.network().block(a, b);
  world_.network().block(b, a);
}

void Chaos::heal_network() {
  ++counts_["network healed"];
  world_.network().heal();
}

void Chaos::cut() {
  ++counts_["connection broken"];
  const auto [a, b] = any_pair();
  world_.network().cut(a, b, false);
}

void Chaos::half_open() {
  ++counts_["connection half open"];
  const auto [a, b] = any_pair();
  world_.network().cut(a, b, true);
}

void Chaos::clog() {
  ++counts_["link clogged"];
  const auto pair = any_pair();
  world_.network().hold(pair.first, pair.second);
  world_.scheduler().after(milliseconds(rng_.below(600)), [this, pair] { world_.network().unhold(pair.first, pair.second); });
}

void Chaos::slow_host() {
  ++counts_["slow machine"];
  const auto host = any_host();
  world_.network().slow_hosts[host] = milliseconds(rng_.below(300));
  world_.scheduler().after(milliseconds(rng_.below(3000)), [this, host] { world_.network().slow_hosts.erase(host); });
}

}  // namespace vsync::sim
