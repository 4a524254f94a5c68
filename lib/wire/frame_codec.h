// Frames of the peer protocol as bytes and back. The layout is described in proto/vsync/peer/v1/peer.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/slice.h"
#include "core/model/frame.h"

namespace vsync::wire {

/// Protocol versions that this program speaks.
inline constexpr std::uint16_t kProtoMin = 1;
inline constexpr std::uint16_t kProtoMax = 1;

inline constexpr std::size_t kHeaderSize = 48;
/// A longer frame is refused before anything is allocated for it.
inline constexpr std::size_t kMaxFrame = (std::size_t{1} << 20U) + (std::size_t{64} << 10U);
/// The same for frames without payload.
inline constexpr std::size_t kMaxControlFrame = std::size_t{256} << 10U;
/// Views with more members are refused.
inline constexpr std::size_t kMaxMembers = 256;

/// What both ends of a link agree on.
struct Context {
  std::uint64_t uuid_hash = 0;  ///< of the cluster, 0 = none yet
  std::uint16_t proto = kProtoMax;
};

/// For Context: 0 for no cluster, never 0 for a cluster.
[[nodiscard]] std::uint64_t hash_of(const core::Uuid& uuid);

/// Bytes to be written one part after the other. Large payloads are referred to, not copied.
struct EncodedFrame {
  std::vector<Slice> parts;
  std::size_t size = 0;
};

/// Never fails for frames that the core makes. A DATA or FORWARD that is longer than kMaxFrame becomes several frames of the same
/// meaning, each with a part of the runs; a single run must fit (VSYNC_ASSERT).
[[nodiscard]] EncodedFrame encode_frame(const core::Frame& frame, const Context& context = {});

/// The whole size of the frame that `bytes` begin with; 0 while they are too few to tell. An error when no frame of ours begins
/// like that or it is too long: the stream is lost and the link must be reset. Nothing need be allocated for a frame before that.
[[nodiscard]] Result<std::size_t> frame_size(std::span<const std::byte> bytes);

/// Decodes one complete frame, cut out of the stream by frame_size(). Payload is shared with `bytes`, not copied. An error is a
/// short stable reason, like "wrong cluster": the frame must be refused as a whole. A uuid hash of 0 in the frame or in the
/// context fits every cluster: the transport judges clusters at HELLO.
[[nodiscard]] Result<core::Frame> decode_frame(const Slice& bytes, const Context& context = {});

}  // namespace vsync::wire
