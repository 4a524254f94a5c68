// The pump: one input into the core, its effects out, in their order (docs/ARCHITECTURE.md).
//
// A turn of the event loop: sockets hand in what is readable, the core steps for each piece, then EndOfTurn; then the event log,
// the peers and the clients get what the turn produced, with one write each. Deadlines are looked at after the readable input of
// the same wake-up (F2): Asio's reactor queues ready sockets before expired timers.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/node/node.h"
#include "engine/busy_poll.h"
#include "engine/durable_groups.h"
#include "engine/event_log.h"
#include "engine/logs.h"
#include "engine/options.h"
#include "io/control_server.h"
#include "io/discovery.h"
#include "io/refusals.h"
#include "io/storage.h"
#include "io/transport.h"

namespace vsync::engine {

/// How a daemon ends: exit status of the process.
enum class ExitStatus : int {
  clean = 0,
  failed = 1,  ///< could not start, was refused by the cluster, or a fault point
  usage = 2,   ///< settings (never from the engine)
  fatal = 3,   ///< it must not go on: persistence failed or its state differs from the others'
};

/// Owns one daemon: its state directory, its links, its control socket, and one core::Node after the other (an incarnation each).
/// Single-threaded: construct, call and destroy on the io_context's thread.
class Engine final : private io::TransportHandler,
                     private io::DiscoveryHandler,
                     private io::ControlHandler,
                     private DurableGroups::Shell,
                     private LogContextSource {
 public:
  /// The references must outlive the engine.
  Engine(asio::io_context& io, Options options, Logs& logs, SettingsSource& settings);
  ~Engine() override;

  /// Takes the state directory, the ports and the control socket, and starts the first incarnation.
  Result<void> open();
  /// Runs the event loop until it is stopped.
  void run();
  /// SIGTERM: leaves the cluster, then ends. Called again: ends at once.
  void terminate();
  /// SIGHUP.
  Result<io::ReloadReport> reload() override;
  /// Valid once the io_context has stopped.
  [[nodiscard]] ExitStatus exit_status() const { return exit_status_; }

 private:
  // ---- lifecycle (engine.cpp)
  [[nodiscard]] core::Config make_config() const;
  [[nodiscard]] std::uint32_t recent_exclusions() const;
  void start_node();
  void restart_node(core::Duration backoff);
  void stay_out();
  void finish(ExitStatus status);
  void crash(const std::string& why);
  void feed_watchdog();
  void tell_status();

  // ---- the pump (engine.cpp)
  [[nodiscard]] static core::Time now();
  void step(core::Input input);  ///< from outside: at once, or behind the one that is being handled
  void pump();
  void execute();
  void schedule_turn();
  void end_turn();
  void arm_timer();
  void give_back_memory();

  // ---- effects (engine_effects.cpp)
  void apply(core::SendFrame& effect);
  void apply(core::SendDatagram& effect);
  void apply(core::Persist& effect);
  void apply(core::WantLinks& effect);
  void apply(core::ResetLink& effect);
  void apply(core::ViewInstalled& effect);
  void apply(core::GroupViewInstalled& effect);
  void apply(core::DeliverMessages& effect);
  void apply(core::StateRequested& effect);
  void apply(core::StateArrived& effect);
  void apply(core::ClientDismissed& effect);
  void apply(core::HistoryRequested& effect) { durable_->keeper().apply(effect); }
  void apply(core::HistoryAsked& effect) { durable_->keeper().apply(effect); }
  void apply(core::EraProposed& effect) { durable_->keeper().apply(effect); }
  void apply(core::HistoryAdopted& effect) { durable_->keeper().apply(effect); }
  void apply(core::HistoryDurable& effect) { control_->apply(effect); }
  void apply(core::SendOutcome& effect);
  void apply(core::RequestAnswered& effect);
  void apply(core::StableReached& effect);
  void apply(core::RequestDone& effect);
  void apply(core::SessionOpened& effect) { control_->apply(effect); }
  void apply(core::RequestRefused& effect);
  void apply(core::PauseClient& effect);
  void apply(core::GroupHeld& effect);
  void apply(core::LeaseGranted& effect);
  void apply(core::QuorumChanged& effect);
  void apply(core::SuspicionChanged& effect);
  void apply(core::MemberSlow& effect);
  void apply(core::Excluded& effect);
  void apply(core::IdentityRefused& effect);
  void apply(core::LeftCluster& effect);
  void apply(core::InputRefused& effect);
  void apply(core::Fatal& effect);
  void apply(core::Trace& effect);
  void answered(core::ClientId client, core::RequestId request);
  [[nodiscard]] bool lost_by_fault(const core::Pid& to, const core::Frame& frame) const;
  void check_faults(const core::Frame& frame);
  void check_faults(const core::View& view);

  // ---- TransportHandler (engine_handlers.cpp)
  [[nodiscard]] core::Hello hello() const override;
  void link_opened(const core::Hello& peer) override;
  void link_closed(const core::Pid& peer, bool clean, const std::string& why) override;
  void frame(const core::Pid& from, core::Frame frame) override;
  void datagram(core::Datagram datagram) override;
  void peer_gone(const core::Pid& peer, const std::string& why) override;
  void seeds_tried() override;
  void refused(const std::string& from, const std::string& why) override;
  void dial_failed(const std::string& address, const std::string& why) override;

  // ---- DiscoveryHandler (engine_handlers.cpp)
  [[nodiscard]] std::optional<wire::Found> whereabouts() const override;
  void discovered(const std::vector<io::HostPort>& places) override;
  void nobody_answers() override;
  void refused_discovery(const std::string& from, const std::string& why) override;

  // ---- ControlHandler (engine_handlers.cpp)
  void input(core::Input input) override;
  void output_queued() override { schedule_turn(); }
  void client_trouble(const std::string& what) override;
  [[nodiscard]] core::NodeStatus status() const override;
  [[nodiscard]] io::NodeInfo info() const override;
  [[nodiscard]] io::NamedCounters counters() const override;
  [[nodiscard]] io::Diagnosis diagnose() const override;
  Result<void> set_log_level(std::string_view level, std::string_view subsystem) override;
  Result<void> cluster_join(const std::vector<std::string>& peers) override;

  void durable_join(core::ClientJoin join, const io::CheckpointWish& wish) override;
  void list_checkpoints(core::ClientId client, core::RequestId request, const std::string& group) override;
  Result<void> force_checkpoint(const std::string& group) override { return durable_->keeper().force(group); }
  void verify_checkpoint(core::ClientId client, core::RequestId request, const std::string& group) override;

  // ---- DurableGroups::Shell (engine_handlers.cpp)
  void to_core(core::Input input) override;
  void to_clients(core::Effect effect) override;
  void restored(const std::vector<core::ClientId>& clients, const std::string& group, const core::HistoryPosition& checkpoint,
                const core::HistoryPosition& end) override;
  void durable_news(const std::string& group, const std::string& what) override;
  void durable_failed(const std::string& why) override;
  [[nodiscard]] core::Pid own_pid() const override { return self_.pid; }

  [[nodiscard]] LogContext log_context() const override;
  /// For one entry; what it is about makes fields in the journal (LogContext).
  [[nodiscard]] spdlog::logger& log(Subsystem subsystem, std::string_view event = {}, const core::Pid& member = {}) {
    about_ = {event, member};
    return logs_[subsystem];
  }
  [[nodiscard]] bool tracing(Subsystem subsystem) { return logs_[subsystem].should_log(spdlog::level::trace); }

  asio::io_context& io_;
  const Options options_;
  Logs& logs_;
  struct {
    std::string_view event;
    core::Pid member;
  } about_;  // the entry that is being logged
  SettingsSource& settings_;
  std::vector<std::unique_ptr<EventLog>> event_logs_;
  std::unique_ptr<io::Storage> storage_;
  io::StartState state_;  // identity as stored; acceptor as of the last Persist
  io::Transport transport_;
  std::unique_ptr<io::ControlServer> control_;
  std::unique_ptr<DurableGroups> durable_;
  io::Refusals refusals_;
  io::Discovery discovery_;
  std::vector<io::HostPort> seeds_;  // as set, or as told by `join`; what discovery finds comes on top
  bool told_where_to_join_ = false;  // by command: nobody is looked for

  // The incarnation. Null between two of them, after leaving, and at the end.
  std::unique_ptr<core::Node> node_;
  core::Member self_;
  bool node_over_ = false;  // its last effect was executed: it goes after this step
  core::ViewPtr view_;
  std::optional<core::AdminJoin> joining_;  // not answered yet; it outlives an incarnation that only gets its id
  bool left_ = false;                       // by command; waits for another one to join again
  int identities_refused_ = 0;

  core::Effects effects_;
  std::deque<core::Input> waiting_;
  bool pumping_ = false;
  bool turn_scheduled_ = false;
  bool traffic_ = false;  // in this turn: something came from a peer's connection or from a client
  BusyPoll busy_poll_;
  std::uint64_t frames_at_tick_ = 0;  // in and out
  std::uint64_t frames_at_trim_ = 0;

  asio::steady_timer deadline_timer_;
  core::Time armed_for_ = core::kNever;
  asio::steady_timer restart_timer_;
  asio::steady_timer fault_timer_;
  asio::steady_timer watchdog_timer_;
  asio::steady_timer end_timer_;
  std::uint32_t crash_frames_ = 0;  // of the kind that a fault point counts
  bool change_fault_armed_ = false;

  bool terminating_ = false;  // by signal
  bool finished_ = false;
  ExitStatus exit_status_ = ExitStatus::clean;
};

}  // namespace vsync::engine
