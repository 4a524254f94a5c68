// Machines, their disks and processes around core::Node: the shell of the simulator. Everything follows from the seed.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/node/node.h"
#include "durable/keeper.h"
#include "sim/disk_store.h"
#include "sim/network.h"
#include "support/check/history.h"

namespace vsync::sim {

/// What is on a machine's disk.
struct Disk {
  core::NodeId node = 0;  ///< 0: not assigned yet
  std::uint64_t vote_epoch = 0;
  std::uint64_t incarnation = 0;
  core::AcceptorRecord record;
  bool damaged = false;
  StoredHistories histories;
};

/// Settings that are equal on all machines, and how the disks behave.
struct Setup {
  core::Limits limits;
  core::QuorumPolicy quorum = core::QuorumPolicy::dynamic;
  core::ColdStart cold_start = core::ColdStart::wait_all;
  std::vector<core::Voter> static_voters;
  Duration write_min = std::chrono::microseconds(100);
  Duration write_max = std::chrono::milliseconds(3);
  Duration turn_max = std::chrono::microseconds(200);        ///< a turn begins this long after its first input, at most
  Duration timer_late_max = std::chrono::microseconds(100);  ///< no timer is exactly on time
  bool core_trace = true;
  double clock_drift = 0;  ///< every machine's clock runs up to this share too fast or too slow
};

/// How a process ends without wanting to.
/// A part of what a crashed process sent is lost; `drained`: nothing.
enum class CrashKind : std::uint8_t { process, machine, drained };

/// Where a process shall crash: before its `count`-th effect, or before it sends the count-th frame of a kind.
struct Fuse {
  std::string kind;  ///< empty: any effect
  std::size_t count = 0;
};

/// What local applications see; the workload implements it.
class Applications {
 public:
  virtual ~Applications() = default;
  virtual void effect(HostId host, const core::Effect& effect) = 0;
  /// K3: members go on with the state that they have now.
  virtual void restored(HostId host, const std::vector<core::ClientId>& clients, const std::string& group,
                        const core::HistoryPosition& end) = 0;
  /// What the members here want of their checkpoints.
  [[nodiscard]] virtual durable::CheckpointPolicy checkpoint_policy() const = 0;
  /// The daemon process ended; `crashed`: with its connections. Otherwise the connections go on to the next process.
  virtual void process_ended(HostId host, bool crashed) = 0;
};

class World : private Machines {
 public:
  World(std::uint64_t seed, Setup setup);
  ~World() override;

  // ---- machines
  /// numbered: its id is configured (a line of the hosts file), otherwise it asks for one when it joins.
  HostId add_host(bool numbered, bool witness = false);
  struct StartOptions {
    bool bootstrap = false;
    bool found_if_alone = false;
    std::uint64_t config_hash = 1;
  };
  void start(HostId host, const StartOptions& options);
  void start(HostId host) { start(host, StartOptions{}); }
  void crash(HostId host, CrashKind kind);
  /// Power back without the daemon: connections are refused again.
  void power_on(HostId host) { hosts_.at(host).powered = true; }
  void wipe(HostId host);
  /// How fast its clock runs, 1 = right. Before it is first started.
  void set_clock_rate(HostId host, double rate) { hosts_.at(host).rate = rate; }
  /// A view of these machines, as they are now, with processes of the given incarnation.
  [[nodiscard]] core::ViewPtr past_view(core::ViewId id, std::uint64_t incarnation, const std::vector<HostId>& members) const;
  /// The disk of a machine that once was in `decided`.
  void install_disk(HostId host, std::uint64_t incarnation, core::ViewPtr decided);
  /// Without messages, as another cluster may have left it there.
  void install_history(HostId host, const std::string& group, const core::KeptHistory& kept) {
    hosts_.at(host).disk.histories[group].kept = kept;
  }
  void damage(HostId host) { hosts_.at(host).disk.damaged = true; }
  void pause(HostId host, bool paused);
  void stop_disk(HostId host, bool stopped) { hosts_.at(host).disk_stopped = stopped; }
  void fail_disk(HostId host) { hosts_.at(host).disk_fails = true; }
  void set_fuse(HostId host, Fuse fuse) { hosts_.at(host).fuse = std::move(fuse); }
  void request(HostId host, core::Input input);  ///< of a local application or the operator

  [[nodiscard]] bool numbered(HostId host) const { return hosts_.at(host).numbered; }
  [[nodiscard]] bool witness(HostId host) const { return hosts_.at(host).witness; }
  /// The view that all running daemons are in, each as member or as witness, with nothing left to send; null: not so.
  [[nodiscard]] core::ViewPtr common_view() const;
  [[nodiscard]] bool running(HostId host) const;
  [[nodiscard]] bool paused(HostId host) const;
  /// The current process's core; the machine must be running.
  [[nodiscard]] const core::Node& node(HostId host) const;
  [[nodiscard]] core::Pid pid(HostId host) const;
  [[nodiscard]] core::NodeStatus status(HostId host) const { return node(host).status(clock(host)); }
  /// What the machine's own clock says; it never stands still and is never set.
  [[nodiscard]] Time clock(HostId host) const;
  [[nodiscard]] const Disk& disk(HostId host) const { return hosts_.at(host).disk; }
  [[nodiscard]] std::vector<HostId> hosts() const;
  /// Restart after Excluded, a refusal that tells how to go on, or LeftCluster happens by itself only while this is set.
  bool auto_restart = true;
  bool restart_leavers = false;

  // ---- time
  [[nodiscard]] Time now() const { return scheduler_.now(); }
  void run_until(Time when);
  Scheduler& scheduler() { return scheduler_; }
  Network& network() { return network_; }
  Rng& rng() { return rng_; }
  Setup& setup() { return setup_; }

  // ---- what happened
  Applications* applications = nullptr;
  std::function<void(const std::string&)> narrate;  ///< one line per happening, for people
  bool narrate_frames = false;
  [[nodiscard]] const std::vector<check::Record>& records() const { return records_; }
  [[nodiscard]] const std::vector<std::string>& fatal() const { return fatal_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }
  std::map<std::string, std::uint64_t> step_counts;  ///< trace::Step by name
  std::map<std::string, std::uint64_t> refusals;     ///< inputs that cores refused, by frame and reason
  std::set<HostId> lost_disks;                       ///< machines that were wiped
  void record(HostId host, check::Fact fact);
  void say(HostId host, const std::string& text);

 private:
  struct Incoming {
    core::Input input;
    bool from_keeper = false;
  };
  struct Process;
  /// Where the keeper of a process lives (world_disks.cpp).
  struct KeeperHome final : durable::Keeper::Home {
    KeeperHome(World& of, Process& whose) : world(of), process(whose) {}
    void input(core::Input input) override;
    void tell(core::Effect effect) override;
    void restored(const std::vector<core::ClientId>& clients, const std::string& group, const core::HistoryPosition& checkpoint,
                  const core::HistoryPosition& end) override;
    void report(const std::string& group, const std::string& what) override;
    void failed(const std::string& why) override;
    [[nodiscard]] core::Pid self() const override { return process.pid; }
    [[nodiscard]] core::Time now() const override { return world.now(); }
    World& world;
    Process& process;
  };
  struct Process {
    ProcessId id = 0;
    HostId host = 0;
    core::Pid pid;
    std::unique_ptr<core::Node> node;
    std::unique_ptr<DiskStore> store;
    std::unique_ptr<KeeperHome> home;
    std::unique_ptr<durable::Keeper> keeper;
    std::deque<Incoming> inbox;
    std::deque<core::Persist> writes;
    bool writing = false;
    bool turn_due = false;
    std::uint64_t timer = 0;  ///< version of the armed timer
    bool ended = false;
  };
  struct Host {
    HostId id = 0;
    bool numbered = true;
    bool witness = false;  ///< B4
    bool powered = true;
    bool paused = false;
    bool disk_stopped = false;
    bool disk_fails = false;
    Disk disk;
    Fuse fuse;
    StartOptions options;
    std::shared_ptr<Process> process;
    std::vector<Time> exclusions;
    double rate = 1;           ///< of its clock
    std::uint64_t starts = 0;  ///< cancels restarts that were planned before a newer one
  };

  // Machines
  [[nodiscard]] std::optional<ProcessId> process_on(HostId host) const override;
  [[nodiscard]] bool answers(HostId host) const override { return hosts_.at(host).powered; }
  [[nodiscard]] core::Hello hello(ProcessId process) const override;
  void input(ProcessId process, core::Input input) override;
  void saw_frame(const core::Pid& from, const core::Pid& to, const core::Frame& frame, std::string_view what) override;

  /// The first moment at which the machine's clock says `when`.
  [[nodiscard]] Time when(HostId host, Time clock) const;
  core::Config config(Host& host);
  void plan_turn(const std::shared_ptr<Process>& process);
  void turn(const std::shared_ptr<Process>& process);
  void arm_timer(const std::shared_ptr<Process>& process);
  /// False: the process ended in the middle.
  bool step(const std::shared_ptr<Process>& process, Incoming incoming);
  void put(ProcessId process, Incoming incoming);
  bool execute(const std::shared_ptr<Process>& process, core::Effects& effects);
  [[nodiscard]] bool fuse_blows(Host& host, const core::Effect& effect);
  void perform(const std::shared_ptr<Process>& process, core::Effect& effect);
  void to_real_time(HostId host, core::trace::Event& event) const;
  void write_next(const std::shared_ptr<Process>& process);
  // ---- world_disks.cpp
  void mount(Host& host, const std::shared_ptr<Process>& process);
  /// True: the keeper deals with it.
  bool kept(Process& process, core::Input& input);
  bool kept(Process& process, core::Effect& effect);
  void keep(Process& process, const core::Effect& effect);
  void end(Host& host, Network::End how);
  void restart_after(Host& host, Duration delay);

  Rng rng_;
  Setup setup_;
  Scheduler scheduler_;
  Network network_;
  std::map<HostId, Host> hosts_;
  std::map<ProcessId, std::shared_ptr<Process>> processes_;
  ProcessId last_process_ = 0;
  std::vector<check::Record> records_;
  std::set<std::pair<core::ClientId, core::RequestId>> patient_;  ///< sends that may wait for disks that never come back
  std::vector<std::string> fatal_;
  std::uint64_t steps_ = 0;
};

}  // namespace vsync::sim
