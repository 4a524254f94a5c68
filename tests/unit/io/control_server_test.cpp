// The control socket from outside: bytes in, bytes out.
#include "io/control_server.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <memory>

#include "unit/io/control_fixture.h"

using namespace vsync;
using namespace vsync::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

Result<io::Credentials> stranger(int) {
  return io::Credentials{54321, {54321}};
}

Result<io::Credentials> stranger_in_group_0(int) {
  return io::Credentials{54321, {54321, 0}};
}

}  // namespace

TEST_CASE("a JSON client needs no library") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.line(R"({"status":{}})");
  const auto reply = client.read_line().value();
  CHECK_THAT(reply, StartsWith(R"({"id":0,"status":{"node":1,"name":"alpha")"));
  CHECK_THAT(reply, Contains(R"("quorum_policy":"dynamic")") && Contains(R"("loops":7)") && Contains(R"("clients":1)"));
}

TEST_CASE("blank lines are skipped, the last line needs no end, and replies come after the client stopped sending") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.write("{\"id\":1,\"hello\":{}}\n\n \r\n{\"id\":2,\"hello\":{}}");
  client.end_of_input();
  CHECK_THAT(client.read_all(), Contains(R"("id":1)") && Contains(R"("id":2)"));
}

TEST_CASE("wrong JSON is refused by a clear error and the connection goes on") {
  Fixture fixture;
  RawClient client(fixture.path);
  struct Case {
    const char* line;
    const char* said;
  };
  const Case cases[] = {
      {R"({"id":7,"stauts":{}})", "stauts"},
      {R"({"status":)", "not a request"},
      {R"([1,2])", "bad_request"},
      {R"({"id":8})", "names nothing to do"},
      {R"({"id":8,"status":{},"watch":{}})", "bad_request"},
      {R"({"join":{"group":""}})", "1 to 255 bytes"},
      {R"({"join":{"group":"a\u0007b"}})", "printable"},
      {R"({"send":{"group":"g","service":9}})", "TOTAL, FIFO or CAUSAL"},
      {R"({"send":{"group":"g","service":"LOUD"}})", "bad_request"},
      {R"({"send_batch":{"group":"g","count":1,"body":"AAAA"}})", "ends inside message 0 of 1"},
      {R"({"evict":{}})", "node id or name"},
      {R"({"cluster_join":{}})", "1 to 64 peers"},
      {R"({"log_level":{"level":"loud"}})", "there is no level 'loud'"},
  };
  for (const auto& row : cases) {
    INFO(row.line);
    client.line(row.line);
    const auto reply = client.read_line().value();
    CHECK_THAT(reply, Contains("error") && Contains("bad_request") && Contains(row.said));
  }
  for (const auto* request :
       {R"("bogus":{})", R"("send":{"group":"g","service":"LOUD"})", R"("join":{"group":7,"when_slow":[]})"}) {
    client.line(R"({"id":17,)" + std::string(request) + "}");  // a client that has more requests open knows which it was
    CHECK_THAT(client.read_line().value(), Contains(R"("id":17,"error")") && Contains("bad_request"));
  }
  client.line(R"({"id":9,"hello":{"client":"test"}})");
  CHECK_THAT(client.read_line().value(), Contains(R"("protocol":1)") && Contains(R"("max_message":8388608)"));
}

TEST_CASE("frames may come in any pieces") {
  Fixture fixture;
  RawClient client(fixture.path);
  std::string bytes;
  auto hello = request(3);
  hello.mutable_hello();
  io::append_frame(bytes, hello);
  hello.set_id(4);
  io::append_frame(bytes, hello);
  for (const char byte : bytes) {
    client.write({&byte, 1});
  }
  CHECK(client.read_frame()->id() == 3);
  CHECK(client.read_frame()->id() == 4);
}

TEST_CASE("garbage: the stream is lost, so the client is told and disconnected") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.write("GET / HTTP/1.1\r\n\r\n");
  const auto error = client.read_frame().value();
  CHECK(error.error().code() == "too_large");
  CHECK(client.read_frame()->event().has_closing());
  CHECK_FALSE(client.read_frame());
}

TEST_CASE("a frame that is no request is refused and the next one is served") {
  Fixture fixture;
  RawClient client(fixture.path);
  using namespace std::string_literals;
  client.write("\0\0\0\3\xff\xff\xff"s);
  CHECK(client.read_frame()->error().code() == "bad_request");
  client.write("\0\0\0\0"s);
  CHECK(client.read_frame()->error().code() == "bad_request");
  auto status = request(5);
  status.mutable_status();
  client.frame(status);
  CHECK(client.read_frame()->id() == 5);
}

TEST_CASE("members get their group's views and messages, each in its own encoding") {
  Fixture fixture;
  RawClient binary(fixture.path);
  RawClient json(fixture.path);
  join(binary, "g");
  json.line(R"({"id":1,"join":{"group":"g","member_name":"jason"}})");
  CHECK_THAT(json.read_line().value(), StartsWith(R"({"event":{"group_view":)") && Contains("jason"));
  CHECK_THAT(json.read_line().value(), StartsWith(R"({"id":1,"join":{"view":)"));
  CHECK(binary.read_frame()->event().group_view().members_size() == 2);

  auto texts = batch(10, "g", {"one", "tw\xc3\xb6"});
  texts.mutable_send_batch()->set_text(true);
  binary.frame(texts);

  const auto event = binary.read_frame()->event().message_batch();
  CHECK(event.group() == "g");
  CHECK(event.count() == 2);
  CHECK(event.text());
  CHECK(event.position() == 1);
  CHECK(event.sender().client() == 1);
  CHECK(event.body() == body_of({"one", "tw\xc3\xb6"}));
  const auto reply = binary.read_frame().value();
  CHECK(reply.id() == 10);
  CHECK(reply.send_batch().count() == 2);
  CHECK(reply.send_batch().outcome() == pb::DELIVERED);
  CHECK_THAT(json.read_line().value(), Contains(R"("text":"one")") && Contains(R"("position":1)"));
  CHECK_THAT(json.read_line().value(), Contains("\"text\":\"tw\xc3\xb6\"") && Contains(R"("position":2)"));

  json.line(R"({"id":2,"send":{"group":"g","payload":"AP8="}})");
  CHECK_THAT(json.read_line().value(), Contains(R"("payload":"AP8=")") && Contains("jason"));
  CHECK_THAT(json.read_line().value(), Contains(R"({"id":2,"send":{"outcome":"delivered","view":5,"position":3)"));

  SECTION("a leaver gets its reply, not the view without it") {
    json.line(R"({"id":3,"leave":{"group":"g"}})");
    CHECK_THAT(json.read_line().value(), Contains(R"({"id":3,"leave":{}})"));
    CHECK(binary.read_frame()->event().message_batch().body() == body_of({{"\0\xff", 2}}));
    const auto view = binary.read_frame()->event().group_view();
    CHECK(view.members_size() == 1);
    CHECK(view.left(0).reason() == "left");
  }
  SECTION("a client that is gone is removed, and the core hears of it") {
    json.end_of_input();  // a member that only stops sending stays
    texts.set_id(20);
    binary.frame(texts);
    CHECK_THAT(json.read_until("tw\xc3\xb6"), Contains(R"("text")"));
  }
}

TEST_CASE("a client that dies leaves its groups") {
  Fixture fixture;
  RawClient stays(fixture.path);
  join(stays, "g");
  {
    RawClient dies(fixture.path);
    join(dies, "g");
    CHECK(stays.read_frame()->event().group_view().members_size() == 2);
  }
  const auto view = stays.read_frame()->event().group_view();
  CHECK(view.left(0).reason() == "crashed");
  CHECK(view.left(0).member().client() == 2);
}

TEST_CASE("consecutive single sends travel as one, and each gets its reply") {
  Fixture fixture;
  RawClient client(fixture.path);
  join(client, "g");
  std::string bytes;
  for (std::uint64_t id = 100; id < 110; ++id) {
    auto send = request(id == 105 ? 7 : id);  // an id out of order ends the run
    send.mutable_send()->set_group("g");
    send.mutable_send()->set_text("m" + std::to_string(id));
    io::append_frame(bytes, send);
  }
  client.write(bytes);
  std::vector<std::uint64_t> ids;
  std::uint64_t position = 0;
  while (ids.size() < 10) {
    const auto reply = client.read_frame().value();
    if (reply.has_send()) {
      CHECK(reply.send().outcome() == "delivered");
      CHECK(reply.send().position() == ++position);
      ids.push_back(reply.id());
    }
  }
  CHECK(ids == std::vector<std::uint64_t>{100, 101, 102, 103, 104, 7, 106, 107, 108, 109});
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.size(); }) == 3);
}

TEST_CASE("duplicate ids confuse only their client") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
  RawClient client(fixture.path);
  join(client, "g");
  for (int i = 0; i < 3; ++i) {
    auto send = request(5);
    send.mutable_send()->set_group("g");
    client.frame(send);
  }
  auto leave = request(5);
  leave.mutable_leave()->set_group("g");
  client.frame(leave);
  CHECK(client.read_frame()->has_leave());
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.release_sends(); });
  for (int i = 0; i < 3; ++i) {
    const auto reply = client.read_frame().value();
    CHECK(reply.id() == 5);
    CHECK(reply.has_send());
  }
}

TEST_CASE("one outcome may be that of several requests, or of a part of one") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
  RawClient client(fixture.path);
  join(client, "g");
  for (const std::uint64_t id : {10U, 20U}) {
    client.frame(batch(id, "g", {"a", "b", "c"}));
  }
  wait_taken(client);
  fixture.daemon.run([](FakeDaemon& daemon) {
    const auto first = daemon.sends.at(0).request;
    daemon.server->apply(core::SendOutcome{1, first, 2, core::Outcome::delivered, 5, 7, {}});
    daemon.server->apply(core::SendOutcome{1, first + 2, 4, core::Outcome::delivered, 5, 9, {}});
    daemon.server->apply(core::SendOutcome{1, first, 6, core::Outcome::unknown, 5, 0, {}});  // nobody waits for it
  });
  struct Part {
    std::uint64_t id, count, position;
  };
  for (const auto& part : {Part{10, 2, 7}, Part{12, 1, 9}, Part{20, 3, 10}}) {
    const auto reply = client.read_frame().value();
    CHECK(reply.id() == part.id);
    CHECK(reply.send_batch().count() == part.count);
    CHECK(reply.send_batch().position() == part.position);
  }
  wait_taken(client);
}

TEST_CASE("a large message as JSON") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.line(R"({"join":{"group":"g"}})");
  client.read_until("\"join\"");
  const std::string text(3000000, 'x');
  client.line(R"({"id":2,"send":{"group":"g","text":")" + text + "\"}}");
  CHECK(client.read_line().value().size() > text.size());
  CHECK_THAT(client.read_line().value(), Contains("delivered"));
}

TEST_CASE("an exclusion leaves no client guessing and no connection closed") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
  RawClient client(fixture.path);
  join(client, "g");
  client.frame(batch(10, "g", {"a", "b", "c"}));
  wait_taken(client);
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_joins = true; });
  client.frame(join(12, "h"));
  wait_taken(client);
  fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.exclude("too slow");
    daemon.hold_sends = daemon.hold_joins = false;
  });
  const auto excluded = client.read_frame()->event().excluded();
  CHECK(excluded.group() == "g");
  CHECK(excluded.why() == "too slow");
  const auto unknown = client.read_frame().value();
  CHECK(unknown.id() == 10);
  CHECK(unknown.send_batch().outcome() == pb::UNKNOWN);
  CHECK(unknown.send_batch().count() == 3);
  const auto refused = client.read_frame().value();
  CHECK(refused.id() == 12);
  CHECK(refused.error().code() == "excluded");
  join(client, "g");
}

TEST_CASE("a client with a session learns what an exclusion left open, when the session goes on") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.hold_sends = true;
    daemon.fates = {true, 1, {{3, 4}}};
  });
  RawClient client(fixture.path);
  join(client, "g");
  auto opening = request(1);
  opening.mutable_session()->set_session(77);
  client.frame(opening);
  const auto opened = client.read_frame()->session();
  CHECK(opened.known());
  CHECK(opened.forgotten() == 1);
  REQUIRE(opened.delivered_size() == 1);
  CHECK(opened.delivered(0).last() == 4);
  client.frame(batch(10, "g", {"a", "b", "c"}));
  wait_taken(client);
  fixture.daemon.run([](FakeDaemon& daemon) {
    CHECK(daemon.sends.back().number == 10);
    daemon.exclude("too slow");
    daemon.fates = {true, 0, {{3, 4}, {10, 11}}};
    daemon.server->incarnation_begins();
  });
  CHECK(client.read_frame()->event().has_excluded());
  const auto delivered = client.read_frame().value();
  CHECK(delivered.id() == 10);
  CHECK(delivered.send_batch().count() == 2);
  CHECK(delivered.send_batch().outcome() == pb::DELIVERED);
  const auto lost = client.read_frame().value();
  CHECK(lost.id() == 12);
  CHECK(lost.send_batch().outcome() == pb::NOT_DELIVERED);
  opening.mutable_session()->set_session(78);
  client.frame(opening);
  CHECK(client.read_frame()->error().code() == "bad_request");
}

TEST_CASE("watchers get the present state first, then what changes") {
  Fixture fixture;
  RawClient member(fixture.path);
  join(member, "g");
  fixture.daemon.run([](FakeDaemon& daemon) {
    core::GroupView view;
    view.name = "known";
    daemon.state.groups = {std::make_shared<core::GroupView>(view)};
  });
  RawClient watcher(fixture.path);
  watcher.line(R"({"id":1,"watch":{}})");
  CHECK_THAT(watcher.read_line().value(), Contains(R"("watch":{})"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"({"event":{"view":{"view":5)"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"({"event":{"quorum":{"has":true}}})"));
  CHECK_THAT(watcher.read_line().value(),
             Contains(R"("leader":{"node":1,"name":"alpha","view":5,"self":true,"lease_until_us":0})"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"("group":"known")"));
  fixture.daemon.run([](FakeDaemon& daemon) {
    auto next = std::make_shared<core::View>(*daemon.state.view);
    daemon.server->apply(core::ViewInstalled{daemon.state.view, 4, {}});
    next->ref.epoch = 6;
    next->left = {{next->members[0].pid, core::LeaveReason::crashed, core::Evidence::firm, {2, 3, 0}, {}}};
    next->members.erase(next->members.begin());
    daemon.server->apply(core::SuspicionChanged{daemon.self, core::Evidence::firm, {}, "reset"});
    daemon.server->apply(core::ViewInstalled{next, 5, {}});
    daemon.server->apply(core::QuorumChanged{false});
    daemon.server->apply(core::MemberSlow{{2, 3, 0}, std::chrono::milliseconds(2500)});
  });
  CHECK_THAT(watcher.read_until("suspect"), Contains(R"("name":"alpha","evidence":"firm","why":"reset")"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"("left":[{"node":1,"incarnation":1,"name":"alpha","reason":"crashed")"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"("leader":{"node":2)"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"("has":false)"));
  CHECK_THAT(watcher.read_line().value(), Contains(R"({"event":{"member_slow":{"node":2,"blocked_us":2500000,"name":"beta"}}})"));
  RawClient other(fixture.path);
  join(other, "g");
  CHECK_THAT(watcher.read_line().value(), Contains("group_view"));
}

TEST_CASE("who may do what") {
  const bool in_group = GENERATE(false, true);
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.admin_group = "0";
  options.credentials = in_group ? stranger_in_group_0 : stranger;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  for (const char* line : {R"({"cluster_leave":{}})", R"({"cluster_join":{"peers":["h:1"]}})", R"({"evict":{"member":"2"}})",
                           R"({"log_level":{"level":"debug"}})", R"({"reload":{}})", R"({"cold_start":{}})"}) {
    INFO(line);
    client.line(line);
    const auto reply = client.read_line().value();
    CHECK((reply.find("denied") != std::string::npos) == !in_group);
  }
  for (const char* line : {R"({"status":{}})", R"({"hello":{}})", R"({"send":{"group":"nowhere"}})"}) {
    client.line(line);
    CHECK(client.read_line().value().find("denied") == std::string::npos);
  }
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.seeds.size(); }) == (in_group ? 1 : 0));
}

TEST_CASE("a member is evicted by id or by name") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.line(R"({"id":1,"evict":{"member":"2","why":"test"}})");
  CHECK(client.read_line().value() == R"({"id":1,"evict":{}})");
  client.line(R"({"id":2,"evict":{"member":"beta"}})");
  CHECK(client.read_line().value() == R"({"id":2,"evict":{}})");
  client.line(R"({"id":3,"evict":{"member":"gamma"}})");
  CHECK_THAT(client.read_line().value(), Contains("no_such_member"));
}

TEST_CASE("the socket file") {
  TempDir dir;
  const std::string path = dir.file("s");
  asio::io_context io;
  SECTION("has its mode") {
    auto options = options_at(path);
    options.mode = 0600;
    FakeDaemon daemon(options);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777U) == 0600);
  }
  SECTION("of a live daemon is left alone") {
    FakeDaemon daemon(options_at(path));
    CHECK_THROWS_WITH(FakeDaemon(options_at(path)), Contains("another daemon answers"));
    RawClient still(path);
  }
  SECTION("of a dead daemon is replaced") {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd, 1) == 0);
    ::close(fd);
    FakeDaemon daemon(options_at(path));
    RawClient client(path);
  }
  SECTION("is not made out of another file") {
    std::ofstream(path) << "precious";
    CHECK_THROWS_WITH(FakeDaemon(options_at(path)), Contains("is not a socket"));
    CHECK(std::filesystem::file_size(path) == 8);
  }
  SECTION("goes with the daemon, unless it is another's by then") {
    FakeDaemon daemon(options_at(path));
    CHECK(std::filesystem::exists(path));
    std::filesystem::remove(path);
    FakeDaemon successor(options_at(path));
    daemon.stop();
    CHECK(std::filesystem::exists(path));
    successor.stop();
    CHECK_FALSE(std::filesystem::exists(path));
  }
  SECTION("cannot have a path that is too long") {
    CHECK_THROWS_WITH(FakeDaemon(options_at(dir.file(std::string(120, 'x')))), Contains("the kernel allows 107"));
  }
  SECTION("cannot be in a directory that is missing") {
    CHECK_THROWS_WITH(FakeDaemon(options_at(dir.file("no/s"))), Contains("No such file"));
  }
}

TEST_CASE("an admin group that does not exist is told") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.admin_group = "no-such-group-here";
  CHECK_THROWS_WITH(FakeDaemon(options), Contains("there is no group 'no-such-group-here'"));
}

TEST_CASE("a socket from systemd is used and its file left alone") {
  TempDir dir;
  const std::string path = dir.file("s");
  auto options = options_at(path);
  SECTION("if it is one") {
    options.listen_fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(options.listen_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(options.listen_fd, 1) == 0);
    {
      FakeDaemon daemon(options);
      RawClient client(path);
      client.line(R"({"hello":{}})");
      CHECK(client.read_line());
    }
    CHECK(std::filesystem::exists(path));
  }
  SECTION("and refused if it is not") {
    options.listen_fd = ::socket(AF_INET, SOCK_STREAM, 0);
    CHECK_THROWS_WITH(FakeDaemon(options), Contains("not a listening Unix stream socket"));
  }
}

TEST_CASE("shutting down tells every client") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.line(R"({"hello":{}})");
  REQUIRE(client.read_line());
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.server->shut_down("the daemon stops"); });
  CHECK_THAT(client.read_all(), Contains("the daemon stops"));
}

TEST_CASE("many clients at once") {
  Fixture fixture;
  std::vector<std::unique_ptr<RawClient>> clients;
  constexpr int kClients = 200;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<RawClient>(fixture.path));
    clients.back()->frame(join(1, "g"));
  }
  for (auto& client : clients) {
    while (!client->read_frame()->has_join()) {
    }
  }
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.deliver("g", body_of({"hello all"}), 1, true); });
  for (auto& client : clients) {
    auto reply = client->read_frame();
    while (reply && !reply->event().has_message_batch()) {
      reply = client->read_frame();
    }
    REQUIRE(reply);
    CHECK(reply->event().message_batch().body() == body_of({"hello all"}));
  }
}
