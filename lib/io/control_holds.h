// Whom the senders of each group wait for (G10), for status and watchers.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/model/effect.h"
#include "io/control_codec.h"

namespace vsync::io {

class GroupHolds {
 public:
  /// Takes the change; the event for watchers.
  pb::Event apply(const core::GroupHeld& effect);
  /// As events, one for each group that is held.
  [[nodiscard]] std::vector<pb::Event> events() const;
  /// Into the views of the groups.
  void fill(pb::Status& status) const;
  void clear() { holds_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Hold {
    std::string name;
    std::vector<std::pair<core::GroupMember, Clock::time_point>> by;
  };
  static pb::Event event_of(const Hold& hold);

  std::map<core::GroupId, Hold> holds_;
};

}  // namespace vsync::io
