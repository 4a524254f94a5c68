#include "io/large_frames.h"

#include <algorithm>

namespace vsync::io {

LargeFrames::Share LargeFrames::take(std::size_t bytes, const void* who, std::function<void()> again) {
  auto& line = room_->line;
  const auto own = std::find_if(line.begin(), line.end(), [&](const auto& entry) { return entry.first == who; });
  if (own != line.begin() || (bytes > room_->free && room_->shares > 0)) {
    if (own == line.end()) {
      line.emplace_back(who, std::move(again));
    }
    return nullptr;
  }
  if (own != line.end()) {
    line.erase(own);
  }
  const std::size_t taken = std::min(bytes, room_->free);
  room_->free -= taken;
  ++room_->shares;
  room_->call_first();
  return {&room_, [room = room_, taken](const void*) {
            room->free += taken;
            --room->shares;
            room->call_first();
          }};
}

void LargeFrames::leave(const void* who) {
  std::erase_if(room_->line, [&](const auto& entry) { return entry.first == who; });
  room_->call_first();
}

}  // namespace vsync::io
