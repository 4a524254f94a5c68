// libvsync against the real control socket around a group service of one node.
#include "vsync/client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "support/fake_daemon.h"

using namespace vsync;
using namespace vsync::test;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

constexpr auto kDeadline = 20s;

struct Recorder : Handler {
  void on_view(const GroupView& view) override { views.push_back(view); }
  void on_messages(const Delivery& delivery) override {
    std::uint64_t position = delivery.position;
    for (const auto message : delivery.messages) {
      messages.push_back(std::string(message));
      in_order = in_order && (last_position == 0 || position == last_position + 1);
      last_position = position++;
    }
    ++deliveries;
  }
  void on_sent(const Sent& outcome) override {
    sent.push_back(outcome);
    outcomes += outcome.count;
  }
  void on_lease(const Lease& lease) override { leases.push_back(lease); }
  void on_stable(const Stable& stable) override { stable_to = stable.position; }
  void on_request(const Request& request) override {
    requests.emplace_back(request.message);
    static_cast<void>(replier->reply(request.sender, request.id, "to " + std::string(request.message), request.text));
  }
  void on_excluded(std::string_view group, std::string_view why) override {
    excluded.push_back(std::string(group) + ": " + std::string(why));
  }
  void on_connection(bool up, std::string_view why) override { connections.push_back((up ? "up" : "down: ") + std::string(why)); }

  std::vector<GroupView> views;
  std::vector<std::string> messages;
  std::vector<Sent> sent;
  std::vector<Lease> leases;
  std::vector<std::string> requests;
  Client* replier = nullptr;
  std::uint64_t stable_to = 0;
  std::vector<std::string> excluded;
  std::vector<std::string> connections;
  std::uint64_t outcomes = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t last_position = 0;
  bool in_order = true;
};

template <typename Predicate>
bool poll_until(Client& client, Predicate done) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    static_cast<void>(client.poll(100ms));
  }
  return true;
}

struct Fixture {
  TempDir dir;
  std::string path = dir.file("s");
  FakeDaemon daemon{options_at(path)};
  Recorder recorder;
  Client client{recorder, {.socket = path, .name = "test", .timeout = 20s}};
};

/// Accepts one connection and says what it is told, whatever the client says.
class ScriptedDaemon {
 public:
  ScriptedDaemon(const std::string& path, std::string script) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 4) == 0);
    thread_ = std::thread([fd = fd_, said = std::move(script)] {
      const int client = ::accept(fd, nullptr, nullptr);
      static_cast<void>(::send(client, said.data(), said.size(), MSG_NOSIGNAL));
      ::shutdown(client, SHUT_WR);
      char ignored[1024];
      while (::recv(client, ignored, sizeof ignored, 0) > 0) {
      }
      ::close(client);
    });
  }
  ScriptedDaemon(const ScriptedDaemon&) = delete;
  ScriptedDaemon& operator=(const ScriptedDaemon&) = delete;
  ~ScriptedDaemon() {
    thread_.join();
    ::close(fd_);
  }

 private:
  int fd_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("join, send, hear, leave") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  const auto view = client.join("chat", {.member_name = "me"});
  REQUIRE(view);
  CHECK(view->members.size() == 1);
  CHECK(view->members[0].name == "me");
  REQUIRE(recorder.views.size() == 1);
  CHECK(recorder.views[0].token == view->token);

  const auto sent = client.send("chat", "hello", {.text = true});
  REQUIRE(sent);
  CHECK(sent->fate == Fate::delivered);
  CHECK(sent->position == 1);
  CHECK(recorder.messages == std::vector<std::string>{"hello"});

  REQUIRE(client.leave("chat"));
  const auto refused = client.leave("nowhere");
  REQUIRE_FALSE(refused);
  CHECK(refused.failure().code == "no_such_group");
  const auto status = client.status();
  REQUIRE(status);
  CHECK(status->name == "alpha");
  CHECK(status->has_quorum);
  CHECK(status->view == 5);
}

TEST_CASE("a leader that wants to know is told until when, and gives its lease up by leaving") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  const auto ahead = BootClock::now() + 600s;
  daemon.run([&](FakeDaemon& d) { d.lease_until = ahead.time_since_epoch(); });
  REQUIRE(client.join("quiet"));
  CHECK(client.lease_until("quiet") < BootClock::now());
  const auto view = client.join("g", {.lease = true});
  REQUIRE(view);
  REQUIRE(poll_until(client, [&, &leases = recorder.leases] { return !leases.empty(); }));
  CHECK(recorder.leases.size() == 1);
  CHECK(recorder.leases[0].group == "g");
  CHECK(recorder.leases[0].token == view->token);
  CHECK(recorder.leases[0].length == 700s);
  CHECK(client.lease_until("g") == ahead);
  daemon.run([](FakeDaemon& d) { d.exclude("test"); });
  REQUIRE(poll_until(client, [&, &excluded = recorder.excluded] { return !excluded.empty(); }));
  CHECK(client.lease_until("g") == ahead);  // nobody else has it yet
  static_cast<void>(client.leave("g"));
  CHECK(client.lease_until("g") < BootClock::now());
}

TEST_CASE("a request comes with its replies, and may be replied to from the callback") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  recorder.replier = &client;
  REQUIRE(client.join("g"));
  const auto result = client.request("g", "who", {.wait = Wait::first, .text = true});
  REQUIRE(result);
  CHECK(recorder.requests == std::vector<std::string>{"who"});
  CHECK(result->complete);
  CHECK(result->fate == Fate::delivered);
  REQUIRE(result->replies.size() == 1);
  CHECK(result->replies[0].message == "to who");
  CHECK(result->replies[0].text);
  REQUIRE(result->missing.size() == 1);
  CHECK(result->missing[0].reason == "no_reply");
  const auto nowhere = client.request("nowhere", "who");
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.failure().code == "no_such_group");
  CHECK(recorder.messages.empty());
}

TEST_CASE("a send says to whom and to which groups, and a join that it wants to know what is stable") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  const auto view = client.join("g", {.stability = true});
  REQUIRE(view);
  REQUIRE(client.send("g", "all", {}));
  REQUIRE(client.send("g", "both", {.more_groups = {"h"}}));
  REQUIRE(client.send("g", "one", {.to = view->members.front()}));
  daemon.run([&](FakeDaemon& d) {
    REQUIRE(d.sends.size() == 3);
    CHECK(d.sends[0].wish == nullptr);
    CHECK(d.sends[1].wish->more_groups == std::vector<std::string>{"h"});
    CHECK(d.sends[2].wish->to == core::ClientRef{d.self, view->members.front().client});
    d.server->apply(core::StableReached{1, {view->members.front().client}, view->token, 3, {}});
  });
  CHECK(poll_until(client, [&, &r = recorder] { return r.stable_to == 3; }));
}

TEST_CASE("many messages travel in few frames, and every one gets its outcome") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  REQUIRE(client.join("g"));
  constexpr std::uint64_t kMessages = 100000;
  for (std::uint64_t i = 1; i <= kMessages; ++i) {
    const auto ticket = client.post("g", "message " + std::to_string(i));
    REQUIRE(ticket);
    REQUIRE(*ticket == i);
  }
  REQUIRE(client.flush());
  CHECK(client.unanswered_bytes() == 0);
  CHECK(recorder.outcomes == kMessages);
  REQUIRE(poll_until(client, [&, &heard = recorder.messages] { return heard.size() == kMessages; }));
  CHECK(recorder.in_order);
  CHECK(recorder.messages.back() == "message 100000");
  CHECK(recorder.deliveries < 100);
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.sends.size(); }) < 100);
}

TEST_CASE("what waits for its outcome is bounded") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_message = std::size_t{4} << 20U;
  FakeDaemon daemon(options);
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = 20s, .max_unanswered = 10000});
  REQUIRE(client.join("g"));
  daemon.run([](FakeDaemon& fake) { fake.hold_sends = true; });
  const std::string message(996, 'x');
  for (int i = 0; i < 10; ++i) {
    REQUIRE(client.try_post("g", message));
  }
  const auto blocked = client.try_post("g", message);
  REQUIRE_FALSE(blocked);
  CHECK(blocked.failure().code == "would_block");
  const auto timed_out = client.post("g", message, {}, 20ms);
  REQUIRE_FALSE(timed_out);
  CHECK(timed_out.failure().code == "timeout");
  daemon.run([](FakeDaemon& fake) { fake.release_sends(); });
  REQUIRE(client.post("g", message));
  REQUIRE(client.flush());
  CHECK(recorder.outcomes == 11);
  const auto large = client.try_post("g", std::string(std::size_t{5} << 20U, 'x'));
  REQUIRE_FALSE(large);
  CHECK(large.failure().code == "too_large");
  const std::string largest(std::size_t{4} << 20U, 'y');
  REQUIRE(client.post("g", "before"));
  const auto sent = client.send("g", largest);
  REQUIRE(sent);
  CHECK(sent->fate == Fate::delivered);
  CHECK(recorder.messages.back() == largest);
}

TEST_CASE("a refused send is not delivered, and says why") {
  Fixture fixture;
  const auto sent = fixture.client.send("nowhere", "x");
  REQUIRE(sent);
  CHECK(sent->fate == Fate::not_delivered);
  CHECK(sent->code == "no_such_group");
}

TEST_CASE("no daemon: a clear failure, at once when asked so") {
  TempDir dir;
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("nobody"), .reconnect = false});
  const auto joined = client.join("g");
  REQUIRE_FALSE(joined);
  CHECK(joined.failure().code == "unreachable");
  CHECK_THAT(joined.failure().message, Contains("nobody") && Contains("is vsyncd running?"));
}

TEST_CASE("a daemon that comes back: it tells what became of the sends, and the groups are joined again") {
  TempDir dir;
  auto daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = 20s, .longest_pause = 100ms});
  REQUIRE(client.join("g", {.member_name = "me"}));
  REQUIRE(client.send("g", "1"));
  daemon->run([](FakeDaemon& fake) { fake.hold_sends = true; });
  for (int i = 2; i <= 5; ++i) {
    REQUIRE(client.post("g", std::to_string(i)));
  }
  REQUIRE(client.status());  // the messages are there
  CHECK(daemon->run([](FakeDaemon& fake) { return fake.sends.back().number; }) == 2);
  daemon->stop();
  REQUIRE(poll_until(client, [&] { return recorder.connections.size() == 2; }));
  CHECK_THAT(recorder.connections[1], Contains("down"));
  REQUIRE(recorder.excluded.size() == 1);
  CHECK(recorder.sent.size() == 1);
  CHECK(client.unanswered_bytes() == 4 * 5);
  CHECK(client.try_post("g", "x").failure().code == "disconnected");

  daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  daemon->run([](FakeDaemon& fake) { fake.fates = {true, 2, {{3, 3}, {5, 9}}}; });
  REQUIRE(poll_until(client, [&] { return recorder.views.size() == 2 && recorder.outcomes == 5; }));
  CHECK(recorder.views[1].members[0].name == "me");
  const Fate expected[] = {Fate::unknown, Fate::delivered, Fate::not_delivered, Fate::delivered};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(recorder.sent[i + 1].first == i + 2);
    CHECK(recorder.sent[i + 1].fate == expected[i]);
  }
  CHECK(client.unanswered_bytes() == 0);
  REQUIRE(client.send("g", "again"));
}

TEST_CASE("a daemon that has left its cluster: what is in doubt waits until it is a member again") {
  TempDir dir;
  auto daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = 20s, .longest_pause = 100ms});
  REQUIRE(client.join("g"));
  REQUIRE(client.send("g", "1"));
  daemon->run([](FakeDaemon& fake) { fake.hold_sends = true; });
  REQUIRE(client.post("g", "2"));
  REQUIRE(client.status());
  daemon->stop();
  REQUIRE(poll_until(client, [&] { return recorder.connections.size() == 2; }));
  daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  daemon->run([](FakeDaemon& fake) { fake.refuse_sessions = "not_member"; });
  REQUIRE(poll_until(client, [&] { return daemon->run([](FakeDaemon& fake) { return fake.sessions.size() >= 2; }); }));
  CHECK(recorder.sent.size() == 1);
  daemon->run([](FakeDaemon& fake) {
    fake.refuse_sessions = {};
    fake.fates = {true, 0, {{1, 2}}};
  });
  REQUIRE(poll_until(client, [&] { return recorder.outcomes == 2; }));
  CHECK(recorder.sent[1].fate == Fate::delivered);
}

TEST_CASE("a first send to a daemon that has left its cluster is answered at once, and a later one has a session") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  REQUIRE(client.join("g"));
  daemon.run([](FakeDaemon& fake) { fake.refuse_sessions = "not_member"; });
  REQUIRE(client.send("g", "1"));
  daemon.run([](FakeDaemon& fake) { fake.refuse_sessions = {}; });
  REQUIRE(client.send("g", "2"));
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.sessions.size(); }) == 2);
}

TEST_CASE("sends wait for their session, and were not delivered if it never opened") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  REQUIRE(client.join("g"));
  daemon.run([](FakeDaemon& fake) { fake.hold_sessions = true; });
  REQUIRE(client.post("g", "held"));
  REQUIRE(client.status());
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.sends.empty(); }));
  daemon.stop();
  REQUIRE(poll_until(client, [&] { return recorder.outcomes == 1; }));
  CHECK(recorder.sent[0].fate == Fate::not_delivered);
}

TEST_CASE("nothing overtakes the sends that wait for their session") {
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = 50ms});
  const auto view = client.join("g", {}, 20s);
  REQUIRE(view);
  daemon.run([](FakeDaemon& fake) { fake.hold_sessions = true; });
  REQUIRE(client.try_post("g", "one", {.text = true}));
  REQUIRE(client.try_post("g", "two"));
  REQUIRE(client.reply(view->members.front(), 7, "three"));
  CHECK(client.request("h", "four", {}, 1ms).failure().code == "timeout");
  REQUIRE(client.try_post("g", "last words"));
  CHECK(client.leave("g").failure().code == "timeout");
  CHECK(client.join("g").failure().code == "timeout");
  REQUIRE(client.status(20s));
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.inputs; }) == std::vector<std::string>{"join g"});

  daemon.run([](FakeDaemon& fake) { fake.release_sessions(); });
  REQUIRE(poll_until(client, [&] { return recorder.views.size() == 2 && recorder.outcomes == 3; }));
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.inputs; }) ==
        std::vector<std::string>{"join g", "send g", "send g", "reply", "request h", "send g", "leave g", "join g"});
  for (const Sent& sent : recorder.sent) {
    CHECK(sent.fate == Fate::delivered);
  }
}

TEST_CASE("what went out behind a late session is in doubt when the connection breaks, and not undelivered") {
  TempDir dir;
  auto daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .timeout = 20s, .longest_pause = 100ms});
  const auto view = client.join("g");
  REQUIRE(view);
  daemon->run([](FakeDaemon& fake) { fake.hold_sessions = fake.hold_sends = true; });
  REQUIRE(client.try_post("g", "one", {.text = true}));
  REQUIRE(client.try_post("g", "two"));
  REQUIRE(client.reply(view->members.front(), 7, "three"));
  daemon->run([](FakeDaemon& fake) { fake.release_sessions(); });
  REQUIRE(poll_until(client, [&] { return daemon->run([](FakeDaemon& fake) { return fake.sends.size(); }) == 3; }));
  daemon->stop();
  REQUIRE(poll_until(client, [&] { return recorder.connections.size() == 2; }));
  CHECK(recorder.sent.empty());
  daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  daemon->run([](FakeDaemon& fake) { fake.fates = {true, 0, {{1, 2}}}; });
  REQUIRE(poll_until(client, [&] { return recorder.outcomes == 2; }));
  for (const Sent& sent : recorder.sent) {
    CHECK(sent.fate == Fate::delivered);
    CHECK(sent.position == 0);
  }
}

TEST_CASE("a join that took too long goes on, and may be waited for again") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  daemon.run([](FakeDaemon& fake) { fake.hold_joins = true; });
  CHECK(client.join("g", {.member_name = "me"}, 50ms).failure().code == "timeout");
  CHECK(client.join("g", {}, 50ms).failure().code == "timeout");
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.inputs; }) == std::vector<std::string>{"join g"});
  daemon.run([](FakeDaemon& fake) { fake.release_joins(); });
  const auto view = client.join("g");
  REQUIRE(view);
  CHECK(view->members.front().name == "me");
  CHECK(client.join("g").failure().code == "already_member");
}

TEST_CASE("who was told to wait for room hears of it after a reconnection too") {
  struct Waiter : Recorder {
    void on_writable() override { ++writable; }
    int writable = 0;
  } waiter;
  TempDir dir;
  auto daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  Client client(waiter,
                {.socket = dir.file("s"), .session = false, .timeout = 20s, .longest_pause = 100ms, .max_unanswered = 10});
  REQUIRE(client.join("g"));
  daemon->run([](FakeDaemon& fake) { fake.hold_sends = true; });
  REQUIRE(client.try_post("g", "123456"));
  REQUIRE(client.try_post("g", "1").failure().code == "would_block");
  daemon->stop();
  REQUIRE(poll_until(client, [&] { return waiter.outcomes == 1; }));
  CHECK(waiter.writable == 0);
  daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  REQUIRE(poll_until(client, [&] { return waiter.writable == 1; }));
  CHECK(client.try_post("g", "1"));
}

TEST_CASE("without reconnection the end is the end") {
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .reconnect = false, .timeout = 20s});
  REQUIRE(client.join("g"));
  daemon.stop();
  const auto ended = client.run();
  REQUIRE_FALSE(ended);
  CHECK(ended.failure().code == "disconnected");
}

TEST_CASE("an exclusion of the daemon: told, and joined again") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  REQUIRE(client.join("g"));
  daemon.run([](FakeDaemon& fake) { fake.exclude("paused"); });
  REQUIRE(poll_until(client, [&, &views = recorder.views] { return views.size() == 2; }));
  CHECK(recorder.excluded == std::vector<std::string>{"g: paused"});
  CHECK(recorder.views[1].members[0].incarnation == 2);
  CHECK(recorder.connections == std::vector<std::string>{"up"});
}

TEST_CASE("who cannot join again for another reason than its daemon's exclusion is told once, and goes on trying") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  REQUIRE(client.join("g"));
  daemon.run([](FakeDaemon& fake) {
    fake.hold_joins = true;
    fake.exclude("paused");
  });
  auto refuse = [&, joins = std::size_t{1}](std::string_view code) mutable {
    const auto asked = [&] { return daemon.run([](FakeDaemon& fake) { return fake.inputs.size(); }) > joins; };
    REQUIRE(poll_until(client, asked));
    joins = daemon.run([&](FakeDaemon& fake) {
      fake.refuse_joins(code);
      return fake.inputs.size();
    });
  };
  refuse("excluded");
  refuse("other_policy");
  refuse("other_policy");
  daemon.run([](FakeDaemon& fake) { fake.release_joins(); });
  REQUIRE(poll_until(client, [&, &views = recorder.views] { return views.size() == 2; }));
  CHECK(recorder.excluded == std::vector<std::string>{"g: paused", "g: other_policy: the test says so"});
}

TEST_CASE("callbacks may send, but not wait") {
  struct Echo : Recorder {
    void on_messages(const Delivery& delivery) override {
      Recorder::on_messages(delivery);
      if (messages.size() < 5) {
        REQUIRE(client->try_post("g", "echo"));
        CHECK(client->flush().failure().code == "in_callback");
        CHECK(client->poll().failure().code == "in_callback");
        CHECK(client->send("g", "x").failure().code == "in_callback");
        CHECK(client->leave("g").failure().code == "in_callback");
      }
    }
    Client* client = nullptr;
  } echo;
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  Client client(echo, {.socket = dir.file("s"), .timeout = 20s});
  echo.client = &client;
  REQUIRE(client.join("g"));
  REQUIRE(client.send("g", "start"));
  CHECK(poll_until(client, [&] { return echo.messages.size() == 5; }));
  daemon.run([](FakeDaemon& fake) { fake.exclude("paused"); });
  CHECK(poll_until(client, [&] { return echo.views.size() == 2; }));  // it did not leave
}

TEST_CASE("stop ends run") {
  struct Stopper : Recorder {
    void on_messages(const Delivery&) override { client->stop(); }
    Client* client = nullptr;
  } stopper;
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  Client client(stopper, {.socket = dir.file("s"), .timeout = 20s});
  stopper.client = &client;
  REQUIRE(client.join("g"));
  REQUIRE(client.try_post("g", "last"));
  CHECK(client.run());
}

TEST_CASE("who only waits for the handle is connected") {
  Fixture fixture;
  pollfd entry{fixture.client.native_handle(), POLLIN, 0};
  while (!fixture.client.connected()) {
    REQUIRE(::poll(&entry, 1, 20000) == 1);
    REQUIRE(fixture.client.poll(0ms));
  }
}

TEST_CASE("with Asio: the handle is readable when there is something to do") {
  Fixture fixture;
  auto& [dir, path, daemon, recorder, client] = fixture;
  const bool asked_late = GENERATE(false, true);  // for the handle: what was posted before leaves too
  REQUIRE(client.join("g"));
  for (int i = 0; asked_late && i < 3; ++i) {
    REQUIRE(client.try_post("g", "x"));
  }
  asio::io_context io;
  asio::posix::stream_descriptor handle(io, ::dup(client.native_handle()));
  const std::function<void()> wait = [&, &heard = recorder.messages, &loop = client] {
    handle.async_wait(asio::posix::stream_descriptor::wait_read, [&](const std::error_code& error) {
      REQUIRE_FALSE(error);
      REQUIRE(loop.poll());
      if (heard.size() < 3) {
        wait();
      }
    });
  };
  for (int i = 0; !asked_late && i < 3; ++i) {
    REQUIRE(client.try_post("g", "x"));
  }
  wait();
  io.run_for(kDeadline);
  CHECK(recorder.messages.size() == 3);
}

TEST_CASE("who watches hears of the cluster and of all groups, also after a reconnection") {
  struct Watcher : Recorder {
    void on_cluster_view(const ClusterView& view) override { cluster.push_back(view); }
    void on_quorum(bool has) override { quorum.push_back(has); }
    void on_suspicion(const Suspicion& suspicion) override { suspicions.push_back(suspicion); }
    void on_other_view(const GroupView& view) override { others.push_back(view); }
    std::vector<ClusterView> cluster;
    std::vector<bool> quorum;
    std::vector<Suspicion> suspicions;
    std::vector<GroupView> others;
  } watcher;
  TempDir dir;
  auto daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  Client client(watcher, {.socket = dir.file("s"), .timeout = 20s, .longest_pause = 100ms});
  REQUIRE(client.watch());
  REQUIRE(poll_until(client, [&] { return watcher.quorum.size() == 1; }));

  core::View view;
  view.ref.epoch = 7;
  view.members = {{{1, 4, 0}, 0, "alpha", {"10.0.0.1", 7475, 7475}}, {{2, 1, 0}, 0, "beta", {"10.0.0.2", 7475, 7475}}};
  view.joined = {{2, 1, 0}};
  daemon->run([&](FakeDaemon& fake) {
    fake.server->apply(core::ViewInstalled{std::make_shared<const core::View>(view), 6, {}});
    fake.server->apply(core::SuspicionChanged{{2, 1, 0}, core::Evidence::firm, std::chrono::milliseconds(3), "refused"});
    fake.server->apply(core::QuorumChanged{false});
  });
  REQUIRE(poll_until(client, [&] { return watcher.quorum.size() == 2; }));
  REQUIRE(watcher.cluster.size() == 2);  // the present one, and this
  CHECK(watcher.cluster[1].view == 7);
  CHECK(watcher.cluster[1].members.front().name == "alpha");
  CHECK(watcher.cluster[1].members.back().address == "10.0.0.2:7475");
  CHECK(watcher.cluster[1].joined == std::vector<std::uint32_t>{2});
  REQUIRE(watcher.suspicions.size() == 1);
  CHECK(watcher.suspicions[0].name == "beta");
  CHECK(watcher.suspicions[0].evidence == "firm");
  CHECK(watcher.suspicions[0].silence == 3ms);
  CHECK_FALSE(watcher.quorum.back());

  Recorder member;
  Client other(member, {.socket = dir.file("s"), .timeout = 20s});
  REQUIRE(other.join("elsewhere"));
  REQUIRE(client.join("mine"));
  REQUIRE(poll_until(client, [&] { return !watcher.others.empty(); }));
  CHECK(watcher.others.front().group == "elsewhere");
  CHECK(watcher.views.size() == 1);

  daemon->stop();
  daemon = std::make_unique<FakeDaemon>(options_at(dir.file("s")));
  CHECK(poll_until(client, [&] { return watcher.quorum.size() == 3; }));
}

TEST_CASE("who watches hears at once of the groups that there are, and is in none of them") {
  struct Watcher : Recorder {
    void on_other_view(const GroupView& view) override { others.push_back(view.group); }
    std::vector<std::string> others;
  } watcher;
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  core::GroupView group;
  group.name = "elsewhere";
  daemon.run([&](FakeDaemon& fake) { fake.state.groups = {std::make_shared<core::GroupView>(group)}; });
  Client client(watcher, {.socket = dir.file("s"), .timeout = 20s});
  REQUIRE(client.watch());
  REQUIRE(poll_until(client, [&] { return watcher.others.size() + watcher.views.size() == 1; }));
  CHECK(watcher.views.empty());
}

TEST_CASE("what is no daemon is left") {
  using namespace std::string_literals;
  TempDir dir;
  const auto [script, said] = GENERATE(table<std::string, std::string>(
      {{"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame"}, {"\0\0\0\2\xff\xff"s, "no reply"}, {"", "closed"}}));
  ScriptedDaemon daemon(dir.file("s"), script);
  Recorder recorder;
  Client client(recorder, {.socket = dir.file("s"), .reconnect = false});
  const auto joined = client.join("g");
  REQUIRE_FALSE(joined);
  CHECK_THAT(joined.failure().message, Contains(said));
}

TEST_CASE("the documented example works") {
  TempDir dir;
  FakeDaemon daemon(options_at(dir.file("s")));
  const std::string command = "VSYNCD_SOCKET=" + dir.file("s") + " " HELLO_GROUP " alice 2>&1";
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    output += line;
    if (std::string_view(line) == "delivered\n") {
      daemon.run([](FakeDaemon& fake) {
        std::string body;
        for (int i = 0; i < 9; ++i) {
          body += std::string("\2\0\0\0hi", 6);
        }
        fake.deliver("hello", body, 9, true);
      });
    }
  }
  CHECK(::pclose(pipe) == 0);
  CHECK_THAT(output,
             Contains("view 1 of hello: alice@1, led by alice") && Contains("alice: hello, group\n") && Contains(": hi\n"));
}
