#include "wire/discovery_codec.h"

#include <catch2/catch.hpp>

#include "base/codec.h"
#include "wire/datagram_seal.h"

namespace vsync::wire {
namespace {

Found found() {
  return {7, "office", "0.1.0", {1, 2}, {{"10.0.0.1", 7475}, {"beta", 80}}};
}

/// `bytes` with another byte at `at`, and a checksum that fits.
std::string resealed(std::string bytes, std::size_t at, char value) {
  bytes.resize(bytes.size() - kDatagramChecksum);
  bytes[at] = value;
  return seal_datagram(bytes);
}

std::string why(const std::string& bytes) {
  const auto decoded = decode_discovery(bytes);
  return decoded ? "" : decoded.error().message;
}

}  // namespace

TEST_CASE("questions and answers survive the way there and back") {
  const Discovery seek = Seek{42, "office"};
  CHECK(encode_discovery(seek).size() == kMaxDatagram);
  CHECK(decode_discovery(encode_discovery(seek)) == seek);
  const Discovery answer = found();
  CHECK(decode_discovery(encode_discovery(answer)) == answer);
}

TEST_CASE("an answer is never longer than a question; what does not fit is left out") {
  Found full = found();
  full.places.assign(kMaxPlaces + 5, {"10.0.0.1", 1});
  auto decoded = decode_discovery(encode_discovery(full));
  REQUIRE(decoded);
  CHECK(std::get<Found>(*decoded).places.size() == kMaxPlaces);

  full.cluster = std::string(kMaxClusterName, 'c');
  full.places.assign(kMaxPlaces, {std::string(255, 'h'), 1});
  const auto bytes = encode_discovery(full);
  CHECK(bytes.size() <= kMaxDatagram);
  decoded = decode_discovery(bytes);
  REQUIRE(decoded);
  CHECK(std::get<Found>(*decoded).places.size() == 4);
}

TEST_CASE("truncated, extended and changed discovery datagrams are refused") {
  for (const Discovery& datagram : {Discovery(Seek{42, "office"}), Discovery(found())}) {
    const std::string bytes = encode_discovery(datagram);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      REQUIRE_FALSE(decode_discovery(std::string_view(bytes).substr(0, size)));
    }
    REQUIRE_FALSE(decode_discovery(bytes + '\0'));
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      std::string changed = bytes;
      changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
      REQUIRE_FALSE(decode_discovery(changed));
    }
  }
}

TEST_CASE("what a discovery datagram says is checked") {
  constexpr std::size_t kProto = 4;
  constexpr std::size_t kType = 6;
  constexpr std::size_t kFlags = 7;
  constexpr std::size_t kNameSize = 16;
  constexpr std::size_t kName = 20;
  const auto question = encode_discovery(Seek{42, "office"});
  const auto answer = encode_discovery(found());
  CHECK(why("GET / HTTP/1.1") == "not the peer protocol");
  CHECK(why(resealed(question, kProto, 9)) == "unsupported protocol version");
  CHECK(why(resealed(question, kType, 3)) == "unknown datagram type");
  CHECK(why(resealed(question, kFlags, 1)) == "unknown datagram flags");
  CHECK(why(resealed(question, kNameSize, 0)) == "not a printable name");
  CHECK(why(resealed(question, kNameSize, 65)) == "not a printable name");
  CHECK(why(resealed(question, kName, '\n')) == "not a printable name");
  CHECK(why(resealed(question, 1000, 'x')) == "unknown datagram content");
  CHECK(why(resealed(answer, kType, 1)) == "wrong datagram size");  // a short question could ask for a long answer

  Found bad = found();
  bad.places.clear();
  CHECK(why(encode_discovery(bad)) == "number out of range");
  bad = found();
  bad.places.front().port = 0;
  CHECK(why(encode_discovery(bad)) == "number out of range");
  bad = found();
  bad.uuid = {};
  CHECK(why(encode_discovery(bad)) == "number out of range");
  bad = found();
  bad.version = "1\x1b[2J";
  CHECK(why(encode_discovery(bad)) == "not a printable name");
}

}  // namespace vsync::wire
