// Carries out the commands of one scenario in a world without chance: fixed latencies, fixed disks, no jitter.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenario/script.h"

namespace vsync::scenario {

using Words = std::span<const std::string>;

class Player {
 public:
  Player();
  ~Player();

  /// Empty, or what is wrong.
  std::string command(const std::string& line);
  /// Ends the run: what happened, and the verdict of the checkers.
  Outcome finish();

 private:
  using Handler = std::string (Player::*)(Words);
  static const std::map<std::string, Handler, std::less<>>& handlers();

  // ---- the cluster
  std::string nodes(Words words);
  std::string found(Words words);
  std::string start(Words words);
  std::string start_founder(Words words);
  std::string start_misconfigured(Words words);
  std::string crash(Words words);
  std::string die(Words words);
  std::string power_off(Words words);
  std::string crash_at(Words words);
  std::string wipe(Words words);
  std::string keep(Words words);
  std::string damage(Words words);
  std::string fail_disk(Words words);
  std::string stall_disk(Words words);
  std::string pause(Words words);
  std::string resume(Words words);
  std::string leave(Words words);
  std::string evict(Words words);
  std::string cold_start(Words words);
  std::string remember(Words words);
  std::string suspect(Words words);
  std::string clock(Words words);

  // ---- the network
  std::string partition(Words words);
  std::string oneway(Words words);
  std::string heal(Words words);
  std::string cut_link(Words words);
  std::string hold(Words words);
  std::string unhold(Words words);
  std::string pump(Words words);
  std::string lose(Words words);
  std::string drop(Words words);
  std::string slow(Words words);

  // ---- applications
  std::string group(Words words);
  std::string client_join(Words words);
  std::string client_leave(Words words);
  std::string client_die(Words words);
  std::string client_hold(Words words);
  std::string session(Words words);
  std::string submit(Words words);
  std::string ask(Words words);
  std::string load(Words words);

  // ---- time and questions
  std::string run(Words words);
  std::string until(Words words);
  std::string settle(Words words);
  std::string frames(Words words);
  std::string quiet(Words words);
  std::string loud(Words words);
  std::string state(Words words);
  std::string expect(Words words);

  [[nodiscard]] std::vector<sim::HostId> hosts(Words words) const;
  [[nodiscard]] std::vector<std::pair<sim::HostId, sim::HostId>> links(Words words) const;
  [[nodiscard]] bool in_view(const std::string& members, const std::vector<sim::HostId>& at) const;
  [[nodiscard]] bool has_members(const std::string& group, const std::string& members, const std::vector<sim::HostId>& at) const;
  [[nodiscard]] bool has_lease(sim::HostId host, const std::string& group) const;
  [[nodiscard]] bool settled() const;
  /// Until the condition holds; false: it does not within `limit`.
  template <typename Condition>
  bool wait(Condition condition, core::Duration limit) {
    const auto end = world_->now() + limit;
    while (!condition() && world_->now() < end) {
      world_->run_until(world_->now() + std::chrono::milliseconds(1));
    }
    return condition();
  }
  /// The longest at any machine, in messages.
  struct Queues {
    std::uint64_t unbound = 0;  ///< accepted from clients
    std::uint64_t held = 0;     ///< of all senders, not known to be stable
  };
  [[nodiscard]] Queues longest_queues() const;
  void look_at_queues();
  void print(const std::string& line);

  sim::Setup setup_;
  bool unnumbered_ = false;
  sim::HostId witness_ = 0;  ///< 0: none
  std::unique_ptr<sim::World> world_;
  std::unique_ptr<sim::Workload> workload_;
  std::string trace_;
  bool quiet_ = false;
  bool settled_ = false;
  Queues seen_;  ///< the longest so far, looked at every second of `run`
};

}  // namespace vsync::scenario
