// The control socket: local applications and vsyncctl (product.md "Control protocol", proto/vsync/control/v1).
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/model/effect.h"
#include "core/model/input.h"
#include "core/model/status.h"
#include "io/host_port.h"

namespace vsync::io {

/// Who is at the other end of a connection, as the kernel says.
struct Credentials {
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> groups;  ///< primary and supplementary
};

/// SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket.
[[nodiscard]] Result<Credentials> peer_credentials(int socket);

/// Bounds of the control socket. Everything a client can make the daemon hold is below.
struct ControlLimits {
  std::size_t max_message = core::kLargestMessage;        ///< bytes of one message (core::Limits::max_message)
  std::size_t max_in_flight = std::size_t{1} << 20U;      ///< for HelloReply (core::Limits::client_queue_bytes)
  std::size_t max_frame = core::kLargestMessage + 65536;  ///< bytes of one binary frame, without its length
  std::size_t max_line = std::size_t{16} << 20U;          ///< bytes of one JSON line
  std::size_t max_line_message = std::size_t{8} << 20U;   ///< bytes of one message in a JSON line
  std::size_t large_frames = 2 * core::kLargestMessage;   ///< bytes of large frames from all clients together
  std::size_t large_frame_rate = std::size_t{1} << 20U;   ///< bytes a second in which a large frame must come that has begun,
  std::chrono::milliseconds large_frame_slack{30'000};    ///< and how far it may be behind, before its client is disconnected
  std::size_t client_limit = std::size_t{64} << 20U;      ///< the largest mark: bytes that wait for a member of a group
  std::size_t max_output_messages = 1'000'000;            ///< queued for one client before it is disconnected
  std::size_t max_unanswered = std::size_t{16} << 20U;    ///< bytes of sends without outcome before it is not read
  std::size_t max_unanswered_messages = 262'144;          ///< messages, likewise
  std::size_t max_backlog = std::size_t{256} << 20U;      ///< bytes queued for all before the one with the most is disconnected
  std::size_t max_clients = 1024;
  std::size_t max_clients_of_user = 768;  ///< of one user that is no admin
  std::size_t reserved_for_admins = 16;   ///< above max_clients
  std::size_t max_groups = 256;           ///< groups of one connection
  std::size_t max_requests = 65536;  ///< unanswered requests of one connection (a batch is one) before it is not read any more

  /// Bytes queued for one client before it is disconnected.
  [[nodiscard]] std::size_t max_output() const { return client_limit + max_message; }
};

struct ControlOptions {
  std::string path;           ///< of the socket file; only for messages with listen_fd
  std::uint32_t mode = 0660;  ///< of the socket file
  std::string admin_group;    ///< members may do everything; empty = none
  int listen_fd = -1;         ///< a listening socket from systemd, owned from now on; -1 = none
  ControlLimits limits;
  Result<Credentials> (*credentials)(int socket) = peer_credentials;  ///< seam for tests
};

/// What the daemon tells about itself beside its status.
struct NodeInfo {
  core::Member self;  ///< pid as of now; node 0 before an id is assigned
  core::Uuid uuid;
  core::QuorumPolicy quorum = core::QuorumPolicy::dynamic;
  std::string version;  ///< of vsyncd
};

struct ReloadReport {
  std::vector<std::string> applied;        ///< settings now in force
  std::vector<std::string> needs_restart;  ///< settings that differ in the file but need a restart
};

/// What the daemon knows of its surroundings (pb: Diagnosis).
struct Diagnosis {
  HostPort listen;  ///< as bound
  std::uint16_t heartbeat_port = 0;
  HostPort advertise;
  std::vector<HostPort> peers;
  std::string state_dir;
  Result<std::uint64_t> state_free_bytes = 0;
  std::uint64_t open_files = 0;
  std::uint64_t file_limit = 0;
  core::Duration suspect_after{};
  Result<ReloadReport> settings = ReloadReport{};  ///< as they would be read now
};

/// When a member that joins a durable group wants checkpoints. Zero: not for that reason.
struct CheckpointWish {
  std::uint64_t every_messages = 0;
  std::chrono::seconds every{};
  bool at_views = false;
};

/// What the disk has of a durable group.
struct KeptGroup {
  std::string group;
  core::KeptHistory kept;
  core::HistoryPosition checkpoint;
  core::HistoryPosition synced;
  std::uint64_t checkpoint_bytes = 0;
  std::uint64_t log_bytes = 0;
  bool follows = false;
  bool in_progress = false;
  std::string problem = {};  ///< why it cannot be read; then nothing else is known, and `group` is the file
};

using NamedCounters = std::vector<std::pair<std::string, std::uint64_t>>;

/// The engine, as the control socket sees it. All calls come from the io_context's thread and must not block. `input` may execute
/// the core's effects (call ControlServer::apply) before it returns or later, as it likes.
class ControlHandler {
 public:
  ControlHandler() = default;
  ControlHandler(const ControlHandler&) = delete;
  ControlHandler& operator=(const ControlHandler&) = delete;
  virtual ~ControlHandler() = default;

  /// ClientJoin, ClientSession, ClientLeave, ClientSend, ClientState, ClientRead, ClientHold, ClientGone, AdminJoin, AdminLeave,
  /// AdminEvict or AdminColdStart. `request` in it is the server's own number, unique at this connection; effects must repeat it.
  /// While there is no Node (back-off after an exclusion, shutdown) answer with RequestRefused, code `excluded` or
  /// `shutting_down`.
  virtual void input(core::Input input) = 0;
  /// A ClientJoin of a durable group (GroupPolicy::disks).
  virtual void durable_join(core::ClientJoin join, const CheckpointWish& /*wish*/) { input(std::move(join)); }
  /// Answered by ControlServer::checkpoints.
  virtual void list_checkpoints(core::ClientId /*client*/, core::RequestId /*request*/, const std::string& /*group*/) {}
  virtual Result<void> force_checkpoint(const std::string& /*group*/) { return fail("no group is kept here"); }
  /// Answered by RequestDone or RequestRefused.
  virtual void verify_checkpoint(core::ClientId /*client*/, core::RequestId /*request*/, const std::string& /*group*/) {}
  /// For the operator: a client was disconnected or turned away.
  virtual void client_trouble(const std::string& /*what*/) {}
  /// Something is queued for a client: call ControlServer::end_of_turn() at the end of this turn of the event loop, also when the
  /// core had nothing to do in it.
  virtual void output_queued() = 0;
  [[nodiscard]] virtual core::NodeStatus status() const = 0;
  [[nodiscard]] virtual NodeInfo info() const = 0;
  /// Counters of the shell, shown in Status.counters beside those of the core.
  [[nodiscard]] virtual NamedCounters counters() const = 0;

  virtual Result<void> set_log_level(std::string_view level, std::string_view subsystem) = 0;
  virtual Result<ReloadReport> reload() = 0;
  /// Must be quick: no name is looked up.
  [[nodiscard]] virtual Diagnosis diagnose() const = 0;
  /// Use these HOST[:PORT] as seeds. The server then passes AdminJoin, whose RequestDone ends the request.
  virtual Result<void> cluster_join(const std::vector<std::string>& peers) = 0;
};

/// Serves many clients in both encodings. Single-threaded: construct, call and destroy on the io_context's thread.
///
/// Who gets what: a connection is in a group from the first GroupViewInstalled that names (our pid, its number) to the first that
/// does not, in the order of the effects. It gets every `group_view` event of that time, the one that brings it in included, and
/// every message. The view that drops it is not sent: a leaver gets its LeaveReply, an excluded daemon's client `excluded`.
/// JoinReply repeats the first view. Watchers get the views of all groups, and no messages.
class ControlServer {
 public:
  /// Opens the socket and starts to accept. Refuses a path that is too long, that a live daemon answers on, or that is no socket;
  /// replaces a stale socket. The handler must outlive the server.
  static Result<std::unique_ptr<ControlServer>> open(asio::io_context& io, ControlOptions options, ControlHandler& handler);
  /// Closes all connections and removes the socket file if it is still ours.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  // ---- effects, in the core's order. They only queue; nothing is written before end_of_turn().
  void apply(const core::ViewInstalled& effect);
  void apply(const core::GroupViewInstalled& effect);
  void apply(const core::DeliverMessages& effect);
  void apply(const core::StateRequested& effect);
  void apply(const core::StateArrived& effect);
  void apply(const core::ClientDismissed& effect);
  void apply(const core::HistoryDurable& effect);
  /// These members of a durable group have its state up to `end`; it began with a checkpoint.
  void restored(const std::vector<core::ClientId>& clients, const std::string& group, const core::HistoryPosition& checkpoint,
                const core::HistoryPosition& end);
  /// The answer to ControlHandler::list_checkpoints: all groups, of which the one asked for is shown, or all.
  void checkpoints(core::ClientId client, core::RequestId request, const std::string& group, const std::vector<KeptGroup>& kept);
  void apply(const core::SendOutcome& effect);
  void apply(const core::RequestAnswered& effect);
  void apply(const core::StableReached& effect);
  void apply(const core::RequestDone& effect);
  void apply(const core::SessionOpened& effect);
  void apply(const core::RequestRefused& effect);
  void apply(const core::PauseClient& effect);
  void apply(const core::GroupHeld& effect);
  void apply(const core::LeaseGranted& effect);
  void apply(const core::QuorumChanged& effect);
  void apply(const core::SuspicionChanged& effect);
  void apply(const core::MemberSlow& effect);
  /// Calls incarnation_over() with the reason.
  void apply(const core::Excluded& effect);
  /// Calls incarnation_over(): it left.
  void apply(const core::LeftCluster& effect);

  /// The Node is gone and another may follow: whatever is unanswered gets its answer (sends: unknown, but for clients with a
  /// session, who learn it when that goes on; the rest: `excluded`), members of groups get `excluded` and stay connected, nobody
  /// is paused any more. Call it before any effect of the next Node. Joins of the cluster may go on: then an effect of the next
  /// Node answers them.
  enum class Joins { end, go_on };
  void incarnation_over(std::string_view why, Joins joins = Joins::end);

  /// C6: the next Node has started, and the sessions of the clients go on there.
  void incarnation_begins();

  /// Writes what was queued, one gathered write per connection, and lets go of closed connections. Call it after each turn of the
  /// event loop, when the core's effects are executed.
  void end_of_turn();

  /// The daemon stops: no new connections; every client is told why and disconnected. Returns at once.
  void shut_down(std::string_view why);

  [[nodiscard]] std::size_t clients() const;

 private:
  class Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vsync::io
