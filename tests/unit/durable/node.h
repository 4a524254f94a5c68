// A keeper for tests: a daemon with its disk, or two with a transfer between them, on the real store.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "durable/keeper.h"
#include "unit/durable/disk.h"

namespace vsync::durable {

using core::ClientId;

inline constexpr ClientId kClient = 10;
inline constexpr core::GroupId kGroup = 77;

/// A daemon with one member of group "g".
class Node final : public Keeper::Home {
 public:
  explicit Node(KeeperLimits limits = {}) : limits_(limits) { restart(); }

  /// As after a crash; a member joins.
  void restart(const CheckpointPolicy& policy = {}) {
    keeper.reset();
    disk.restart();
    keeper = std::make_unique<Keeper>(*disk.store, *this, limits_);
    join(kClient, policy);
  }
  void join(ClientId member, const CheckpointPolicy& policy = {}) {
    core::ClientJoin join{member, 1, "g", "m", {.total_only = true, .disks = 3}};
    keeper->join(std::move(join), policy);
  }
  core::GroupView& install(core::GroupView& view) {
    view.group = kGroup;
    view.name = "g";
    keeper->apply(core::GroupViewInstalled{std::make_shared<core::GroupView>(view)});
    return view;
  }
  void deliver(std::uint64_t era, std::uint64_t index, const std::string& text = "hello") {
    keeper->apply(to_effect(message(era, index, text), kGroup, {}));
  }
  /// The next input of this kind that comes to the core.
  template <typename T>
  T wait() {
    const auto found = [&] {
      return std::find_if(inputs.begin(), inputs.end(), [](const auto& input) { return std::holds_alternative<T>(input); });
    };
    REQUIRE(io::run_until(disk.io, [&] { return found() != inputs.end(); }));
    T input = std::get<T>(*found());
    inputs.erase(found());
    return input;
  }
  template <typename T>
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(
        std::count_if(inputs.begin(), inputs.end(), [](const auto& input) { return std::holds_alternative<T>(input); }));
  }
  /// All that was asked for is done.
  void rest() {
    REQUIRE(disk.kept());
    if (!disk.files(".db").empty()) {
      REQUIRE(disk.verify());
    }
  }
  /// What the disk has, as a join says it.
  KeptHistory offered() { return wait<core::ClientJoin>().state.kept; }
  std::vector<core::StateRequested> asked() {
    std::vector<core::StateRequested> asked;
    for (const auto& effect : told) {
      if (const auto* request = std::get_if<core::StateRequested>(&effect)) {
        asked.push_back(*request);
      }
    }
    return asked;
  }
  /// Gives the checkpoint that was asked for last.
  void give(const std::string& state) {
    core::ClientState piece{kClient, 5, "g", asked().back().token, true, false, Slice::copy_of(state)};
    REQUIRE(keeper->piece(piece));
  }
  /// Makes one that the operator asks for, between two of the policy.
  void checkpoint(const std::string& state) {
    REQUIRE(keeper->force("g"));
    give(state);
  }
  [[nodiscard]] core::Pid self() const override { return {1, 1, 0}; }
  /// What the client has: the state in brackets, then the messages.
  std::string client;
  std::vector<HistoryPosition> restored_at;

  Disk disk;
  std::unique_ptr<Keeper> keeper;
  std::vector<core::Input> inputs;
  std::vector<core::Effect> told;
  std::vector<std::string> reports;
  std::vector<std::string> failures;
  core::Time clock{};

 private:
  void input(core::Input input) override { inputs.push_back(std::move(input)); }
  void tell(core::Effect effect) override {
    if (const auto* state = std::get_if<core::StateArrived>(&effect)) {
      client = (state->offset == 0 ? "" : client) + std::string(state->body.view());
    } else if (const auto* messages = std::get_if<core::DeliverMessages>(&effect)) {
      client += ' ' + std::to_string(messages->history.era) + '.' + std::to_string(messages->history.index);
    }
    told.push_back(std::move(effect));
  }
  void restored(const std::vector<ClientId>&, const std::string&, const HistoryPosition&, const HistoryPosition& end) override {
    restored_at.push_back(end);
  }
  void report(const std::string&, const std::string& what) override { reports.push_back(what); }
  void failed(const std::string& why) override { failures.push_back(why); }
  [[nodiscard]] core::Time now() const override { return clock; }

  KeeperLimits limits_;
};

/// The history goes from disk to disk, with the core between them left out. Returns how many bytes went.
inline std::uint64_t send(Node& from, Node& to, const KeptHistory& end, const KeptHistory& known, std::uint64_t token,
                          ClientId client = kClient) {
  core::HistoryRequested asked{kClient, "g", token, 1 << 20U, 100, end, {known.position}};
  from.keeper->apply(asked);
  std::uint64_t offset = 0;
  for (bool last = false; !last;) {
    auto piece = from.wait<core::ClientState>();
    REQUIRE_FALSE(piece.refused);
    last = piece.last;
    core::StateArrived arrived{{client}, "g", token, offset, piece.last, false, piece.body, true};
    offset += piece.body.size();
    to.keeper->apply(arrived);
    CHECK(from.keeper->answered(kClient, piece.request, false));
  }
  return offset;
}

/// The client has all that was sent.
inline void wait_restored(Node& node, std::size_t times, ClientId client = kClient) {
  REQUIRE(io::run_until(node.disk.io, [&] {
    node.keeper->read(client);
    return node.restored_at.size() >= times;
  }));
}

inline std::uint64_t transfer(Node& from, Node& to, const KeptHistory& end, const KeptHistory& known, std::uint64_t token) {
  const auto before = to.restored_at.size();
  const auto bytes = send(from, to, end, known, token);
  wait_restored(to, before + 1);
  return bytes;
}

inline void adopt(Node& node, std::uint64_t token, ClientId client = kClient) {
  node.keeper->apply(core::HistoryAdopted{"g", token, {client}});
  core::GroupView view;
  node.install(view);
}

/// The group begins on this disk, or goes on from it, in a new era.
inline void begin(Node& node, std::uint64_t era, std::uint64_t index) {
  const auto mine = node.offered();
  transfer(node, node, history(era, index), mine, era);
  adopt(node, era);
}

/// The group begins on this disk, in era 5, and has so many messages.
inline void fill(Node& node, std::uint64_t messages, const std::string& text = "hello") {
  begin(node, 5, 0);
  for (std::uint64_t index = 1; index <= messages; ++index) {
    node.deliver(5, index, text);
  }
}

}  // namespace vsync::durable
