// One JSON object per line, written without a tree.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace vsync::engine {

/// Appends JSON to a string. The caller keeps objects and arrays balanced; commas come by themselves.
class JsonLine {
 public:
  explicit JsonLine(std::string& out) : out_(out) {}

  JsonLine& begin_object() { return open('{'); }
  JsonLine& begin_array() { return open('['); }
  JsonLine& end_object() { return close('}'); }
  JsonLine& end_array() { return close(']'); }

  JsonLine& key(std::string_view name) {
    value(name);
    out_ += ':';
    comma_ = false;
    return *this;
  }

  JsonLine& value(std::string_view text) {
    separate();
    out_ += '"';
    for (const char c : text) {
      escape(c);
    }
    out_ += '"';
    return *this;
  }
  JsonLine& value(const char* text) { return value(std::string_view(text)); }
  JsonLine& value(std::same_as<bool> auto flag) {
    separate();
    out_ += flag ? "true" : "false";
    return *this;
  }
  template <std::integral T>
  requires(!std::same_as<T, bool>) JsonLine& value(T number) {
    separate();
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    out_.append(digits, end);
    return *this;
  }

  template <typename T>
  JsonLine& field(std::string_view name, const T& content) {
    return key(name).value(content);
  }

 private:
  JsonLine& open(char bracket) {
    separate();
    out_ += bracket;
    comma_ = false;
    return *this;
  }
  JsonLine& close(char bracket) {
    out_ += bracket;
    comma_ = true;
    return *this;
  }
  void separate() {
    if (comma_) {
      out_ += ',';
    }
    comma_ = true;
  }
  void escape(char c) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (byte < 0x20) {
      out_ += "\\u00";
      out_ += kHex[byte >> 4U];
      out_ += kHex[byte & 15U];
    } else {
      out_ += c;
    }
  }

  std::string& out_;
  bool comma_ = false;
};

}  // namespace vsync::engine
