// Writes first inputs for the fuzzers: one per kind of frame, datagram and record. fuzz_seeds DIRECTORY (with one directory per
// fuzzer).
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/random_frames.h"
#include "wire/datagram_codec.h"
#include "wire/discovery_codec.h"
#include "wire/frame_codec.h"
#include "wire/record_codec.h"

namespace {

using namespace vsync;

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

std::string lower(std::string_view name) {
  std::string text(name);
  for (char& c : text) {
    c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return text;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
    return 2;
  }
  const std::filesystem::path root = arguments[1];
  test::RandomFrames random(2026);
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Frame>; ++kind) {
    const core::Frame frame = random.frame(kind);
    write(root / "frames" / lower(core::frame_name(frame)), '\x07' + test::joined(wire::encode_frame(frame)));
  }
  for (std::size_t kind = 0; kind < std::variant_size_v<core::Datagram>; ++kind) {
    const core::Datagram datagram = random.datagram(kind);
    write(root / "datagrams" / lower(core::datagram_name(datagram)), '\x01' + wire::encode_datagram(datagram));
  }
  write(root / "datagrams" / "seek", '\x01' + wire::encode_discovery(wire::Seek{7, "office"}));
  write(root / "datagrams" / "found",
        '\x01' + wire::encode_discovery(wire::Found{7, "office", "0.1.0", {1, 2}, {{"10.0.0.1", 7475}, {"beta", 80}}}));
  constexpr std::size_t kHead = 24;
  const std::string identity = wire::encode_identity({{1, 2}, 3, "web1", 99, 4, {1000, 2000}});
  const std::string acceptor = wire::encode_acceptor(random.acceptor());
  write(root / "records" / "identity_file", '\0' + identity);
  write(root / "records" / "acceptor_file", '\0' + acceptor);
  write(root / "records" / "identity", '\1' + identity.substr(kHead));
  write(root / "records" / "acceptor", '\2' + acceptor.substr(kHead));
  return 0;
}
