// Every kind of frame, datagram and record with random content that is in range, and equality by content.
#pragma once

#include <concepts>
#include <string>
#include <utility>

#include "base/rng.h"
#include "core/model/config.h"
#include "core/model/frame.h"

namespace vsync::test {

class RandomFrames {
 public:
  explicit RandomFrames(std::uint64_t seed) : rng_(seed) {}

  /// A frame of the kind with this index in core::Frame.
  core::Frame frame(std::size_t kind) { return make_frame(kind, std::make_index_sequence<std::variant_size_v<core::Frame>>{}); }
  core::Datagram datagram(std::size_t kind);

  std::uint64_t number(std::uint64_t bound = 0) {
    // Often at the ends of the range.
    const std::uint64_t value = rng_.chance(0.1) ? 0 : rng_.chance(0.1) ? ~std::uint64_t{0} : rng_.next();
    return bound == 0 ? value : value % bound;
  }
  bool flip() { return rng_.chance(0.5); }
  std::string text(std::size_t longest = 40);
  core::Pid pid();
  core::Ballot ballot() { return {static_cast<std::uint32_t>(number()), static_cast<core::NodeId>(number())}; }
  core::Member member(core::NodeId node);
  std::vector<core::Member> members();
  core::Counts counts();
  std::vector<core::RankCount> rank_counts();
  core::ViewPtr view();
  core::RunPtr run(std::size_t longest = 5000);
  core::AcceptedValue accepted() { return {ballot(), view()}; }
  core::AcceptorRecord acceptor();
  core::Duration duration() { return core::Duration(static_cast<std::int64_t>(number(std::uint64_t{1} << 50U))); }
  std::size_t few() { return rng_.below(5); }

 private:
  template <std::size_t... index>
  core::Frame make_frame(std::size_t kind, std::index_sequence<index...>) {
    core::Frame frame;
    static_cast<void>(((index == kind && (frame = make<std::variant_alternative_t<index, core::Frame>>(), true)) || ...));
    return frame;
  }
  template <typename Frame>
  Frame make() {
    Frame frame;
    if constexpr (requires { requires std::same_as<decltype(Frame::view), core::ViewId>; }) {
      frame.view = number();
    }
    if constexpr (requires { requires std::same_as<decltype(Frame::ballot), core::Ballot>; }) {
      frame.ballot = ballot();
    }
    fill(frame);
    return frame;
  }

  void fill(core::Hello& frame);
  void fill(core::Goodbye& frame) { frame.reason = text(); }
  void fill(core::LinkUp& frame);
  void fill(core::Data& frame);
  void fill(core::Ack& frame) { frame.counts = rank_counts(); }
  void fill(core::AckAggregate& frame);
  void fill(core::Suspect& frame);
  void fill(core::Join& frame);
  void fill(core::Reject& frame);
  void fill(core::Leave& frame) { frame.everyone = flip(); }
  void fill(core::EvictRequest& frame);
  void fill(core::PreVote& frame);
  void fill(core::PreVoteReply& frame) { frame.yes = flip(); }
  void fill(core::Prepare& frame) { frame.view = view(); }
  void fill(core::Promise& frame);
  void fill(core::Nack& frame) { frame.promised = ballot(); }
  void fill(core::Ready& frame) { frame.members = members(); }
  void fill(core::ReadyOk& /*frame*/) {}
  void fill(core::Flush& frame);
  void fill(core::Forward& frame);
  void fill(core::Fetch& frame);
  void fill(core::HaveAll& /*frame*/) {}
  void fill(core::HolderLost& frame) { frame.holder = rank(); }
  void fill(core::Accept& frame) { frame.value = view(); }
  void fill(core::Accepted& frame) { frame.vote_epoch = number(); }
  void fill(core::Install& frame) { frame.value = view(); }
  void fill(core::Installed& frame) { frame.table_hash = number(); }
  void fill(core::TableRequest& /*frame*/) {}
  void fill(core::Table& frame);
  void fill(core::StatePiece& frame);
  void fill(core::StateAck& frame);
  void fill(core::Evicted& frame);
  void fill(core::ViewRequest& frame) { frame.from = number(); }

  core::Rank rank() { return static_cast<core::Rank>(number(256)); }
  core::Uuid uuid() { return {number(), number()}; }
  core::Address address() { return {text(), static_cast<std::uint16_t>(number()), static_cast<std::uint16_t>(number())}; }

  Rng rng_;
};

[[nodiscard]] bool same(const core::Frame& a, const core::Frame& b);
[[nodiscard]] bool same(const core::ViewPtr& a, const core::ViewPtr& b);
[[nodiscard]] bool same(const core::AcceptorRecord& a, const core::AcceptorRecord& b);

/// All parts of an encoded frame in one string.
template <typename Encoded>
std::string joined(const Encoded& encoded) {
  std::string bytes;
  for (const Slice& part : encoded.parts) {
    bytes += part.view();
  }
  return bytes;
}

}  // namespace vsync::test
