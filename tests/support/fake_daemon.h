// A daemon without a cluster: the real control socket around a group service of one node, in a thread of its own.
#pragma once

#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/control_server.h"

namespace vsync::test {

/// A directory that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vsync-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("no temporary directory");
    }
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// A control socket there, and everything else as by default.
inline io::ControlOptions options_at(const std::string& path) {
  io::ControlOptions options;
  options.path = path;
  return options;
}

/// Every request is done at once, like a cluster of one member would do it. Its state is touched on its own thread only: use
/// run().
class FakeDaemon final : public io::ControlHandler {
 public:
  explicit FakeDaemon(io::ControlOptions options);
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;
  ~FakeDaemon() override;

  /// Runs `action(*this)` on the daemon's thread, as a turn of its own, and waits for it.
  template <typename Action>
  auto run(Action action) {
    std::packaged_task<decltype(action(*this))()> task([&] { return action(*this); });
    auto result = task.get_future();
    asio::post(io_, [&task] { task(); });
    return result.get();
  }

  /// Like a crash of the process: all connections and the socket file are gone.
  void stop();

  // ---- state, for run()
  std::unique_ptr<io::ControlServer> server;
  core::Pid self{1, 1, 0};
  bool hold_sends = false;              ///< sends get no outcome until release_sends()
  core::Time lease_until{};             ///< told to leaders that want to know
  core::SessionFates fates;             ///< for who opens a session
  bool hold_sessions = false;           ///< they get no reply until release_sessions()
  std::string_view refuse_sessions;     ///< code with which they are refused; empty: they are not
  bool hold_joins = false;              ///< joins get no reply until release_joins()
  std::vector<core::ClientSend> sends;  ///< as they came
  std::vector<std::string> inputs;      ///< "join G", "leave G", "send G", "request G", "reply", as they came
  std::uint64_t durable_index = 0;      ///< when not 0, sends are told to be on enough disks, from this index on
  std::vector<core::ClientId> gone;
  std::vector<core::ClientHold> holds;
  std::vector<core::ClientSession> sessions;
  std::vector<std::string> told;   ///< leaves and departures, in order
  std::vector<std::string> seeds;  ///< of cluster_join
  std::vector<core::AdminEvict> evictions;
  std::string level;
  core::NodeStatus state;
  io::Diagnosis diagnosis;
  std::vector<io::KeptGroup> kept;  ///< on its disk
  std::vector<std::string> troubles;

  void release_sends();
  void release_sessions();
  void release_joins();
  /// Those that wait; later ones wait too.
  void refuse_joins(std::string_view code);
  void exclude(const std::string& why);
  /// A message of another node, to the local members.
  void deliver(const std::string& group, const std::string& body, std::uint32_t count, bool text, core::Audience audience = {});

  // ---- io::ControlHandler
  void input(core::Input input) override;
  void list_checkpoints(core::ClientId client, core::RequestId request, const std::string& group) override {
    server->checkpoints(client, request, group, kept);
  }
  void client_trouble(const std::string& what) override { troubles.push_back(what); }
  void output_queued() override {}  // every turn ends with end_of_turn()
  [[nodiscard]] core::NodeStatus status() const override { return state; }
  [[nodiscard]] io::NodeInfo info() const override { return {state.self, state.uuid, core::QuorumPolicy::dynamic, "1.2.3"}; }
  [[nodiscard]] io::NamedCounters counters() const override { return {{"loops", 7}}; }
  Result<void> set_log_level(std::string_view wanted, std::string_view subsystem) override;
  Result<io::ReloadReport> reload() override { return io::ReloadReport{{"heartbeat-interval"}, {"listen"}}; }
  [[nodiscard]] io::Diagnosis diagnose() const override { return diagnosis; }
  Result<void> cluster_join(const std::vector<std::string>& peers) override;

 private:
  struct Group {
    core::GroupView view;
    std::uint64_t position = 0;
  };

  void on(core::ClientJoin&& join);
  void enter(core::ClientJoin&& join);
  void on(core::ClientLeave&& leave);
  void on(core::ClientSession&& session);
  void on(core::ClientSend&& send);
  void ask(const core::ClientSend& send);
  void reply(const core::ClientSend& send);
  void on(core::ClientHold&& hold);
  void on(core::ClientGone&& client);
  void on(core::ClientRead&& /*read*/) {}  // it gives no states
  void on(core::AdminEvict&& evict);
  template <typename Admin>
  void on(Admin&& admin);
  core::GroupViewPtr install(Group& group);
  void remove(Group& group, core::ClientId client, core::LeaveReason reason);

  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::map<std::string, Group> groups_;
  std::uint64_t token_ = std::uint64_t{5} << 32U;
  std::vector<core::ClientSend> held_;
  std::vector<core::ClientSession> held_sessions_;
  std::vector<core::ClientJoin> held_joins_;
  std::pair<core::ClientId, core::RequestId> asked_;  ///< the last request
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace vsync::test
