// What each role does with each frame: a complete table, so that nothing falls through silently (docs/PROTOCOL.md shows it).
#pragma once

#include <cstddef>
#include <string_view>

#include "core/model/frame.h"
#include "core/model/types.h"

namespace vsync::core {

enum class Disposition : std::uint8_t {
  handle,  ///< it is looked at; its view, ballot and sequence decide further
  keep,    ///< too early: kept until the view it speaks of is installed
  ignore,  ///< stale or meant for a role this daemon does not have (any more): no fault of the sender
  refuse,  ///< never right on an open link: counted and reported
};

/// `frame`: index in the Frame variant.
[[nodiscard]] Disposition disposition(Role role, std::size_t frame);
[[nodiscard]] std::string_view to_string(Disposition disposition);

}  // namespace vsync::core
