// Bytes of integers and strings: fixed width, little-endian, lengths in front. Used where a layout of our own is worth it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace vsync {

/// Appends values to a string it owns.
class Writer {
 public:
  Writer() = default;
  /// With room for so many bytes.
  explicit Writer(std::size_t capacity) { bytes_.reserve(capacity); }

  /// `value` as sizeof(T) bytes, least significant first.
  template <std::unsigned_integral T>
  Writer& put(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8 * i))));
    }
    return *this;
  }

  /// A 32-bit length, then the bytes of `text`.
  Writer& put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_ += text;
    return *this;
  }

  /// The bytes of `text` alone.
  Writer& raw(std::string_view text) {
    bytes_ += text;
    return *this;
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::string take() { return std::exchange(bytes_, {}); }

 private:
  std::string bytes_;
};

/// Takes values from bytes of unknown origin. Allocates nothing: strings are views into the input, which must outlive them.
/// The first read that fails makes all later ones fail, so a decoder may check ok() once at its end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  std::optional<T> get() {
    const auto bytes = raw(sizeof(T));
    if (!bytes) {
      return std::nullopt;
    }
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value = static_cast<T>(value | (static_cast<T>(static_cast<unsigned char>((*bytes)[i])) << (8 * i)));
    }
    return value;
  }

  /// As get(), or 0 after a failure: for records that are read whole and then checked by ok().
  template <std::unsigned_integral T>
  T value() {
    return get<T>().value_or(0);
  }

  /// A string written with its length, of at most `max_size` bytes.
  std::optional<std::string_view> text(std::size_t max_size) {
    const auto size = get<std::uint32_t>();
    if (!size || *size > max_size) {
      failed_ = true;
      return std::nullopt;
    }
    return raw(*size);
  }

  /// A number of elements, each of at least `element_size` >= 1 bytes: never more than the rest of the input can hold.
  std::optional<std::size_t> count(std::size_t max_count, std::size_t element_size) {
    const auto number = get<std::uint32_t>();
    if (!number || *number > max_count || *number > rest_.size() / element_size) {
      failed_ = true;
      return std::nullopt;
    }
    return *number;
  }

  /// The next `size` bytes.
  std::optional<std::string_view> raw(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      failed_ = true;
      return std::nullopt;
    }
    const auto bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }
  /// Everything was read and nothing failed.
  [[nodiscard]] bool done() const { return ok() && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace vsync
