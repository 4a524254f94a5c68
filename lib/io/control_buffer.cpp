#include "io/control_buffer.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace vsync::io {
namespace {

constexpr std::size_t kBlock = std::size_t{256} << 10U;
constexpr std::size_t kLeastSpace = 4096;             // less is not worth a read
constexpr std::size_t kSealTail = 65536;              // bounds what drop_unwritten() must keep
constexpr std::size_t kGather = 256;                  // pieces of one write
constexpr std::size_t kTurn = std::size_t{4} << 20U;  // bytes written before others have their turn

}  // namespace

std::span<char> ClientInput::space(std::size_t want) {
  const std::size_t have = end_ - begin_;
  if (capacity_ > 2 * kBlock && !share_ && have <= kBlock / 2) {
    move_to_new_block(kBlock);  // the large frame that it was made for is used
  }
  if (have == 0 && block_.use_count() == 1) {
    begin_ = end_ = 0;
  }
  // A block that a frame does not fit into is left as soon as the frame's start is here; a bigger one follows what arrives.
  const bool fits = begin_ + want <= capacity_;
  if (capacity_ - end_ < kLeastSpace || (!fits && have > 0 && capacity_ - end_ < std::min(want - have, kBlock / 4))) {
    const std::size_t grown = 2 * have + kLeastSpace;  // doubling keeps the copying linear
    move_to_new_block(std::max(kBlock, want > have ? std::min(want, grown) : grown));
  }
  return {block_.get() + end_, capacity_ - end_};
}

void ClientInput::move_to_new_block(std::size_t capacity) {
  const std::string_view rest = unread();
  const std::size_t size = rest.size();
  auto bytes = std::make_unique_for_overwrite<char[]>(std::max(capacity, size + kLeastSpace));
  rest.copy(bytes.get(), size);
  std::shared_ptr<char[]> block(bytes.release(), [share = share_](const char* old) { delete[] old; });
  capacity_ = std::max(capacity, size + kLeastSpace);
  block_ = std::move(block);
  begin_ = 0;
  end_ = size;
}

Slice ClientInput::share(std::size_t offset, std::size_t size) const {
  VSYNC_ASSERT(offset + size <= end_ - begin_, "a slice of unread bytes");
  return {block_, reinterpret_cast<const std::byte*>(block_.get() + begin_ + offset), size};
}

void OutputQueue::append(std::string_view frames) {
  tail_ += frames;
  bytes_ += frames.size();
  if (tail_.size() >= kSealTail) {
    seal();
  }
}

void OutputQueue::append(const Slice& head, const Slice& body, const FrameTag& tag) {
  seal();
  pieces_.push_back({head, true, false, tag});
  if (!body.empty()) {
    pieces_.push_back({body, false, false, {.group = tag.group, .paced = tag.paced}});
  }
  const std::size_t size = head.size() + body.size();
  bytes_ += size;
  messages_ += tag.messages;
  if (tag.group != 0 && !tag.paced) {
    auto& waiting = waiting_[tag.group];
    waiting.bytes += size;
    waiting.messages += tag.messages;
    waiting.largest = std::max(waiting.largest, size);
  }
}

void OutputQueue::account_gone(const Piece& piece) {
  messages_ -= piece.tag.messages;
  const auto found = waiting_.find(piece.tag.group);
  if (found != waiting_.end() && !piece.tag.paced) {
    found->second.bytes -= piece.bytes.size();
    found->second.messages -= piece.tag.messages;
    if (found->second.bytes == 0) {
      waiting_.erase(found);
    }
  }
}

Waiting OutputQueue::waiting(core::GroupId group) const {
  const auto found = waiting_.find(group);
  return found == waiting_.end() ? Waiting{} : found->second;
}

/// Pieces of the frame that was written in part.
std::size_t OutputQueue::begun() const {
  std::size_t pieces = 0;
  if (!pieces_.empty() && (offset_ > 0 || !pieces_.front().starts_frame)) {
    do {
      ++pieces;
    } while (pieces < pieces_.size() && !pieces_[pieces].starts_frame);
  }
  return pieces;
}

bool OutputQueue::droppable(core::GroupId group) const {
  const auto drops = [&](const Piece& piece) { return piece.tag.group == group && piece.tag.messages > 0; };
  return std::any_of(pieces_.begin() + static_cast<std::ptrdiff_t>(begun()), pieces_.end(), drops);
}

std::pair<FrameTag, std::size_t> OutputQueue::drop(core::GroupId group) {
  std::deque<Piece> kept;
  FrameTag first;
  std::size_t messages = 0;
  const std::size_t stay = begun();
  for (Piece& piece : pieces_) {
    if (piece.tag.group != group || kept.size() < stay) {
      kept.push_back(std::move(piece));
      continue;
    }
    first = messages == 0 && piece.tag.messages > 0 ? piece.tag : first;
    messages += piece.tag.messages;
    bytes_ -= piece.bytes.size();
    account_gone(piece);
  }
  pieces_ = std::move(kept);
  return {first, messages};
}

void OutputQueue::seal() {
  if (!tail_.empty()) {
    pieces_.push_back({Slice::take(std::exchange(tail_, {})), true, true});
  }
}

OutputQueue::Progress OutputQueue::write(int socket) {
  seal();
  for (std::size_t sum = 0; !pieces_.empty();) {
    if (sum >= kTurn) {
      return Progress::blocked;
    }
    std::array<iovec, kGather> vectors;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
    const std::size_t count = std::min(pieces_.size(), kGather);
    std::size_t skip = offset_;
    for (std::size_t i = 0; i < count; ++i) {
      const Slice& bytes = pieces_[i].bytes;
      // sendmsg() does not write to the buffers; iovec just has no const.
      vectors[i] = {const_cast<std::byte*>(bytes.data() + skip), bytes.size() - skip};
      skip = 0;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno != EAGAIN) {
        return Progress::failed;
      }
      own_backlog();
      return Progress::blocked;
    }
    written(static_cast<std::size_t>(sent));
    sum += static_cast<std::size_t>(sent);
  }
  return Progress::done;
}

/// A small slice may keep a large block alive. What does not go out with the next write is copied, so that a slow reader costs
/// the bytes it is charged for. Shared pieces are then at the front (at most kGather) and at the back, where the new ones come.
void OutputQueue::own_backlog() {
  for (std::size_t i = pieces_.size(); i > kGather && !pieces_[i - 1].owned; --i) {
    Piece& piece = pieces_[i - 1];
    piece.bytes = Slice::copy_of(piece.bytes.view());
    piece.owned = true;
  }
}

void OutputQueue::written(std::size_t size) {
  bytes_ -= size;
  size += offset_;
  while (!pieces_.empty() && size >= pieces_.front().bytes.size()) {
    size -= pieces_.front().bytes.size();
    account_gone(pieces_.front());
    pieces_.pop_front();
  }
  offset_ = size;
}

void OutputQueue::drop_unwritten() {
  seal();
  pieces_.resize(begun());
  waiting_.clear();
  messages_ = 0;
  for (Piece& piece : pieces_) {
    piece.tag = {};
  }
  bytes_ = 0;
  for (const Piece& piece : pieces_) {
    bytes_ += piece.bytes.size();
  }
  bytes_ -= offset_;
}

}  // namespace vsync::io
