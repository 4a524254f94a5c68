// What more than one part of vsyncctl puts into words.
#pragma once

#include <cstdint>
#include <string>

#include "vsync/control/v1/control.pb.h"

namespace vsync::ctl {

namespace pb = control::v1;

/// "1 member", "2 members".
[[nodiscard]] std::string plural(std::uint64_t count, const std::string& noun);

/// "a, b, c": what `name` makes of each.
template <typename Items, typename Name>
std::string list(const Items& items, Name name) {
  std::string text;
  for (const auto& item : items) {
    text += (text.empty() ? "" : ", ") + name(item);
  }
  return text;
}

/// Of node ids.
[[nodiscard]] std::string nodes(const google::protobuf::RepeatedField<google::protobuf::uint32>& ids);

/// Whom the members of a group wait for while nobody has its state (T1, K1, K3): "members on 1 more of the nodes 2, 3".
[[nodiscard]] std::string awaited(const pb::StateWait& wait);

}  // namespace vsync::ctl
