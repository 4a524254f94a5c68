// Control protocol messages to bytes and back, in both encodings (proto/vsync/control/v1/control.proto).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/slice.h"
#include "core/model/effect.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync::io {

namespace pb = control::v1;

/// Chosen by the first byte of a connection: '{' is JSON, one object per line; anything else frames of a 32-bit big-endian
/// length.
enum class Encoding : std::uint8_t { unknown, binary, json };

inline constexpr std::size_t kFrameHead = 4;

/// A SendBatch whose body was not copied.
struct BatchRequest {
  std::uint64_t id = 0;
  std::string group;
  pb::Service service = pb::TOTAL;  ///< as the client says; may be out of range
  bool text = false;
  std::uint32_t count = 0;
  std::uint64_t in_view = 0;
  Slice body;
  std::vector<std::string> groups;  ///< further ones
  std::optional<core::ClientRef> to;
  bool durable = false;
};

/// A frame that many connections get: head, then body, which is the payload itself.
struct SharedFrame {
  Slice head;
  Slice body;
};

/// Length of the frame whose first kFrameHead bytes are `head`.
[[nodiscard]] std::uint32_t frame_length(std::string_view head);
/// Appends a binary frame of `message`.
void append_frame(std::string& out, const google::protobuf::MessageLite& message);
/// Appends a reply or event (reply.id is left out of JSON events).
void append_reply(std::string& out, const pb::Reply& reply, Encoding encoding);

/// Parses a frame or a line into `request`. Errors are told in words that a client's author understands.
Result<void> parse_request(std::string_view bytes, Encoding encoding, pb::Request& request);
/// If this binary frame is a SendBatch, parses it; its body is a part of `frame`. nullopt: it is something else, or not valid.
[[nodiscard]] std::optional<BatchRequest> parse_batch(const Slice& frame);
/// The same from a parsed request (JSON).
[[nodiscard]] BatchRequest take_batch(pb::Request& request);

/// Checks a body of `count` messages (core::Run): lengths, the largest message, UTF-8 if it is text. Empty = fine.
struct BodyFault {
  std::string_view code;
  std::string message;
};
[[nodiscard]] std::optional<BodyFault> check_body(std::string_view body, std::uint32_t count, bool text, std::size_t max_message);
/// Appends a message to a body.
void append_message(std::string& body, std::string_view message);
/// The next message of a checked body, which is shortened by it.
[[nodiscard]] std::string_view next_message(std::string_view& body);

/// `batch` is without body; the body of the delivery follows it in the frame, shared.
[[nodiscard]] SharedFrame encode_batch(const pb::MessageBatch& batch, const Slice& body);
/// One JSON event per message of the body.
[[nodiscard]] SharedFrame encode_messages(const pb::MessageBatch& batch, const Slice& body);

/// nullopt: a service that this version does not know (proto3 enums are open).
[[nodiscard]] std::optional<core::Service> to_core(pb::Service service);
[[nodiscard]] std::optional<core::Wait> to_core(pb::Wait wait);
[[nodiscard]] core::ClientRef to_core(const pb::GroupMember& member);
[[nodiscard]] pb::Service to_proto(core::Service service);

}  // namespace vsync::io
