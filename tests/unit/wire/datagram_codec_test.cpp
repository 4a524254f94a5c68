#include "wire/datagram_codec.h"

#include <catch2/catch.hpp>

#include "support/random_frames.h"

namespace vsync::wire {

TEST_CASE("every datagram survives the way there and back") {
  test::RandomFrames random(1);
  for (int round = 0; round < 500; ++round) {
    for (std::size_t kind = 0; kind < std::variant_size_v<core::Datagram>; ++kind) {
      const core::Datagram datagram = random.datagram(kind);
      const std::string bytes = encode_datagram(datagram);
      REQUIRE(bytes.size() <= kMaxDatagram);
      const auto back = decode_datagram(bytes, {});
      REQUIRE(back);
      REQUIRE(*back == datagram);
    }
  }
}

TEST_CASE("truncated, extended and changed datagrams are refused") {
  test::RandomFrames random(2);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Datagram>; ++kind) {
    const std::string bytes = encode_datagram(random.datagram(kind));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      REQUIRE_FALSE(decode_datagram(std::string_view(bytes).substr(0, size), {}));
    }
    REQUIRE_FALSE(decode_datagram(bytes + '\0', {}));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      REQUIRE_FALSE(decode_datagram(changed, {}));
    }
  }
}

TEST_CASE("datagrams of another cluster are refused; of none they are not") {
  core::Heartbeat beat;
  beat.uuid = {1, 2};
  CHECK(decode_datagram(encode_datagram(beat), {1, 2}));
  CHECK(decode_datagram(encode_datagram(beat), {}));
  CHECK(decode_datagram(encode_datagram(beat), {1, 3}).error().message == "wrong cluster");
  beat.uuid = {};
  CHECK(decode_datagram(encode_datagram(beat), {1, 2}));
}

TEST_CASE("foreign datagrams are recognised") {
  CHECK(decode_datagram("", {}).error().message == "not the peer protocol");
  CHECK(decode_datagram("\x12\x34\x01\x00 some dns query", {}).error().message == "not the peer protocol");
  CHECK(decode_datagram("vsyd and then nothing sensible", {}).error().message == "wrong checksum");
  CHECK(decode_datagram(std::string(70000, 'v'), {}).error().message == "not the peer protocol");
}

}  // namespace vsync::wire
