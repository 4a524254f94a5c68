#include "io/transport_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace vsync::io {
namespace {

constexpr std::size_t kKeptBlocks = 16;
constexpr std::size_t kLeastSpace = 16384;  // less is not worth a system call
constexpr std::size_t kCopied = 4096;       // bounds what a slice can pin to 64 times its size

}  // namespace

struct BlockPool::Free {
  std::vector<std::unique_ptr<std::byte[]>> blocks;
};

BlockPool::BlockPool() : free_(std::make_shared<Free>()) {}

std::shared_ptr<std::byte> BlockPool::take(std::size_t size) {
  if (size > kBlock) {
    return {new std::byte[size], std::default_delete<std::byte[]>()};
  }
  std::unique_ptr<std::byte[]> block;
  if (free_->blocks.empty()) {
    block.reset(new std::byte[kBlock]);  // not value-initialised: the socket fills it
  } else {
    block = std::move(free_->blocks.back());
    free_->blocks.pop_back();
  }
  return {block.release(), [pool = free_](std::byte* bytes) {
            std::unique_ptr<std::byte[]> returned(bytes);
            if (pool->blocks.size() < kKeptBlocks) {
              pool->blocks.push_back(std::move(returned));
            }
          }};
}

std::span<std::byte> ReceiveBuffer::space() {
  if (begin_ == end_ && block_.use_count() == 1) {
    begin_ = end_ = 0;  // nobody refers to what was read
  }
  const bool frame_fits = expected_ > 0 && begin_ + expected_ <= size_;
  if (!frame_fits && size_ - end_ < kLeastSpace) {
    move_to_block(end_ - begin_ + kLeastSpace);
  }
  return {block_.get() + end_, size_ - end_};
}

void ReceiveBuffer::expect(std::size_t size) {
  expected_ = size;
  if (begin_ + size > size_) {
    move_to_block(size);
  }
}

Slice ReceiveBuffer::take(std::size_t size) {
  VSYNC_ASSERT(size <= end_ - begin_, "more is taken than was read");
  const auto* data = block_.get() + begin_;
  begin_ += size;
  expected_ = 0;
  if (size <= kCopied) {
    return Slice::copy_of({reinterpret_cast<const char*>(data), size});
  }
  return {block_, data, size};
}

void ReceiveBuffer::move_to_block(std::size_t size) {
  const auto unread_size = end_ - begin_;
  auto block = pool_.take(size);
  if (unread_size > 0) {
    std::memcpy(block.get(), block_.get() + begin_, unread_size);
  }
  block_ = std::move(block);
  size_ = std::max(size, BlockPool::kBlock);
  begin_ = 0;
  end_ = unread_size;
}

}  // namespace vsync::io
