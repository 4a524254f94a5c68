// Three whole nodes: they found, join, send, lose their leader, and take the inputs that the transport and the disk may bring.
#include <catch2/catch.hpp>

#include "unit/node/net.h"

namespace vsync::test {
namespace {

using Texts = std::vector<std::string>;

std::size_t refusals(const Net& net, NodeId id, std::string_view frame) {
  const auto all = net.all<InputRefused>(id);
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) { return each.frame == frame; }));
}

TEST_CASE("found, join, join") {
  Net net;
  three(net);
  CHECK(net.all<ViewInstalled>(1).size() == 3);
  CHECK(net.all<ViewInstalled>(3).size() == 1);
  const auto newest = net.last<ViewInstalled>(1);
  CHECK(newest.previous == 2);
  CHECK(newest.transitional == std::vector<Pid>{pid(1), pid(2)});
  CHECK(net.last<ViewInstalled>(3).previous == 0);
  CHECK(net.last<ViewInstalled>(3).transitional == std::vector<Pid>{pid(3)});
  for (const NodeId id : {1U, 2U, 3U}) {
    const auto status = net.status(id);
    CHECK(*status.view == *newest.view);
    CHECK(status.uuid == net.status(1).uuid);
    CHECK(status.role == Role::member);
    CHECK(status.has_quorum);
    CHECK(net.last<QuorumChanged>(id).has);
    CHECK(status.tolerates == 1);
    CHECK(status.members.size() == 3);
  }
}

TEST_CASE("calm: nothing changes while nothing happens") {
  Net net;
  three(net);
  net.forget();
  net.wait(std::chrono::seconds(20));
  for (const NodeId id : {1U, 2U, 3U}) {
    CHECK(net.all<ViewInstalled>(id).empty());
    CHECK(net.all<SuspicionChanged>(id).empty());
    CHECK(net.all<InputRefused>(id).empty());
  }
}

TEST_CASE("every service is delivered at all members, with its outcome") {
  Net net;
  three(net);
  for (const NodeId id : {1U, 2U, 3U}) {
    net.join_group(id, "g");
  }
  CHECK(net.last<GroupViewInstalled>(2).group_view->members.size() == 3);
  net.forget();
  const auto fifo = net.send(1, "g", Service::fifo, "a");
  const auto causal = net.send(2, "g", Service::causal, "b");
  const auto total = net.send(3, "g", Service::total, "c");
  for (const NodeId id : {1U, 2U, 3U}) {
    CHECK(net.delivered(id) == Texts{"a/fifo", "b/causal", "c/total"});
  }
  CHECK(net.last<SendOutcome>(1).request == fifo);
  CHECK(net.last<SendOutcome>(1).outcome == Outcome::delivered);
  CHECK(net.last<SendOutcome>(2).request == causal);
  CHECK(net.last<SendOutcome>(2).outcome == Outcome::delivered);
  CHECK(net.last<SendOutcome>(3).request == total);
  CHECK(net.last<SendOutcome>(3).outcome == Outcome::delivered);
  CHECK(net.last<SendOutcome>(3).position == 1);
}

TEST_CASE("the leader is killed: the others agree on the next view and on what was sent before it") {
  Net net;
  three(net);
  for (const NodeId id : {1U, 2U, 3U}) {
    net.join_group(id, "g");
  }
  net.forget();
  // The leader's last message reaches only node 2, and no acknowledgement of it anybody.
  net.hold = [](NodeId from, NodeId to, const Frame& frame) {
    return std::holds_alternative<Ack>(frame) || (std::holds_alternative<Data>(frame) && from == 1 && to == 3);
  };
  net.send(1, "g", Service::total, "last");
  net.hold = nullptr;
  net.kill(1);
  net.wait(std::chrono::seconds(1));
  for (const NodeId id : {2U, 3U}) {
    CHECK(net.view(id) == "4 <2,3>");
    CHECK(net.delivered(id) == Texts{"last/total"});
    CHECK(net.last<GroupViewInstalled>(id).group_view->members.size() == 2);
    const auto departure = net.last<ViewInstalled>(id).view->left.front();
    CHECK(departure.pid == pid(1));
    CHECK(departure.reason == LeaveReason::crashed);
  }
  CHECK(net.status(2).counters.forwarded == 1);
  net.send(3, "g", Service::total, "next");
  CHECK(net.delivered(2) == Texts{"last/total", "next/total"});
}

TEST_CASE("a broken link between two live members is no view change if it comes back") {
  Net net;
  three(net);
  for (const NodeId id : {1U, 2U}) {
    net.join_group(id, "g");
  }
  net.forget();
  const auto hello_of = [&](NodeId id) {
    Hello hello;
    hello.pid = pid(id);
    hello.vote_epoch = 70 + id;
    hello.uuid = net.status(id).uuid;
    hello.role = Role::member;
    hello.decided = 3;
    return hello;
  };
  net.hold = [](NodeId, NodeId to, const Frame& frame) { return to == 2 && std::holds_alternative<Data>(frame); };
  net.send(1, "g", Service::fifo, "a");
  net.hold = [](NodeId, NodeId, const Frame&) { return true; };
  net.lose(1, 2);
  net.step(1, LinkClosed{pid(2), false});
  net.step(2, LinkClosed{pid(1), false});
  net.step(1, LinkOpened{hello_of(2)});
  net.step(2, LinkOpened{hello_of(1)});
  net.hold = nullptr;
  net.run();
  CHECK(net.delivered(2) == Texts{"a/fifo"});  // lost with the connection, sent again on LINKUP
  net.wait(std::chrono::seconds(2));
  CHECK(net.view(1) == "3 <1,2,3>");
}

// ---------------------------------------------------------------- LINKUP

TEST_CASE("a LINKUP that comes before the install is kept") {
  Net net;
  SECTION("at a joiner that waits for its table") {
    net.hold = [](NodeId, NodeId to, const Frame& frame) { return to == 3 && std::holds_alternative<Table>(frame); };
  }
  SECTION("at a member that waits for INSTALL") {
    net.hold = [](NodeId from, NodeId to, const Frame& frame) {
      const auto* install = std::get_if<Install>(&frame);
      return from == 1 && to == 2 && install != nullptr && install->value->id() == 3;
    };
  }
  for (const NodeId id : {1U, 2U, 3U}) {
    net.add(id);
    net.wait(milliseconds(120));
  }
  REQUIRE(net.view(1) == "3 <1,2,3>");
  net.hold = nullptr;
  net.wait(milliseconds(500));
  for (const NodeId id : {1U, 2U, 3U}) {
    REQUIRE(net.view(id) == "3 <1,2,3>");
    net.join_group(id, "g");
  }
  net.forget();
  for (const NodeId id : {1U, 2U, 3U}) {
    net.send(id, "g", Service::total, "x");
  }
  for (const NodeId id : {1U, 2U, 3U}) {
    CHECK(net.delivered(id).size() == 3);
  }
}

// ---------------------------------------------------------------- refused inputs

TEST_CASE("frames that are never right are refused, counted, and change nothing") {
  Net net;
  three(net);
  net.forget();
  const ViewId view = 3;
  SECTION("HELLO on an open link") {
    net.receive(2, pid(1), Hello{});
    CHECK(refusals(net, 2, "HELLO") == 1);
  }
  SECTION("DATA of somebody who is not in the view") {
    net.receive(2, pid(9), Data{view, {}});
    CHECK(refusals(net, 2, "DATA") == 1);
  }
  SECTION("an aggregate that is not the leader's") {
    net.receive(2, pid(3), AckAggregate{view, {}});
    CHECK(refusals(net, 2, "AGG") == 1);
  }
  SECTION("a LINKUP that claims messages that were never sent") {
    net.receive(2, pid(3), LinkUp{view, 77, 0});
    CHECK(refusals(net, 2, "LINKUP") == 1);
  }
  SECTION("a malformed run") {
    Run run;
    run.first = 1;
    run.count = 0;
    run.stamp = 1;
    net.receive(2, pid(1), Data{view, {std::make_shared<const Run>(run)}});
    CHECK(refusals(net, 2, "DATA") == 1);
    CHECK(net.last<ResetLink>(2).peer == pid(1));
  }
  CHECK(net.status(2).counters.refused_frames == 1);
  CHECK(net.view(2) == "3 <1,2,3>");
  CHECK(net.all<Fatal>(2).empty());
}

TEST_CASE("stale and early traffic is ignored without a word") {
  Net net;
  three(net);
  net.forget();
  Run run;
  run.first = 1;
  run.stamp = 1;
  const auto shared_run = std::make_shared<const Run>(run);
  net.receive(2, pid(1), Data{2, {shared_run}});
  net.receive(2, pid(1), Data{4, {shared_run}});
  net.receive(2, pid(1), Ack{2, {{0, 5}}});
  CHECK(net.all<InputRefused>(2).empty());
  CHECK(net.status(2).members[0].received == 0);
}

TEST_CASE("R2: a gap in a stream resets the link") {
  Net net;
  three(net);
  net.forget();
  Run run;
  run.first = 3;
  run.stamp = 9;
  net.receive(2, pid(1), Data{3, {std::make_shared<const Run>(run)}});
  CHECK(net.last<ResetLink>(2).peer == pid(1));
  CHECK(net.status(2).members[0].received == 0);
}

// ---------------------------------------------------------------- fatal

TEST_CASE("what must never happen stops the daemon, and it says nothing after that") {
  Net net;
  three(net);
  net.forget();
  SECTION("a record that cannot be made durable") {
    net.step(2, PersistFailed{1, "no space"});
  }
  SECTION("C1: a cut beyond what a survivor holds") {
    View four = *net.status(1).view;
    four.ref.epoch = 4;
    four.joined.clear();
    four.origins = {Origin{{3, 0, {}}, Origin::kPrimary, {pid(1), pid(2), pid(3)}, {5, 0, 0}}};
    net.receive(2, pid(1), Install{std::make_shared<const View>(four)});
    net.run();
  }
  SECTION("R11: deliveries that differ from the leader's") {
    Heartbeat heartbeat;
    heartbeat.pid = pid(1);
    heartbeat.uuid = net.status(1).uuid;
    heartbeat.view = heartbeat.decided = 3;
    heartbeat.role = Role::member;
    heartbeat.delivery_hash = 12345;
    net.step(2, DatagramReceived{heartbeat});
  }
  SECTION("S2: a group table that differs from the leader's") {
    net.receive(2, pid(1), LinkUp{3, 0, 12345});
  }
  CHECK(net.all<Fatal>(2).size() == 1);
  CHECK(net.all<ViewInstalled>(2).empty());
  net.forget();
  net.step(2, Tick{});
  net.step(2, ClientJoin{1, 1, "g", "", {}});
  CHECK(net.all<SendFrame>(2).empty());
  CHECK(net.all<Fatal>(2).empty());
}

TEST_CASE("R8: a member that keeps the window full is suspected for as long as it does") {
  Net net;
  Config config;
  config.limits.slow_member = milliseconds(500);
  config.limits.window_messages = 1;
  for (const NodeId id : {1U, 2U, 3U, 4U, 5U}) {
    net.add(id, config);
    net.wait(milliseconds(300));
  }
  REQUIRE(net.view(2) == "5 <1,2,3,4,5>");
  net.join_group(2, "g");
  const auto accusations = [&] {
    const auto frames = net.all<SendFrame>(2);
    return std::count_if(frames.begin(), frames.end(), [](const SendFrame& each) {
      const auto* suspect = std::get_if<Suspect>(each.frame.get());
      return suspect != nullptr && suspect->evidence == Evidence::soft && suspect->suspect == pid(5);
    });
  };
  net.hold = [](NodeId from, NodeId to, const Frame& frame) {
    return from == 5 && to == 2 && std::holds_alternative<Ack>(frame);
  };
  net.send(2, "g", Service::fifo, "a");
  net.wait(std::chrono::seconds(1));
  CHECK(accusations() > 0);
  net.hold = nullptr;
  net.run();
  net.wait(milliseconds(200));
  net.forget();
  net.wait(std::chrono::seconds(1));
  CHECK(accusations() == 0);
  CHECK(net.view(2) == "5 <1,2,3,4,5>");  // one reporter of five was not enough
}

TEST_CASE("R11: deliveries that differ from another member's are reported only") {
  Net net;
  three(net);
  net.forget();
  Heartbeat heartbeat;
  heartbeat.pid = pid(3);
  heartbeat.uuid = net.status(1).uuid;
  heartbeat.view = heartbeat.decided = 3;
  heartbeat.role = Role::member;
  heartbeat.delivery_hash = 12345;
  net.step(2, DatagramReceived{heartbeat});
  CHECK(refusals(net, 2, "HEARTBEAT") == 1);
  CHECK(net.all<Fatal>(2).empty());
  heartbeat.delivered_totals = 1;  // it is only further than we
  net.step(2, DatagramReceived{heartbeat});
  CHECK(refusals(net, 2, "HEARTBEAT") == 1);
}

// ---------------------------------------------------------------- exclusion and quorum

TEST_CASE("F10: whoever is cut off loses its quorum; the others go on; it learns that it is out") {
  Net net;
  three(net);
  net.forget();
  net.cut(1, 3);
  net.cut(2, 3);
  net.wait(std::chrono::seconds(5));
  CHECK_FALSE(net.last<QuorumChanged>(3).has);
  CHECK(net.view(3) == "3 <1,2,3>");
  CHECK(net.view(1) == "4 <1,2>");
  CHECK(net.all<QuorumChanged>(1).empty());
  net.receive(3, pid(1), Evicted{net.status(1).view, std::nullopt, 0});
  net.run();
  CHECK(net.last<Excluded>(3).view == 4);
  CHECK(net.last<Excluded>(3).backoff == Duration{});
}

TEST_CASE("F8: the back-off grows with the exclusions of late, up to 30 s") {
  const std::pair<std::uint32_t, int> rows[] = {{0, 0}, {1, 1}, {2, 2}, {3, 4}, {5, 16}, {6, 30}, {60, 30}};
  for (const auto& [exclusions, seconds] : rows) {
    Net net;
    Config config;
    config.recent_exclusions = exclusions;
    net.add(1, config);
    View two = *net.status(1).view;
    two.ref.epoch = 2;
    two.members[0].pid = pid(8);
    two.origins = {Origin{{1, 0, {}}, Origin::kPrimary, {}, {0}}};
    net.receive(1, pid(8), Install{std::make_shared<const View>(two)});
    net.run();
    CHECK(net.last<Excluded>(1).backoff == std::chrono::seconds(seconds));
  }
}

// ---------------------------------------------------------------- admin

TEST_CASE("requests that make no sense are refused with their reason") {
  Net net;
  net.add(1);
  net.step(1, AdminJoin{9, 1});
  CHECK(net.last<RequestRefused>(1).code == "already_member");
  net.step(1, AdminEvict{9, 2, 7, "", ""});
  CHECK(net.last<RequestRefused>(1).code == "no_such_member");
  net.step(1, AdminEvict{9, 3, 0, "n1", ""});
  CHECK(net.last<RequestRefused>(1).code == "last_member");
  net.step(1, AdminColdStart{9, 4});
  CHECK(net.last<RequestRefused>(1).code == "already_member");
  CHECK(net.last<RequestRefused>(1).request == 4);
  CHECK(net.view(1) == "1 <1>");

  Config config;
  config.self = {pid(5), 75, "n5", {}};
  Node outsider(config);
  Effects effects;
  outsider.start(Time{}, effects);
  effects.clear();
  outsider.step(Time{}, AdminEvict{9, 5, 1, "", ""}, effects);
  outsider.step(Time{}, AdminJoin{9, 6}, effects);
  outsider.step(Time{}, AdminJoin{9, 7}, effects);
  std::vector<std::string_view> codes;
  for (const auto& effect : effects) {
    if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
      codes.push_back(refused->code);
    }
  }
  CHECK(codes == std::vector<std::string_view>{"not_member", "busy"});
}

TEST_CASE("an operator's join is done when the view is installed") {
  Net net;
  net.add(1);
  net.add(2);
  net.step(2, AdminJoin{9, 1});
  net.wait(milliseconds(300));
  CHECK(net.view(2) == "2 <1,2>");
  CHECK(net.last<RequestDone>(2).request == 1);
}

TEST_CASE("an eviction is done when the member is gone, by node or by name") {
  Net net;
  three(net);
  net.forget();
  net.step(2, AdminEvict{9, 1, 0, "n3", "disk full"});
  CHECK(net.all<RequestDone>(2).empty());
  net.wait(milliseconds(500));
  CHECK(net.view(2) == "4 <1,2>");
  CHECK(net.last<RequestDone>(2).request == 1);
  CHECK(net.last<Excluded>(3).view == 4);
  CHECK(net.last<ViewInstalled>(1).view->left.front().reason == LeaveReason::evicted);
}

TEST_CASE("J7, J8: a leave first drains what was accepted; the others see a clean departure") {
  Net net;
  three(net);
  net.join_group(2, "g");
  net.forget();
  net.hold = [](NodeId, NodeId, const Frame& frame) { return std::holds_alternative<Ack>(frame); };
  net.send(2, "g", Service::total, "last");
  net.step(2, AdminLeave{9, 1});
  net.step(2, ClientSend{1, 77, "g", Service::total, false, 1, 0, Slice::copy_of(std::string("\1\0\0\0x", 5))});
  CHECK(net.last<RequestRefused>(2).code == "shutting_down");
  net.wait(milliseconds(200));
  CHECK(net.view(1) == "3 <1,2,3>");  // its message is not safe yet
  net.hold = nullptr;
  net.run();
  net.wait(milliseconds(500));
  CHECK(net.view(1) == "4 <1,3>");
  CHECK(net.delivered(2) == Texts{"last/total"});
  CHECK(net.last<SendOutcome>(2).outcome == Outcome::delivered);
  CHECK(net.last<RequestDone>(2).request == 1);
  CHECK(net.last<LeftCluster>(2).view == 4);
  CHECK(net.last<ViewInstalled>(1).view->left.front().reason == LeaveReason::left);
  CHECK(net.all<SuspicionChanged>(1).empty());
}

TEST_CASE("J9: all leave: the last ones stop together and the view stays decided") {
  Net net;
  three(net);
  for (const NodeId id : {1U, 2U, 3U}) {
    net.step(id, AdminLeave{0, 0});
  }
  net.run();
  net.wait(milliseconds(500));
  for (const NodeId id : {1U, 2U, 3U}) {
    CHECK(net.all<LeftCluster>(id).size() == 1);
    CHECK(net.status(id).decided >= 3);
  }
}

TEST_CASE("an eviction is done when it is durable here") {
  Net net;
  three(net);
  net.forget();
  net.hold = [](NodeId, NodeId to, const Frame& frame) { return to == 2 && std::holds_alternative<Install>(frame); };
  net.step(2, AdminEvict{9, 1, 3, "", "test"});
  net.run();
  net.slow_disks = {2};
  net.hold = nullptr;
  net.run();
  CHECK(net.view(2) == "4 <1,2>");
  CHECK(net.all<RequestDone>(2).empty());
  net.slow_disks.clear();
  net.run();
  CHECK(net.last<RequestDone>(2).client == 9);
}

TEST_CASE("evict says so when it is not clear who is meant") {
  Net net;
  three(net);
  net.step(1, AdminEvict{9, 1, 2, "n3", "test"});  // what "2" would be if node 3 were called that
  CHECK(net.last<RequestRefused>(1).code == "bad_request");
  net.step(1, AdminEvict{9, 2, 0, "n3", "test"});
  net.run();
  CHECK(net.view(1) == "4 <1,2>");
}

TEST_CASE("R9: a LINKUP that claims what was never sent costs its link") {
  Net net;
  three(net);
  net.forget();
  net.receive(1, pid(2), LinkUp{3, 1000, 0});
  CHECK(refusals(net, 1, "LINKUP") == 1);
  CHECK(net.last<ResetLink>(1).peer == pid(2));
  CHECK(net.status(1).counters.refused_frames == 1);
}

TEST_CASE("R8: a member that alone keeps the window full is told before it is suspected") {
  Config config;
  config.limits.window_messages = 4;
  Net net;
  three(net, config);
  net.join_group(1, "g");
  net.forget();
  net.hold = [](NodeId from, NodeId to, const Frame& frame) {
    return from == 3 && to == 1 && std::holds_alternative<Ack>(frame);
  };
  for (int i = 0; i < 6; ++i) {
    net.send(1, "g", Service::total, "m");
  }
  net.wait(config.limits.slow_member * 3 / 4);
  REQUIRE(net.all<MemberSlow>(1).size() == 1);
  CHECK(net.last<MemberSlow>(1).peer == pid(3));
  CHECK(net.last<MemberSlow>(1).blocked >= config.limits.slow_member / 2);
  CHECK(net.view(1) == "3 <1,2,3>");
}

TEST_CASE("B4: a witness refuses clients, votes, and knows the view") {
  Net net;
  net.add(1);
  net.add(2);
  net.wait(milliseconds(300));
  Config config;
  config.self.witness = true;
  net.add(3, config);
  net.wait(milliseconds(300));
  CHECK(net.view(1) == "3 <1,2> witness 3");
  CHECK(net.view(3) == "3 <1,2> witness 3");
  const auto status = net.status(3);
  CHECK(status.role == Role::witness);
  CHECK(status.has_quorum);
  CHECK(status.members.size() == 2);
  CHECK(status.witnesses.front().self);
  net.step(3, ClientJoin{1, 1, "g", "c", {}});
  CHECK(net.last<RequestRefused>(3).code == "witness");
  net.step(3, ClientSend{1, 2, "g", Service::total, false, 1, 0, Slice::copy_of(std::string(4, '\0'))});
  CHECK(net.last<RequestRefused>(3).request == 2);
  net.kill(1);
  net.wait(std::chrono::seconds(1));
  CHECK(net.view(2) == "4 <2> witness 3");
  CHECK(net.view(3) == "4 <2> witness 3");
}

}  // namespace
}  // namespace vsync::test
