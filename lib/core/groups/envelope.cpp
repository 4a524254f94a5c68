#include "core/groups/envelope.h"

#include "base/codec.h"

namespace vsync::core {

Slice encode(const Envelope& envelope) {
  Writer writer;
  writer.put(static_cast<std::uint8_t>(envelope.kind)).put(envelope.request);
  writer.put(static_cast<std::uint8_t>(envelope.to.has_value()));
  if (envelope.to) {
    writer.put(envelope.to->pid.node).put(envelope.to->pid.incarnation).put(envelope.to->client);
  }
  writer.put(static_cast<std::uint32_t>(envelope.more_groups.size()));
  for (const auto group : envelope.more_groups) {
    writer.put(group);
  }
  return Slice::take(writer.take());
}

std::optional<Envelope> decode_envelope(std::string_view bytes) {
  Envelope envelope;
  if (bytes.empty()) {
    return envelope;
  }
  Reader reader(bytes);
  const auto kind = reader.value<std::uint8_t>();
  envelope.kind = static_cast<Envelope::Kind>(kind);
  envelope.request = reader.value<RequestId>();
  const auto addressed = reader.value<std::uint8_t>();
  if (addressed == 1) {
    ClientRef to;
    to.pid.node = reader.value<NodeId>();
    to.pid.incarnation = reader.value<std::uint64_t>();
    to.client = reader.value<ClientId>();
    envelope.to = to;
  }
  const auto groups = reader.count(kMaxGroupsOfSend, sizeof(GroupId)).value_or(0);
  for (std::size_t i = 0; i < groups; ++i) {
    envelope.more_groups.push_back(reader.value<GroupId>());
  }
  const bool message = envelope.kind == Envelope::Kind::message;
  const bool sound = kind <= static_cast<std::uint8_t>(Envelope::Kind::reply) && addressed <= 1 &&
                     message == (envelope.request == 0) && (envelope.kind != Envelope::Kind::reply || envelope.to) &&
                     (envelope.more_groups.empty() || (message && !envelope.to));
  return reader.done() && sound ? std::optional(std::move(envelope)) : std::nullopt;
}

}  // namespace vsync::core
