// Payload bytes: a counted reference to a part of a larger buffer. Copying a Slice never copies bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace vsync {

/// Immutable bytes that keep their buffer alive. Safe to copy between threads; the bytes must not change any more.
class Slice {
 public:
  Slice() = default;

  /// Refers to `size` bytes at `data`, which live as long as `owner`.
  Slice(std::shared_ptr<const void> owner, const std::byte* data, std::size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  /// A slice that owns a copy of `text`.
  static Slice copy_of(std::string_view text) {
    auto owner = std::make_shared<std::string>(text);
    const auto* data = reinterpret_cast<const std::byte*>(owner->data());
    const auto size = owner->size();
    return {std::move(owner), data, size};
  }

  /// A slice that takes over `text` without copying.
  static Slice take(std::string text) {
    auto owner = std::make_shared<std::string>(std::move(text));
    const auto* data = reinterpret_cast<const std::byte*>(owner->data());
    const auto size = owner->size();
    return {std::move(owner), data, size};
  }

  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }

  /// The part [offset, offset + size), sharing the buffer. The range must lie inside this slice.
  [[nodiscard]] Slice part(std::size_t offset, std::size_t size) const { return {owner_, data_ + offset, size}; }

  friend bool operator==(const Slice& a, const Slice& b) { return a.view() == b.view(); }

 private:
  std::shared_ptr<const void> owner_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace vsync
