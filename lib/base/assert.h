// Invariants that stay checked in release builds: in membership a wrong member is worse than a dead one.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace vsync {

/// Reports a broken invariant on standard error and aborts. Never returns.
[[noreturn]] inline void invariant_failed(const char* expression, const char* why, const char* file, int line) {
  std::fprintf(stderr, "vsync: invariant broken: %s (%s) at %s:%d\n", why, expression, file, line);
  std::abort();
}

}  // namespace vsync

/// Checks an invariant of our own code (never of input from peers, users or the OS, which are values).
#define VSYNC_ASSERT(expression, why) \
  ((expression) ? static_cast<void>(0) : ::vsync::invariant_failed(#expression, why, __FILE__, __LINE__))
