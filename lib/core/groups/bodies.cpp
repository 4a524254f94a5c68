#include "core/groups/bodies.h"

#include "base/codec.h"
#include "core/groups/text.h"
#include "core/model/codec.h"

namespace vsync::core {

namespace {

constexpr std::uint8_t kTotalOnly = 1;  // flags of a join
constexpr std::uint8_t kState = 2;
constexpr std::uint8_t kDurable = 4;

tl::unexpected<Refusal> refuse(std::string_view code, std::string message) {
  return tl::unexpected<Refusal>(Refusal{code, std::move(message)});
}

template <typename T>
Slice encoded(const T& value) {
  Writer writer;
  write(writer, value);
  return Slice::take(writer.take());
}

}  // namespace

Slice encode(const JoinBody& body) {
  Writer writer;
  writer.put(static_cast<std::uint8_t>((body.policy.total_only ? kTotalOnly : 0) | (body.state.wanted ? kState : 0) |
                                       (body.policy.disks > 0 ? kDurable : 0)));
  writer.put(body.group).put(body.member_name);
  if (body.state.wanted) {
    writer.put(body.state.offer).put(body.state.replicas);
  }
  if (body.policy.disks > 0) {
    writer.put(body.policy.disks);
    write(writer, body.state.kept);
  }
  return Slice::take(writer.take());
}

std::optional<JoinBody> decode_join(std::string_view bytes) {
  Reader reader(bytes);
  const auto flags = reader.value<std::uint8_t>();
  const auto group = reader.text(kMaxName);
  const auto member_name = reader.text(kMaxName);
  StateWish state{.wanted = (flags & kState) != 0};
  if (state.wanted) {
    state.offer = reader.value<std::uint64_t>();
    state.replicas = reader.value<std::uint32_t>();
  }
  const bool durable = (flags & kDurable) != 0;
  const auto disks = durable ? reader.value<std::uint32_t>() : 0;
  if (durable) {
    state.kept = read_kept(reader);
  }
  if (durable && (!sound(state.kept) || disks == 0 || disks > kMaxDisks || (flags & kTotalOnly) == 0)) {
    return std::nullopt;
  }
  if (!reader.done() || flags > (kTotalOnly | kState | kDurable) || group->empty() || !valid_name(*group) ||
      !valid_name(*member_name)) {
    return std::nullopt;
  }
  return JoinBody{*group, *member_name, {.total_only = (flags & kTotalOnly) != 0, .disks = disks}, std::move(state)};
}

Slice encode(const StateBody& body) {
  Writer writer;
  writer.put(static_cast<std::uint8_t>(body.news)).put(body.token);
  return Slice::take(writer.take());
}

std::optional<StateBody> decode_state(std::string_view bytes) {
  Reader reader(bytes);
  const auto news = static_cast<StateNews>(reader.value<std::uint8_t>());
  const auto token = reader.value<std::uint64_t>();
  return reader.done() && news <= StateNews::refused ? std::optional(StateBody{news, token}) : std::nullopt;
}

Slice encode(const HistoryPosition& synced) {
  return encoded(synced);
}

std::optional<HistoryPosition> decode_synced(std::string_view bytes) {
  Reader reader(bytes);
  const auto synced = read_position(reader);
  return reader.done() ? std::optional(synced) : std::nullopt;
}

Slice encode(const KeptHistory& kept) {
  return encoded(kept);
}

std::optional<KeptHistory> decode_kept(std::string_view bytes) {
  Reader reader(bytes);
  auto kept = read_kept(reader);
  return reader.done() && sound(kept) ? std::optional(std::move(kept)) : std::nullopt;
}

Slice encode_leave(LeaveReason reason) {
  Writer writer;
  writer.put(static_cast<std::uint8_t>(reason));
  return Slice::take(writer.take());
}

std::optional<LeaveReason> decode_leave(std::string_view bytes) {
  Reader reader(bytes);
  const auto reason = static_cast<LeaveReason>(reader.value<std::uint8_t>());
  const bool known = reason == LeaveReason::left || reason == LeaveReason::crashed || reason == LeaveReason::no_state ||
                     reason == LeaveReason::slow;
  return reader.done() && known ? std::optional(reason) : std::nullopt;
}

Slice encode_hold(bool held) {
  Writer writer;
  writer.put(std::uint8_t{held});
  return Slice::take(writer.take());
}

std::optional<bool> decode_hold(std::string_view bytes) {
  Reader reader(bytes);
  const auto held = reader.value<std::uint8_t>();
  return reader.done() && held <= 1 ? std::optional(held == 1) : std::nullopt;
}

Slice encode(const SessionBody& body) {
  Writer writer;
  writer.put(body.session).put(std::uint8_t{body.opens}).put(body.first);
  return Slice::take(writer.take());
}

std::optional<SessionBody> decode_session(std::string_view bytes) {
  Reader reader(bytes);
  SessionBody body;
  body.session = reader.value<std::uint64_t>();
  const auto opens = reader.value<std::uint8_t>();
  body.opens = opens == 1;
  body.first = reader.value<std::uint64_t>();
  const bool sound = body.session != 0 && body.first != 0 && body.first - 1 <= kLastNumber && opens <= 1;
  return reader.done() && sound ? std::optional(body) : std::nullopt;
}

tl::expected<std::vector<Piece>, Refusal> cut_into_pieces(const ClientSend& send, const Limits& limits) {
  // One largest message, or a batch that fills the client's queue.
  if (send.body.size() > limits.max_message + kLengthSize + limits.client_queue_bytes) {
    return refuse("too_large", "a batch of " + std::to_string(send.body.size()) + " bytes is too large");
  }
  if (send.count == 0 || send.count > kMaxBatch) {
    return refuse("bad_request", "a send has 1 to " + std::to_string(kMaxBatch) + " messages");
  }
  std::vector<Piece> pieces;
  std::size_t begin = 0;    // of the piece being filled
  std::uint32_t count = 0;  // messages in it
  std::size_t at = 0;
  const auto close_piece = [&] {
    if (count > 0) {
      pieces.push_back({count, false, send.body.part(begin, at - begin)});
    }
    begin = at;
    count = 0;
  };
  Reader reader(send.body.view());
  for (std::uint32_t i = 0; i < send.count; ++i) {
    const auto length = reader.value<std::uint32_t>();
    if (reader.ok() && length > limits.max_message) {
      return refuse("too_large", "messages may have up to " + std::to_string(limits.max_message) + " bytes");
    }
    const auto message = reader.raw(length);
    if (!message || (send.text && !valid_utf8(*message))) {
      return refuse("bad_request", message ? "a text is not valid UTF-8" : "the lengths of the messages exceed the body");
    }
    const std::size_t size = kLengthSize + length;
    if (at - begin + size > limits.max_run_bytes) {
      close_piece();
    }
    at += size;
    ++count;
    if (size > limits.max_run_bytes) {
      pieces.push_back({1, true, send.body.part(begin + kLengthSize, length)});
      begin = at;
      count = 0;
    }
  }
  close_piece();
  if (!reader.done()) {
    return refuse("bad_request", "the body is longer than its messages");
  }
  return pieces;
}

}  // namespace vsync::core
