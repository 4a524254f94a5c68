// How a command ends.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace vsync::ctl {

/// Exit statuses (product.md).
enum class Exit : int {
  done = 0,
  failed = 1,  ///< refused or failed: nothing happened
  usage = 2,
  unreachable = 3,  ///< no daemon answers
  unknown = 4,      ///< no answer in time: it may have happened or not
};

/// What failed, why, and what to do.
struct Problem {
  Exit exit = Exit::failed;
  std::string message;
};

template <typename T>
using Outcome = tl::expected<T, Problem>;

[[nodiscard]] inline tl::unexpected<Problem> problem(Exit exit, std::string message) {
  return tl::unexpected<Problem>(Problem{exit, std::move(message)});
}

}  // namespace vsync::ctl
