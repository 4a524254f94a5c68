// No frame makes its reader allocate much more than the frame's own size, whatever numbers it claims.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

#include "support/random_frames.h"
#include "wire/frame_codec.h"

namespace {
std::size_t allocated = 0;  // bytes, by this program so far
}  // namespace

void* operator new(std::size_t size) {
  allocated += size;
  if (void* memory = std::malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  allocated += size;
  return std::malloc(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

namespace vsync::wire {

TEST_CASE("changed frames do not make their reader allocate without bounds") {
  test::RandomFrames random(11);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Frame>; ++kind) {
    const std::string whole = test::joined(encode_frame(random.frame(kind)));
    for (std::size_t at = 0; at < whole.size(); at += 1 + at / 200) {
      for (const char value : {'\x00', '\x7f', '\xff'}) {
        std::string changed = whole;
        changed[at] = value;
        const Slice bytes = Slice::take(std::move(changed));
        const std::size_t before = allocated;
        static_cast<void>(decode_frame(bytes));
        REQUIRE(allocated - before < 16384 + 64 * bytes.size());
      }
    }
  }
}

TEST_CASE("a body of countless empty elements is refused, or stays within the same bounds") {
  // Two bytes each: the densest way to make a reader allocate.
  std::string body;
  while (body.size() < kMaxControlFrame - 2) {
    body += std::string("\x0a\x00", 2);
  }
  std::string frame = test::joined(encode_frame(core::Ready{}));
  frame += body;
  for (std::size_t i = 0; i < 4; ++i) {
    frame[4 + i] = static_cast<char>(frame.size() >> (8 * i));
  }
  const Slice bytes = Slice::take(std::move(frame));
  const std::size_t before = allocated;
  const auto refused = decode_frame(bytes);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message == "too many elements");
  CHECK(allocated - before < 64 * bytes.size());
}

}  // namespace vsync::wire
