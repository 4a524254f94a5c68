#include "wire/datagram_codec.h"

#include <cstdint>

#include "base/codec.h"
#include "wire/check.h"
#include "wire/frame_codec.h"

namespace vsync::wire {

namespace {

constexpr std::string_view kMagic = "vsyd";
constexpr std::uint32_t kMaxHealth = 255;

constexpr std::uint8_t kHeartbeat = 1;
constexpr std::uint8_t kPingRequest = 2;
constexpr std::uint8_t kPingReply = 3;

void put(Writer& to, const core::Pid& pid) {
  to.put(pid.node).put(pid.stint).put(pid.incarnation);
}

core::Pid get_pid(Reader& from) {
  core::Pid pid;
  pid.node = from.value<std::uint32_t>();
  pid.stint = from.value<std::uint32_t>();
  pid.incarnation = from.value<std::uint64_t>();
  return pid;
}

void put_fields(Writer& to, const core::Heartbeat& beat) {
  to.put(beat.decided).put(static_cast<std::uint8_t>(beat.role)).put(beat.counter).put(beat.health).put(beat.view);
  to.put(beat.delivered_totals).put(beat.delivery_hash).put(beat.echo_counter).put(from_duration(beat.echo_delay));
}

void get_fields(Reader& from, core::Heartbeat& beat, Check& check) {
  beat.decided = from.value<std::uint64_t>();
  beat.role = to_enum(from.value<std::uint8_t>(), core::Role::witness, check);
  beat.counter = from.value<std::uint64_t>();
  beat.health = from.value<std::uint32_t>();
  beat.view = from.value<std::uint64_t>();
  beat.delivered_totals = from.value<std::uint64_t>();
  beat.delivery_hash = from.value<std::uint64_t>();
  beat.echo_counter = from.value<std::uint64_t>();
  beat.echo_delay = to_duration(from.value<std::uint64_t>(), check);
  check.that(beat.health <= kMaxHealth, "number out of range");
}

void put_fields(Writer& to, const core::PingRequest& request) {
  put(to, request.target);
  to.put(request.nonce);
}

void get_fields(Reader& from, core::PingRequest& request, Check& /*check*/) {
  request.target = get_pid(from);
  request.nonce = from.value<std::uint64_t>();
}

void put_fields(Writer& to, const core::PingReply& reply) {
  put(to, reply.target);
  to.put(reply.nonce).put(static_cast<std::uint8_t>(reply.heard)).put(from_duration(reply.age));
}

void get_fields(Reader& from, core::PingReply& reply, Check& check) {
  reply.target = get_pid(from);
  reply.nonce = from.value<std::uint64_t>();
  reply.heard = to_enum(from.value<std::uint8_t>(), std::uint8_t{1}, check) == 1;
  reply.age = to_duration(from.value<std::uint64_t>(), check);
}

constexpr std::uint8_t type_of(const core::Heartbeat&) {
  return kHeartbeat;
}
constexpr std::uint8_t type_of(const core::PingRequest&) {
  return kPingRequest;
}
constexpr std::uint8_t type_of(const core::PingReply&) {
  return kPingReply;
}

template <typename Kind>
core::Datagram read_as(Reader& from, const core::Uuid& uuid, Check& check) {
  Kind kind;
  kind.uuid = uuid;
  kind.pid = get_pid(from);
  get_fields(from, kind, check);
  return kind;
}

core::Datagram read_fields(std::uint8_t type, Reader& from, const core::Uuid& uuid, Check& check) {
  switch (type) {
    case kHeartbeat:
      return read_as<core::Heartbeat>(from, uuid, check);
    case kPingRequest:
      return read_as<core::PingRequest>(from, uuid, check);
    case kPingReply:
      return read_as<core::PingReply>(from, uuid, check);
    default:
      check.that(false, "unknown datagram type");
      return {};
  }
}

}  // namespace

std::string encode_datagram(const core::Datagram& datagram) {
  Writer to;
  std::visit(
      [&](const auto& kind) {
        to.raw(kMagic).put(kProtoMax).put(type_of(kind)).put(std::uint8_t{0}).put(kind.uuid.high).put(kind.uuid.low);
        put(to, kind.pid);
        put_fields(to, kind);
      },
      datagram);
  return seal_datagram(to.take());
}

Result<core::Datagram> decode_datagram(std::string_view bytes, const core::Uuid& uuid) {
  const auto content = open_datagram(bytes, kMagic);
  if (!content) {
    return tl::unexpected(content.error());
  }
  Check check;
  Reader from(*content);
  const auto proto = from.value<std::uint16_t>();
  const auto type = from.value<std::uint8_t>();
  const auto zero = from.value<std::uint8_t>();
  core::Uuid sender;
  sender.high = from.value<std::uint64_t>();
  sender.low = from.value<std::uint64_t>();
  check.that(proto >= kProtoMin && proto <= kProtoMax, "unsupported protocol version");
  check.that(zero == 0, "unknown datagram flags");
  check.that(sender == uuid || sender.none() || uuid.none(), "wrong cluster");
  core::Datagram datagram = read_fields(type, from, sender, check);
  check.that(from.done(), "wrong datagram size");
  if (!check.ok()) {
    return fail(std::string(check.reason()));
  }
  return datagram;
}

}  // namespace vsync::wire
