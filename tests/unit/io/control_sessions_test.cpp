// C6 at the control socket: clients with a session.
#include <catch2/catch.hpp>

#include "unit/io/control_fixture.h"

using namespace vsync;
using namespace vsync::test;

namespace {

pb::Request session_request(std::uint64_t id, std::uint64_t session = 77) {
  auto made = request(id);
  made.mutable_session()->set_session(session);
  return made;
}

/// A client with a session and a send without outcome.
struct Story {
  Fixture fixture;
  RawClient client{fixture.path};

  Story() {
    fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
    join(client, "g");
    client.frame(session_request(1));
    REQUIRE(client.read_frame()->has_session());
    send(10);
  }
  void send(std::uint64_t id) {
    auto made = request(id);
    made.mutable_send()->set_group("g");
    client.frame(made);
    wait_taken(client);
  }
};

}  // namespace

TEST_CASE("a session that could not go on at one Node goes on at the next, and nothing is told before") {
  const std::string code = GENERATE("excluded", "not_member");
  Story story;
  story.fixture.daemon.run([&](FakeDaemon& daemon) {
    daemon.exclude("too slow");
    daemon.hold_sessions = true;
    daemon.server->incarnation_begins();
    daemon.server->apply(core::RequestRefused{1, daemon.sessions.back().request, code, "too slow again"});
    daemon.exclude("too slow again");
    daemon.hold_sessions = false;
    daemon.fates = {true, 0, {{10, 10}}};
    daemon.server->incarnation_begins();
  });
  CHECK(story.client.read_frame()->event().has_excluded());
  const auto outcome = story.client.read_frame().value();
  CHECK(outcome.id() == 10);
  CHECK(outcome.send().outcome() == "delivered");
}

TEST_CASE("who stops sending while its sends are in doubt still gets their outcomes") {
  Story story;
  story.client.end_of_input();
  story.fixture.daemon.run([](FakeDaemon& daemon) { daemon.exclude("too slow"); });
  CHECK(story.client.read_frame()->event().has_excluded());
  story.fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.fates = {true, 0, {{10, 10}}};
    daemon.server->incarnation_begins();
  });
  const auto outcome = story.client.read_frame();
  REQUIRE(outcome);
  CHECK(outcome->send().outcome() == "delivered");
  CHECK_FALSE(story.client.read_frame());  // and nothing more is to come
}

TEST_CASE("who has opened its session elsewhere has none here any more") {
  Story story;
  story.fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.exclude("too slow");
    daemon.hold_sessions = true;
    daemon.server->incarnation_begins();
    daemon.server->apply(core::RequestRefused{1, daemon.sessions.back().request, "busy", "it is open"});
  });
  CHECK(story.client.read_frame()->event().has_excluded());
  CHECK(story.client.read_frame()->send().outcome() == "unknown");
  join(story.client, "g");
  story.send(11);
  CHECK(story.fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.back().number; }) == 0);
}

TEST_CASE("the sends of a session have numbers that rise") {
  Fixture fixture;
  RawClient client(fixture.path);
  join(client, "g");
  auto opening = session_request(1);
  opening.mutable_session()->set_first(core::kLastNumber + 1);
  client.frame(opening);
  CHECK(client.read_frame()->error().code() == "bad_request");
  client.frame(session_request(1));
  REQUIRE(client.read_frame()->has_session());
  const auto outcome = [&](std::uint64_t id, std::uint32_t count) {
    auto made = request(id);
    if (count == 1) {
      made.mutable_send()->set_group("g");
    } else {
      made.mutable_send_batch()->set_group("g");
      made.mutable_send_batch()->set_count(count);
      made.mutable_send_batch()->set_body(body_of({"a", "b"}));
    }
    client.frame(made);
    auto reply = client.read_frame().value();
    while (reply.id() != id) {
      reply = client.read_frame().value();
    }
    return reply.has_error() ? reply.error().code() : std::string("delivered");
  };
  CHECK(outcome(~std::uint64_t{0}, 1) == "bad_request");
  CHECK(outcome(100, 1) == "delivered");
  CHECK(outcome(101, 2) == "delivered");
  CHECK(outcome(102, 1) == "bad_request");
  CHECK(outcome(core::kLastNumber, 2) == "bad_request");
  CHECK(outcome(core::kLastNumber, 1) == "delivered");
  CHECK(outcome(~std::uint64_t{0}, 2) == "bad_request");
}

TEST_CASE("of two sessions that are asked for at once the connection has the one that was opened") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sessions = true; });
  RawClient client(fixture.path);
  client.frame(session_request(1, 77));
  client.frame(session_request(2, 78));
  wait_taken(client);
  fixture.daemon.run([](FakeDaemon& daemon) {
    REQUIRE(daemon.sessions.size() == 2);
    daemon.server->apply(core::RequestRefused{1, daemon.sessions[1].request, "bad_request", "a connection has one session"});
    daemon.server->apply(core::SessionOpened{1, daemon.sessions[0].request, {}});
    daemon.hold_sessions = false;
  });
  CHECK(client.read_frame()->error().code() == "bad_request");
  CHECK(client.read_frame()->has_session());
  client.frame(session_request(3, 78));
  CHECK(client.read_frame()->error().code() == "bad_request");
  client.frame(session_request(4, 77));
  CHECK(client.read_frame()->has_session());
}
