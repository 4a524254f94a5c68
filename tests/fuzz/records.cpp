// Files of the state directory, torn or garbled. What is accepted means the same after one more encoding.
//
// Input: one byte: 0 the bytes are a file; 1 and 2 they are the content of an identity and of an acceptor, and get a right
// header.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crc.h"
#include "support/random_frames.h"
#include "wire/record_codec.h"

namespace {

std::string sealed(std::uint16_t kind, std::string_view content) {
  vsync::Writer head;
  head.raw("vsyncrec").put(std::uint16_t{1}).put(kind).put(static_cast<std::uint32_t>(content.size())).put(std::uint32_t{0});
  const std::string checked = head.take();
  return checked + head.put(vsync::crc32c(content, vsync::crc32c(checked))).raw(content).take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsync;
  if (size == 0) {
    return 0;
  }
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto kind = static_cast<std::uint16_t>(data[0] % 3);
  const std::string bytes = kind == 0 ? std::string(input) : sealed(kind, input);
  if (const auto identity = wire::decode_identity(bytes)) {
    VSYNC_ASSERT(wire::decode_identity(wire::encode_identity(*identity)) == *identity, "an accepted identity can be written");
  }
  if (const auto record = wire::decode_acceptor(bytes)) {
    const auto again = wire::decode_acceptor(wire::encode_acceptor(*record));
    VSYNC_ASSERT(again.has_value() && test::same(*again, *record), "an accepted record can be written");
  }
  return 0;
}
