// G6-G8: what a data run says beyond "to all members of one group". It travels beside the body, which stays as the client sent
// it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/slice.h"
#include "core/model/group.h"

namespace vsync::core {

inline constexpr std::size_t kMaxGroupsOfSend = 16;

struct Envelope {
  enum class Kind : std::uint8_t { message, request, reply };

  Kind kind = Kind::message;
  RequestId request = 0;               ///< G8: number of a request at its client; 0 for messages
  std::optional<ClientRef> to{};       ///< G7; of a reply: who asked
  std::vector<GroupId> more_groups{};  ///< G6: beside the run's own

  bool operator==(const Envelope&) const = default;
};

[[nodiscard]] Slice encode(const Envelope& envelope);
/// The empty one for no bytes; nullopt: not what encode() writes. The bytes come from a peer.
[[nodiscard]] std::optional<Envelope> decode_envelope(std::string_view bytes);

}  // namespace vsync::core
