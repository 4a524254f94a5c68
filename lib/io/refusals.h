// Garbage is logged once per source and reason, and the memory of that is bounded.
#pragma once

#include <set>
#include <string>
#include <utility>

namespace vsync::io {

class Refusals {
 public:
  /// True the first time for this pair (and again after very many others).
  bool first(const std::string& from, const std::string& why) {
    if (seen_.size() >= kMost) {
      seen_.clear();
    }
    return seen_.emplace(from, why).second;
  }

 private:
  static constexpr std::size_t kMost = 1024;
  std::set<std::pair<std::string, std::string>> seen_;
};

}  // namespace vsync::io
