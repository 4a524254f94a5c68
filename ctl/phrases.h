// What more than one part of vsyncctl puts into words.
#pragma once

#include <cstdint>
#include <string>

#include "vsync/control/v1/control.pb.h"

namespace vsync::ctl {

namespace pb = control::v1;

/// "1 member", "2 members".
[[nodiscard]] std::string plural(std::uint64_t count, const std::string& noun);

/// Whom the members of a group wait for while nobody has its state (T1, K1, K3): "members on 1 more of the nodes 2, 3".
[[nodiscard]] std::string awaited(const pb::StateWait& wait);

}  // namespace vsync::ctl
