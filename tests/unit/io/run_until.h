// For tests that run several sockets in one loop.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>

namespace vsync::io {

/// Runs the loop until the condition holds. False: it did not within a generous time.
template <typename Condition>
bool run_until(asio::io_context& io, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    io.restart();
    io.run_one_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace vsync::io
