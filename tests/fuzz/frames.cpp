// A stream of frames as a peer may send it. However its reads are split, the same frames come out and it ends at the same place;
// and every frame that is accepted means the same after one more encoding.
//
// Input: one byte that says how the reads are split, then the stream.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/assert.h"
#include "io/transport_buffer.h"
#include "support/random_frames.h"
#include "wire/frame_codec.h"

namespace {

using namespace vsync;

struct Outcome {
  std::vector<core::Frame> frames;
  std::string error;
};

/// Takes all complete frames, as io::Connection does. False after an error.
bool take_frames(io::ReceiveBuffer& buffer, Outcome& outcome) {
  while (true) {
    const auto size = wire::frame_size(buffer.unread());
    if (!size) {
      outcome.error = size.error().message;
      return false;
    }
    if (*size == 0) {
      return true;
    }
    if (buffer.unread().size() < *size) {
      buffer.expect(*size);
      return true;
    }
    auto frame = wire::decode_frame(buffer.take(*size));
    if (!frame) {
      outcome.error = frame.error().message;
      return false;
    }
    outcome.frames.push_back(std::move(*frame));
  }
}

Outcome receive(std::string_view stream, std::size_t read_size) {
  io::BlockPool pool;
  io::ReceiveBuffer buffer(pool);
  Outcome outcome;
  while (!stream.empty()) {
    const auto space = buffer.space();
    const std::size_t count = std::min({space.size(), stream.size(), read_size});
    VSYNC_ASSERT(count > 0, "a receive buffer always has room");
    std::memcpy(space.data(), stream.data(), count);
    buffer.filled(count);
    stream.remove_prefix(count);
    if (!take_frames(buffer, outcome)) {
      break;
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = receive(stream, stream.size() + 1);
  const Outcome split = receive(stream, 1 + data[0]);
  VSYNC_ASSERT(whole.error == split.error, "the split of reads does not change the verdict");
  VSYNC_ASSERT(std::ranges::equal(whole.frames, split.frames, [](const auto& a, const auto& b) { return test::same(a, b); }),
               "the split of reads does not change the frames");
  for (const core::Frame& frame : whole.frames) {
    const auto again = wire::decode_frame(Slice::take(test::joined(wire::encode_frame(frame))));
    VSYNC_ASSERT(again.has_value() && test::same(*again, frame), "an accepted frame can be sent on");
  }
  return 0;
}
