// What one connection of the control socket holds in memory, both ways.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/slice.h"
#include "core/model/types.h"
#include "io/large_frames.h"

namespace vsync::io {

/// Bytes received and not yet used. Slices of it share its blocks, so payloads need no copy.
class ClientInput {
 public:
  /// Where to read to, never empty. `want`: bytes that the unread ones must grow to (0 = not known); memory grows only with what
  /// arrives, not with what is announced.
  std::span<char> space(std::size_t want);
  /// What blocks for the frame that has begun keep, as long as they live.
  void keep(LargeFrames::Share share) { share_ = std::move(share); }
  [[nodiscard]] bool keeps_share() const { return share_ != nullptr; }
  void received(std::size_t size) { end_ += size; }

  [[nodiscard]] std::string_view unread() const { return {block_.get() + begin_, end_ - begin_}; }
  /// A part of the unread bytes that stays valid after they are used.
  [[nodiscard]] Slice share(std::size_t offset, std::size_t size) const;
  void used(std::size_t size) {
    begin_ += size;
    share_.reset();
  }

 private:
  void move_to_new_block(std::size_t capacity);

  std::shared_ptr<char[]> block_;
  LargeFrames::Share share_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

/// Which group a frame belongs to, and what is in it.
struct FrameTag {
  core::GroupId group = 0;     ///< 0: none
  std::uint32_t messages = 0;  ///< 0: an event
  std::uint64_t view = 0;
  std::uint64_t token = 0;
  core::Service service = core::Service::total;
  std::uint64_t position = 0;
  bool paced = false;  ///< comes as fast as it is read (T1), so it says nothing of how its reader keeps up
};

/// What waits to be read of one group, without what is paced.
struct Waiting {
  std::size_t bytes = 0;
  std::size_t messages = 0;
  std::size_t largest = 0;  ///< frame since it was empty

  /// The largest message is not counted: it is under way, and nobody is slow for having been sent it.
  [[nodiscard]] bool over(std::size_t most_bytes, std::size_t most_messages) const {
    return bytes - std::min(bytes, largest) > most_bytes || messages > most_messages;
  }
};

/// Bytes to be written. Large bodies are shared with other connections and the core.
class OutputQueue {
 public:
  enum class Progress { done, blocked, failed };

  /// Whole frames that nobody else needs; they are copied.
  void append(std::string_view frames);
  /// One frame: head, then body.
  void append(const Slice& head, const Slice& body, const FrameTag& tag);
  /// Writes as much as the socket takes, gathered.
  Progress write(int socket);
  /// Lets go of everything but the rest of what was written in part, so that one last frame can follow.
  void drop_unwritten();

  /// Lets go of the whole frames of a group. The first with messages that was dropped, and how many messages.
  std::pair<FrameTag, std::size_t> drop(core::GroupId group);
  /// Whether drop() would let go of messages.
  [[nodiscard]] bool droppable(core::GroupId group) const;

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t messages() const { return messages_; }
  [[nodiscard]] Waiting waiting(core::GroupId group) const;

 private:
  struct Piece {
    Slice bytes;
    bool starts_frame = true;
    bool owned = false;  ///< nobody else's memory is kept alive
    FrameTag tag = {};   ///< messages only in the first piece of a frame
  };

  void seal();
  void own_backlog();
  void written(std::size_t size);
  void account_gone(const Piece& piece);
  [[nodiscard]] std::size_t begun() const;

  std::deque<Piece> pieces_;
  std::string tail_;        ///< small frames, collected
  std::size_t offset_ = 0;  ///< of the first piece, already written
  std::size_t bytes_ = 0;   ///< all that is not written
  std::size_t messages_ = 0;
  std::map<core::GroupId, Waiting> waiting_;
};

}  // namespace vsync::io
