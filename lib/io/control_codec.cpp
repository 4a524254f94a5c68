#include "io/control_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/util/json_util.h>

#include <cstring>
#include <utility>

#include "base/utf8.h"
#include "json/batch.h"
#include "json/json.h"

namespace vsync::io {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;

enum WireType : std::uint32_t { kVarint = 0, kLengthDelimited = 2 };

constexpr std::uint32_t tag(int field, WireType type) {
  return static_cast<std::uint32_t>(field) << 3U | type;
}

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << 8U * i;
  }
  return value;
}

void append_big_endian(std::string& out, std::size_t size) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out += static_cast<char>(size >> static_cast<unsigned>(shift) & 0xffU);
  }
}

void append_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80U);
    value >>= 7U;
  }
  out += static_cast<char>(value);
}

std::size_t varint_size(std::uint64_t value) {
  return CodedOutputStream::VarintSize64(value);
}

/// Size of a length-delimited field.
std::size_t field_size(int field, std::size_t size) {
  return varint_size(tag(field, kLengthDelimited)) + varint_size(size) + size;
}

void append_field_head(std::string& out, int field, std::size_t size) {
  append_varint(out, tag(field, kLengthDelimited));
  append_varint(out, size);
}

/// A view of `size` bytes of `bytes` from where the stream is, which skips them.
bool read_bytes(CodedInputStream& in, std::string_view bytes, std::string_view& out) {
  std::uint32_t size = 0;
  if (!in.ReadVarint32(&size)) {
    return false;
  }
  const auto at = static_cast<std::size_t>(in.CurrentPosition());
  if (size > bytes.size() - at) {
    return false;
  }
  out = bytes.substr(at, size);
  return in.Skip(static_cast<int>(size));
}

bool skip_field(CodedInputStream& in, std::string_view bytes, std::uint32_t field_tag) {
  std::string_view ignored;
  std::uint64_t number = 0;
  switch (field_tag & 7U) {
    case kVarint:
      return in.ReadVarint64(&number);
    case kLengthDelimited:
      return read_bytes(in, bytes, ignored);
    default:
      return false;  // none of ours; the generic parser decides what it is
  }
}

CodedInputStream stream_of(std::string_view bytes) {
  return CodedInputStream(reinterpret_cast<const std::uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
}

/// Parses the fields of a SendBatch. False: not valid.
bool parse_batch_fields(const Slice& frame, std::string_view bytes, BatchRequest& batch) {
  auto in = stream_of(bytes);
  while (const std::uint32_t field_tag = in.ReadTag()) {
    std::uint64_t number = 0;
    std::string_view text;
    switch (field_tag) {
      case tag(pb::SendBatch::kGroupFieldNumber, kLengthDelimited):
        if (!read_bytes(in, bytes, text)) {
          return false;
        }
        batch.group = text;
        break;
      case tag(pb::SendBatch::kBodyFieldNumber, kLengthDelimited):
        if (!read_bytes(in, bytes, text)) {
          return false;
        }
        batch.body = frame.part(static_cast<std::size_t>(text.data() - frame.view().data()), text.size());
        break;
      case tag(pb::SendBatch::kServiceFieldNumber, kVarint):
        if (!in.ReadVarint64(&number)) {
          return false;
        }
        batch.service = static_cast<pb::Service>(number);
        break;
      case tag(pb::SendBatch::kCountFieldNumber, kVarint):
        if (!in.ReadVarint32(&batch.count)) {
          return false;
        }
        break;
      case tag(pb::SendBatch::kTextFieldNumber, kVarint):
        if (!in.ReadVarint64(&number)) {
          return false;
        }
        batch.text = number != 0;
        break;
      case tag(pb::SendBatch::kInViewFieldNumber, kVarint):
        if (!in.ReadVarint64(&batch.in_view)) {
          return false;
        }
        break;
      case tag(pb::SendBatch::kGroupsFieldNumber, kLengthDelimited):
      case tag(pb::SendBatch::kToFieldNumber, kLengthDelimited):
        return false;  // rare: the generic parser copies the body
      case tag(pb::SendBatch::kDurableFieldNumber, kVarint):
        if (!in.ReadVarint64(&number)) {
          return false;
        }
        batch.durable = number != 0;
        break;
      default:
        if (!skip_field(in, bytes, field_tag)) {
          return false;
        }
    }
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

std::uint32_t frame_length(std::string_view head) {
  return __builtin_bswap32(little_endian(head));
}

void append_frame(std::string& out, const google::protobuf::MessageLite& message) {
  append_big_endian(out, message.ByteSizeLong());
  message.AppendToString(&out);
}

void append_reply(std::string& out, const pb::Reply& reply, Encoding encoding) {
  if (encoding == Encoding::binary) {
    append_frame(out, reply);
  } else if (reply.has_event()) {
    out += "{\"event\":" + to_json(reply.event()) + "}\n";
  } else {
    out += to_json(reply) + "\n";
  }
}

Result<void> parse_request(std::string_view bytes, Encoding encoding, pb::Request& request) {
  request.Clear();
  if (encoding == Encoding::json) {
    google::protobuf::util::JsonParseOptions options;
    options.case_insensitive_enum_parsing = true;  // "fifo", as people write it and as we print it
    const auto status = google::protobuf::util::JsonStringToMessage({bytes.data(), bytes.size()}, &request, options);
    if (!status.ok()) {
      pb::RequestHead head;
      options.ignore_unknown_fields = true;
      const bool known = google::protobuf::util::JsonStringToMessage({bytes.data(), bytes.size()}, &head, options).ok();
      request.Clear();
      request.set_id(known ? head.id() : 0);
      return fail("not a request: " + std::string(status.message()));
    }
  } else if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail("the frame is not a vsync.control.v1.Request");
  }
  if (request.kind_case() == pb::Request::KIND_NOT_SET) {
    return fail("the request names nothing to do that this daemon knows");
  }
  return {};
}

std::optional<BatchRequest> parse_batch(const Slice& frame) {
  const std::string_view bytes = frame.view();
  BatchRequest batch;
  std::optional<std::string_view> fields;
  auto in = stream_of(bytes);
  while (const std::uint32_t field_tag = in.ReadTag()) {
    std::string_view text;
    if (field_tag == tag(pb::Request::kIdFieldNumber, kVarint)) {
      if (!in.ReadVarint64(&batch.id)) {
        return std::nullopt;
      }
    } else if (field_tag == tag(pb::Request::kSendBatchFieldNumber, kLengthDelimited) && !fields) {
      if (!read_bytes(in, bytes, text)) {
        return std::nullopt;
      }
      fields = text;
    } else {
      return std::nullopt;  // another kind, or something odd that the generic parser judges
    }
  }
  if (!fields || !in.ConsumedEntireMessage() || !parse_batch_fields(frame, *fields, batch)) {
    return std::nullopt;
  }
  return batch;
}

BatchRequest take_batch(pb::Request& request) {
  pb::SendBatch& batch = *request.mutable_send_batch();
  return {request.id(),
          std::move(*batch.mutable_group()),
          batch.service(),
          batch.text(),
          batch.count(),
          batch.in_view(),
          Slice::take(std::move(*batch.mutable_body())),
          {batch.groups().begin(), batch.groups().end()},
          batch.has_to() ? std::optional(to_core(batch.to())) : std::nullopt,
          batch.durable()};
}

std::optional<BodyFault> check_body(std::string_view body, std::uint32_t count, bool text, std::size_t max_message) {
  if (count == 0) {
    return BodyFault{"bad_request", "a batch has at least one message"};
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t size = body.size() < 4 ? 0 : little_endian(body);
    if (body.size() < 4 || size > body.size() - 4) {
      return BodyFault{"bad_request", "the body ends inside message " + std::to_string(i) + " of " + std::to_string(count)};
    }
    if (size > max_message) {
      return BodyFault{"too_large", "message " + std::to_string(i) + " has " + std::to_string(size) + " bytes; " +
                                        std::to_string(max_message) + " are allowed"};
    }
    if (text && !valid_utf8(body.substr(4, size))) {
      return BodyFault{"bad_request", "message " + std::to_string(i) + " is not UTF-8 text; send it as payload"};
    }
    body.remove_prefix(4 + size);
  }
  if (!body.empty()) {
    return BodyFault{"bad_request", "the body is longer than its " + std::to_string(count) + " messages"};
  }
  return std::nullopt;
}

void append_message(std::string& body, std::string_view message) {
  for (unsigned i = 0; i < 4; ++i) {
    body += static_cast<char>(message.size() >> 8U * i & 0xffU);
  }
  body += message;
}

std::string_view next_message(std::string_view& body) {
  const std::size_t size = little_endian(body);
  const std::string_view message = body.substr(4, size);
  body.remove_prefix(4 + size);
  return message;
}

SharedFrame encode_batch(const pb::MessageBatch& batch, const Slice& body) {
  const std::string fields = batch.SerializeAsString();
  const std::size_t batch_size = fields.size() + field_size(pb::MessageBatch::kBodyFieldNumber, body.size());
  const std::size_t event_size = field_size(pb::Event::kMessageBatchFieldNumber, batch_size);
  std::string head;
  head.reserve(fields.size() + 32);
  append_big_endian(head, field_size(pb::Reply::kEventFieldNumber, event_size));
  append_field_head(head, pb::Reply::kEventFieldNumber, event_size);
  append_field_head(head, pb::Event::kMessageBatchFieldNumber, batch_size);
  head += fields;
  append_field_head(head, pb::MessageBatch::kBodyFieldNumber, body.size());
  return {Slice::take(std::move(head)), body};
}

SharedFrame encode_messages(const pb::MessageBatch& batch, const Slice& body) {
  pb::Reply reply;
  std::string lines;
  std::string_view rest = body.view();
  for (std::uint32_t i = 0; i < batch.count(); ++i) {
    fill(*reply.mutable_event()->mutable_message(), batch, i, next_message(rest));
    append_reply(lines, reply, Encoding::json);
  }
  return {Slice::take(std::move(lines)), {}};
}

core::ClientRef to_core(const pb::GroupMember& member) {
  return {{member.node(), member.incarnation()}, member.client()};
}

std::optional<core::Service> to_core(pb::Service service) {
  switch (static_cast<int>(service)) {
    case pb::FIFO:
      return core::Service::fifo;
    case pb::CAUSAL:
      return core::Service::causal;
    case pb::TOTAL:
      return core::Service::total;
    default:
      return std::nullopt;
  }
}

std::optional<core::Wait> to_core(pb::Wait wait) {
  switch (static_cast<int>(wait)) {
    case pb::ALL:
      return core::Wait::all;
    case pb::MAJORITY:
      return core::Wait::majority;
    case pb::FIRST:
      return core::Wait::first;
    default:
      return std::nullopt;
  }
}

pb::Service to_proto(core::Service service) {
  switch (service) {
    case core::Service::fifo:
      return pb::FIFO;
    case core::Service::causal:
      return pb::CAUSAL;
    case core::Service::total:
      return pb::TOTAL;
  }
  return pb::TOTAL;
}

}  // namespace vsync::io
