#include "wire/record_codec.h"

#include <catch2/catch.hpp>

#include "base/crc.h"
#include "support/random_frames.h"

namespace vsync::wire {

namespace {
using Kind = RecordError::Kind;

Identity some_identity() {
  return {{1, 2}, 3, "web1", 99, 4, {1000, 2000}};
}
}  // namespace

TEST_CASE("CRC-32C gives the standard check value") {
  CHECK(crc32c("123456789") == 0xe3069283U);
  CHECK(crc32c("6789", crc32c("12345")) == 0xe3069283U);
  CHECK(crc32c("") == 0);
}

TEST_CASE("records survive the way there and back") {
  const auto identity = decode_identity(encode_identity(some_identity()));
  REQUIRE(identity);
  CHECK(*identity == some_identity());

  test::RandomFrames random(1);
  for (int round = 0; round < 200; ++round) {
    const core::AcceptorRecord record = random.acceptor();
    const auto back = decode_acceptor(encode_acceptor(record));
    REQUIRE(back);
    REQUIRE(test::same(*back, record));
  }
}

TEST_CASE("a torn, extended or changed record is damaged") {
  test::RandomFrames random(2);
  const std::string bytes = encode_acceptor(random.acceptor());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto record = decode_acceptor(std::string_view(bytes).substr(0, size));
    REQUIRE_FALSE(record);
    REQUIRE(record.error().kind == Kind::damaged);
  }
  CHECK(decode_acceptor(bytes + '\0').error().kind == Kind::damaged);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string changed = bytes;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    REQUIRE_FALSE(decode_acceptor(changed));
  }
}

TEST_CASE("foreign and newer records are told apart from damaged ones") {
  std::string bytes = encode_identity(some_identity());
  CHECK(decode_acceptor(bytes).error().kind == Kind::foreign);
  CHECK(decode_identity("#!/bin/sh\n").error().kind == Kind::foreign);
  CHECK(decode_identity(std::string(100, '\0')).error().kind == Kind::foreign);
  bytes[8] = 2;  // format
  CHECK(decode_identity(bytes).error().kind == Kind::newer);
}

TEST_CASE("an identity without vote epoch and an acceptance without promise are damaged") {
  Identity identity = some_identity();
  identity.vote_epoch = 0;
  CHECK(decode_identity(encode_identity(identity)).error().kind == Kind::damaged);

  test::RandomFrames random(3);
  core::AcceptorRecord record;
  record.decided = random.view();
  record.promised = {1, 1};
  record.accepted = core::AcceptedValue{{1, 2}, random.view()};
  CHECK(decode_acceptor(encode_acceptor(record)).error().message == "accepted value without its promise");
}

}  // namespace vsync::wire
