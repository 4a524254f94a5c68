// What libvsync tells of a durable group (K1 to K3).
#include <catch2/catch.hpp>

#include "base/codec.h"
#include "support/fake_daemon.h"
#include "vsync/client.h"

namespace vsync {
namespace {

struct Recorder : Handler {
  void on_state(const StatePiece& piece) override { told.push_back("state " + std::to_string(piece.index)); }
  void on_messages(const Delivery& delivery) override {
    told.push_back(std::to_string(delivery.messages.size()) + " messages from " + std::to_string(delivery.index));
  }
  void on_restored(const Restored& restored) override {
    told.push_back("restored " + std::to_string(restored.checkpoint) + ' ' + std::to_string(restored.index));
  }
  void on_durable(std::string_view group, std::uint64_t index) override {
    told.push_back(std::string(group) + " durable " + std::to_string(index));
  }
  std::vector<std::string> told;
};

}  // namespace

TEST_CASE("a member of a durable group learns the index of all that it gets, and when it has its state") {
  const test::TempDir dir;
  const auto path = dir.file("s");
  test::FakeDaemon daemon(test::options_at(path));
  Recorder recorder;
  Client client(recorder, {.socket = path, .timeout = std::chrono::seconds(20)});
  const auto view = client.join("g", {.durable = {.disks = 3}});
  REQUIRE(view);
  REQUIRE(client.post("g", "kept", {.durable = true}));
  REQUIRE(client.flush());
  recorder.told.clear();
  daemon.run([&](test::FakeDaemon& d) {
    CHECK(d.sends.at(0).durable);
    const std::vector<core::ClientId> self{view->members.front().client};
    core::StateArrived state{self, "g", view->token, 0, true, false, {}};
    state.index = 7;
    d.server->apply(state);
    core::DeliverMessages two;
    two.group = 1;
    two.sender = d.self;
    two.count = 2;
    two.body = Slice::take(Writer().put(std::string_view("a")).put(std::string_view("b")).take());
    two.history = {5, 8};
    d.server->apply(two);
    d.server->restored(self, "g", {5, 7}, {5, 9});
    d.server->apply(core::HistoryDurable{"g", 1, {5, 9}});
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (recorder.told.size() < 4 && std::chrono::steady_clock::now() < deadline) {
    static_cast<void>(client.poll(std::chrono::milliseconds(100)));
  }
  CHECK(recorder.told == std::vector<std::string>{"state 7", "2 messages from 8", "restored 7 9", "g durable 9"});
}

TEST_CASE("who waits for the outcome of a send learns its index, and that enough disks have it") {
  const test::TempDir dir;
  test::FakeDaemon daemon(test::options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = std::chrono::seconds(20)});
  REQUIRE(client.join("g", {.durable = {.disks = 3}}));
  daemon.run([](test::FakeDaemon& fake) { fake.durable_index = 40; });
  REQUIRE(client.post("g", "in the same batch", {.durable = true}));
  const auto sent = client.send("g", "kept", {.durable = true});
  REQUIRE(sent);
  CHECK(sent->fate == Fate::delivered);
  CHECK(sent->durable);
  CHECK(sent->index == 41);
}

}  // namespace vsync
