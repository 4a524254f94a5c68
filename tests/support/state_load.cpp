// A donor and a joiner of a large state, for the integration tests:
//   vsync_state_load --socket PATH give GROUP BYTES   says "ready", then gives the state to whoever joins, until it is killed
//   vsync_state_load --socket PATH take GROUP         joins, and tells how much came and whether it is what was given
#include <vsync/client.h>

#include <cstdint>
#include <iostream>
#include <string>

namespace {

/// What the state holds at a place: no block of it is like another.
char content(std::uint64_t at) {
  return static_cast<char>((at >> 12U) * 31 + at * 7);
}

class Source final : public vsync::StateSource {
 public:
  explicit Source(std::uint64_t size) : size_(size) {}
  std::size_t read(std::span<char> space) override {
    std::size_t count = 0;
    for (; count < space.size() && at_ < size_; ++count, ++at_) {
      space[count] = content(at_);
    }
    return count;
  }

 private:
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

class Peer final : public vsync::Handler {
 public:
  explicit Peer(std::uint64_t size) : size_(size) {}

  std::unique_ptr<vsync::StateSource> on_state_request(std::string_view) override { return std::make_unique<Source>(size_); }
  void on_state(const vsync::StatePiece& piece) override {
    if (piece.offset == 0) {
      received = 0;
      good = true;
    }
    for (const char byte : piece.bytes) {
      good = good && byte == content(received++);
    }
    complete = piece.last;
  }

  std::uint64_t received = 0;
  bool good = true;
  bool complete = false;

 private:
  std::uint64_t size_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    return 2;
  }
  const bool gives = std::string(argv[3]) == "give";
  Peer peer(gives && argc > 5 ? std::stoull(argv[5]) : 0);
  vsync::Client client(peer, {.socket = argv[2], .name = "state_load"});
  if (const auto view = client.join(argv[4], {.state = true}); !view) {
    std::cerr << view.failure().message << '\n';
    return 1;
  }
  while (!peer.complete && client.poll(std::chrono::seconds(1))) {
  }
  if (gives) {
    std::cout << "ready" << std::endl;
    static_cast<void>(client.run());
  } else {
    std::cout << peer.received << " bytes, " << (peer.good ? "all as they should be" : "damaged") << std::endl;
  }
}
