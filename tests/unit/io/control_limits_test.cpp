// The bounds of the control socket: what clients can make the daemon hold, and who gets in.
#include "io/control_server.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "unit/io/control_fixture.h"

using namespace vsync;
using namespace vsync::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

std::atomic<bool> admins_come = false;

Result<io::Credentials> stranger_or_admin(int) {
  return io::Credentials{54321, {admins_come ? 0U : 54321U}};
}

}  // namespace

TEST_CASE("a line without end is refused at the bound") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_line = 1000;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  client.write("{" + std::string(2000, ' '));
  CHECK_THAT(client.read_all(), Contains("too_large") && Contains("closing"));
}

TEST_CASE("a client that does not read is told and disconnected, and the others go on") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.client_limit = 700'000;  // in each group it stays below
  options.limits.max_message = 300'000;
  FakeDaemon daemon(options);
  RawClient slow(dir.file("s"));
  RawClient good(dir.file("s"));
  join(slow, "g");
  join(slow, "more");
  join(good, "g");
  const std::string body = body_of({std::string(60000, 'x')});
  int got = 0;
  for (int i = 0; i < 40; ++i) {
    daemon.run([&](FakeDaemon& fake) {
      fake.deliver("g", body, 1, true);
      fake.deliver("more", body, 1, true);
    });
    got += good.read_frame()->event().message_batch().count() == 1 ? 1 : 0;
  }
  CHECK(got == 40);
  // What was written before the end is whole.
  std::optional<pb::Reply> last;
  while (auto reply = slow.read_frame()) {
    last = reply;
  }
  REQUIRE(last);
  CHECK_THAT(last->event().closing().why(), Contains("you do not read: more than 1000000 bytes"));
  const auto troubles = daemon.run([](FakeDaemon& fake) { return fake.troubles; });
  REQUIRE(troubles.size() == 1);  // for the log: a client that is stopped never reads it
  CHECK_THAT(troubles[0], Contains("is disconnected") && Contains(last->event().closing().why()));
  CHECK(good.read_frame()->event().group_view().left(0).reason() == "crashed");
}

TEST_CASE("what waits for all clients is bounded: who is furthest behind is told and disconnected first") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_backlog = std::size_t{2} << 20U;
  FakeDaemon daemon(options);
  RawClient furthest(dir.file("s"));
  RawClient behind(dir.file("s"));
  RawClient status(dir.file("s"));
  join(furthest, "g");
  join(furthest, "more");
  join(behind, "g");
  const std::string body = body_of({std::string(60000, 'x')});
  for (int i = 0; i < 10; ++i) {
    daemon.run([&](FakeDaemon& fake) { fake.deliver("more", body, 1, true); });
  }
  int delivered = 0;
  const auto given_up = [&] {
    status.line(R"({"status":{}})");
    return status.read_line().value().find(R"("clients_given_up":1)") != std::string::npos;
  };
  while (!given_up()) {
    REQUIRE(++delivered <= 100);
    daemon.run([&](FakeDaemon& fake) { fake.deliver("g", body, 1, true); });
  }
  std::optional<pb::Reply> last;
  while (auto reply = furthest.read_frame()) {
    last = reply;
  }
  REQUIRE(last);
  CHECK_THAT(last->event().closing().why(), Contains("the most of them for you"));
  for (int got = 0; got < delivered;) {  // the other one lost nothing
    const auto reply = behind.read_frame();
    REQUIRE(reply);
    got += reply->event().has_message_batch() ? 1 : 0;
  }
}

TEST_CASE("what waits for all clients is bounded: as many are disconnected as must be, and no gap frees what is in writing") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_backlog = std::size_t{2} << 20U;
  FakeDaemon daemon(options);
  constexpr std::size_t kClients = 6;
  auto joining = join(1, "g");
  joining.mutable_join()->set_when_slow(GENERATE(pb::DISCONNECT, pb::GAP));
  std::vector<std::unique_ptr<RawClient>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(dir.file("s")));
    clients.back()->frame(joining);
    for (auto reply = clients.back()->read_frame(); !reply.value().has_join(); reply = clients.back()->read_frame()) {
    }
  }
  daemon.run([](FakeDaemon& fake) {
    fake.deliver("g", body_of({std::string(1'000'000, 'x')}), 1, true);
    fake.server->end_of_turn();  // all are in the middle of it now
    fake.deliver("g", body_of({"last"}), 1, true);
  });
  std::size_t stayed = 0;
  for (const auto& client : clients) {
    for (auto reply = client->read_frame(); reply; reply = client->read_frame()) {
      CHECK_FALSE(reply->event().has_gap());
      if (reply->event().has_message_batch() && reply->event().message_batch().body().size() < 100) {
        ++stayed;
        break;
      }
    }
  }
  CHECK(stayed >= 2);  // each of them leaves less to the kernel than 1 MB
  CHECK(stayed < kClients);
}

TEST_CASE("a large frame that has begun must go on") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.large_frame_slack = std::chrono::milliseconds(50);
  options.limits.large_frame_rate = std::size_t{1} << 40U;  // not to be had byte by byte
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  constexpr std::string_view kHead("\0\x40\0\0", 4);  // 4 MiB
  client.write(kHead);
  std::atomic<bool> over = false;
  std::thread trickle([&] {
    while (!over) {
      client.write("x");
      std::this_thread::yield();
    }
  });
  const auto said = client.read_frame();
  over = true;
  trickle.join();
  REQUIRE(said);
  CHECK_THAT(said->event().closing().why(), Contains("came too slowly"));
}

TEST_CASE("large frames share their room: the next is read when the memory of the one before is free") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.large_frames = std::size_t{3} << 20U;
  FakeDaemon daemon(options);
  RawClient first(dir.file("s"));
  RawClient second(dir.file("s"));
  RawClient third(dir.file("s"));
  for (auto* client : {&first, &second, &third}) {
    join(*client, client == &first ? "a" : client == &second ? "b" : "c");
  }
  const auto large = [](const std::string& group) { return batch(7, group, {std::string(std::size_t{2} << 20U, 'x')}); };
  const auto sends = [&] { return daemon.run([](FakeDaemon& fake) { return fake.sends.size(); }); };
  const auto one_came = [&] {
    for (int i = 0; i < 100'000 && sends() == 0; ++i) {
      std::this_thread::yield();
    }
    return sends() == 1;
  };
  first.frame(large("a"));
  REQUIRE(one_came());
  REQUIRE(first.read_frame());  // the message, which is the same memory, and the outcome
  REQUIRE(first.read_frame());
  std::thread writer([&] { second.frame(large("b")); });
  third.frame(join(2, "d"));  // small ones need no room
  REQUIRE(third.read_frame()->event().has_group_view());
  REQUIRE(third.read_frame()->has_join());
  CHECK(sends() == 1);
  daemon.run([](FakeDaemon& fake) { fake.sends.clear(); });
  CHECK(one_came());
  writer.join();
}

TEST_CASE("a client that asks without reading is not read any more") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.client_limit = std::size_t{1} << 19U;
  options.limits.max_message = std::size_t{1} << 19U;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  constexpr int kRequests = 3000;  // their replies are several times the bound
  std::string lines;
  for (int i = 1; i <= kRequests; ++i) {
    lines += "{\"id\":" + std::to_string(i) + ",\"status\":{}}\n";
  }
  std::thread writer([&] { client.write(lines); });
  for (int i = 1; i <= kRequests; ++i) {
    const auto line = client.read_line();
    REQUIRE(line);
    REQUIRE_THAT(*line, StartsWith("{\"id\":" + std::to_string(i) + ","));
  }
  writer.join();
}

TEST_CASE("a paused client is not read until it is resumed") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.line(R"({"id":1,"hello":{}})");
  REQUIRE(client.read_line());
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.server->apply(core::PauseClient{1, true}); });
  client.line(R"({"id":2,"send":{"group":"nowhere"}})");
  RawClient other(fixture.path);
  other.line(R"({"id":1,"hello":{}})");
  REQUIRE(other.read_line());
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.size(); }) == 0);
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.server->apply(core::PauseClient{1, false}); });
  CHECK_THAT(client.read_line().value(), Contains("no_such_group"));
}

TEST_CASE("too many clients are told so") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_clients = 20;
  options.limits.reserved_for_admins = 0;
  FakeDaemon daemon(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<RawClient>(dir.file("s")));
    clients.back()->line(R"({"hello":{}})");
    REQUIRE_THAT(clients.back()->read_line().value(), Contains("hello"));
  }
  RawClient refused(dir.file("s"));
  refused.line(R"({"id":9,"hello":{}})");
  CHECK_THAT(refused.read_all(), Contains(R"("id":9,"error":{"code":"too_many")") && Contains("closing"));
  clients.front()->line(R"({"hello":{}})");
  CHECK(clients.front()->read_line());
}

TEST_CASE("programs that take all places leave some for whoever steers the daemon") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_clients = 4;
  options.limits.reserved_for_admins = 1;
  options.admin_group = "0";
  options.credentials = stranger_or_admin;
  FakeDaemon daemon(options);
  std::vector<std::unique_ptr<RawClient>> clients;
  const auto served = [&] {
    clients.push_back(std::make_unique<RawClient>(dir.file("s")));
    clients.back()->line(R"({"hello":{}})");
    return clients.back()->read_line().value().find("too_many") == std::string::npos;
  };
  admins_come = false;
  CHECK((served() && served() && served() && served()));
  CHECK_FALSE(served());
  admins_come = true;
  CHECK(served());
  CHECK_FALSE(served());
  const auto troubles = daemon.run([](FakeDaemon& fake) { return fake.troubles; });
  REQUIRE(troubles.size() == 1);  // the second one within the minute
  CHECK_THAT(troubles[0], Contains("is turned away: this daemon serves 4 clients"));
}

TEST_CASE("one user does not take the places of the others") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_clients_of_user = 2;
  options.admin_group = "0";
  options.credentials = stranger_or_admin;
  FakeDaemon daemon(options);
  admins_come = false;
  auto first = std::make_unique<RawClient>(dir.file("s"));
  RawClient second(dir.file("s"));
  RawClient third(dir.file("s"));
  for (auto* client : {first.get(), &second}) {
    client->line(R"({"hello":{}})");
    CHECK_THAT(client->read_line().value(), Contains("hello"));
  }
  third.line(R"({"id":9,"hello":{}})");
  CHECK_THAT(third.read_all(), Contains("too_many") && Contains("of one user"));
  first.reset();
  const auto gone = [&] { return daemon.run([](FakeDaemon& fake) { return fake.gone.size(); }) == 2; };
  for (int i = 0; !gone(); ++i) {
    REQUIRE(i < 100000);
  }
  RawClient fourth(dir.file("s"));
  fourth.line(R"({"hello":{}})");
  CHECK_THAT(fourth.read_line().value(), Contains("hello"));
}

TEST_CASE("a connection is in a bounded number of groups") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_groups = 2;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  join(client, "a");
  join(client, "b");
  client.frame(join(3, "c"));
  CHECK(client.read_frame()->error().code() == "too_many");
}

TEST_CASE("messages up to the limit pass and larger ones are refused") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_message = 100000;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  join(client, "g");
  for (const std::size_t size : {std::size_t{100000}, std::size_t{100001}}) {
    client.frame(batch(size, "g", {std::string(size, 'x')}));
    auto reply = client.read_frame().value();
    if (size == 100000) {
      CHECK(reply.event().message_batch().body().size() == size + 4);
      reply = client.read_frame().value();
      CHECK(reply.has_send_batch());
    } else {
      CHECK(reply.error().code() == "too_large");
    }
    CHECK(reply.id() == size);
  }
}
