// Helpers of views, and the names of things in logs and documents.
#include <catch2/catch.hpp>

#include <set>
#include <type_traits>

#include "core/model/codec.h"
#include "core/model/effect.h"
#include "core/model/frame.h"
#include "core/model/view.h"

namespace vsync::core {
namespace {

Member member(NodeId node, std::uint64_t incarnation = 1) {
  return {{node, incarnation, 0}, 70 + node, "n" + std::to_string(node), {"127.0.0.1", 1, 2}};
}

TEST_CASE("view: members by pid, by node and by rank") {
  View view;
  view.ref.epoch = 5;
  view.members = {member(3, 2), member(1), member(2)};
  CHECK(view.id() == 5);
  CHECK(view.leader() == Pid{3, 2, 0});
  CHECK(view.rank_of({1, 1, 0}) == Rank{1});
  CHECK_FALSE(view.rank_of({3, 1, 0}));  // an earlier incarnation is somebody else
  CHECK_FALSE(view.rank_of({3, 2, 1}));
  CHECK(view.contains({2, 1, 0}));
  CHECK_FALSE(view.contains({4, 1, 0}));
  REQUIRE(view.find({2, 1, 0}) != nullptr);
  CHECK(view.find({2, 1, 0})->name == "n2");
  CHECK(view.find({2, 2, 0}) == nullptr);
  REQUIRE(view.find_node(3) != nullptr);
  CHECK(view.find_node(3)->pid.incarnation == 2);
  CHECK(view.find_node(4) == nullptr);
  CHECK(node_list(view) == "3,1,2");
  CHECK(view.summary() == "5 <3,1,2>");
}

TEST_CASE("view: who comes from where") {
  const Pid one{1, 1, 0};
  const Pid two{2, 1, 0};
  View view;
  view.ref.epoch = 5;
  view.members = {member(1), member(2)};
  view.origins = {Origin{{4, 0, {}}, Origin::kPrimary, {one}, {7}}, Origin{{}, Origin::kPrimary, {two}, {}}};
  REQUIRE(view.origin_of(one, 4) != nullptr);
  CHECK(view.origin_of(one, 4)->cut == Counts{7});
  CHECK(view.origin_of(one, 3) == nullptr);
  CHECK(view.origin_of(two, 4) == nullptr);
  CHECK(view.origin_of(two, 0) == nullptr);  // a joiner comes from no view
  CHECK_FALSE(view.starts_empty());
}

TEST_CASE("view: a founded and a cold view start empty") {
  View founded;
  founded.origins = {Origin{{}, Origin::kPrimary, {{1, 1, 0}}, {}}};
  CHECK(founded.starts_empty());
  View cold;
  cold.origins = {Origin{{4, 0, {}}, Origin::kPrimary, {}, {0, 0}}};
  CHECK(cold.starts_empty());
}

template <std::size_t... I>
std::vector<Frame> one_of_each(std::index_sequence<I...>) {
  return {Frame(std::in_place_index<I>)...};
}

TEST_CASE("every frame has the name that the protocol gives it") {
  const std::vector<std::string> expected = {
      "HELLO",  "GOODBYE",   "LINKUP",  "DATA",          "ACK",         "AGG",       "SUSPECT",  "JOIN",    "REJECT",
      "LEAVE",  "EVICT_REQ", "PREVOTE", "PREVOTE_REPLY", "PREPARE",     "PROMISE",   "NACK",     "READY",   "READY_OK",
      "FLUSH",  "FORWARD",   "FETCH",   "HAVE_ALL",      "HOLDER_LOST", "ACCEPT",    "ACCEPTED", "INSTALL", "INSTALLED",
      "TABREQ", "TABLE",     "EVICTED", "VIEW_REQ",      "GSTATE",      "GSTATE_ACK"};
  const auto frames = one_of_each(std::make_index_sequence<std::variant_size_v<Frame>>());
  REQUIRE(frames.size() == expected.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(frame_name(frames[i]) == expected[i]);
  }
  CHECK(std::set<std::string>(expected.begin(), expected.end()).size() == expected.size());
  // The position of a name is the position of its type.
  CHECK(frame_name(LinkUp{}) == "LINKUP");
  CHECK(frame_name(AckAggregate{}) == "AGG");
  CHECK(frame_name(HolderLost{}) == "HOLDER_LOST");
  CHECK(frame_name(TableRequest{}) == "TABREQ");
  CHECK(frame_name(ViewRequest{}) == "VIEW_REQ");
}

TEST_CASE("every datagram has the name that the protocol gives it") {
  CHECK(datagram_name(Heartbeat{}) == "HEARTBEAT");
  CHECK(datagram_name(PingRequest{}) == "PING_REQ");
  CHECK(datagram_name(PingReply{}) == "PING_ACK");
}

TEST_CASE("words for people and programs") {
  CHECK(to_string(Service::fifo) == "fifo");
  CHECK(to_string(Service::causal) == "causal");
  CHECK(to_string(Service::total) == "total");
  CHECK(to_string(Evidence::none) == "none");
  CHECK(to_string(Evidence::hard) == "hard");
  CHECK(to_string(LeaveReason::left) == "left");
  CHECK(to_string(LeaveReason::unreachable) == "unreachable");
  CHECK(to_string(Role::out) == "out");
  CHECK(to_string(Role::joining) == "joining");
  CHECK(to_string(Role::wedged) == "wedged");
  CHECK(to_string(Role::left) == "left");
  CHECK(to_string(Outcome::not_delivered) == "not_delivered");
  CHECK(to_string(QuorumPolicy::fixed) == "static");
  CHECK(to_string(Pid{3, 12, 0}) == "3.12");
  CHECK(to_string(Ballot{2, 7}) == "2/7");
  CHECK(to_string(Uuid{0x1, 0xab}) == "000000000000000100000000000000ab");
}

TEST_CASE("ballots: the round decides, then the node") {
  CHECK(Ballot{} < Ballot{1, 1});
  CHECK(Ballot{1, 9} < Ballot{2, 1});
  CHECK(Ballot{2, 1} < Ballot{2, 2});
}

TEST_CASE("codec: the bytes of a pid and of a place in a history stay as they are: disks have them") {
  const Pid pid{1, 2, 3};
  const HistoryPosition position{4, 5};
  Writer out;
  write(out, pid);
  CHECK(out.size() == kPidSize);
  write(out, position);
  CHECK(out.size() == kPidSize + kPositionSize);
  const auto bytes = out.take();
  Writer integers;
  integers.put(std::uint32_t{1}).put(std::uint64_t{2}).put(std::uint32_t{3}).put(std::uint64_t{4}).put(std::uint64_t{5});
  CHECK(bytes == integers.take());
  Reader in(bytes);
  CHECK(read_pid(in) == pid);
  CHECK(read_position(in) == position);
  CHECK(in.done());
}

TEST_CASE("audience: everybody but those who come later, or a few alone") {
  CHECK(Audience{}.includes(1));
  CHECK_FALSE(Audience{.later = {1, 2}}.includes(2));
  CHECK(Audience{.later = {1, 2}}.includes(3));
  CHECK(Audience{.only = {1, 2}}.includes(2));
  CHECK_FALSE(Audience{.only = {1, 2}}.includes(3));
  CHECK_FALSE(Audience{.later = {1}, .only = {1}}.includes(1));
}

}  // namespace
}  // namespace vsync::core
