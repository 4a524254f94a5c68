// Receive buffers of the transport: large reads, payloads handed out as slices without a copy.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/slice.h"

namespace vsync::io {

/// Keeps a few blocks for reuse, so that a busy link neither maps nor touches fresh memory for each read. Blocks return when the
/// last slice into them is gone; that may be after the pool's end. Not thread-safe: drop slices on the thread of the event loop.
class BlockPool {
 public:
  static constexpr std::size_t kBlock = std::size_t{256} << 10U;

  BlockPool();
  /// At least `size` bytes. Only blocks of kBlock bytes are kept for reuse.
  [[nodiscard]] std::shared_ptr<std::byte> take(std::size_t size);

 private:
  struct Free;
  std::shared_ptr<Free> free_;
};

/// Bytes of one connection on their way from the socket to the decoder.
class ReceiveBuffer {
 public:
  explicit ReceiveBuffer(BlockPool& pool) : pool_(pool) {}

  /// Room for the next read. A new block is begun when little is left of this one.
  [[nodiscard]] std::span<std::byte> space();
  /// `count` bytes of space() were filled.
  void filled(std::size_t count) { end_ += count; }
  [[nodiscard]] std::span<const std::byte> unread() const { return {block_.get() + begin_, end_ - begin_}; }
  /// Makes sure that `size` bytes from the first unread one on will be contiguous.
  void expect(std::size_t size);
  /// Takes the next `size` unread bytes. Small pieces are copied: they must not keep a whole block alive.
  [[nodiscard]] Slice take(std::size_t size);

 private:
  void move_to_block(std::size_t size);

  BlockPool& pool_;
  std::shared_ptr<std::byte> block_;
  std::size_t size_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t expected_ = 0;  // size of the frame that unread() begins, when known
};

}  // namespace vsync::io
