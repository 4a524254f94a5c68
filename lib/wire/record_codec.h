// The persisted records (protocol.md section 5) as bytes and back. The layout is described in proto/vsync/store/v1/store.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model/config.h"

namespace vsync::wire {

/// P0: who this daemon is.
struct Identity {
  core::Uuid uuid;  ///< none while it belongs to no cluster
  core::NodeId node = 0;
  std::string name;
  std::uint64_t vote_epoch = 0;
  std::uint64_t incarnation = 0;         ///< used by the latest start
  std::vector<std::int64_t> exclusions;  ///< F8: when it was excluded lately, seconds since 1970, rising

  bool operator==(const Identity&) const = default;
};

/// Why bytes are no record.
struct RecordError {
  enum class Kind : std::uint8_t {
    damaged,  ///< short, garbled, or its content contradicts itself
    foreign,  ///< not a record of this kind at all
    newer,    ///< written by a newer version
  };
  Kind kind = Kind::damaged;
  std::string message;
};

template <typename T>
using RecordResult = tl::expected<T, RecordError>;

/// Longer files are refused unread.
inline constexpr std::size_t kMaxRecord = std::size_t{1} << 20U;

[[nodiscard]] std::string encode_identity(const Identity& identity);
[[nodiscard]] std::string encode_acceptor(const core::AcceptorRecord& record);
[[nodiscard]] RecordResult<Identity> decode_identity(std::string_view bytes);
[[nodiscard]] RecordResult<core::AcceptorRecord> decode_acceptor(std::string_view bytes);

}  // namespace vsync::wire
