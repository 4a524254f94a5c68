// What the checkers found.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace vsync::check {

/// Violations by property ("D5 virtual synchrony"). Keeps the first few texts of each: one fault often breaks thousands of
/// events.
class Report {
 public:
  void violation(const std::string& property, std::string what) {
    auto& found = found_[property];
    ++found.count;
    if (found.texts.size() < kKept) {
      found.texts.push_back(std::move(what));
    }
  }

  [[nodiscard]] bool clean() const { return found_.empty(); }

  struct Found {
    std::size_t count = 0;
    std::vector<std::string> texts;
  };
  [[nodiscard]] const std::map<std::string, Found>& found() const { return found_; }

 private:
  static constexpr std::size_t kKept = 3;
  std::map<std::string, Found> found_;
};

}  // namespace vsync::check
