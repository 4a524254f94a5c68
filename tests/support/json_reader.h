// Reads one JSON value. For tests: numbers stay text until they are asked for, so that 64 bits survive.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace vsync::check {

class Json {
 public:
  static Result<Json> parse(std::string_view text);

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  /// A member of an object; the null value if there is none.
  [[nodiscard]] const Json& operator[](std::string_view name) const;
  [[nodiscard]] const std::vector<Json>& items() const { return items_; }
  [[nodiscard]] const std::vector<std::pair<std::string, Json>>& members() const { return members_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] bool flag() const { return text_ == "true"; }

  /// 0 if it is no number.
  template <typename T>
  [[nodiscard]] T number() const {
    T value{};
    std::from_chars(text_.data(), text_.data() + text_.size(), value);
    return value;
  }

 private:
  class Parser;
  [[nodiscard]] const Json* find(std::string_view name) const;

  std::string text_;  ///< of a string, number or word
  std::vector<Json> items_;
  std::vector<std::pair<std::string, Json>> members_;
};

}  // namespace vsync::check
