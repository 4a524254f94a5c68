// Bytes of what many layouts of our own have in them: in the group table, in its ordered changes, on the disk.
#pragma once

#include "base/codec.h"
#include "core/model/group.h"
#include "core/model/types.h"

namespace vsync::core {

inline constexpr std::size_t kPidSize = 16;        ///< as bytes
inline constexpr std::size_t kClientRefSize = 20;  ///< as bytes
inline constexpr std::size_t kPositionSize = 16;   ///< as bytes

inline void write(Writer& out, const Pid& pid) {
  out.put(pid.node).put(pid.incarnation).put(pid.stint);
}

[[nodiscard]] inline Pid read_pid(Reader& in) {
  Pid pid;
  pid.node = in.value<NodeId>();
  pid.incarnation = in.value<std::uint64_t>();
  pid.stint = in.value<std::uint32_t>();
  return pid;
}

inline void write(Writer& out, const ClientRef& client) {
  write(out, client.pid);
  out.put(client.client);
}

[[nodiscard]] inline ClientRef read_client_ref(Reader& in) {
  const auto pid = read_pid(in);
  return {pid, in.value<ClientId>()};
}

inline void write(Writer& out, const HistoryPosition& position) {
  out.put(position.era).put(position.index);
}

[[nodiscard]] inline HistoryPosition read_position(Reader& in) {
  const auto era = in.value<std::uint64_t>();
  return {era, in.value<std::uint64_t>()};
}

}  // namespace vsync::core
