// vsyncctl lock and run: how they wait, and the terminal of the program that they start.
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>

#include "support/fake_daemon.h"

using namespace vsync;
using namespace vsync::test;
using Catch::Matchers::Contains;

namespace {

/// A shell on a terminal of its own; without job control if the command says `exec`.
class TerminalSession {
 public:
  TerminalSession(const std::string& socket, const std::string& script) {
    child_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (child_ == 0) {
      ::setenv("VSYNCD_SOCKET", socket.c_str(), 1);
      ::execl("/bin/sh", "sh", "-mc", script.c_str(), nullptr);
      ::_exit(127);
    }
    REQUIRE(child_ > 0);
  }
  TerminalSession(const TerminalSession&) = delete;
  TerminalSession& operator=(const TerminalSession&) = delete;
  ~TerminalSession() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    ::close(terminal_);
  }

  void type(std::string_view text) const {
    REQUIRE(::write(terminal_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void interrupt() const { ::kill(child_, SIGINT); }

  /// Reads until the text is there, behind what was read before.
  void expect(std::string_view text) {
    for (std::size_t at = 0; (at = output.find(text, seen_)) == std::string::npos;) {
      INFO("waiting for '" << text << "' after: " << output);
      REQUIRE(fill());
    }
    seen_ = output.find(text, seen_) + text.size();
  }
  int wait() {
    while (fill()) {
    }
    int status = 0;
    REQUIRE(::waitpid(std::exchange(child_, -1), &status, 0) > 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
  }

  /// Waits for output, but not longer.
  bool look(int milliseconds) const {
    pollfd entry{terminal_, POLLIN, 0};
    return ::poll(&entry, 1, milliseconds) == 1;
  }

  std::string output;

 private:
  bool fill() {
    INFO(output);
    REQUIRE(look(20000));
    char chunk[4096];
    const ssize_t got = ::read(terminal_, chunk, sizeof chunk);  // fails when nobody has the terminal open any more
    output.append(chunk, got > 0 ? static_cast<std::size_t>(got) : 0);
    return got > 0;
  }

  int terminal_ = -1;
  pid_t child_ = -1;
  std::size_t seen_ = 0;
};

struct Fixture {
  Fixture() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    daemon.run([&](FakeDaemon& fake) { fake.lease_until = std::chrono::seconds(now.tv_sec + 600); });
  }
  TempDir dir;
  std::string path = dir.file("s");
  FakeDaemon daemon{options_at(path)};
  const std::string lock = std::string(VSYNCCTL) + " lock L -- ";
};

}  // namespace

TEST_CASE("the program of a lock reads from the terminal") {
  Fixture fixture;
  TerminalSession session(fixture.path, fixture.lock + "sh -c 'echo ready; read a; echo got $a'; read b; echo then $b");
  session.expect("ready");
  session.type("hello\n");
  session.expect("got hello");
  session.type("again\n");  // the shell has its terminal back
  session.expect("then again");
  CHECK(session.wait() == 0);
}

TEST_CASE("a program whose input is another gets the terminal when it wants it") {
  Fixture fixture;
  TerminalSession session(fixture.path, ": | " + fixture.lock + "sh -c 'echo ready; read a </dev/tty; echo got $a'");
  session.expect("ready");
  session.type("hello\n");
  session.expect("got hello");
  CHECK(session.wait() == 0);
}

TEST_CASE("a lock and its program stop together, and go on together") {
  Fixture fixture;
  TerminalSession session(fixture.path,
                          fixture.lock + "sh -c 'echo ready; read a; echo got $a'; echo stopped $?; fg >/dev/null; echo end $?");
  session.expect("ready");
  session.type("\x1a");
  session.expect("stopped " + std::to_string(128 + SIGTSTP));
  session.type("hello\n");
  session.expect("got hello");
  session.expect("end 0");
}

TEST_CASE("in the background a program that wants the terminal stops its lock, and may be fetched") {
  Fixture fixture;
  // bash: its wait returns when the job stops, too.
  TerminalSession session(
      fixture.path, "exec bash -mc \"" + fixture.lock +
                        "sh -c 'read a </dev/tty; echo got \\$a' & wait %1; echo stopped \\$?; fg >/dev/null; echo end \\$?\"");
  session.expect("stopped " + std::to_string(128 + SIGTSTP));
  session.type("hello\n");
  session.expect("got hello");
  session.expect("end 0");
}

TEST_CASE("who stops where no shell could continue goes on") {
  Fixture fixture;
  TerminalSession session(fixture.path, "exec " + fixture.lock + "sh -c 'echo ready; read a; echo got $a'");
  session.expect("ready");
  session.type("\x1ahello\n");
  session.expect("got hello");
  CHECK(session.wait() == 0);
}

TEST_CASE("lock and run wait for the join as long as it takes, say so once, and may be interrupted") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& fake) { fake.hold_joins = true; });
  const auto start = [&](const std::string& command) {
    return std::string("exec ") + VSYNCCTL + " --timeout 2s " + command + " -- echo its turn";
  };
  SECTION("the turn comes") {
    TerminalSession session(fixture.path, start("lock L"));
    session.expect("waits to join 'lock:L'");
    fixture.daemon.run([](FakeDaemon& fake) { fake.release_joins(); });
    session.expect("its turn");
    CHECK(session.wait() == 0);
    CHECK(session.output.find("waits to join") == session.output.rfind("waits to join"));
  }
  SECTION("an interruption") {
    TerminalSession session(fixture.path, start("lock L"));
    session.expect("waits to join 'lock:L'");
    session.interrupt();
    CHECK(session.wait() == 128 + SIGINT);
  }
  SECTION("a refusal ends it") {
    TerminalSession session(fixture.path, start("run --group r"));
    session.expect("waits to join 'r'");
    fixture.daemon.run([](FakeDaemon& fake) { fake.refuse_joins("other_policy"); });
    CHECK(session.wait() == 1);
    CHECK_THAT(session.output, Contains("other_policy"));
  }
}

TEST_CASE("lock waits for a daemon that is no member yet, and an interruption ends it before its timeout") {
  Fixture fixture;
  fixture.daemon.run([](FakeDaemon& fake) { fake.hold_joins = true; });
  TerminalSession session(fixture.path, std::string("exec ") + VSYNCCTL + " --timeout 1h lock L -- echo its turn");
  const auto await_join = [&](std::size_t number) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (fixture.daemon.run([](FakeDaemon& fake) { return fake.inputs.size(); }) < number) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      session.look(10);
    }
  };
  await_join(1);
  fixture.daemon.run([](FakeDaemon& fake) { fake.refuse_joins("excluded"); });
  await_join(2);
  SECTION("interrupted") {
    session.interrupt();
    CHECK(session.wait() == 128 + SIGINT);
  }
  SECTION("let in") {
    fixture.daemon.run([](FakeDaemon& fake) { fake.release_joins(); });
    session.expect("its turn");
    CHECK(session.wait() == 0);
  }
}
