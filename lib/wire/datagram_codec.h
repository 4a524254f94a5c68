// Heartbeats and questions of the failure detector (F1, F6) as UDP datagrams. All integers little-endian:
//
//   magic "vsyd", proto u16, type u8 (1 HEARTBEAT, 2 PING_REQ, 3 PING_ACK), zero u8, uuid 16 bytes, sender's pid (node u32, stint
//   u32, incarnation u64), fields in the order of the struct, CRC-32C u32 of all that
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "core/model/frame.h"
#include "wire/datagram_seal.h"

namespace vsync::wire {

[[nodiscard]] std::string encode_datagram(const core::Datagram& datagram);

/// `uuid`: of our cluster; datagrams of another are refused. None fits every cluster, in both directions.
[[nodiscard]] Result<core::Datagram> decode_datagram(std::string_view bytes, const core::Uuid& uuid);

}  // namespace vsync::wire
