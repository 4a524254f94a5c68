#include "wire/frame_codec.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "support/random_frames.h"

namespace vsync::wire {

namespace {

constexpr std::size_t kKinds = std::variant_size_v<core::Frame>;
constexpr Context kContext{.uuid_hash = 77, .proto = 1};

Slice encoded(const core::Frame& frame, const Context& context = kContext) {
  return Slice::take(test::joined(encode_frame(frame, context)));
}

/// The frame with bytes changed, as an attacker could send it.
Slice patched(const Slice& frame, std::size_t offset, std::string_view bytes) {
  std::string text(frame.view());
  text.replace(offset, bytes.size(), bytes);
  return Slice::take(std::move(text));
}

std::string refusal(const Slice& bytes, const Context& context = kContext) {
  const auto frame = decode_frame(bytes, context);
  return frame ? "accepted" : frame.error().message;
}

core::Data data_of(std::initializer_list<core::RunPtr> runs) {
  return {7, runs};
}

core::Run plain_run() {
  core::Run run;
  run.first = 1;
  run.body = Slice::copy_of(std::string_view("\x02\0\0\0hi", 6));
  return run;
}

std::string refusal(const core::Run& run) {
  return refusal(encoded(data_of({std::make_shared<const core::Run>(run)})));
}

}  // namespace

TEST_CASE("every frame survives the way there and back") {
  test::RandomFrames random(1);
  for (int round = 0; round < 200; ++round) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const core::Frame frame = random.frame(kind);
      REQUIRE(frame.index() == kind);
      const EncodedFrame bytes = encode_frame(frame, kContext);
      const Slice whole = Slice::take(test::joined(bytes));
      INFO(core::frame_name(frame));
      REQUIRE(whole.size() == bytes.size);
      REQUIRE(frame_size(whole.bytes()) == bytes.size);
      const auto back = decode_frame(whole, kContext);
      REQUIRE(back);
      REQUIRE(test::same(*back, frame));
    }
  }
}

TEST_CASE("every kind of run is among the random ones") {
  test::RandomFrames random(1);
  std::set<core::RunKind> kinds;
  for (int round = 0; round < 200; ++round) {
    kinds.insert(random.run(10)->kind);
  }
  CHECK(kinds.size() == static_cast<std::size_t>(core::kLastRunKind) + 1);
}

TEST_CASE("large payload is referred to on the way out and in") {
  test::RandomFrames random(2);
  core::Run run;
  run.first = 1;
  run.flags = core::Run::kFragment;
  run.body = Slice::copy_of(std::string(100000, 'x'));
  const auto sent = encode_frame(data_of({std::make_shared<const core::Run>(run)}), kContext);
  REQUIRE(std::ranges::any_of(sent.parts, [&](const Slice& part) { return part.data() == run.body.data(); }));

  const Slice whole = Slice::take(test::joined(sent));
  const auto back = decode_frame(whole, kContext);
  REQUIRE(back);
  const Slice& body = std::get<core::Data>(*back).runs.at(0)->body;
  CHECK(body.data() >= whole.data());
  CHECK(body.data() + body.size() == whole.data() + whole.size());
}

TEST_CASE("small payloads travel in one part") {
  const auto sent = encode_frame(data_of({std::make_shared<const core::Run>(plain_run())}), kContext);
  CHECK(sent.parts.size() == 1);
}

TEST_CASE("runs that do not fit one frame become several") {
  core::Data data{9, {}};
  for (core::Seq seq = 1; seq <= 40; ++seq) {
    core::Run run;
    run.first = seq;
    run.flags = core::Run::kFragment;
    run.body = Slice::copy_of(std::string(100000, static_cast<char>('a' + seq % 26)));
    data.runs.push_back(std::make_shared<const core::Run>(std::move(run)));
  }
  const core::Forward forward{9, {3, 2}, 1, data.runs};
  for (const core::Frame& frame : {core::Frame(data), core::Frame(forward)}) {
    Slice rest = Slice::take(test::joined(encode_frame(frame, kContext)));
    std::vector<core::RunPtr> runs;
    std::size_t frames = 0;
    while (!rest.empty()) {
      const auto size = frame_size(rest.bytes());
      REQUIRE(size);
      REQUIRE(*size <= kMaxFrame);
      const auto part = decode_frame(rest.part(0, *size), kContext);
      REQUIRE(part);
      REQUIRE(part->index() == frame.index());
      const auto& more =
          std::holds_alternative<core::Data>(*part) ? std::get<core::Data>(*part).runs : std::get<core::Forward>(*part).runs;
      runs.insert(runs.end(), more.begin(), more.end());
      rest = rest.part(*size, rest.size() - *size);
      ++frames;
    }
    CHECK(frames == 4);
    CHECK(std::ranges::equal(runs, data.runs, [](const auto& a, const auto& b) { return *a == *b; }));
  }
}

TEST_CASE("frame_size tells at once what is no frame of ours") {
  const auto size = [](std::string_view text) { return frame_size(std::as_bytes(std::span(text))); };
  for (const std::string_view foreign : {"GET / HTTP/1.1\r\n", "\x16\x03\x01", "SSH-2.0", "{", "vsyX", "vsyd", "\n"}) {
    REQUIRE_FALSE(size(foreign));
    CHECK(size(foreign).error().message == "not the peer protocol");
  }
  for (const std::string_view begin : {"", "v", "vsy1", "vsy1\xff\xff\xff"}) {
    CHECK(size(begin) == 0U);
  }
  CHECK(size(std::string_view("vsy1\x2f\0\0\0", 8)).error().message == "frame too short");
  CHECK(size(std::string_view("vsy1\x30\0\0\0", 8)) == 48U);
  CHECK(size(std::string_view("vsy1\0\0\x11\0", 8)) == kMaxFrame);
  CHECK(size(std::string_view("vsy1\x01\0\x11\0", 8)).error().message == "frame too long");
  CHECK(size(std::string_view("vsy1\xff\xff\xff\xff", 8)).error().message == "frame too long");
}

TEST_CASE("every truncation of every frame is refused") {
  test::RandomFrames random(3);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const Slice whole = encoded(random.frame(kind));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      REQUIRE_FALSE(decode_frame(whole.part(0, size), kContext));
    }
  }
}

TEST_CASE("fixed bodies cut short are refused even if the length agrees") {
  test::RandomFrames random(4);
  for (int round = 0; round < 20; ++round) {
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      const core::Frame frame = random.frame(kind);
      const bool fixed = std::holds_alternative<core::Data>(frame) || std::holds_alternative<core::Ack>(frame) ||
                         std::holds_alternative<core::AckAggregate>(frame) || std::holds_alternative<core::Forward>(frame);
      const Slice whole = encoded(frame);
      for (std::size_t size = kHeaderSize; fixed && size < whole.size(); size += 1 + size / 100) {
        const char length[] = {static_cast<char>(size), static_cast<char>(size >> 8U), static_cast<char>(size >> 16U), 0};
        REQUIRE_FALSE(decode_frame(patched(whole.part(0, size), 4, {length, 4}), kContext));
      }
    }
  }
}

TEST_CASE("a changed byte never does harm: refused, or another valid frame") {
  test::RandomFrames random(5);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    const Slice whole = encoded(random.frame(kind));
    for (std::size_t at = 0; at < whole.size(); at += 1 + at / 200) {
      for (const char flip : {'\x01', '\x80', '\xff'}) {
        const char changed = static_cast<char>(whole.view()[at] ^ flip);
        const auto frame = decode_frame(patched(whole, at, {&changed, 1}), kContext);
        if (frame) {
          REQUIRE_FALSE(encode_frame(*frame, kContext).parts.empty());  // what is accepted can be sent on
        }
      }
    }
  }
}

TEST_CASE("header: cluster, version, type, flags and view reference are checked") {
  const Slice frame = encoded(core::Leave{5});
  CHECK(refusal(frame) == "accepted");
  CHECK(refusal(frame, {.uuid_hash = 78, .proto = 1}) == "wrong cluster");
  CHECK(refusal(frame, {.uuid_hash = 0, .proto = 1}) == "accepted");
  CHECK(refusal(encoded(core::Leave{5}, {.uuid_hash = 0, .proto = 1})) == "accepted");
  CHECK(refusal(encoded(core::Leave{5}, {.uuid_hash = 77, .proto = kProtoMax + 1})) == "unsupported protocol version");
  CHECK(refusal(encoded(core::Leave{5}, {.uuid_hash = 77, .proto = 0})) == "unsupported protocol version");
  CHECK(refusal(encoded(core::Hello{}, {.uuid_hash = 77, .proto = kProtoMax + 1})) == "accepted");
  CHECK(refusal(patched(frame, 8, std::string(1, '\0'))) == "unknown frame type");
  CHECK(refusal(patched(frame, 8, "\x7f")) == "unknown frame type");
  CHECK(refusal(patched(frame, 8, "\xff")) == "unknown frame type");
  CHECK(refusal(patched(frame, 9, "\x01")) == "unknown frame flags");
  CHECK(refusal(patched(frame, 12, "\x01")) == "bad view reference");
  CHECK(refusal(patched(frame, 47, "\x01")) == "bad view reference");
  CHECK(refusal(patched(encoded(core::Goodbye{}), 24, "\x01")) == "bad view reference");
}

TEST_CASE("unknown fields of a newer version are ignored") {
  std::string bytes(encoded(core::Leave{5}).view());
  bytes += std::string("\xfa\x7f\x03new", 6);  // field 2047, length-delimited
  bytes[4] = static_cast<char>(bytes.size());
  const auto frame = decode_frame(Slice::take(bytes), kContext);
  REQUIRE(frame);
  CHECK(test::same(*frame, core::Leave{5}));
}

TEST_CASE("runs are checked") {
  core::Run run = plain_run();
  CHECK(refusal(run) == "accepted");
  const auto with = [&](auto change) {
    core::Run changed = run;
    change(changed);
    return refusal(changed);
  };
  CHECK(with([](core::Run& r) { r.first = 0; }) == "bad run range");
  CHECK(with([](core::Run& r) { r.count = 0; }) == "bad run range");
  CHECK(with([](core::Run& r) { r.first = ~core::Seq{0}; }) == "bad run range");
  CHECK(with([](core::Run& r) { r.flags = 64; }) == "bad run flags");
  CHECK(with([](core::Run& r) { r.flags = 8; }) == "bad run view");  // it announces a group view that does not follow (C2)
  CHECK(with([](core::Run& r) { r.flags = core::Run::kLastFragment; }) == "bad run flags");
  CHECK(with([](core::Run& r) { r.count = 2; }) == "bad run body");
  CHECK(with([](core::Run& r) { r.count = 0xffffffff; }) == "bad run body");
  CHECK(with([](core::Run& r) { r.body = Slice::copy_of("abc"); }) == "bad run body");
  CHECK(with([](core::Run& r) { r.body = {}; }) == "bad run body");
  CHECK(with([](core::Run& r) { r.flags = core::Run::kFragment, r.count = 2; }) == "bad fragment");
  CHECK(with([](core::Run& r) { r.kind = core::RunKind::group_join, r.service = core::Service::fifo; }) == "bad run service");
  CHECK(with([](core::Run& r) { r.deps = {{256, 1}}; }) == "rank out of range");
  CHECK(with([](core::Run& r) { r.service = static_cast<core::Service>(3); }) == "unknown enumeration value");
  CHECK(with([](core::Run& r) { r.kind = static_cast<core::RunKind>(100); }) == "unknown enumeration value");
}

TEST_CASE("claimed numbers are checked against what is there") {
  const Slice data = encoded(data_of({std::make_shared<const core::Run>(plain_run())}));
  CHECK(refusal(patched(data, kHeaderSize, "\xff\xff\xff\xff")) == "bad number of runs");
  CHECK(refusal(patched(data, kHeaderSize, "\x02")) == "bad number of runs");
  CHECK(refusal(patched(data, kHeaderSize + 4 + 32, "\xff\xff\xff\xff")) == "bad run body size");
  CHECK(refusal(patched(data, kHeaderSize + 4 + 36, "\xff\xff")) == "bad number of counts");
  const Slice ack = encoded(core::Ack{7, {{1, 2}}});
  CHECK(refusal(patched(ack, kHeaderSize, "\xff\xff\xff\xff")) == "bad number of counts");
  const Slice aggregate = encoded(core::AckAggregate{7, {{1, {{1, 2}}}}});
  CHECK(refusal(patched(aggregate, kHeaderSize, "\xff\xff\xff\xff")) == "bad number of statements");
}

TEST_CASE("views are checked") {
  test::RandomFrames random(6);
  const auto install = [&](auto change) {
    auto view = std::make_shared<core::View>(*random.view());
    change(*view);
    return refusal(encoded(core::Install{view}));
  };
  CHECK(install([](core::View&) {}) == "accepted");
  CHECK(install([](core::View& v) { v.ref.epoch = 0; }) == "view without id");
  CHECK(install([](core::View& v) { v.ref.sub = 1; }) == "bad view reference");
  CHECK(install([](core::View& v) { v.members.clear(); }) == "view without members");
  CHECK(install([](core::View& v) { v.members.push_back(v.members.front()); }) == "bad member");
  CHECK(install([](core::View& v) { v.members.front().pid.node = 0; }) == "bad member");
  CHECK(install([](core::View& v) { v.voters.push_back(v.voters.front()); }) == "bad voter");
  CHECK(install([](core::View& v) { v.voters.front().weight = 0; }) == "bad voter weight");
  CHECK(install([](core::View& v) { v.origins = {core::Origin{{}, 4, {}, {}}}; }) == "bad origin scope");
  CHECK(install([](core::View& v) { v.joined.resize(kMaxMembers + 1); }) == "too many elements");
  CHECK(install([](core::View& v) { v.members.front().name.assign(1025, 'x'); }) == "text too long");
  CHECK(install([](core::View& v) {
          v.left = {core::Departure{{}, static_cast<core::LeaveReason>(6), {}, {}, {}}};
        }) == "unknown enumeration value");
}

TEST_CASE("free texts are cut to what a peer takes, between characters") {
  std::string why(1023, 'x');
  why += "\xc3\xa4";  // one character, of which only the first byte would fit
  const auto frame = decode_frame(encoded(core::EvictRequest{1, {}, why}), kContext);
  REQUIRE(frame);
  CHECK(std::get<core::EvictRequest>(*frame).why == std::string(1023, 'x'));
}

TEST_CASE("hash_of: zero is for no cluster only") {
  CHECK(hash_of({}) == 0);
  CHECK(hash_of({1, 0}) != 0);
  CHECK(hash_of({1, 0}) != hash_of({0, 1}));
}

}  // namespace vsync::wire
