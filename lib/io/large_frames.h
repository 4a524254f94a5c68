// Memory for the large frames that clients send.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace vsync::io {

/// Room for the large frames of all clients together, first come, first served. A share is given back when the memory that it
/// stands for is free, wherever the payload has gone meanwhile; it may outlive this object. Single-threaded.
class LargeFrames {
 public:
  using Share = std::shared_ptr<const void>;
  static constexpr std::size_t kLarge = std::size_t{256} << 10U;  ///< bytes; smaller frames need no share

  explicit LargeFrames(std::size_t bytes) : room_(std::make_shared<Room>()) { room_->free = bytes; }

  /// Null: there is no room now; `who` is in line, and `again` is called when it is worth another try. It must not call back
  /// at once. One frame may always be under way, however large.
  Share take(std::size_t bytes, const void* who, std::function<void()> again);
  /// It waits no more. To be called before `who` ends.
  void leave(const void* who);

 private:
  struct Room {
    std::size_t free = 0;
    std::size_t shares = 0;
    std::deque<std::pair<const void*, std::function<void()>>> line;

    void call_first() const {
      if (!line.empty()) {
        line.front().second();
      }
    }
  };

  std::shared_ptr<Room> room_;
};

}  // namespace vsync::io
