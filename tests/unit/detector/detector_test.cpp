// The detector alone, told the time by the tests: what it says of one peer after which signs.
#include "core/detector/detector.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <set>

namespace vsync::core {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Pid pid(NodeId node, std::uint64_t incarnation = 1) {
  return {node, incarnation, 0};
}

Member member(NodeId node, std::uint64_t incarnation = 1) {
  return {pid(node, incarnation), 7, "host" + std::to_string(node), {}};
}

std::vector<Member> members(NodeId count) {
  std::vector<Member> list;
  for (NodeId node = 1; node <= count; ++node) {
    list.push_back(member(node));
  }
  return list;
}

Hello hello(const Pid& from, std::uint64_t vote_epoch = 7) {
  Hello frame;
  frame.pid = from;
  frame.vote_epoch = vote_epoch;
  return frame;
}

/// Detector of member 1 in a view of `count` members. Others beat every `beat` unless they are told to be silent.
class Bench {
 public:
  explicit Bench(NodeId count, const Limits& limits = {}, Duration beat = milliseconds(100))
      : detector_(pid(1), limits), interval_(beat) {
    detector_.watch(members(count), now_);
    for (NodeId node = 2; node <= count; ++node) {
      detector_.link_opened(hello(pid(node)), now_, effects_);
      beating_.insert(node);
    }
  }

  void silence(NodeId node) { beating_.erase(node); }
  void revive(NodeId node) { beating_.insert(node); }
  /// How the others answer PING_REQ: heard so long ago, or nullopt = not at all.
  void answer(std::optional<Duration> age) { age_ = age; }

  /// Lets the time pass, with a tick at each deadline.
  void run(Duration span) {
    const Time end = now_ + span;
    while (true) {
      const Time next = std::min(next_beat_, detector_.next_deadline());
      if (next > end) {
        break;
      }
      now_ = next;
      if (now_ == next_beat_) {
        beat();
      }
      tick();
    }
    now_ = end;
  }

  /// The process does not run for a while; what others sent meanwhile is read before the tick (F2) unless `deaf`.
  void stall(Duration span, bool deaf = false) {
    now_ += span;
    next_beat_ = now_;
    if (!deaf) {
      beat();
    }
    tick();
  }

  void tick() {
    Effects effects;
    detector_.tick(own_, now_, effects);
    for (const Effect& effect : effects) {
      effects_.push_back(effect);
      const auto* datagram = std::get_if<SendDatagram>(&effect);
      const auto* ping = datagram == nullptr ? nullptr : std::get_if<PingRequest>(&datagram->datagram);
      if (ping != nullptr && age_) {
        detector_.on_datagram(PingReply{datagram->to.pid, {}, ping->target, ping->nonce, true, *age_}, now_, effects_);
      }
    }
  }

  /// The changes so far, as "3.1 soft", and forgets them.
  std::vector<std::string> changes() {
    std::vector<std::string> list;
    for (const Effect& effect : effects_) {
      if (const auto* change = std::get_if<SuspicionChanged>(&effect)) {
        list.push_back(to_string(change->peer) + " " + std::string(to_string(change->evidence)));
      }
    }
    effects_.clear();
    return list;
  }

  template <typename Kind>
  std::vector<std::pair<Pid, Kind>> datagrams() {
    std::vector<std::pair<Pid, Kind>> list;
    for (const Effect& effect : effects_) {
      if (const auto* sent = std::get_if<SendDatagram>(&effect)) {
        if (const auto* kind = std::get_if<Kind>(&sent->datagram)) {
          list.emplace_back(sent->to.pid, *kind);
        }
      }
    }
    return list;
  }

  Detector& detector() { return detector_; }
  [[nodiscard]] Time now() const { return now_; }
  Effects& effects() { return effects_; }

 private:
  void beat() {
    for (const NodeId node : beating_) {
      detector_.heard(pid(node), now_, effects_);
    }
    next_beat_ = now_ + interval_;
  }

  Detector detector_;
  Duration interval_;
  Heartbeat own_;
  Time now_ = seconds(100);
  Time next_beat_ = seconds(100);
  std::set<NodeId> beating_;
  std::optional<Duration> age_ = seconds(5);
  Effects effects_;
};

using Changes = std::vector<std::string>;

}  // namespace

TEST_CASE("nobody is watched: no deadline and no traffic") {
  Detector detector(pid(1), Limits{});
  Effects effects;
  CHECK(detector.next_deadline() == kNever);
  detector.tick({}, seconds(10), effects);
  detector.watch({member(1)}, seconds(10));
  CHECK(detector.next_deadline() == kNever);
  CHECK(effects.empty());
  CHECK(detector.heard_within_lease(seconds(10)) == std::vector<Pid>{pid(1)});
}

TEST_CASE("members that beat are never suspected") {
  Bench bench(5);
  bench.run(seconds(30));
  CHECK(bench.changes().empty());
  CHECK(bench.detector().health() == 0);
  CHECK(bench.detector().heard_within_lease(bench.now()).size() == 5);
}

TEST_CASE("two heartbeats in T_host are enough where none is lost") {
  Limits limits;
  limits.heartbeat = milliseconds(1100);
  limits.suspect_after = milliseconds(2200);
  Bench bench(5, limits, milliseconds(1150));  // each a little late
  bench.run(seconds(60));
  CHECK(bench.changes().empty());
  CHECK(bench.detector().heard_within_lease(bench.now()).size() == 5);

  bench.silence(3);
  bench.run(seconds(4));
  CHECK(bench.changes() == Changes{"3.1 soft"});
}

TEST_CASE("F1: a heartbeat goes to every member each hb, with a rising counter") {
  Bench bench(3);
  bench.run(seconds(1));
  const auto sent = bench.datagrams<Heartbeat>();
  CHECK(sent.size() == 2 * 11);
  CHECK(sent.front().second.counter == 1);
  CHECK(sent.back().second.counter == 11);
  CHECK(sent[0].first == pid(2));
  CHECK(sent[1].first == pid(3));
}

TEST_CASE("LINK: a connection that breaks again and again does not reach, until it has held") {
  Bench bench(3);
  const auto flap = [&] {
    bench.detector().link_closed(pid(2), false, bench.now(), bench.effects());
    bench.detector().link_opened(hello(pid(2)), bench.now(), bench.effects());
    bench.run(milliseconds(300));
  };
  for (std::uint32_t i = 0; i < Limits{}.link_flap_max; ++i) {
    flap();
  }
  CHECK(bench.changes().empty());
  CHECK(bench.detector().reachable(pid(2), bench.now()));
  flap();
  CHECK(bench.changes() == Changes{"2.1 link"});
  CHECK(bench.detector().linked(pid(2)));
  CHECK_FALSE(bench.detector().reachable(pid(2), bench.now()));
  CHECK(bench.detector().reachable(pid(3), bench.now()));
  bench.run(seconds(61));
  CHECK(bench.changes() == Changes{"2.1 none"});
  CHECK(bench.detector().reachable(pid(2), bench.now()));
}

TEST_CASE("F6: a silent member is soft at T_host, after others were asked") {
  Bench bench(5);
  bench.run(seconds(1));
  bench.silence(3);
  bench.run(milliseconds(999));
  CHECK(bench.datagrams<PingRequest>().size() == 3);
  CHECK(bench.changes().empty());
  bench.run(milliseconds(1));
  CHECK(bench.changes() == Changes{"3.1 soft"});
  CHECK(bench.detector().suspicion(pid(3)) == Evidence::soft);
  CHECK(bench.detector().suspicions() == 1);
  CHECK(bench.detector().health() == 0);
  CHECK(bench.detector().heard_within_lease(bench.now()).size() == 4);
}

TEST_CASE("F6: who hears it turns soft into link") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.answer(milliseconds(499));
  bench.silence(3);
  bench.run(seconds(5));
  CHECK(bench.changes() == Changes{"3.1 link"});
  bench.answer(milliseconds(500));  // too long ago to count
  bench.run(seconds(1));
  CHECK(bench.changes() == Changes{"3.1 soft"});
}

TEST_CASE("F4: questions without an answer cost health but do not delay the verdict") {
  Bench bench(5);
  bench.run(seconds(1));
  bench.answer(std::nullopt);
  bench.silence(3);
  bench.run(seconds(1));
  CHECK(bench.changes() == Changes{"3.1 soft"});
  CHECK(bench.detector().health() == 3);
  bench.revive(3);
  bench.run(milliseconds(100));
  CHECK(bench.detector().health() == 4);  // and one more, for the suspicion was wrong
  bench.run(seconds(5));
  CHECK(bench.detector().health() == 0);
}

TEST_CASE("with nobody to ask the verdict falls at the deadline as well") {
  Bench bench(2);
  bench.run(seconds(1));
  bench.silence(2);
  bench.run(milliseconds(999));
  CHECK(bench.changes().empty());
  bench.run(milliseconds(1));
  CHECK(bench.changes() == Changes{"2.1 soft"});
}

TEST_CASE("a sign of life withdraws soft and counts as refuted") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.silence(2);
  bench.run(milliseconds(1500));
  bench.detector().heard(pid(2), bench.now(), bench.effects());
  CHECK(bench.changes() == Changes{"2.1 soft", "2.1 none"});
  CHECK(bench.detector().refuted() == 1);
  CHECK(bench.detector().health() == 1);
}

TEST_CASE("F4: low health makes the deadline longer") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.silence(2);
  bench.run(milliseconds(1500));
  bench.detector().heard(pid(2), bench.now(), bench.effects());
  bench.changes();
  bench.run(milliseconds(990));
  CHECK(bench.changes().empty());
  CHECK(bench.detector().health() == 1);
  bench.run(milliseconds(120));  // the second since the mistake was clean: back to one T_host
  CHECK(bench.changes() == Changes{"2.1 soft"});
}

TEST_CASE("F3: own lag is taken off everybody's silence") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.stall(seconds(5), true);  // nothing could be read yet
  CHECK(bench.changes().empty());
  CHECK(bench.detector().health() == 1);
  bench.run(seconds(10));
  CHECK(bench.changes().empty());
}

TEST_CASE("F3: a member that died while we were away is still found") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.silence(3);
  bench.stall(seconds(5));
  CHECK(bench.changes().empty());
  bench.run(seconds(6));
  CHECK(bench.changes() == Changes{"3.1 soft"});
}

TEST_CASE("F5: who hears too few blames itself") {
  Bench bench(5);
  bench.run(seconds(1));
  for (const NodeId node : {3U, 4U, 5U}) {
    bench.silence(node);
    bench.run(milliseconds(30));
  }
  bench.run(seconds(20));
  CHECK(bench.changes().empty());
  CHECK(bench.detector().heard_within_lease(bench.now()).size() == 2);

  SECTION("kernel evidence still counts") {
    bench.detector().gone(pid(4), Evidence::firm, "refused", bench.now(), bench.effects());
    CHECK(bench.changes() == Changes{"4.1 firm"});
  }
  SECTION("when they come back nobody is suspected for the time before") {
    bench.revive(3);
    bench.run(milliseconds(900));
    CHECK(bench.changes().empty());
    bench.run(milliseconds(200));
    CHECK(bench.changes() == Changes{"4.1 soft", "5.1 soft"});
  }
}

TEST_CASE("F5: exactly half can be the half that goes on") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.silence(3);
  bench.silence(4);
  bench.run(milliseconds(1000));
  CHECK(bench.changes() == Changes{"3.1 soft", "4.1 soft"});
}

TEST_CASE("a broken link is no suspicion within link_grace, then link until it is back") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.detector().link_closed(pid(2), false, bench.now(), bench.effects());
  CHECK_FALSE(bench.detector().linked(pid(2)));
  bench.run(milliseconds(199));
  CHECK(bench.detector().reachable(pid(2), bench.now()));
  CHECK(bench.changes().empty());
  bench.run(milliseconds(1));
  CHECK_FALSE(bench.detector().reachable(pid(2), bench.now()));
  CHECK(bench.changes() == Changes{"2.1 link"});
  bench.run(seconds(3));  // its heartbeats do not bring the connection back
  CHECK(bench.changes().empty());
  bench.detector().link_opened(hello(pid(2)), bench.now(), bench.effects());
  CHECK(bench.changes() == Changes{"2.1 none"});
  CHECK(bench.detector().reachable(pid(2), bench.now()));
}

TEST_CASE("firm is withdrawn by a new link to the same pid only") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.detector().link_closed(pid(2), false, bench.now(), bench.effects());
  bench.detector().gone(pid(2), Evidence::firm, "connection refused", bench.now(), bench.effects());
  bench.run(seconds(1));
  CHECK(bench.changes() == Changes{"2.1 firm"});
  bench.detector().link_opened(hello(pid(2)), bench.now(), bench.effects());
  CHECK(bench.changes() == Changes{"2.1 none"});
  CHECK(bench.detector().refuted() == 1);
}

TEST_CASE("S50: a newer incarnation is hard evidence for ever") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.detector().link_opened(hello(pid(2, 2)), bench.now(), bench.effects());
  CHECK(bench.changes() == Changes{"2.1 hard"});
  bench.detector().link_opened(hello(pid(2, 1)), bench.now(), bench.effects());
  bench.run(seconds(1));
  CHECK(bench.changes().empty());
  CHECK(bench.detector().suspicion(pid(2)) == Evidence::hard);
}

TEST_CASE("a newer incarnation that linked before the old one was watched is seen too") {
  Bench bench(2);
  bench.detector().link_opened(hello(pid(3, 5)), bench.now(), bench.effects());
  auto list = members(2);
  list.push_back(member(3, 4));
  bench.detector().watch(list, bench.now());
  bench.tick();
  CHECK(bench.changes() == Changes{"3.4 hard"});
}

TEST_CASE("I3: another installation with the same node id is no evidence") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.detector().link_opened(hello(pid(2, 9), 8), bench.now(), bench.effects());
  bench.run(seconds(1));
  CHECK(bench.changes().empty());
}

TEST_CASE("S68: goodbye of a member is firm") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.detector().link_closed(pid(3), true, bench.now(), bench.effects());
  CHECK(bench.changes() == Changes{"3.1 firm"});
}

TEST_CASE("a link opened before its peer is watched is known when it is") {
  Bench bench(2);
  bench.detector().link_opened(hello(pid(3)), bench.now(), bench.effects());
  CHECK(bench.detector().linked(pid(3)));
  CHECK(bench.detector().suspicion(pid(3)) == Evidence::none);
  bench.detector().watch(members(3), bench.now());
  CHECK(bench.detector().linked(pid(3)));
  bench.detector().watch(members(2), bench.now());
  CHECK(bench.detector().linked(pid(3)));
  bench.detector().link_closed(pid(3), false, bench.now(), bench.effects());
  CHECK_FALSE(bench.detector().linked(pid(3)));
  CHECK(bench.changes().empty());
}

TEST_CASE("what is known survives a change of the view") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.silence(3);
  bench.run(seconds(1));
  CHECK(bench.changes() == Changes{"3.1 soft"});
  auto list = members(3);
  list.push_back(member(9));
  bench.detector().watch(list, bench.now());
  CHECK(bench.detector().suspicion(pid(3)) == Evidence::soft);
  CHECK(bench.detector().suspicion(pid(4)) == Evidence::none);
  CHECK(bench.detector().reachable(pid(9), bench.now()));
}

TEST_CASE("PING_REQ of a member is answered truthfully, of others not at all") {
  Bench bench(3);
  bench.run(seconds(1));
  bench.changes();
  const Time now = bench.now() + milliseconds(40);
  bench.detector().on_datagram(PingRequest{pid(2), {}, pid(3), 11}, now, bench.effects());
  bench.detector().on_datagram(PingRequest{pid(2), {}, pid(8), 12}, now, bench.effects());
  bench.detector().on_datagram(PingRequest{pid(8), {}, pid(3), 13}, now, bench.effects());
  const auto replies = bench.datagrams<PingReply>();
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].first == pid(2));
  CHECK(replies[0].second == PingReply{pid(1), {}, pid(3), 11, true, milliseconds(40)});
  CHECK(replies[1].second == PingReply{pid(1), {}, pid(8), 12, false, {}});
}

TEST_CASE("the round trip is measured from the echo, smoothed, and nonsense is ignored") {
  Bench bench(2);
  bench.run(milliseconds(50));  // counter 1 left at the start
  Heartbeat echo;
  echo.pid = pid(2);
  echo.echo_counter = 1;
  echo.echo_delay = milliseconds(42);
  bench.detector().on_datagram(echo, bench.now(), bench.effects());
  CHECK(bench.detector().round_trip(pid(2)) == milliseconds(8));
  echo.echo_delay = milliseconds(34);
  bench.detector().on_datagram(echo, bench.now(), bench.effects());
  CHECK(bench.detector().round_trip(pid(2)) == milliseconds(9));
  echo.echo_delay = seconds(7);
  bench.detector().on_datagram(echo, bench.now(), bench.effects());
  echo.echo_counter = 1000;
  bench.detector().on_datagram(echo, bench.now(), bench.effects());
  CHECK(bench.detector().round_trip(pid(2)) == milliseconds(9));
}

TEST_CASE("late answers and answers of others than those asked do not count") {
  Bench bench(4);
  bench.run(seconds(1));
  bench.answer(std::nullopt);
  bench.silence(3);
  bench.run(milliseconds(950));
  const auto asked = bench.datagrams<PingRequest>();
  REQUIRE(asked.size() == 2);
  const std::uint64_t nonce = asked[0].second.nonce;
  bench.detector().on_datagram(PingReply{pid(3), {}, pid(4), nonce, true, {}}, bench.now(), bench.effects());
  bench.detector().on_datagram(PingReply{pid(2), {}, pid(3), nonce + 1, true, {}}, bench.now(), bench.effects());
  bench.silence(3);
  bench.changes();
  bench.run(seconds(2));
  CHECK(bench.changes() == Changes{"3.1 soft"});
  bench.detector().on_datagram(PingReply{pid(4), {}, pid(3), nonce, true, {}}, bench.now(), bench.effects());
  CHECK(bench.detector().suspicion(pid(3)) == Evidence::soft);
}

}  // namespace vsync::core
