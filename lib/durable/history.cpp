#include "durable/history.h"

#include <limits>
#include <utility>

#include "core/model/codec.h"

namespace vsync::durable {

namespace {

constexpr std::size_t kMaxPart = std::size_t{80} << 20U;  // the largest message, and some
constexpr std::size_t kMaxCommon = 65536;
constexpr std::size_t kFields = 128;  // room for all of a part but its payload

enum class Kind : std::uint8_t { header = 1, checkpoint = 2, messages = 3 };

std::size_t payload(const Header& header) {
  return header.end.keepers.size() * sizeof(core::NodeId) + header.common.size() * core::kPositionSize;
}

std::size_t payload(const CheckpointPiece& piece) {
  return piece.bytes.size();
}

std::size_t payload(const Messages& messages) {
  return messages.body.size();
}

void write(Writer& out, const Header& header) {
  out.put(static_cast<std::uint8_t>(Kind::header));
  write(out, header.end.position);
  out.put(header.end.origin);
  out.put(static_cast<std::uint32_t>(header.end.keepers.size()));
  for (const auto node : header.end.keepers) {
    out.put(node);
  }
  out.put(header.end.promised);
  out.put(static_cast<std::uint32_t>(header.common.size()));
  for (const auto& position : header.common) {
    write(out, position);
  }
}

void write(Writer& out, const CheckpointPiece& piece) {
  out.put(static_cast<std::uint8_t>(Kind::checkpoint));
  write(out, piece.position);
  out.put(piece.offset).put(std::uint8_t{piece.last}).put(piece.bytes.view());
}

void write(Writer& out, const Messages& messages) {
  out.put(static_cast<std::uint8_t>(Kind::messages));
  write(out, messages.first);
  out.put(messages.count);
  write(out, messages.sender);
  out.put(messages.client).put(messages.token).put(messages.view).put(messages.position).put(std::uint8_t{messages.text});
  out.put(messages.body.view());
}

Header read_header(Reader& in) {
  Header header;
  header.end.position = core::read_position(in);
  header.end.origin = in.value<std::uint64_t>();
  for (auto n = in.count(core::kMaxDisks, sizeof(core::NodeId)).value_or(0); n > 0; --n) {
    header.end.keepers.push_back(in.value<core::NodeId>());
  }
  header.end.promised = in.value<std::uint64_t>();
  for (auto n = in.count(kMaxCommon, core::kPositionSize).value_or(0); n > 0; --n) {
    header.common.push_back(core::read_position(in));
  }
  return header;
}

CheckpointPiece read_checkpoint(Reader& in) {
  CheckpointPiece piece;
  piece.position = core::read_position(in);
  piece.offset = in.value<std::uint64_t>();
  piece.last = in.value<std::uint8_t>() != 0;
  piece.bytes = Slice::copy_of(in.text(kMaxPart).value_or(""));
  return piece;
}

Messages read_messages(Reader& in) {
  Messages messages;
  messages.first = core::read_position(in);
  messages.count = in.value<std::uint32_t>();
  messages.sender = core::read_pid(in);
  messages.client = in.value<std::uint32_t>();
  messages.token = in.value<std::uint64_t>();
  messages.view = in.value<std::uint64_t>();
  messages.position = in.value<std::uint64_t>();
  messages.text = in.value<std::uint8_t>() != 0;
  messages.body = Slice::copy_of(in.text(kMaxPart).value_or(""));
  return messages;
}

/// Clients get the body as it is.
bool sound(const Messages& messages) {
  Reader body(messages.body.view());
  for (std::uint32_t i = 0; i < messages.count; ++i) {
    if (!body.text(std::numeric_limits<std::uint32_t>::max())) {
      return false;
    }
  }
  return body.done() && messages.count > 0 && messages.first.index > 0;
}

}  // namespace

std::string bytes_of(const Part& part) {
  return std::visit(
      [](const auto& body) {
        Writer out(kFields + payload(body));
        write(out, body);
        return out.take();
      },
      part);
}

std::string encode(const Part& part) {
  const auto bytes = bytes_of(part);
  return Writer(bytes.size() + sizeof(std::uint32_t)).put(bytes).take();
}

Result<Part> decode(std::string_view bytes) {
  Reader in(bytes);
  Part part;
  switch (static_cast<Kind>(in.value<std::uint8_t>())) {
    case Kind::header:
      part = read_header(in);
      break;
    case Kind::checkpoint:
      part = read_checkpoint(in);
      break;
    case Kind::messages:
      part = read_messages(in);
      break;
    default:
      return fail("a part of a history is of no known kind");
  }
  const auto* messages = std::get_if<Messages>(&part);
  if (!in.done() || (messages != nullptr && !sound(*messages))) {
    return fail("a part of a history is damaged");
  }
  return part;
}

Result<std::optional<Part>> PartReader::next() {
  Reader in(std::string_view(bytes_).substr(at_));
  const auto size = in.get<std::uint32_t>();
  if (size && *size > kMaxPart) {
    return fail("a part of a history is too large");
  }
  const auto bytes = size ? in.raw(*size) : std::nullopt;
  if (!bytes) {
    bytes_.erase(0, std::exchange(at_, 0));
    return std::optional<Part>{};
  }
  at_ += 4 + bytes->size();
  auto part = decode(*bytes);
  if (!part) {
    return tl::unexpected(part.error());
  }
  return std::optional<Part>(std::move(*part));
}

Messages messages_of(const core::DeliverMessages& effect) {
  return {effect.history, effect.count,    effect.sender, effect.client, effect.token,
          effect.view,    effect.position, effect.text,   effect.body};
}

core::DeliverMessages to_effect(Messages messages, core::GroupId group, std::vector<core::ClientId> clients) {
  core::DeliverMessages effect;
  effect.group = group;
  effect.sender = messages.sender;
  effect.client = messages.client;
  effect.token = messages.token;
  effect.view = messages.view;
  effect.position = messages.position;
  effect.text = messages.text;
  effect.count = messages.count;
  effect.body = std::move(messages.body);
  effect.audience.only = std::move(clients);
  effect.history = messages.first;
  return effect;
}

}  // namespace vsync::durable
