#include "core/groups/reassembly.h"

#include "base/codec.h"

namespace vsync::core {

std::optional<Slice> Reassembly::add(const Pid& sender, const Run& fragment) {
  const Key key{sender, fragment.client, fragment.group};
  auto& partial = partial_[key];
  partial.service = fragment.service;
  partial.size += fragment.body.size();
  if (partial.size > max_message_) {
    partial.pieces.clear();
  } else {
    partial.pieces.push_back(fragment.body);
  }
  if ((fragment.flags & Run::kLastFragment) == 0) {
    return std::nullopt;
  }
  const auto whole = std::move(partial);
  partial_.erase(key);
  if (whole.size > max_message_) {
    return std::nullopt;
  }
  Writer body(sizeof(std::uint32_t) + whole.size);
  body.put(static_cast<std::uint32_t>(whole.size));
  for (const auto& piece : whole.pieces) {
    body.raw(piece.view());
  }
  return Slice::take(body.take());
}

}  // namespace vsync::core
