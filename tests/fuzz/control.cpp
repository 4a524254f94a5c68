// Requests on the control socket as any local program may send them, in both encodings.
//
// Input: one byte: odd = a line of JSON, even = a binary frame; then its bytes.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "base/slice.h"
#include "io/control_codec.h"

namespace {

constexpr std::size_t kMaxMessage = std::size_t{1} << 20U;

/// A body that was found good can be walked through to its end.
void check_batch(const vsync::io::BatchRequest& batch) {
  using namespace vsync;
  std::string_view rest = batch.body.view();
  if (io::check_body(rest, batch.count, batch.text, kMaxMessage)) {
    return;
  }
  std::string copy;
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    io::append_message(copy, io::next_message(rest));
  }
  VSYNC_ASSERT(rest.empty() && copy == batch.body.view(), "a good body is its messages and nothing else");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsync;
  if (size == 0) {
    return 0;
  }
  const auto bytes = Slice::copy_of({reinterpret_cast<const char*>(data) + 1, size - 1});
  const bool json = data[0] % 2 == 1;
  control::v1::Request request;
  const bool valid = io::parse_request(bytes.view(), json ? io::Encoding::json : io::Encoding::binary, request).has_value();
  if (json) {
    if (valid && request.has_send_batch()) {
      check_batch(io::take_batch(request));
    }
  } else if (const auto batch = io::parse_batch(bytes)) {
    VSYNC_ASSERT(!valid || request.has_send_batch(), "both readers see the same kind of request");
    check_batch(*batch);
  }
  return 0;
}
