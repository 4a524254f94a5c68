// Durable groups in a daemon: the keeper, its store on the disk, and the time.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "durable/keeper.h"
#include "durable/sqlite_store.h"
#include "io/control_server.h"

namespace vsync::engine {

/// Lives as long as the daemon, across incarnations.
class DurableGroups final : private durable::Keeper::Home {
 public:
  /// What it needs of the engine.
  class Shell {
   public:
    Shell() = default;
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;
    virtual void to_core(core::Input input) = 0;  ///< later, in this order
    virtual void to_clients(core::Effect effect) = 0;
    virtual void restored(const std::vector<core::ClientId>& clients, const std::string& group,
                          const core::HistoryPosition& checkpoint, const core::HistoryPosition& end) = 0;
    virtual void durable_news(const std::string& group, const std::string& what) = 0;
    virtual void durable_failed(const std::string& why) = 0;
    [[nodiscard]] virtual core::Pid own_pid() const = 0;

   protected:
    ~Shell() = default;
  };

  DurableGroups(asio::io_context& io, std::string directory, const durable::KeeperLimits& limits, Shell& shell);

  [[nodiscard]] durable::Keeper& keeper() { return keeper_; }
  /// Of all groups on the disk.
  void status(std::function<void(std::vector<io::KeptGroup>)> done);
  void verify(const std::string& group, std::function<void(Result<durable::Contents>)> done);

 private:
  // Keeper::Home
  void input(core::Input input) override { shell_.to_core(std::move(input)); }
  void tell(core::Effect effect) override { shell_.to_clients(std::move(effect)); }
  void restored(const std::vector<core::ClientId>& clients, const std::string& group, const core::HistoryPosition& checkpoint,
                const core::HistoryPosition& end) override {
    shell_.restored(clients, group, checkpoint, end);
  }
  void report(const std::string& group, const std::string& what) override { shell_.durable_news(group, what); }
  void failed(const std::string& why) override { shell_.durable_failed(why); }
  [[nodiscard]] core::Pid self() const override { return shell_.own_pid(); }
  [[nodiscard]] core::Time now() const override { return std::chrono::steady_clock::now().time_since_epoch(); }

  void look_at_the_time();

  Shell& shell_;
  durable::SqliteStore store_;
  durable::Keeper keeper_;
  asio::steady_timer timer_;
};

}  // namespace vsync::engine
