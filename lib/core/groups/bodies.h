// The bodies of runs: ordered changes of groups (G1), and what a client's send is cut into (R10).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/groups/group_state.h"
#include "core/model/config.h"
#include "core/model/group.h"
#include "core/model/input.h"

namespace vsync::core {

inline constexpr std::uint32_t kMaxBatch = 65536;  ///< messages in one send
inline constexpr std::size_t kLengthSize = 4;      ///< in front of every message of a body

/// Body of a group_join run. The name decides which group: it may be made by this join.
struct JoinBody {
  std::string_view group;
  std::string_view member_name;
  GroupPolicy policy;
  StateWish state = {};
};

[[nodiscard]] Slice encode(const JoinBody& body);
[[nodiscard]] std::optional<JoinBody> decode_join(std::string_view bytes);

/// Body of a group_state run, of its client.
struct StateBody {
  StateNews news = StateNews::arrived;
  std::uint64_t token = 0;  ///< of the transfer
};

[[nodiscard]] Slice encode(const StateBody& body);
[[nodiscard]] std::optional<StateBody> decode_state(std::string_view bytes);

/// Body of a group_synced run, of a daemon (K2).
[[nodiscard]] Slice encode(const HistoryPosition& synced);
[[nodiscard]] std::optional<HistoryPosition> decode_synced(std::string_view bytes);

/// Body of a group_kept run, of a daemon (K3).
[[nodiscard]] Slice encode(const KeptHistory& kept);
[[nodiscard]] std::optional<KeptHistory> decode_kept(std::string_view bytes);

/// Body of a session run, of its client (C6).
struct SessionBody {
  SessionId session = 0;
  bool opens = false;       ///< or it is closed
  std::uint64_t first = 1;  ///< as in ClientSession
};

[[nodiscard]] Slice encode(const SessionBody& body);
[[nodiscard]] std::optional<SessionBody> decode_session(std::string_view bytes);

/// Body of a group_leave run: left, crashed, no_state or slow.
[[nodiscard]] Slice encode_leave(LeaveReason reason);
[[nodiscard]] std::optional<LeaveReason> decode_leave(std::string_view bytes);

/// Body of a group_hold run: the senders are held, or released.
[[nodiscard]] Slice encode_hold(bool held);
[[nodiscard]] std::optional<bool> decode_hold(std::string_view bytes);

/// Why a request is refused, as in RequestRefused.
struct Refusal {
  std::string_view code;
  std::string message;
};

/// Part of a send that is bound at once: a body as in Run of at most max_run_bytes, or one message that is larger.
struct Piece {
  std::uint32_t count = 1;
  bool large = false;  ///< body is the message alone, without its length: to be sent in fragments
  Slice body;
};

/// Checks a send (lengths add up to the body, limits, text is UTF-8) and cuts it at message boundaries. Copies no payload.
[[nodiscard]] tl::expected<std::vector<Piece>, Refusal> cut_into_pieces(const ClientSend& send, const Limits& limits);

}  // namespace vsync::core
