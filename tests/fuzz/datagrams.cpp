// Datagrams as anybody may send them: heartbeats and discovery. What is accepted has exactly one encoding.
//
// Input: one byte; if it is odd the checksum is put right, so that the fields behind it are reached.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crc.h"
#include "wire/datagram_codec.h"
#include "wire/discovery_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsync;
  if (size == 0) {
    return 0;
  }
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 1 && bytes.size() >= 4) {
    bytes.resize(bytes.size() - 4);
    bytes += Writer().put(crc32c(bytes)).take();
  }
  if (const auto datagram = wire::decode_datagram(bytes, {})) {
    VSYNC_ASSERT(wire::encode_datagram(*datagram) == bytes, "an accepted datagram has one encoding");
  }
  if (const auto datagram = wire::decode_discovery(bytes)) {
    VSYNC_ASSERT(wire::encode_discovery(*datagram) == bytes, "an accepted discovery datagram has one encoding");
  }
  return 0;
}
