// Errors that a peer, a user or the OS can cause are values of this type.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace vsync {

/// A failure in words: what failed and why. Callers add what to do about it.
struct Error {
  std::string message;

  bool operator==(const Error&) const = default;
};

template <typename T>
using Result = tl::expected<T, Error>;

/// Makes the error side of a Result.
[[nodiscard]] inline tl::unexpected<Error> fail(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

}  // namespace vsync
