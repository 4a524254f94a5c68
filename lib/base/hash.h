// A 64-bit hash that is equal on every host: state hashes travel between daemons.
#pragma once

#include <cstdint>
#include <string_view>

namespace vsync {

/// Accumulates values in order (FNV-1a over bytes, finished with a SplitMix64 mixer). Not for untrusted hash tables.
class Hasher {
 public:
  Hasher& add(std::string_view text) {
    for (const char c : text) {
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return add(static_cast<std::uint64_t>(text.size()));
  }

  Hasher& add(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) {
      state_ = (state_ ^ (value & 0xffU)) * 0x100000001b3U;
      value >>= 8U;
    }
    return *this;
  }

  [[nodiscard]] std::uint64_t value() const {
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace vsync
