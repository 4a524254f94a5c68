#include "wire/record_codec.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"
#include "base/crc.h"
#include "vsync/store/v1/store.pb.h"
#include "wire/view_codec.h"

namespace vsync::wire {

namespace {

namespace st = ::vsync::store::v1;

constexpr std::string_view kMagic = "vsyncrec";
constexpr std::uint16_t kFormat = 1;
constexpr std::size_t kCheckedHead = 20;  // before the checksum
constexpr std::size_t kHead = 24;
constexpr int kMaxExclusions = 1024;

enum class RecordKind : std::uint16_t { identity = 1, acceptor = 2 };

std::string seal(RecordKind kind, const google::protobuf::MessageLite& message) {
  const std::string content = message.SerializeAsString();
  Writer head;
  head.raw(kMagic).put(kFormat).put(static_cast<std::uint16_t>(kind));
  head.put(static_cast<std::uint32_t>(content.size())).put(std::uint32_t{0});
  const std::string checked = head.take();
  return checked + head.put(crc32c(content, crc32c(checked))).raw(content).take();
}

tl::unexpected<RecordError> refuse(RecordError::Kind kind, std::string message) {
  return tl::unexpected(RecordError{kind, std::move(message)});
}

/// The content of an undamaged record of this kind.
RecordResult<std::string_view> open(RecordKind kind, std::string_view bytes) {
  if (!bytes.starts_with(kMagic.substr(0, std::min(kMagic.size(), bytes.size())))) {
    return refuse(RecordError::Kind::foreign, "not a vsyncd record");
  }
  Reader head(bytes.substr(std::min(kMagic.size(), bytes.size())));
  const auto format = head.value<std::uint16_t>();
  const auto found = head.value<std::uint16_t>();
  const std::size_t length = head.value<std::uint32_t>();
  static_cast<void>(head.value<std::uint32_t>());
  const auto checksum = head.value<std::uint32_t>();
  if (!head.ok()) {
    return refuse(RecordError::Kind::damaged, "record is cut off");
  }
  if (format > kFormat) {
    return refuse(RecordError::Kind::newer, "record format " + std::to_string(format) + " is newer than this program");
  }
  const std::string_view content = bytes.substr(kHead);
  if (content.size() != length) {
    return refuse(RecordError::Kind::damaged, content.size() < length ? "record is cut off" : "bytes after the record");
  }
  if (crc32c(content, crc32c(bytes.substr(0, kCheckedHead))) != checksum) {
    return refuse(RecordError::Kind::damaged, "wrong checksum");
  }
  if (found != static_cast<std::uint16_t>(kind)) {
    return refuse(RecordError::Kind::foreign, "record of another kind");
  }
  return content;
}

template <typename Message>
RecordResult<Message> open_as(RecordKind kind, std::string_view bytes) {
  const auto content = open(kind, bytes);
  if (!content) {
    return tl::unexpected(content.error());
  }
  Message message;
  if (!message.ParseFromArray(content->data(), static_cast<int>(content->size()))) {
    return refuse(RecordError::Kind::damaged, "malformed record");
  }
  return message;
}

}  // namespace

std::string encode_identity(const Identity& identity) {
  st::Identity to;
  write(*to.mutable_uuid(), identity.uuid);
  to.set_node(identity.node);
  to.set_name(identity.name);
  to.set_vote_epoch(identity.vote_epoch);
  to.set_incarnation(identity.incarnation);
  to.mutable_exclusions()->Add(identity.exclusions.begin(), identity.exclusions.end());
  return seal(RecordKind::identity, to);
}

RecordResult<Identity> decode_identity(std::string_view bytes) {
  const auto from = open_as<st::Identity>(RecordKind::identity, bytes);
  if (!from) {
    return tl::unexpected(from.error());
  }
  Check check;
  Identity identity;
  identity.uuid = read(from->uuid());
  identity.node = from->node();
  identity.name = read_text(from->name(), check);
  identity.vote_epoch = from->vote_epoch();
  identity.incarnation = from->incarnation();
  if (check.that(from->exclusions_size() <= kMaxExclusions, "too many elements")) {
    identity.exclusions.assign(from->exclusions().begin(), from->exclusions().end());
  }
  check.that(identity.vote_epoch != 0, "identity without vote epoch");
  if (!check.ok()) {
    return refuse(RecordError::Kind::damaged, std::string(check.reason()));
  }
  return identity;
}

std::string encode_acceptor(const core::AcceptorRecord& record) {
  st::Acceptor to;
  if (record.decided) {
    write(*to.mutable_decided(), *record.decided);
  }
  if (record.previous) {
    write(*to.mutable_previous(), *record.previous);
  }
  if (record.promised != core::Ballot{}) {
    write(*to.mutable_promised(), record.promised);
  }
  if (record.accepted) {
    write(*to.mutable_accepted(), *record.accepted);
  }
  return seal(RecordKind::acceptor, to);
}

RecordResult<core::AcceptorRecord> decode_acceptor(std::string_view bytes) {
  const auto from = open_as<st::Acceptor>(RecordKind::acceptor, bytes);
  if (!from) {
    return tl::unexpected(from.error());
  }
  Check check;
  core::AcceptorRecord record;
  if (from->has_decided()) {
    record.decided = read(from->decided(), check);
  }
  if (from->has_previous()) {
    record.previous = read(from->previous(), check);
  }
  record.promised = read(from->promised());
  if (from->has_accepted()) {
    record.accepted = read(from->accepted(), check);
  }
  const bool belongs = !record.accepted || (record.accepted->ballot <= record.promised && record.decided != nullptr);
  check.that(belongs, "accepted value without its promise");
  if (!check.ok()) {
    return refuse(RecordError::Kind::damaged, std::string(check.reason()));
  }
  return record;
}

}  // namespace vsync::wire
