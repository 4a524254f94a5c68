// Messages as the ordering module sees them: runs (protocol.md R10).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/slice.h"
#include "core/model/types.h"

namespace vsync::core {

/// Consecutive messages of one sender, bound in one step: one client, one group, one service, one time stamp.
/// It is bound, stored, acknowledged, forwarded and delivered as a whole; counts still count messages.
///
/// Body of a `data` run: `count` messages, each a 32-bit little-endian length and that many bytes. The same bytes travel from the
/// sending client to the receiving ones untouched. A fragment (flags) is a run of count 1 whose body is a raw piece of one
/// message.
struct Run {
  static constexpr std::uint8_t kText = 1;          ///< the messages are UTF-8 text, not bytes
  static constexpr std::uint8_t kFragment = 2;      ///< body is a piece of one message (raw, no length in front)
  static constexpr std::uint8_t kLastFragment = 4;  ///< the last piece; set together with kFragment

  Seq first = 0;            ///< seq of the first message
  std::uint32_t count = 1;  ///< >= 1
  Stamp stamp = 0;
  Service service = Service::total;
  RunKind kind = RunKind::data;
  std::uint8_t flags = 0;
  GroupId group = 0;
  ClientId client = 0;          ///< sender's client, meaningful with the sender's pid
  std::uint64_t in_view = 0;    ///< C2: token of the only group view in which it may be delivered; 0 = any
  Slice envelope;               ///< G6-G8: as encode(Envelope) in groups; empty in nearly all runs
  std::uint64_t number = 0;     ///< C6: of the first message in its client's session; 0 = it has none
  std::vector<RankCount> deps;  ///< on the wire: the entries of dep that grew since the sender's previous run (section 8)
  Slice body;

  [[nodiscard]] Seq last() const { return first + count - 1; }
  bool operator==(const Run&) const = default;
};

/// Shared by the log, the frames on their way and the deliveries. Immutable once bound.
using RunPtr = std::shared_ptr<const Run>;

}  // namespace vsync::core
