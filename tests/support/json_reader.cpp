#include "support/json_reader.h"

#include <algorithm>

namespace vsync::check {

class Json::Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  bool value(Json& out, int depth) {
    skip_space();
    if (rest_.empty() || depth > kDeepest) {
      return false;
    }
    switch (rest_.front()) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"':
        return string(out.text_);
      default:
        return word(out.text_);
    }
  }

  bool end() {
    skip_space();
    return rest_.empty();
  }

 private:
  static constexpr int kDeepest = 16;

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  bool take(char c) {
    skip_space();
    const bool there = !rest_.empty() && rest_.front() == c;
    rest_.remove_prefix(there ? 1 : 0);
    return there;
  }

  bool object(Json& out, int depth) {
    take('{');
    if (take('}')) {
      return true;
    }
    do {
      auto& [name, member] = out.members_.emplace_back();
      skip_space();
      if (!string(name) || !take(':') || !value(member, depth + 1)) {
        return false;
      }
    } while (take(','));
    return take('}');
  }

  bool array(Json& out, int depth) {
    take('[');
    if (take(']')) {
      return true;
    }
    do {
      if (!value(out.items_.emplace_back(), depth + 1)) {
        return false;
      }
    } while (take(','));
    return take(']');
  }

  bool string(std::string& out) {
    if (!take('"')) {
      return false;
    }
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() != '\\') {
        out += rest_.front();
        rest_.remove_prefix(1);
      } else if (!escape(out)) {
        return false;
      }
    }
    return take('"');
  }

  /// Only what the event log writes: \" \\ and \u00XX.
  bool escape(std::string& out) {
    if (rest_.size() >= 6 && rest_[1] == 'u') {
      int code = 0;
      std::from_chars(rest_.data() + 2, rest_.data() + 6, code, 16);
      out += static_cast<char>(code);
      rest_.remove_prefix(6);
      return code < 0x80;
    }
    if (rest_.size() < 2) {
      return false;
    }
    out += rest_[1];
    rest_.remove_prefix(2);
    return true;
  }

  bool word(std::string& out) {
    const auto end = std::min(rest_.find_first_of(",]} \t\r\n"), rest_.size());
    out = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return !out.empty();
  }

  std::string_view rest_;
};

Result<Json> Json::parse(std::string_view text) {
  Json value;
  Parser parser(text);
  if (!parser.value(value, 0) || !parser.end()) {
    return fail("not one JSON value");
  }
  return value;
}

const Json* Json::find(std::string_view name) const {
  const auto it = std::find_if(members_.begin(), members_.end(), [&](const auto& member) { return member.first == name; });
  return it == members_.end() ? nullptr : &it->second;
}

const Json& Json::operator[](std::string_view name) const {
  static const Json kNull;
  const auto* found = find(name);
  return found == nullptr ? kNull : *found;
}

}  // namespace vsync::check
