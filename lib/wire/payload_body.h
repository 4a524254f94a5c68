// Bodies of the frames that carry payload or are as frequent: DATA, FORWARD, ACK, AGG, TABLE and GSTATE, in fixed layouts
// (proto/vsync/peer/v1/peer.proto). Payload is referred to, not copied, in both directions.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/slice.h"
#include "core/model/frame.h"
#include "wire/check.h"

namespace vsync::wire {

/// Collects the bytes of frames: small parts are copied together, large ones referred to.
class Gather {
 public:
  Writer& head() { return head_; }
  void refer(const Slice& bytes);
  /// Everything in order.
  [[nodiscard]] std::vector<Slice> finish();

 private:
  static constexpr std::size_t kUsual = 256;  ///< bytes of most frames, without what they refer to

  Writer head_{kUsual};
  std::vector<std::pair<std::size_t, Slice>> referred_;  ///< each after so many bytes of head_
};

/// Size of one run in a body, header and payload.
[[nodiscard]] std::size_t size_of(const core::Run& run);
/// The u32 in front of the runs is part of it.
void write_runs(Gather& to, std::span<const core::RunPtr> runs);
void write_counts(Writer& to, const std::vector<core::RankCount>& counts);
void write_statements(Writer& to, const std::vector<core::AckAggregate::Statement>& statements);
void write_table(Gather& to, const core::Table& table);
void write_state(Gather& to, const core::StatePiece& piece);

/// What is left of `from` must be runs; `frame` is what `from` reads, for the payload.
[[nodiscard]] std::vector<core::RunPtr> read_runs(Reader& from, const Slice& frame, Check& check);
[[nodiscard]] std::vector<core::RankCount> read_counts(Reader& from, Check& check);
[[nodiscard]] std::vector<core::AckAggregate::Statement> read_statements(Reader& from, Check& check);
void read_table(Reader& from, const Slice& frame, core::Table& table, Check& check);
void read_state(Reader& from, const Slice& frame, core::StatePiece& piece, Check& check);

}  // namespace vsync::wire
