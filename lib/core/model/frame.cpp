#include "core/model/frame.h"

#include <array>

namespace vsync::core {

std::string_view frame_name(const Frame& frame) {
  static constexpr std::array<std::string_view, std::variant_size_v<Frame>> kNames = {
      "HELLO",  "GOODBYE",   "LINKUP",  "DATA",          "ACK",         "AGG",       "SUSPECT",  "JOIN",    "REJECT",
      "LEAVE",  "EVICT_REQ", "PREVOTE", "PREVOTE_REPLY", "PREPARE",     "PROMISE",   "NACK",     "READY",   "READY_OK",
      "FLUSH",  "FORWARD",   "FETCH",   "HAVE_ALL",      "HOLDER_LOST", "ACCEPT",    "ACCEPTED", "INSTALL", "INSTALLED",
      "TABREQ", "TABLE",     "EVICTED", "VIEW_REQ",      "GSTATE",      "GSTATE_ACK"};
  return kNames[frame.index()];
}

std::string_view datagram_name(const Datagram& datagram) {
  static constexpr std::array<std::string_view, std::variant_size_v<Datagram>> kNames = {"HEARTBEAT", "PING_REQ", "PING_ACK"};
  return kNames[datagram.index()];
}

}  // namespace vsync::core
