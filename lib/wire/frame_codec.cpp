#include "wire/frame_codec.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <string>
#include <utility>
#include <variant>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "wire/control_body.h"
#include "wire/payload_body.h"
#include "wire/view_codec.h"

namespace vsync::wire {

namespace {

constexpr std::string_view kMagic = "vsy1";
constexpr std::size_t kPrefix = 8;        // magic and length
constexpr std::size_t kNumber = 4;        // of runs
constexpr std::size_t kForwardHead = 12;  // ballot and rank
constexpr std::size_t kTableHead = 24;    // total, offset and hash
constexpr std::size_t kStateHead = 25;    // group, token, offset and last

/// The type of each frame and its body message; void: a fixed body.
template <typename Frame>
struct Codec;

template <pb::FrameType number, typename Message>
struct Uses {
  static constexpr pb::FrameType kType = number;
  using Body = Message;
};

// clang-format off
template <> struct Codec<core::Hello> : Uses<pb::HELLO, pb::Hello> {};
template <> struct Codec<core::Goodbye> : Uses<pb::GOODBYE, pb::Goodbye> {};
template <> struct Codec<core::LinkUp> : Uses<pb::LINKUP, pb::LinkUp> {};
template <> struct Codec<core::Data> : Uses<pb::DATA, void> {};
template <> struct Codec<core::Ack> : Uses<pb::ACK, void> {};
template <> struct Codec<core::AckAggregate> : Uses<pb::AGG, void> {};
template <> struct Codec<core::Suspect> : Uses<pb::SUSPECT, pb::Suspect> {};
template <> struct Codec<core::Join> : Uses<pb::JOIN, pb::Join> {};
template <> struct Codec<core::Reject> : Uses<pb::REJECT, pb::Reject> {};
template <> struct Codec<core::Leave> : Uses<pb::LEAVE, pb::Leave> {};
template <> struct Codec<core::EvictRequest> : Uses<pb::EVICT_REQ, pb::EvictRequest> {};
template <> struct Codec<core::PreVote> : Uses<pb::PREVOTE, pb::PreVote> {};
template <> struct Codec<core::PreVoteReply> : Uses<pb::PREVOTE_REPLY, pb::PreVoteReply> {};
template <> struct Codec<core::Prepare> : Uses<pb::PREPARE, pb::Prepare> {};
template <> struct Codec<core::Promise> : Uses<pb::PROMISE, pb::Promise> {};
template <> struct Codec<core::Nack> : Uses<pb::NACK, pb::Nack> {};
template <> struct Codec<core::Ready> : Uses<pb::READY, pb::Ready> {};
template <> struct Codec<core::ReadyOk> : Uses<pb::READY_OK, pb::ReadyOk> {};
template <> struct Codec<core::Flush> : Uses<pb::FLUSH, pb::Flush> {};
template <> struct Codec<core::Forward> : Uses<pb::FORWARD, void> {};
template <> struct Codec<core::Fetch> : Uses<pb::FETCH, pb::Fetch> {};
template <> struct Codec<core::HaveAll> : Uses<pb::HAVE_ALL, pb::HaveAll> {};
template <> struct Codec<core::HolderLost> : Uses<pb::HOLDER_LOST, pb::HolderLost> {};
template <> struct Codec<core::Accept> : Uses<pb::ACCEPT, pb::Accept> {};
template <> struct Codec<core::Accepted> : Uses<pb::ACCEPTED, pb::Accepted> {};
template <> struct Codec<core::Install> : Uses<pb::INSTALL, pb::Install> {};
template <> struct Codec<core::Installed> : Uses<pb::INSTALLED, pb::Installed> {};
template <> struct Codec<core::TableRequest> : Uses<pb::TABREQ, pb::TableRequest> {};
template <> struct Codec<core::Table> : Uses<pb::TABLE, void> {};
template <> struct Codec<core::Evicted> : Uses<pb::EVICTED, pb::Evicted> {};
template <> struct Codec<core::ViewRequest> : Uses<pb::VIEW_REQ, pb::ViewRequest> {};
template <> struct Codec<core::StatePiece> : Uses<pb::GSTATE, void> {};
template <> struct Codec<core::StateAck> : Uses<pb::GSTATE_ACK, pb::StateAck> {};
// clang-format on

template <typename Frame>
concept NamesView = requires {
  requires std::same_as<decltype(Frame::view), core::ViewId>;
};

/// The view reference of a frame that names a view by its id; the others have none.
template <typename Frame>
core::ViewId view_of(const Frame& frame) {
  if constexpr (NamesView<Frame>) {
    return frame.view;
  } else {
    return 0;
  }
}

void write_header(Writer& to, std::size_t size, pb::FrameType type, core::ViewId view, const Context& context) {
  VSYNC_ASSERT(size <= kMaxFrame, "a frame of our own is too long");
  to.raw(kMagic).put(static_cast<std::uint32_t>(size)).put(static_cast<std::uint8_t>(type)).put(std::uint8_t{0});
  to.put(context.proto).put(std::uint32_t{0}).put(context.uuid_hash).put(view);
  to.put(std::uint32_t{0}).put(std::uint32_t{0}).put(std::uint64_t{0});  // no coordinator in the primary chain
}

// ---------------------------------------------------------------- bodies

/// One or more frames with all of `runs`, each with as many of them as fit. `write_begin` is called with the size of each and
/// writes what comes before its runs.
template <typename WriteBegin>
void write_run_frames(Gather& out, std::span<const core::RunPtr> runs, std::size_t begin, WriteBegin write_begin) {
  do {
    std::size_t size = begin + kNumber;
    std::size_t fit = 0;
    while (fit < runs.size() && (fit == 0 || size + size_of(*runs[fit]) <= kMaxFrame)) {
      size += size_of(*runs[fit]);
      ++fit;
    }
    write_begin(size);
    write_runs(out, runs.first(fit));
    runs = runs.subspan(fit);
  } while (!runs.empty());
}

template <typename Frame>
void write_frame(Gather& out, const Frame& frame, const Context& context) {
  typename Codec<Frame>::Body body;
  write(body, frame);
  const std::string bytes = body.SerializeAsString();
  write_header(out.head(), kHeaderSize + bytes.size(), Codec<Frame>::kType, view_of(frame), context);
  out.head().raw(bytes);
}

void write_frame(Gather& out, const core::Data& frame, const Context& context) {
  write_run_frames(out, frame.runs, kHeaderSize,
                   [&](std::size_t size) { write_header(out.head(), size, pb::DATA, frame.view, context); });
}

void write_frame(Gather& out, const core::Forward& frame, const Context& context) {
  write_run_frames(out, frame.runs, kHeaderSize + kForwardHead, [&](std::size_t size) {
    write_header(out.head(), size, pb::FORWARD, frame.view, context);
    out.head().put(frame.ballot.round).put(frame.ballot.node).put(frame.sender);
  });
}

/// A short frame whose body is written first: its size is in its header.
void write_fixed_frame(Gather& out, pb::FrameType type, core::ViewId view, const Context& context, Writer& body) {
  const std::string bytes = body.take();
  write_header(out.head(), kHeaderSize + bytes.size(), type, view, context);
  out.head().raw(bytes);
}

void write_frame(Gather& out, const core::Ack& frame, const Context& context) {
  Writer body;
  write_counts(body, frame.counts);
  write_fixed_frame(out, pb::ACK, frame.view, context, body);
}

void write_frame(Gather& out, const core::AckAggregate& frame, const Context& context) {
  Writer body;
  write_statements(body, frame.statements);
  write_fixed_frame(out, pb::AGG, frame.view, context, body);
}

void write_frame(Gather& out, const core::Table& frame, const Context& context) {
  write_header(out.head(), kHeaderSize + kTableHead + frame.bytes.size(), pb::TABLE, frame.view, context);
  write_table(out, frame);
}

void write_frame(Gather& out, const core::StatePiece& frame, const Context& context) {
  write_header(out.head(), kHeaderSize + kStateHead + frame.bytes.size(), pb::GSTATE, 0, context);
  write_state(out, frame);
}

template <typename Frame>
void read_frame(Reader& from, const Slice& /*bytes*/, Frame& frame, Check& check) {
  typename Codec<Frame>::Body body;
  if (!check.that(from.left() <= kMaxControlFrame, "frame too long")) {
    return;
  }
  const auto raw = *from.raw(from.left());
  if (check.that(body.ParseFromArray(raw.data(), static_cast<int>(raw.size())), "malformed body")) {
    read(body, frame, check);
  }
}

void read_frame(Reader& from, const Slice& bytes, core::Data& frame, Check& check) {
  frame.runs = read_runs(from, bytes, check);
}

void read_frame(Reader& from, const Slice& bytes, core::Forward& frame, Check& check) {
  frame.ballot.round = from.value<std::uint32_t>();
  frame.ballot.node = from.value<std::uint32_t>();
  frame.sender = read_rank(from.value<std::uint32_t>(), check);
  frame.runs = read_runs(from, bytes, check);
}

void read_frame(Reader& from, const Slice& /*bytes*/, core::Ack& frame, Check& check) {
  frame.counts = read_counts(from, check);
}

void read_frame(Reader& from, const Slice& /*bytes*/, core::AckAggregate& frame, Check& check) {
  frame.statements = read_statements(from, check);
}

void read_frame(Reader& from, const Slice& bytes, core::Table& frame, Check& check) {
  read_table(from, bytes, frame, check);
}

void read_frame(Reader& from, const Slice& bytes, core::StatePiece& frame, Check& check) {
  read_state(from, bytes, frame, check);
}

// ---------------------------------------------------------------- dispatch by type

struct Header {
  std::uint8_t type = 0;
  std::uint16_t proto = 0;
  std::uint64_t uuid_hash = 0;
  core::ViewId epoch = 0;
};

Header read_header(Reader& from, const Context& context, Check& check) {
  Header header;
  static_cast<void>(from.raw(kPrefix));
  header.type = from.value<std::uint8_t>();
  const auto flags = from.value<std::uint8_t>();
  header.proto = from.value<std::uint16_t>();
  const auto sub = from.value<std::uint32_t>();
  header.uuid_hash = from.value<std::uint64_t>();
  header.epoch = from.value<std::uint64_t>();
  const bool no_coord = (from.value<std::uint64_t>() | from.value<std::uint64_t>()) == 0;
  check.that(from.ok(), "frame too short");
  check.that(flags == 0, "unknown frame flags");
  // HELLO says which versions its sender speaks, so it is read whatever its own is.
  check.that(header.type == pb::HELLO || (header.proto >= kProtoMin && header.proto <= kProtoMax),
             "unsupported protocol version");
  check.that(header.uuid_hash == context.uuid_hash || header.uuid_hash == 0 || context.uuid_hash == 0, "wrong cluster");
  check.that(sub == 0 && no_coord, "bad view reference");
  return header;
}

template <typename Frame>
core::Frame read_as(Reader& from, const Slice& bytes, const Header& header, Check& check) {
  Frame frame;
  if constexpr (NamesView<Frame>) {
    frame.view = header.epoch;
  } else {
    check.that(header.epoch == 0, "bad view reference");
  }
  read_frame(from, bytes, frame, check);
  return frame;
}

using Decoder = core::Frame (*)(Reader&, const Slice&, const Header&, Check&);

template <std::size_t... index>
constexpr auto make_decoders(std::index_sequence<index...>) {
  std::array<Decoder, pb::FrameType_ARRAYSIZE> decoders{};
  ((decoders[Codec<std::variant_alternative_t<index, core::Frame>>::kType] =
        &read_as<std::variant_alternative_t<index, core::Frame>>),
   ...);
  return decoders;
}

/// By type; null where no frame has it.
constexpr auto kDecoders = make_decoders(std::make_index_sequence<std::variant_size_v<core::Frame>>{});

/// What a peer sends is answered by an error value, not by messages of the library on standard error.
void silence_library() {
  static const auto previous = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(previous);
}

}  // namespace

std::uint64_t hash_of(const core::Uuid& uuid) {
  if (uuid.none()) {
    return 0;
  }
  const std::uint64_t hash = Hasher().add(uuid.high).add(uuid.low).value();
  return hash == 0 ? 1 : hash;
}

EncodedFrame encode_frame(const core::Frame& frame, const Context& context) {
  silence_library();
  Gather out;
  std::visit([&](const auto& kind) { write_frame(out, kind, context); }, frame);
  EncodedFrame encoded{out.finish(), 0};
  for (const Slice& part : encoded.parts) {
    encoded.size += part.size();
  }
  return encoded;
}

Result<std::size_t> frame_size(std::span<const std::byte> bytes) {
  const std::string_view begin(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kPrefix));
  if (begin.substr(0, kMagic.size()) != kMagic.substr(0, std::min(begin.size(), kMagic.size()))) {
    return fail("not the peer protocol");
  }
  if (begin.size() < kPrefix) {
    return std::size_t{0};
  }
  Reader reader(begin.substr(kMagic.size()));
  const std::size_t size = reader.value<std::uint32_t>();
  if (size < kHeaderSize) {
    return fail("frame too short");
  }
  if (size > kMaxFrame) {
    return fail("frame too long");
  }
  return size;
}

Result<core::Frame> decode_frame(const Slice& bytes, const Context& context) {
  silence_library();
  const auto size = frame_size(bytes.bytes());
  if (!size) {
    return tl::unexpected(size.error());
  }
  if (*size != bytes.size()) {
    return fail("wrong frame size");
  }
  Check check;
  Reader reader(bytes.view());
  const Header header = read_header(reader, context, check);
  if (!check.ok()) {
    return fail(std::string(check.reason()));
  }
  if (header.type >= kDecoders.size() || kDecoders[header.type] == nullptr) {
    return fail("unknown frame type");
  }
  core::Frame frame = kDecoders[header.type](reader, bytes, header, check);
  check.that(reader.done(), "body does not fit its frame");
  if (!check.ok()) {
    return fail(std::string(check.reason()));
  }
  return frame;
}

}  // namespace vsync::wire
