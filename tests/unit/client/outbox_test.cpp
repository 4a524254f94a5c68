#include "client/outbox.h"

#include <catch2/catch.hpp>

using namespace vsync;

TEST_CASE("tickets rise by one and batches break where the way of sending differs") {
  FrameSocket socket;
  Outbox outbox(1000);
  CHECK(outbox.add(socket, "g", "a", {}) == 1);
  CHECK(outbox.add(socket, "g", "b", {}) == 2);
  CHECK(socket.unwritten() == 0);
  CHECK(outbox.add(socket, "h", "c", {}) == 3);  // another group
  const auto one = socket.unwritten();
  CHECK(one > 0);
  CHECK(outbox.add(socket, "h", "d", {.service = Service::fifo}) == 4);
  CHECK(socket.unwritten() > one);
  CHECK(outbox.unanswered_bytes() == 4 * 5);
  CHECK(outbox.unanswered_messages() == 4);
}

TEST_CASE("a full batch becomes a frame") {
  FrameSocket socket;
  Outbox outbox(100);
  for (int i = 0; i < 11; ++i) {
    outbox.add(socket, "g", "123456", {});
  }
  CHECK(socket.unwritten() > 100);
  CHECK(socket.unwritten() < 150);
}

TEST_CASE("outcomes settle messages once") {
  FrameSocket socket;
  Outbox outbox(1000);
  for (int i = 0; i < 10; ++i) {
    outbox.add(socket, "g", "x", {});
  }
  outbox.close_batch(socket);
  CHECK(outbox.settle(1, 4) == 4);
  CHECK(outbox.settle(4, 1) == 0);
  CHECK(outbox.unanswered_bytes() == 50);
  CHECK(outbox.settle(5, 100) == 6);
  CHECK(outbox.unanswered_bytes() == 0);
  CHECK(outbox.empty());
  CHECK(outbox.settle(5, 1) == 0);
  CHECK(outbox.settle(99, 1) == 0);
}

TEST_CASE("a refused batch: what is unanswered of it was not delivered") {
  FrameSocket socket;
  Outbox outbox(1000);
  for (int i = 0; i < 3; ++i) {
    outbox.add(socket, "g", "x", {});
  }
  outbox.close_batch(socket);
  const auto sent = outbox.refuse(1, "wrong_view");
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].first == 1);
  CHECK(sent[0].count == 3);
  CHECK(sent[0].fate == Fate::not_delivered);
  CHECK(sent[0].code == "wrong_view");
  CHECK(outbox.refuse(1, "wrong_view").empty());
  CHECK(outbox.empty());
  CHECK(outbox.unanswered_bytes() == 0);
}

TEST_CASE("outcomes of one batch come in any order: each message keeps its own") {
  FrameSocket socket;
  Outbox outbox(1000);
  for (int i = 0; i < 9; ++i) {
    outbox.add(socket, "g", "x", {});
  }
  outbox.close_batch(socket);
  outbox.add(socket, "g", "another batch", {});
  outbox.close_batch(socket);
  CHECK(outbox.settle(7, 2) == 2);  // 1 to 3 are in doubt at the daemon, 4 to 6 not sent yet
  CHECK(outbox.settle(7, 2) == 0);
  CHECK(outbox.settle(4, 1) == 1);
  CHECK(outbox.unanswered_messages() == 7);
  for (const Ticket ticket : {4U, 7U, 8U}) {
    CHECK(outbox.settle(ticket, 1) == 0);
  }
  CHECK(outbox.unanswered_messages() == 7);
  SECTION("the late ones follow") {
    CHECK(outbox.settle(1, 3) == 3);
    CHECK(outbox.settle(5, 2) == 2);
    CHECK(outbox.settle(9, 1) == 1);
    CHECK(outbox.settle(10, 1) == 1);
  }
  SECTION("or the connection breaks, and the next one tells") {
    CHECK(outbox.abandon(socket.appended_total(), true).empty());
    control::v1::SessionReply session;
    session.set_known(true);
    auto* delivered = session.add_delivered();
    delivered->set_first(1);
    delivered->set_last(8);
    std::vector<std::pair<Ticket, Ticket>> told;
    for (const Sent& sent : outbox.resolve(session)) {
      told.emplace_back(sent.first, sent.first + sent.count - 1);
      CHECK((sent.fate == Fate::delivered) == (sent.first < 9));
    }
    CHECK(told == std::vector<std::pair<Ticket, Ticket>>{{1, 3}, {5, 6}, {9, 9}, {10, 10}});
  }
  SECTION("or it is refused") {
    std::uint64_t refused = 0;
    for (const Sent& sent : outbox.refuse(1, "wrong_view")) {
      refused += sent.count;
    }
    CHECK(refused == 6);
    CHECK(outbox.settle(10, 1) == 1);
  }
  CHECK(outbox.empty());
  CHECK(outbox.unanswered_bytes() == 0);
  CHECK(outbox.unanswered_messages() == 0);
}

TEST_CASE("a lost connection: only what it had taken whole is unknown") {
  FrameSocket socket;
  Outbox outbox(1000);
  outbox.add(socket, "g", "1", {});
  outbox.close_batch(socket);
  const auto first_end = socket.appended_total();
  outbox.add(socket, "g", "2", {});
  outbox.add(socket, "g", "3", {});
  outbox.close_batch(socket);
  outbox.add(socket, "g", "4", {});
  const auto fates = outbox.abandon(first_end + 1, false);
  REQUIRE(fates.size() == 3);
  CHECK(fates[0].fate == Fate::unknown);
  CHECK(fates[1].first == 2);
  CHECK(fates[1].count == 2);
  CHECK(fates[1].fate == Fate::not_delivered);
  CHECK(fates[2].first == 4);
  CHECK(fates[2].fate == Fate::not_delivered);
  CHECK(outbox.empty());
  CHECK(outbox.unanswered_bytes() == 0);
  CHECK(outbox.add(socket, "g", "5", {}) == 5);
}

TEST_CASE("what is in doubt is resolved batch by batch, in order") {
  FrameSocket socket;
  Outbox outbox(1000);
  for (const auto* message : {"1", "2", "3"}) {
    outbox.add(socket, "g", message, {});
  }
  outbox.close_batch(socket);
  CHECK(outbox.settle(1, 1) == 1);
  CHECK(outbox.abandon(socket.appended_total(), true).empty());
  CHECK(outbox.unanswered_bytes() == 15);
  outbox.add(socket, "g", "4", {});
  outbox.close_batch(socket);
  control::v1::SessionReply session;
  session.set_known(true);
  auto* delivered = session.add_delivered();
  delivered->set_first(1);
  delivered->set_last(2);
  const auto fates = outbox.resolve(session);
  REQUIRE(fates.size() == 2);
  CHECK(fates[0].first == 2);
  CHECK(fates[0].count == 1);
  CHECK(fates[0].fate == Fate::delivered);
  CHECK(fates[1].first == 3);
  CHECK(fates[1].fate == Fate::not_delivered);
  CHECK(outbox.unanswered_bytes() == 5);
  CHECK(outbox.settle(4, 1) == 1);
}
