// What the doctor says about what was found.
#include "ctl/doctor.h"

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

using namespace vsync::ctl;
using Catch::Matchers::Contains;

namespace {

/// A daemon with nothing to complain about: node 1 of three.
Findings healthy() {
  Findings found;
  found.program_version = "1.0";
  found.now.set_version("1.0");
  found.now.set_state("member");
  found.now.set_view(7);
  found.now.set_leader_name("n1");
  found.now.set_has_quorum(true);
  found.now.set_tolerates(1);
  for (std::uint32_t node = 1; node <= 3; ++node) {
    auto& member = *found.now.add_members();
    member.set_node(node);
    member.set_name("n" + std::to_string(node));
    member.set_address("10.0.0." + std::to_string(node) + ":7475");
    member.set_state(node == 1 ? "self" : "alive");
    member.set_linked(node != 1);
  }
  found.before = found.now;
  found.daemon.set_suspect_after_us(1'000'000);
  found.daemon.set_state_free_bytes(std::uint64_t{1} << 30U);
  found.daemon.set_open_files(20);
  found.daemon.set_file_limit(2000);
  found.daemon.set_max_clients(1024);
  found.self = {.host = "127.0.0.1", .port = 7475, .addresses = {"127.0.0.1"}};
  found.peers = {{.host = "127.0.0.2", .port = 7475, .addresses = {"127.0.0.2"}, .connected = true}};
  return found;
}

/// At both looks.
void wait_for(Findings& found, const std::string& what, std::uint32_t more, const std::vector<std::uint32_t>& of) {
  auto& group = *found.now.add_groups();
  group.set_group("kv");
  group.mutable_state_wait()->set_what(what);
  group.mutable_state_wait()->set_more(more);
  group.mutable_state_wait()->mutable_of()->Add(of.begin(), of.end());
  *found.before.add_groups() = group;
}

const pb::Check& find(const std::vector<pb::Check>& report, const std::string& name) {
  const auto found = std::ranges::find(report, name, [](const pb::Check& check) { return check.name(); });
  REQUIRE(found != report.end());
  return *found;
}

struct Case {
  const char* what;
  void (*spoil)(Findings&);
  const char* check;
  const char* verdict;
  const char* detail;
};

const Case kCases[] = {
    {"another version", [](Findings& f) { f.program_version = "2.0"; }, "version", "warning", "vsyncctl 2.0"},
    {"settings that are wrong by now", [](Findings& f) { f.daemon.set_settings_error("hosts: line 3 is bad"); }, "settings",
     "failed", "line 3"},
    {"settings that are not in force", [](Findings& f) { f.daemon.add_settings_changed("quorum"); }, "settings", "warning",
     "quorum"},
    {"in no view", [](Findings& f) { f.now.set_state("joining"), f.now.set_view(0); }, "membership", "failed", "looks for"},
    {"outside", [](Findings& f) { f.now.set_state("left"), f.now.set_view(0); }, "membership", "failed", "(left)"},
    {"no quorum", [](Findings& f) { f.now.set_has_quorum(false); }, "quorum", "failed", "none"},
    {"on the edge", [](Findings& f) { f.now.set_tolerates(0); }, "quorum", "warning", "0 failures"},
    {"a suspect", [](Findings& f) { f.now.mutable_members(1)->set_state("suspected"); }, "member n2", "failed", "suspected"},
    {"no link", [](Findings& f) { f.now.mutable_members(2)->set_linked(false); }, "member n3", "failed", "no TCP connection"},
    {"late heartbeats", [](Findings& f) { f.now.mutable_members(2)->set_heartbeat_age_us(600'000); }, "member n3", "warning",
     "600 ms"},
    {"a slow member",
     [](Findings& f) {
       f.before.set_blocker("n2"), f.now.set_blocker("n2");
       (*f.now.mutable_counters())["window_stalls"] = 5;
     },
     "speed", "warning", "n2"},
    {"a durable group with a disk missing", [](Findings& f) { wait_for(f, "disks", 1, {3}); }, "group kv", "warning",
     "members on node 3"},
    {"a durable group with most disks missing",
     [](Findings& f) {
       wait_for(f, "disks", 2, {2, 3, 4});
     },
     "group kv", "warning", "members on 2 more of the nodes 2, 3, 4"},
    {"a durable group that begins", [](Findings& f) { wait_for(f, "disks", 2, {}); }, "group kv", "warning",
     "members on 2 more nodes"},
    {"a disk that is not read",
     [](Findings& f) {
       wait_for(f, "answers", 2, {2, 3});
     },
     "group kv", "warning", "what the disks have on the nodes 2, 3"},
    {"a disk that hangs",
     [](Findings& f) {
       wait_for(f, "promises", 1, {2, 3});
     },
     "group kv", "warning", "the disks to answer on 1 more of the nodes 2, 3"},
    {"a group that begins with several", [](Findings& f) { wait_for(f, "members", 1, {}); }, "group kv", "warning",
     "1 more member"},
    {"a name nobody knows", [](Findings& f) { f.self = {.host = "nowhere", .port = 1, .error = "not found"}; }, "own address",
     "failed", "nowhere:1"},
    {"the loopback for peers elsewhere", [](Findings& f) { f.peers.front().addresses = {"10.0.0.2"}; }, "own address", "failed",
     "only this host"},
    {"an address of somebody else", [](Findings& f) { f.self.addresses = {"192.0.2.77"}; }, "own address", "warning",
     "no address of this host"},
    {"a peer whose name is wrong",
     [](Findings& f) { f.peers.front() = {.host = "typo", .port = 2, .error = "cannot be resolved"}; }, "peer typo:2", "failed",
     "cannot be resolved"},
    {"a peer that is down", [](Findings& f) { f.peers.front().connected = false, f.peers.front().error = "refused"; },
     "peer 127.0.0.2:7475", "warning", "refused"},
    {"a member behind a firewall",
     [](Findings& f) {
       f.peers.front() = {.host = "10.0.0.2", .port = 7475, .addresses = {"10.0.0.2"}, .error = "no answer"};
       f.self = {.host = "10.0.0.1", .port = 7475, .addresses = {"10.0.0.1"}};
     },
     "peer 10.0.0.2:7475", "failed", "a member"},
    {"garbage", [](Findings& f) { (*f.now.mutable_counters())["datagrams_refused"] = 3; }, "refused input", "warning",
     "3 datagrams"},
    {"clients that do not read", [](Findings& f) { (*f.now.mutable_counters())["clients_given_up"] = 2; }, "clients", "warning",
     "2 disconnected"},
    {"many descriptors", [](Findings& f) { f.daemon.set_open_files(1100); }, "descriptors", "warning", "1100 of 2000"},
    {"no descriptors", [](Findings& f) { f.daemon.set_open_files(1990); }, "descriptors", "failed", "1990 of 2000"},
    {"little disk", [](Findings& f) { f.daemon.set_state_free_bytes(std::uint64_t{10} << 20U); }, "state directory", "warning",
     "10 MiB"},
    {"no disk", [](Findings& f) { f.daemon.set_state_free_bytes(1000); }, "state directory", "failed", "0 MiB"},
    {"a state directory that is gone", [](Findings& f) { f.daemon.set_state_error("no such directory"); }, "state directory",
     "failed", "no such directory"},
};

}  // namespace

TEST_CASE("a healthy daemon has nothing but passed checks") {
  for (const auto& check : examine(healthy())) {
    INFO(check.name() << ": " << check.detail());
    CHECK(check.verdict() == "ok");
    CHECK(check.advice().empty());
  }
}

TEST_CASE("each trouble is found, told, and has advice") {
  for (const Case& one : kCases) {
    INFO(one.what);
    auto found = healthy();
    one.spoil(found);
    const auto report = examine(found);
    const auto& check = find(report, one.check);
    CHECK(check.verdict() == one.verdict);
    CHECK_THAT(check.detail(), Contains(one.detail));
    CHECK_FALSE(check.advice().empty());
  }
}

TEST_CASE("a group that has just begun to wait for its state is no trouble yet") {
  auto found = healthy();
  wait_for(found, "disks", 1, {3});
  found.before.mutable_groups(0)->clear_state_wait();
  CHECK(std::ranges::none_of(examine(found), [](const pb::Check& check) { return check.name() == "group kv"; }));
}

TEST_CASE("probes tell who listens, who does not, and what is no host") {
  asio::io_context io;
  asio::ip::tcp::acceptor listener(io, {asio::ip::make_address("127.0.0.1"), 0});
  asio::ip::tcp::acceptor closed(io, {asio::ip::make_address("127.0.0.1"), 0});
  const auto closed_port = closed.local_endpoint().port();
  closed.close();
  std::vector<Probe> targets{{.host = "127.0.0.1", .port = listener.local_endpoint().port()},
                             {.host = "127.0.0.1", .port = closed_port},
                             {.host = "no-such-host.invalid", .port = 1}};
  probe(targets, std::chrono::seconds(20));
  CHECK(targets[0].connected);
  CHECK(targets[0].error.empty());
  CHECK_FALSE(targets[1].connected);
  CHECK_THAT(targets[1].error, Contains("refused"));
  CHECK_THAT(targets[2].error, Contains("cannot be resolved"));
  CHECK(is_local("127.0.0.1"));
  CHECK_FALSE(is_local("192.0.2.77"));
  CHECK(is_loopback("127.4.5.6"));
  CHECK_FALSE(is_loopback("10.0.0.1"));
}
