// The history of a durable group as bytes: on disk, and from disk to disk. Everything that is read is checked and bounded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/slice.h"
#include "core/model/effect.h"
#include "core/model/group.h"

namespace vsync::durable {

using core::HistoryPosition;
using core::KeptHistory;

/// How a history begins on its way from one disk to another.
struct Header {
  KeptHistory end;                           ///< what the receiver will have
  std::vector<HistoryPosition> common = {};  ///< disks that were at one of these have the same history up to there

  bool operator==(const Header&) const = default;
};

/// A part of the checkpoint: the state of the group as its application gave it.
struct CheckpointPiece {
  HistoryPosition position;  ///< of the last message that is in the state
  std::uint64_t offset = 0;
  bool last = false;
  Slice bytes;
};

/// Messages as they were delivered, never a part of a run.
struct Messages {
  HistoryPosition first;
  std::uint32_t count = 1;
  core::Pid sender;
  core::ClientId client = 0;
  std::uint64_t token = 0;
  core::ViewId view = 0;
  std::uint64_t position = 0;
  bool text = false;
  Slice body;

  [[nodiscard]] std::uint64_t last() const { return first.index + count - 1; }
};

using Part = std::variant<Header, CheckpointPiece, Messages>;

[[nodiscard]] std::string bytes_of(const Part& part);
[[nodiscard]] Result<Part> decode(std::string_view bytes);
/// The bytes with their length in front, as a PartReader takes them.
[[nodiscard]] std::string encode(const Part& part);

/// Takes encoded parts from bytes that come in pieces, cut anywhere.
class PartReader {
 public:
  void add(std::string_view bytes) { bytes_ += bytes; }
  /// The next part; nullopt: more bytes are needed. An error: these bytes are no history.
  Result<std::optional<Part>> next();
  [[nodiscard]] bool empty() const { return bytes_.size() == at_; }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

[[nodiscard]] Messages messages_of(const core::DeliverMessages& effect);
[[nodiscard]] core::DeliverMessages to_effect(Messages messages, core::GroupId group, std::vector<core::ClientId> clients);

}  // namespace vsync::durable
