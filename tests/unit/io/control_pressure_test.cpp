// Members that do not read: gap, block, disconnect; and credit for those who send.
#include <catch2/catch.hpp>
#include <memory>
#include <thread>

#include "unit/io/control_fixture.h"

using namespace vsync;
using namespace vsync::test;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t kMark = 300'000;

/// Asked on a connection of its own.
pb::Status status_of(const Fixture& fixture) {
  RawClient client(fixture.path);
  auto asked = request(1);
  asked.mutable_status();
  client.frame(asked);
  return client.read_frame().value().status();
}

pb::Request slow_join(pb::WhenSlow when_slow, std::uint32_t block_ms = 0) {
  auto made = join(1, "g");
  made.mutable_join()->set_when_slow(when_slow);
  made.mutable_join()->set_block_ms(block_ms);
  made.mutable_join()->set_backlog_bytes(kMark);
  return made;
}

void enter(RawClient& client, const pb::Request& request) {
  client.frame(request);
  REQUIRE(client.read_frame()->event().has_group_view());
  REQUIRE(client.read_frame()->has_join());
}

/// Messages 1, 2, … of 10,000 bytes, until `enough`.
template <typename Enough>
int flood(Fixture& fixture, Enough enough) {
  for (int sent = 1; sent <= 1000; ++sent) {
    const bool done = fixture.daemon.run([&](FakeDaemon& fake) {
      fake.deliver("g", body_of({std::to_string(sent) + std::string(10'000, ' ')}), 1, true);
      return enough(fake);
    });
    if (done) {
      return sent;
    }
  }
  FAIL("nothing happens");
  return 0;
}

template <typename Condition>
bool comes(Fixture& fixture, Condition condition) {
  for (int i = 0; i < 100'000; ++i) {
    if (fixture.daemon.run(condition)) {
      return true;
    }
    std::this_thread::yield();
  }
  return false;
}

}  // namespace

TEST_CASE("gap: a member that does not read leaves, is told from where on, and may come again") {
  Fixture fixture;
  RawClient slow(fixture.path);
  RawClient watcher(fixture.path);
  enter(slow, slow_join(pb::GAP));
  watcher.line(R"({"watch":{}})");
  const auto told = [&](const std::string& text) {
    for (auto line = watcher.read_line(); line; line = watcher.read_line()) {
      if (line->find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  };
  int delivered = 0;
  std::thread feeder([&] {
    for (; delivered < 200; ++delivered) {
      fixture.daemon.run([&](FakeDaemon& fake) {
        fake.deliver("g", body_of({std::to_string(delivered + 1) + std::string(10'000, ' ')}), 1, true);
      });
    }
  });
  CHECK(told(R"("action":"gap")"));
  CHECK(told(R"("reason":"slow")"));
  feeder.join();
  std::uint64_t last = 0;
  std::optional<pb::GapEvent> gap;
  while (!gap) {
    const auto reply = slow.read_frame();
    REQUIRE(reply);
    if (reply->event().has_gap()) {
      gap = reply->event().gap();
    } else if (reply->event().has_message_batch()) {
      CHECK(reply->event().message_batch().position() == last + 1);
      last = reply->event().message_batch().position();
    }
  }
  CHECK(gap->group() == "g");
  CHECK(gap->position() == last + 1);
  CHECK(gap->missed() > 0);
  auto again = slow_join(pb::GAP);
  again.set_id(2);
  enter(slow, again);
}

TEST_CASE("gap: who goes away in the same moment leaves first, whoever else goes") {
  Fixture fixture;
  auto other = std::make_unique<RawClient>(fixture.path);
  auto slow = std::make_unique<RawClient>(fixture.path);
  join(*other, "other");
  enter(*slow, slow_join(pb::GAP));
  fixture.daemon.run([&](FakeDaemon& fake) {
    other.reset();
    slow.reset();
    fake.deliver("other", body_of({"it is found gone"}), 1, true);
    fake.server->end_of_turn();
    for (int i = 0; i < 3; ++i) {
      fake.deliver("g", body_of({std::string(kMark, ' ')}), 1, true);
    }
    fake.server->end_of_turn();
  });
  CHECK(comes(fixture, [](FakeDaemon& fake) { return fake.told.size() == 3; }));
  CHECK(fixture.daemon.run([](FakeDaemon& fake) { return fake.told; }) ==
        std::vector<std::string>{"gone 1", "leave 2", "gone 2"});
}

TEST_CASE("gap: who has missed messages is not asked for the state behind them") {
  Fixture fixture;
  RawClient slow(fixture.path);
  enter(slow, slow_join(pb::GAP));
  flood(fixture, [asked = std::uint64_t{0}](FakeDaemon& fake) mutable {
    fake.server->apply(core::StateRequested{1, "g", ++asked, 1, 1});  // the token: of the message that it comes behind
    return asked == 200;                                              // 2 MB: the mark, and what the kernel takes
  });
  std::uint64_t last = 0;
  for (bool dropped = false; !dropped;) {
    const auto reply = slow.read_frame();
    REQUIRE(reply);
    dropped = reply->event().has_gap();
    if (reply->event().has_message_batch()) {
      last = reply->event().message_batch().position();
    } else if (reply->event().has_state_request()) {
      CHECK(reply->event().state_request().token() <= last);
    }
  }
  CHECK(last > 0);
}

TEST_CASE("gap: nothing of the state comes behind it") {
  Fixture fixture;
  RawClient slow(fixture.path);
  enter(slow, slow_join(pb::GAP));
  fixture.daemon.run([](FakeDaemon& fake) {
    const auto piece = [&](bool last) {
      fake.server->apply(core::StateArrived{{1}, "g", 1, 0, last, false, Slice::copy_of(std::string(kMark, 's'))});
    };
    for (int i = 0; i < 8; ++i) {
      piece(false);  // more than the kernel takes, and it is no reason to be dropped
    }
    CHECK(fake.told.empty());
    for (int i = 0; i < 3; ++i) {
      fake.deliver("g", body_of({std::string(kMark, ' ')}), 1, true);
    }
    piece(true);
  });
  for (bool dropped = false; !dropped;) {
    const auto reply = slow.read_frame();
    REQUIRE(reply);
    CHECK_FALSE(reply->event().state().last());
    dropped = reply->event().has_gap();
  }
  auto again = slow_join(pb::GAP);
  again.set_id(2);
  slow.frame(again);
  for (auto reply = slow.read_frame(); !reply.value().has_join(); reply = slow.read_frame()) {
    CHECK_FALSE(reply->event().has_state());
  }
}

TEST_CASE("gap: no event of the group comes behind it") {
  Fixture fixture;
  RawClient slow(fixture.path);
  enter(slow, slow_join(pb::GAP));
  fixture.daemon.run([](FakeDaemon& fake) {
    for (int i = 0; i < 8; ++i) {
      fake.deliver("g", body_of({std::string(kMark, ' ')}), 1, true);
    }
    fake.server->apply(core::LeaseGranted{1, 1, 5, {}, {}});
    fake.server->apply(core::StableReached{1, {1}, 5, 8, {}});
    fake.server->apply(core::HistoryDurable{"g", 1, {}});
  });
  auto again = slow_join(pb::GAP);
  again.set_id(2);
  slow.frame(again);
  bool dropped = false;
  for (auto reply = slow.read_frame(); reply.value().id() != 2; reply = slow.read_frame()) {
    dropped = dropped || reply->event().has_gap();
    CHECK_FALSE(reply->event().has_lease());
    CHECK_FALSE(reply->event().has_stable());
    CHECK_FALSE(reply->event().has_durable());
  }
  CHECK(dropped);
}

TEST_CASE("gap: what a member missed while its state came is given as it reads, and its mark is not for that") {
  Fixture fixture;
  RawClient late(fixture.path);
  enter(late, slow_join(pb::GAP));
  constexpr int kMissed = 8;
  fixture.daemon.run([](FakeDaemon& fake) {
    for (int i = 0; i < kMissed; ++i) {
      fake.deliver("g", body_of({std::string(kMark, ' ')}), 1, true, {{}, {1}});
    }
  });
  for (int i = 0; i < kMissed; ++i) {
    CHECK(late.read_frame()->event().has_message_batch());
  }
}

TEST_CASE("block: a member that does not read holds its group, and releases it when it has read") {
  Fixture fixture;
  RawClient slow(fixture.path);
  enter(slow, slow_join(pb::BLOCK, 600'000));
  const int sent = flood(fixture, [](FakeDaemon& fake) { return !fake.holds.empty(); });
  CHECK(fixture.daemon.run([](FakeDaemon& fake) { return fake.holds.front().held && fake.holds.front().group == 1; }));
  RawClient status(fixture.path);
  status.line(R"({"status":{}})");
  CHECK_THAT(status.read_line().value(), Contains(R"("action":"held")"));
  for (int i = 0; i < sent; ++i) {
    REQUIRE(slow.read_frame()->event().has_message_batch());
  }
  CHECK(comes(fixture, [](FakeDaemon& fake) { return fake.holds.size() == 2 && !fake.holds.back().held; }));
}

TEST_CASE("block: the group waits no longer than the member may be waited for") {
  Fixture fixture;
  RawClient slow(fixture.path);
  RawClient watcher(fixture.path);
  enter(slow, slow_join(pb::BLOCK, 1));
  watcher.line(R"({"watch":{}})");
  flood(fixture, [](FakeDaemon& fake) { return !fake.holds.empty(); });
  for (auto line = watcher.read_line(); line && line->find(R"("action":"disconnected")") == std::string::npos;) {
    line = watcher.read_line();
    REQUIRE(line);
  }
  std::optional<pb::Reply> last;
  while (auto reply = slow.read_frame()) {
    last = reply;
  }
  CHECK_THAT(last.value().event().closing().why(), Contains("has waited 1 ms for you"));
}

TEST_CASE("the status names the group that a client holds, and the client as it is named there") {
  Fixture fixture;
  RawClient slow(fixture.path);
  auto held = slow_join(pb::BLOCK, 600'000);
  held.mutable_join()->set_member_name("in g");
  enter(slow, held);
  auto other = join(2, "other");
  other.mutable_join()->set_member_name("in other");
  enter(slow, other);
  flood(fixture, [](FakeDaemon& fake) { return !fake.holds.empty(); });
  fixture.daemon.run([](FakeDaemon& fake) { fake.deliver("other", body_of({std::string(10 * kMark, ' ')}), 1, true); });
  const auto status = status_of(fixture);
  REQUIRE(status.slow_clients_size() == 1);
  CHECK(status.slow_clients(0).group() == "g");
  CHECK(status.slow_clients(0).action() == "held");
  CHECK(status.slow_clients(0).member().name() == "in g");
}

TEST_CASE("the status names a client that is in no group and does not read") {
  Fixture fixture;
  RawClient watcher(fixture.path);
  auto watching = request(1);
  watching.mutable_watch();
  watcher.frame(watching);
  REQUIRE(watcher.read_frame()->has_watch());
  fixture.daemon.run([](FakeDaemon& fake) {
    fake.server->apply(core::SuspicionChanged{{2, 3, 0}, core::Evidence::soft, {}, std::string(10 * kMark, ' ')});
  });
  const auto status = status_of(fixture);
  REQUIRE(status.slow_clients_size() == 1);
  CHECK(status.slow_clients(0).group().empty());
  CHECK(status.slow_clients(0).action() == "behind");
  CHECK(status.slow_clients(0).member().node() == 1);
  CHECK(status.slow_clients(0).member().client() == 1);
}

TEST_CASE("disconnect: at the mark that it named itself") {
  Fixture fixture;
  RawClient slow(fixture.path);
  enter(slow, slow_join(pb::DISCONNECT));
  flood(fixture, [count = 0](FakeDaemon&) mutable { return ++count == 200; });  // 2 MB: the mark, and what the kernel takes
  std::optional<pb::Reply> last;
  while (auto reply = slow.read_frame()) {
    last = reply;
  }
  CHECK_THAT(last.value().event().closing().why(), Contains("of group g are waiting for you"));
}

TEST_CASE("a when_slow that is not known is refused") {
  Fixture fixture;
  RawClient client(fixture.path);
  client.frame(slow_join(static_cast<pb::WhenSlow>(7)));
  CHECK(client.read_frame()->error().code() == "bad_request");
}

TEST_CASE("credit: who asks is told what may be sent, and is not read beyond it") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.limits.max_unanswered = 80'000;
  FakeDaemon daemon(options);
  RawClient client(dir.file("s"));
  auto hello = request(1);
  hello.mutable_hello()->set_credit(true);
  client.frame(hello);
  CHECK(client.read_frame()->hello().max_unanswered() == 80'000);
  CHECK(client.read_frame()->event().credit().bytes() == 80'000);
  join(client, "g");
  daemon.run([](FakeDaemon& fake) { fake.hold_sends = true; });
  for (std::uint64_t id = 10; id < 20; ++id) {
    client.frame(batch(id, "g", {std::string(20'000 - 4, 'x')}));
  }
  for (const std::uint64_t left : {60'000U, 40'000U, 20'000U, 0U}) {
    CHECK(client.read_frame()->event().credit().bytes() == left);
  }
  CHECK(daemon.run([](FakeDaemon& fake) { return fake.sends.size(); }) == 4);
  daemon.run([](FakeDaemon& fake) { fake.release_sends(); });
  int outcomes = 0;
  std::uint64_t credit = 0;
  while (outcomes < 10 || credit < 80'000) {
    const auto reply = client.read_frame();
    REQUIRE(reply);
    outcomes += reply->has_send_batch() ? 1 : 0;
    credit = reply->event().has_credit() ? reply->event().credit().bytes() : credit;
  }
}
