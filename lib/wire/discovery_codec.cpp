#include "wire/discovery_codec.h"

#include <algorithm>

#include "base/codec.h"
#include "base/utf8.h"
#include "wire/check.h"
#include "wire/datagram_seal.h"
#include "wire/frame_codec.h"

namespace vsync::wire {
namespace {

constexpr std::string_view kMagic = "vsyf";
constexpr std::uint8_t kSeek = 1;
constexpr std::uint8_t kFound = 2;
constexpr std::size_t kMaxVersion = 64;
constexpr std::size_t kMaxHost = 255;
constexpr std::size_t kLeastPlace = 4 + 1 + 2;

Writer head(std::uint8_t type, std::uint64_t nonce, const std::string& cluster) {
  Writer to(kMaxDatagram);
  to.raw(kMagic).put(kProtoMax).put(type).put(std::uint8_t{0}).put(nonce).put(std::string_view(cluster));
  return to;
}

std::string content_of(const Seek& seek) {
  Writer to = head(kSeek, seek.nonce, seek.cluster);
  return to.raw(std::string(kMaxDatagram - kDatagramChecksum - to.size(), '\0')).take();
}

std::string content_of(const Found& found) {
  Writer to = head(kFound, found.nonce, found.cluster);
  to.put(std::string_view(found.version)).put(found.uuid.high).put(found.uuid.low);
  Writer places;
  std::uint32_t count = 0;
  for (const Place& place : found.places) {
    if (count == kMaxPlaces || to.size() + 4 + places.size() + 4 + place.host.size() + 2 + kDatagramChecksum > kMaxDatagram) {
      break;
    }
    places.put(std::string_view(place.host)).put(place.port);
    ++count;
  }
  return to.put(count).raw(places.take()).take();
}

std::string get_text(Reader& from, std::size_t max_size, Check& check) {
  const auto text = from.text(max_size);
  check.that(text && !text->empty() && printable_utf8(*text), "not a printable name");
  return std::string(text.value_or(""));
}

Seek read_seek(Reader& from, std::uint64_t nonce, std::string cluster, Check& check) {
  const auto padding = from.raw(from.left());
  check.that(padding && padding->find_first_not_of('\0') == std::string_view::npos, "unknown datagram content");
  return {nonce, std::move(cluster)};
}

Found read_found(Reader& from, std::uint64_t nonce, std::string cluster, Check& check) {
  Found found{nonce, std::move(cluster), get_text(from, kMaxVersion, check), {}, {}};
  found.uuid.high = from.value<std::uint64_t>();
  found.uuid.low = from.value<std::uint64_t>();
  const auto count = from.count(kMaxPlaces, kLeastPlace).value_or(0);
  check.that(count > 0 && !found.uuid.none(), "number out of range");
  for (std::size_t i = 0; i < count && check.ok(); ++i) {
    Place place;
    place.host = get_text(from, kMaxHost, check);
    place.port = from.value<std::uint16_t>();
    check.that(place.port != 0, "number out of range");
    found.places.push_back(std::move(place));
  }
  check.that(from.done(), "wrong datagram size");
  return found;
}

Discovery read_fields(std::uint8_t type, Reader& from, Check& check) {
  const auto nonce = from.value<std::uint64_t>();
  auto cluster = get_text(from, kMaxClusterName, check);
  switch (type) {
    case kSeek:
      return read_seek(from, nonce, std::move(cluster), check);
    case kFound:
      return read_found(from, nonce, std::move(cluster), check);
    default:
      check.that(false, "unknown datagram type");
      return {};
  }
}

}  // namespace

std::string encode_discovery(const Discovery& datagram) {
  return seal_datagram(std::visit([](const auto& kind) { return content_of(kind); }, datagram));
}

Result<Discovery> decode_discovery(std::string_view bytes) {
  const auto content = open_datagram(bytes, kMagic);
  if (!content) {
    return tl::unexpected(content.error());
  }
  Check check;
  Reader from(*content);
  const auto proto = from.value<std::uint16_t>();
  const auto type = from.value<std::uint8_t>();
  const auto zero = from.value<std::uint8_t>();
  check.that(proto >= kProtoMin && proto <= kProtoMax, "unsupported protocol version");
  check.that(zero == 0, "unknown datagram flags");
  check.that(type != kSeek || bytes.size() == kMaxDatagram, "wrong datagram size");
  Discovery datagram = read_fields(type, from, check);
  if (!check.ok()) {
    return fail(std::string(check.reason()));
  }
  return datagram;
}

}  // namespace vsync::wire
