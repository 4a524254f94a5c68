// vsyncctl as its users see it: arguments and input in, text and exit status out.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <string>
#include <vector>

#include "support/fake_daemon.h"

using namespace vsync;
using namespace vsync::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

/// vsyncctl in a process of its own; standard output and error come together.
class Ctl {
 public:
  Ctl(const std::string& socket, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), VSYNCCTL);
    std::vector<char*> argv;
    for (auto& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int in[2];
    int out[2];
    REQUIRE((::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0));
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(out[1], 2);
      ::setenv("VSYNCD_SOCKET", socket.c_str(), 1);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  Ctl(const Ctl&) = delete;
  Ctl& operator=(const Ctl&) = delete;
  ~Ctl() {
    end_of_input();
    ::close(output_);
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
  }

  void type(std::string_view text) { REQUIRE(::write(input_, text.data(), text.size()) == static_cast<ssize_t>(text.size())); }
  void end_of_input() {
    if (input_ >= 0) {
      ::close(std::exchange(input_, -1));
    }
  }
  void interrupt() const { ::kill(child_, SIGINT); }

  /// Reads until the text is there.
  void expect(std::string_view text) {
    while (output.find(text) == std::string::npos) {
      INFO("waiting for '" << text << "' after: " << output);
      REQUIRE(fill());
    }
  }
  int wait() {
    end_of_input();
    while (fill()) {
    }
    int status = 0;
    REQUIRE(::waitpid(std::exchange(child_, -1), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
  }

  std::string output;

 private:
  bool fill() {
    pollfd entry{output_, POLLIN, 0};
    REQUIRE(::poll(&entry, 1, 20000) == 1);
    char chunk[4096];
    const ssize_t got = ::read(output_, chunk, sizeof chunk);
    output.append(chunk, got > 0 ? static_cast<std::size_t>(got) : 0);
    return got > 0;
  }

  pid_t child_ = -1;
  int input_ = -1;
  int output_ = -1;
};

struct Fixture {
  TempDir dir;
  std::string path = dir.file("s");
  FakeDaemon daemon{options_at(path)};

  std::string run(std::vector<std::string> arguments, int expected_exit = 0) const {
    Ctl ctl(path, std::move(arguments));
    const int exit = ctl.wait();
    INFO(ctl.output);
    CHECK(exit == expected_exit);
    return ctl.output;
  }
};

}  // namespace

TEST_CASE("no command shows the status") {
  Fixture fixture;
  const auto text = fixture.run({});
  CHECK_THAT(text, StartsWith("alpha (node 1, incarnation 1): member\n"));
  CHECK_THAT(text, Contains("view     5, led by alpha (node 1, this one)\n") &&
                       Contains("quorum   yes, survives 1 failure (dynamic)\n"));
  CHECK_THAT(text, Contains("RANK  NODE  NAME   ADDRESS         HEARTBEAT  RTT     LINK  STATE\n"));
  CHECK_THAT(text, Contains("1     2.3   beta   127.0.0.2:7475  40 ms      120 us  up    alive\n"));
  CHECK_THAT(text, !Contains("\x1b"));
  CHECK_THAT(fixture.run({"status", "--json"}), StartsWith(R"({"node":1,"name":"alpha")") && Contains(R"("counters":{)"));
}

TEST_CASE("parts of the status") {
  Fixture fixture;
  CHECK(fixture.run({"view"}) == "view 5: alpha (1), beta (2); led by alpha\n");
  CHECK_THAT(fixture.run({"members"}), StartsWith("RANK"));
  CHECK_THAT(fixture.run({"--json", "members"}), StartsWith(R"({"members":[{"node":1)"));
  CHECK(fixture.run({"leader"}) == "alpha (node 1) leads view 5: this one\n");
  CHECK(fixture.run({"leader", "--json"}) == R"({"node":1,"name":"alpha","view":5,"self":true,"lease_until_us":0})"
                                             "\n");
  CHECK(fixture.run({"groups"}) == "no group has members\n");
  CHECK_THAT(fixture.run({"group", "g"}, 1), Contains("no group 'g' has members"));
  fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.state.has_quorum = false;
    core::GroupView view;
    view.name = "g\x1b[2J";
    view.number = 3;
    view.token = 77;
    view.members = {{{2, 3, 0}, 9, "bob"}};
    daemon.state.groups = {std::make_shared<core::GroupView>(view)};
  });
  CHECK(fixture.run({"leader"}, 1) == "no leader\n");
  CHECK_THAT(fixture.run({"groups"}), Contains("g\\x1b[2J  3     1        bob@2.3/9  77\n"));
  CHECK_THAT(fixture.run({"groups", "--json"}), Contains(R"("token":77)"));
  CHECK_THAT(fixture.run({"group", "g\x1b[2J"}), Contains("0     2.3   9       bob\n"));
}

TEST_CASE("operation") {
  Fixture fixture;
  CHECK(fixture.run({"join", "h1:7475", "h2"}) == "joined\n");
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.seeds; }) == std::vector<std::string>{"h1:7475", "h2"});
  CHECK(fixture.run({"leave"}) == "left\n");
  CHECK(fixture.run({"evict", "beta", "--why", "old"}) == "evicted beta\n");
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.evictions.at(0).why; }) == "old");
  CHECK_THAT(fixture.run({"evict", "gamma"}, 1), Contains("no_such_member") && Contains("'vsyncctl members'"));
  CHECK(fixture.run({"log-level", "debug"}) == "log level debug\n");
  CHECK_THAT(fixture.run({"log-level", "loud"}, 1), Contains("there is no level 'loud'"));
  CHECK(fixture.run({"reload"}) == "applied: heartbeat-interval\nneeds a restart: listen\n");
  CHECK_THAT(fixture.run({"version"}), Contains("vsyncd   1.2.3"));
}

TEST_CASE("send tells outcomes and exits by them") {
  Fixture fixture;
  CHECK_THAT(fixture.run({"send", "nowhere", "hi"}, 1), Contains("message 1: not delivered (no_such_group)"));
  Ctl listener(fixture.path, {"listen", "g", "--name", "ear"});
  listener.expect("group g view 1: ear@1.1/");
  CHECK_THAT(fixture.run({"send", "g", "hello\x07"}), Contains("message 1: delivered in view 5, position 1"));
  listener.expect("hello\\x07\n");
  CHECK_THAT(fixture.run({"send", "--json", "g", "again", "--service", "fifo"}),
             StartsWith(R"({"id":1,"send_batch":{"count":1,"outcome":"delivered")"));
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.back().service; }) == core::Service::fifo);

  Ctl lines(fixture.path, {"send", "g"});
  lines.type("one\ntwo\nthree");
  lines.end_of_input();
  listener.expect("three\n");
  CHECK(lines.wait() == 0);

  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
  CHECK_THAT(fixture.run({"send", "g", "held", "--timeout", "1s"}, 4), Contains("not known"));
  listener.interrupt();
  CHECK(listener.wait() == 0);
}

TEST_CASE("send refuses what it cannot send, says why, and sends nothing in its place") {
  Fixture fixture;
  for (const auto* token : {"", "0", "-1", "abc", "1.5", "99999999999999999999999"}) {
    CHECK_THAT(fixture.run({"send", "g", "x", "--in-view", token}, 2), Contains("is no token"));
  }
  CHECK_THAT(fixture.run({"send", "", "x"}, 1), Contains("1 to 255 bytes"));
  CHECK_THAT(fixture.run({"send", std::string(256, 'g'), "x"}, 1), Contains("1 to 255 bytes"));
  CHECK_THAT(fixture.run({"send", "g\n", "x"}, 1), Contains("1 to 255 bytes"));
  CHECK_THAT(fixture.run({"send", "g", "\xff\xfe"}, 2), Contains("argument 3 is not UTF-8"));
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.empty(); }));
  Ctl lines(fixture.path, {"send", "g"});
  lines.type("one\n\xff\nthree\n");
  CHECK(lines.wait() == 1);
  CHECK_THAT(lines.output, Contains("message 2 is not UTF-8") && Contains("delivered"));
  CHECK_THAT(fixture.run({"lock", "", "--", "true"}, 2), Contains("needs a name"));
}

TEST_CASE("bench tells rate, percentiles and a histogram") {
  Fixture fixture;
  const auto text = fixture.run({"bench", "g", "--rate", "500", "--size", "100", "--duration", "300ms"});
  CHECK_THAT(text, Contains("messages of 100 bytes, total, to group g with 1 members"));
  CHECK_THAT(text, Contains("p50") && Contains("p99.9") && Contains("up to"));
  CHECK_THAT(text, !Contains("not delivered"));
  CHECK(fixture.daemon.run([](FakeDaemon& daemon) { return daemon.sends.back().body.size(); }) % 104 == 0);

  const auto full = fixture.run({"bench", "g", "--rate", "0", "--service", "fifo", "--duration", "100ms", "--json"});
  CHECK_THAT(full,
             Contains(R"("service":"fifo")") && Contains(R"("latency_us":{"p50":)") && Contains(R"("histogram":[{"up_to_us":)"));
  CHECK_THAT(full, Contains(R"("not_delivered":0,"unknown":0)"));
}

TEST_CASE("bench says how many outcomes it does not know") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_sends = true; });
  const auto text = fixture.run({"bench", "g", "--rate", "100", "--duration", "50ms", "--timeout", "1s"}, 4);
  CHECK_THAT(text, Contains("outcome unknown: ") && Contains("timeout"));
}

TEST_CASE("bench is stopped by an interruption, and reports") {
  Fixture fixture;
  Ctl bench(fixture.path, {"bench", "g", "--rate", "100", "--duration", "1h"});
  bench.expect("messages delivered");
  bench.interrupt();
  CHECK(bench.wait() == 0);
  CHECK_THAT(bench.output, Contains("latency, from when a message was due"));
}

TEST_CASE("listen joins again when the daemon was excluded") {
  Fixture fixture;
  Ctl listener(fixture.path, {"listen", "g", "--json"});
  listener.expect(R"("number":1)");
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.exclude("slow"); });
  listener.expect(R"({"event":{"excluded":{"group":"g","why":"slow","code":""}}})");
  listener.expect(R"("incarnation":2)");
  fixture.daemon.stop();
  CHECK(listener.wait() == 3);
  CHECK_THAT(listener.output, Contains("the daemon closed the connection"));
}

TEST_CASE("listen shows the index of every message of a durable group") {
  Fixture fixture;
  Ctl listener(fixture.path, {"listen", "g", "--json"});
  listener.expect(R"("number":1)");
  fixture.daemon.run([](FakeDaemon& daemon) {
    core::DeliverMessages delivery;
    delivery.group = 1;
    delivery.token = 5;
    delivery.position = 1;
    delivery.text = true;
    delivery.count = 2;
    delivery.body = Slice::copy_of(std::string_view("\1\0\0\0a\1\0\0\0b", 10));
    delivery.history.index = 7;
    daemon.server->apply(delivery);
  });
  listener.expect(R"("text":"a","token":5,"direct":false,"request":0,"index":7)");
  listener.expect(R"("text":"b","token":5,"direct":false,"request":0,"index":8)");
}

TEST_CASE("what the disk has is shown as text that is fit for a terminal") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.kept.resize(2);
    daemon.kept[0].group = "fine\x1b";
    daemon.kept[1].group = "broken\x1b";
    daemon.kept[1].problem = "no header\x1b";
  });
  const auto list = fixture.run({"checkpoint", "list"});
  CHECK_THAT(list, Contains("fine\\x1b  messages up to 0") && Contains("broken\\x1b  cannot be read: no header\\x1b"));
  CHECK_THAT(fixture.run({"checkpoint", "show", "fine\x1b"}), Contains("group: fine\\x1b\n"));
}

TEST_CASE("watch prints until it is interrupted") {
  Fixture fixture;
  Ctl watcher(fixture.path, {"watch"});
  watcher.expect("view 5: alpha (1), beta (2)\nquorum\nalpha (node 1) leads view 5: this one\n");
  fixture.daemon.run([](FakeDaemon& daemon) {
    daemon.server->apply(core::QuorumChanged{false});
    daemon.server->apply(
        core::SuspicionChanged{{2, 3, 0}, core::Evidence::soft, std::chrono::milliseconds(1200), "no heartbeat"});
  });
  watcher.expect("no quorum: sends wait\nsuspected: node 2 (soft): no heartbeat, silent for 1.2 s\n");
  watcher.interrupt();
  CHECK(watcher.wait() == 0);
}

TEST_CASE("usage errors exit with 2 and say what is allowed") {
  Fixture fixture;
  CHECK_THAT(fixture.run({"frobnicate"}, 2), Contains("frobnicate"));
  CHECK_THAT(fixture.run({"group"}, 2), Contains("NAME is required"));
  CHECK_THAT(fixture.run({"--timeout", "soon"}, 2), Contains("write 5s, 300ms or 2min"));
  CHECK_THAT(fixture.run({"send", "g", "x", "--service", "carrier-pigeon"}, 2), Contains("carrier-pigeon"));
  CHECK_THAT(fixture.run({"--help"}), Contains("Exit status") && Contains("log-level"));
}

TEST_CASE("a daemon that cannot be reached exits with 3 and says what to do") {
  TempDir dir;
  for (const auto& command : {std::vector<std::string>{"status"}, {"send", "g", "x"}, {"watch"}, {"listen", "g"}}) {
    Ctl ctl(dir.file("nobody"), command);
    CHECK(ctl.wait() == 3);
    CHECK_THAT(ctl.output, Contains("nobody") && Contains("running"));
  }
}

TEST_CASE("a daemon that is stopped leaves every command without an outcome") {
  TempDir dir;
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  dir.file("s").copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 16) == 0);  // connections are taken, and nobody answers
  for (auto command : {std::vector<std::string>{"status"},
                       {"leader"},
                       {"join", "h"},
                       {"leave"},
                       {"evict", "1"},
                       {"watch"},
                       {"listen", "g"},
                       {"send", "g", "x"},
                       {"send", "g", "x", "--service", "fifo"},
                       {"log-level", "info"},
                       {"reload"}}) {
    INFO(command.front());
    command.insert(command.end(), {"--timeout", "50ms"});
    Ctl ctl(dir.file("s"), command);
    CHECK(ctl.wait() == 4);
  }
  ::close(listener);
}

TEST_CASE("strangers are told that they may not") {
  TempDir dir;
  auto options = options_at(dir.file("s"));
  options.credentials = [](int) -> Result<io::Credentials> { return io::Credentials{54321, {}}; };
  FakeDaemon daemon(options);
  Ctl ctl(dir.file("s"), {"leave"});
  CHECK(ctl.wait() == 1);
  CHECK_THAT(ctl.output, Contains("denied") && Contains("--admin-group"));
}

TEST_CASE("no answer in time is an unknown outcome") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& daemon) { daemon.hold_joins = true; });
  CHECK_THAT(fixture.run({"listen", "g", "--timeout", "1s"}, 4), Contains("was not installed in time"));
}
