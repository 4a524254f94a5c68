// What goes wrong in a run, drawn from its seed: each kind has a rate, zero for many kinds in most runs.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "sim/world.h"

namespace vsync::sim {

/// witness: as mixed, with one machine that only votes (B4).
enum class Profile : std::uint8_t { mixed, crash, calm, network, joins, witness };

[[nodiscard]] std::optional<Profile> profile_named(std::string_view name);

/// Injects faults until stopped; heal() ends them all.
class Chaos {
 public:
  Chaos(World& world, Profile profile);

  void go();
  void stop() { running_ = false; }
  /// No network fault, no pause, no stopped disk, no fuse is left. Crashed machines stay as they are.
  void heal();

  [[nodiscard]] const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

 private:
  struct Kind {
    std::string name;
    double rate;  ///< per second
    void (Chaos::*inject)();
  };

  void plan(std::size_t kind);
  HostId any_host();
  std::pair<HostId, HostId> any_pair();

  void crash_process();
  void crash_machine();
  void crash_at_step();
  void restart();
  void restart_wiped();
  void restart_damaged();
  void pause();
  void partition();
  void one_way();
  void isolate_edge();
  void heal_network();
  void cut();
  void half_open();
  void clog();
  void slow_host();
  void stall_disk();
  void leave();
  void evict();
  [[nodiscard]] bool may_lose_vote(HostId host) const;
  void start(HostId host);

  World& world_;
  Rng& rng_;
  std::vector<Kind> kinds_;
  std::map<std::string, std::uint64_t> counts_;
  bool running_ = false;
};

/// The last view that any disk calls decided; null before the first.
[[nodiscard]] core::ViewPtr last_decided(const World& world);
/// Do the disks of these machines hold enough intact votes to decide the successor of `view`?
[[nodiscard]] bool votes_suffice(const World& world, const core::View& view, const std::vector<HostId>& hosts);
/// How the founder is started, as an operator would: bootstrap only as long as there is no cluster.
[[nodiscard]] World::StartOptions start_options(const World& world, HostId host);

}  // namespace vsync::sim
