// Settings: where they come from, what is refused, and what they mean together.
#include "daemon/settings.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "daemon/hosts_file.h"
#include "daemon/options.h"
#include "daemon/values.h"

using namespace vsync;
using namespace vsync::daemon;
using std::chrono::milliseconds;

namespace {

/// A file that lives as long as the test.
class File {
 public:
  explicit File(const std::string& text) {
    REQUIRE(::close(::mkstemp(path_)) == 0);
    std::ofstream(path_) << text;
  }
  ~File() { ::unlink(path_); }
  [[nodiscard]] std::string path() const { return path_; }
  void rewrite(const std::string& text) const { std::ofstream(path_) << text; }

 private:
  char path_[32] = "/tmp/vsync-file-XXXXXX";
};

std::string why_refused(const std::vector<std::string>& arguments) {
  const auto parsed = parse_settings(arguments);
  if (!parsed) {
    return parsed.error().message;
  }
  const auto options = make_options(parsed->settings);
  return options ? "" : options.error().message;
}

engine::Options options_of(const std::vector<std::string>& arguments) {
  const auto parsed = parse_settings(arguments);
  INFO((parsed ? "" : parsed.error().message));
  REQUIRE(parsed);
  const auto options = make_options(parsed->settings);
  INFO((options ? "" : options.error().message));
  REQUIRE(options);
  return *options;
}

}  // namespace

TEST_CASE("B4: what a witness cannot be") {
  CHECK(options_of({"--witness", "--peer", "a"}).witness);
  CHECK_FALSE(options_of({"--peer", "a"}).witness);
  CHECK(why_refused({"--witness", "--bootstrap"}).find("witness contradicts bootstrap") == 0);
  const File hosts("10.0.0.1\n10.0.0.2\n10.0.0.3\n");
  CHECK(why_refused({"--witness", "--hosts", hosts.path(), "--id", "1"}).find("witness contradicts hosts") == 0);
  CHECK(options_of({"--witness", "--hosts", hosts.path(), "--id", "3"}).witness);
  CHECK(options_of({"--witness", "--hosts", hosts.path(), "--id", "3", "--quorum", "static"}).witness);
  CHECK(why_refused({"--witness", "--hosts", hosts.path(), "--id", "3", "--crash-in-change"}).find("never leads") !=
        std::string::npos);
  CHECK(why_refused({"--witness", "--quorum", "static", "--voter", "1", "--voter", "2"}).find("must be one of the voters") !=
        std::string::npos);
}

TEST_CASE("durations, sizes and modes") {
  CHECK(*parse_duration("100ms") == milliseconds(100));
  CHECK(*parse_duration("1.5s") == milliseconds(1500));
  CHECK(*parse_duration("2") == milliseconds(2000));
  CHECK(*parse_duration("2m") == milliseconds(120000));
  for (const auto* bad : {"", "s", "-1s", "1 s", "1x", "1e300s", "nan"}) {
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(*parse_size("4MiB") == std::size_t{4} << 20U);
  CHECK(*parse_size("17") == 17);
  for (const auto* bad : {"", "MiB", "4MB", "-1", "99999999999GiB"}) {
    CHECK_FALSE(parse_size(bad));
  }
  CHECK(*parse_mode("0660") == 0660);
  for (const auto* bad : {"", "9", "01777", "rw"}) {
    CHECK_FALSE(parse_mode(bad));
  }
}

TEST_CASE("a flag wins over the environment, and that over the file") {
  const File file("name = \"file\"\nsuspect-after = \"2s\"\npeer = [\"a:1\", \"b\"]\nbootstrap = true\n");
  const auto with_file = options_of({"--config", file.path()});
  CHECK(with_file.name == "file");
  CHECK(with_file.limits.suspect_after == std::chrono::seconds(2));
  CHECK(with_file.transport.seeds == std::vector<io::HostPort>{{"a", 1}, {"b", 7475}});
  CHECK(with_file.bootstrap);

  REQUIRE(::setenv("VSYNCD_NAME", "environment", 1) == 0);
  CHECK(options_of({"--config", file.path()}).name == "environment");
  CHECK(options_of({"--config", file.path(), "--name", "flag"}).name == "flag");
  REQUIRE(::unsetenv("VSYNCD_NAME") == 0);
}

TEST_CASE("errors of a file name the file, the line and the setting") {
  const auto refused = [](const std::string& text) {
    const File file(text);
    const auto why = why_refused({"--config", file.path()});
    CHECK(why.starts_with(file.path() + ": line "));
    return why.substr(std::min(why.size(), file.path().size()));
  };
  CHECK(refused("name = \"x\"\n\nfrobnicate = 1\n").starts_with(": line 3: unknown setting 'frobnicate'"));
  CHECK(refused("quorum = \"maybe\"\n") == ": line 1: quorum: 'maybe' is none of dynamic, static");
  CHECK(refused("# hello\nsuspect-after = \"soon\"\n").starts_with(": line 2: suspect-after: 'soon' is no duration"));
  CHECK(refused("bootstrap = 17\n").starts_with(": line 1: bootstrap"));
  CHECK(refused("name = \"a\"\nname = \"b\"\n") == ": line 2: name is set already, in line 1");
  CHECK(refused("[section]\nname = \"a\"\n").starts_with(": line 1: "));
  CHECK(refused("peer = [\n \"a\",\n \"b:99999\"\n]\n").starts_with(": line 1: peer: "));
  CHECK(refused("nonsense\n").starts_with(": line 1: 'nonsense'"));
}

TEST_CASE("bad flags name the flag") {
  CHECK(why_refused({"--frobnicate"}).find("--frobnicate") != std::string::npos);
  CHECK(why_refused({"--config", "/no/such/file"}).find("/no/such/file") != std::string::npos);
  for (const auto& [flag, value] : std::vector<std::pair<std::string, std::string>>{{"--id", "0"},
                                                                                    {"--listen", "127.0.0.1:99999"},
                                                                                    {"--peer", ":7475"},
                                                                                    {"--socket-mode", "9"},
                                                                                    {"--log-level", "loud"},
                                                                                    {"--log-level", "kitchen=info"},
                                                                                    {"--fault", "explode"},
                                                                                    {"--cold-start", "never"},
                                                                                    {"--suspect-after", "1ms"}}) {
    INFO(flag << " " << value);
    CHECK(why_refused({flag, value}).find(flag.substr(2)) != std::string::npos);
  }
}

TEST_CASE("a name is short and fit for a terminal") {
  for (const std::string& name :
       {std::string(), std::string(256, 'n'), std::string("a\nb"), std::string("\x1b[31m"), std::string("\xff")}) {
    INFO(name);
    CHECK(why_refused({"--name", name}).find("name") != std::string::npos);
  }
  CHECK(why_refused({"--name", std::string(255, 'n')}).empty());
  CHECK(why_refused({"--name", "knödel"}).empty());
}

TEST_CASE("several event logs, each with a format of its own") {
  using Format = engine::EventLog::Format;
  CHECK(options_of({}).event_logs.empty());
  const auto logs =
      options_of({"--event-log", "membership:-,text:a:b", "--event-log", "log:5", "--event-log-format", "text"}).event_logs;
  REQUIRE(logs.size() == 3);
  CHECK((logs[0].path == "-" && logs[0].format == Format::membership));
  CHECK((logs[1].path == "a:b" && logs[1].format == Format::text));
  CHECK((logs[2].path == "log:5" && logs[2].format == Format::text));
  CHECK(options_of({"--event-log", "events"}).event_logs.front().format == Format::json);
}

TEST_CASE("a lease lasts for three heartbeats") {
  CHECK(options_of({}).limits.lease == std::chrono::milliseconds(700));
  CHECK(options_of({"--suspect-after", "2200ms", "--heartbeat-interval", "1100ms"}).limits.lease ==
        std::chrono::milliseconds(3300));
  CHECK(options_of({"--lease", "2s"}).limits.lease == std::chrono::seconds(2));
}

TEST_CASE("settings that contradict each other are refused") {
  CHECK(why_refused({"--lease", "200ms"}).find("lease: '200ms' is not within") != std::string::npos);
  CHECK(why_refused({"--suspect-after", "200ms", "--heartbeat-interval", "150ms"}).find("heartbeat-interval") !=
        std::string::npos);
  CHECK_FALSE(why_refused({"--voter", "1"}).empty());
  CHECK_FALSE(why_refused({"-t"}).empty());
  CHECK(options_of({"--suspect-after", "200ms"}).limits.heartbeat == milliseconds(40));  // follows by itself
  CHECK_FALSE(check_startable(options_of({"--quorum", "static"})));
}

TEST_CASE("the file that --check-config prints means the same") {
  const auto parsed =
      parse_settings({"--name", "x", "--peer", "a", "--peer", "b:1", "--quorum", "static", "--bootstrap", "-c", "4"});
  REQUIRE(parsed);
  const File file(parsed->settings.to_file());
  const auto again = parse_settings({"--config", file.path()});
  INFO((again ? "" : again.error().message));
  REQUIRE(again);
  CHECK(again->settings.differences(parsed->settings).empty());
}

TEST_CASE("the hosts file gives id, founder, peers and address") {
  const File file("# a cluster\none\n\ntwo:7001  # the second\n10.0.0.3\n");
  const auto first = options_of({"--hosts", file.path(), "--name", "one", "-t"});
  CHECK((first.node == 1 && first.found_if_alone));
  CHECK(first.transport.seeds == std::vector<io::HostPort>{{"two", 7001}, {"10.0.0.3", 7475}});
  CHECK(first.advertise.host == "one");
  CHECK(first.faults.crash_in_change_of == 3);

  const auto third = options_of({"--hosts", file.path(), "--name", "x", "--listen", "10.0.0.3", "--quorum", "static"});
  CHECK((third.node == 3 && !third.found_if_alone));
  CHECK(third.advertise.host == "10.0.0.3");
  CHECK(third.static_voters.size() == 3);
  CHECK(options_of({"--hosts", file.path(), "--id", "2"}).advertise.port == 7001);

  CHECK(why_refused({"--hosts", file.path(), "--name", "four"}).find("'four'") != std::string::npos);
  CHECK(why_refused({"--hosts", file.path(), "--id", "4"}).find(file.path()) != std::string::npos);
  CHECK(why_refused({"--hosts", file.path(), "--name", "two", "--listen", "*:7001", "--bootstrap"}).find("bootstrap") !=
        std::string::npos);
  CHECK(why_refused({"--hosts", "/no/such/hosts"}).find("/no/such/hosts") != std::string::npos);
}

TEST_CASE("a hosts file that is a directory, or endless") {
  CHECK(why_refused({"--hosts", "/tmp"}).find("cannot read the hosts file '/tmp': Is a directory") != std::string::npos);
  std::string many;
  for (int i = 0; i < 5000; ++i) {
    many += "h" + std::to_string(i) + "\n";
  }
  const File file(many);
  CHECK(why_refused({"--hosts", file.path(), "--name", "h1"}).find("more than 4096 hosts") != std::string::npos);
}

TEST_CASE("a quote in the configuration has its end on its line") {
  for (const auto* bad :
       {"name = \"a\n", "name = 'a\n", "name = \"a # b\n", "peer = [\"a, \"b\"]\n", "peer = [\n\"a\",\n\"b\n]\n"}) {
    INFO(bad);
    const File file(bad);
    const auto why = why_refused({"--config", file.path()});
    CHECK(why.find("a quote has no end") != std::string::npos);
    CHECK(why.find(file.path() + ": line ") != std::string::npos);
  }
  const File good("name = \"it's\" # \"so\npeer = ['a', \"b\"]\n");
  CHECK(options_of({"--config", good.path()}).name == "it's");
}

TEST_CASE("a bad hosts file names the line") {
  const auto refused = [](const std::string& text) {
    const File file(text);
    return why_refused({"--hosts", file.path(), "--name", "one"});
  };
  CHECK(refused("one\ntwo:99999\n").find("line 2") != std::string::npos);
  CHECK(refused("one\n\none\n").find("line 3") != std::string::npos);
  CHECK(refused("*\n").find("line 1") != std::string::npos);
  CHECK(refused("").find("names no host") != std::string::npos);
}

TEST_CASE("a reload applies what it can and says what it cannot") {
  const File file("log-level = \"info\"\nquorum = \"dynamic\"\n");
  const std::vector<std::string> arguments{"--config", file.path()};
  SettingsReloader reloader(arguments, parse_settings(arguments)->settings);
  file.rewrite("log-level = \"detector=debug\"\nquorum = \"static\"\npeer = \"a\"\n");
  const auto reloaded = reloader.reload();
  REQUIRE(reloaded);
  CHECK(reloaded->report.applied == std::vector<std::string>{"peer", "log-level"});
  CHECK(reloaded->report.needs_restart == std::vector<std::string>{"quorum"});
  CHECK(reloaded->log_levels.front().subsystem == "detector");
  CHECK(reloaded->seeds.front().host == "a");
  file.rewrite("nonsense = 1\n");
  CHECK_FALSE(reloader.reload());
}

TEST_CASE("what waits for all clients") {
  CHECK(options_of({}).control.limits.max_backlog == std::size_t{256} << 20U);
  CHECK(options_of({"--client-backlog", "5MiB", "--max-message", "4MiB"}).control.limits.max_backlog == std::size_t{5} << 20U);
  CHECK(why_refused({"--client-backlog", "1MiB"}).find("max-message is 64MiB") != std::string::npos);
  CHECK(options_of({"--durable-limit", "64MiB"}).durable_limit == std::size_t{64} << 20U);
  CHECK(why_refused({"--durable-limit", "1MiB"}).find("max-message is 64MiB") != std::string::npos);
  CHECK(why_refused({"--max-message", "65MiB"}).find("more than the 64MiB") != std::string::npos);
}

TEST_CASE("busy polling") {
  const auto share_of_a_processor = options_of({}).busy_poll;
  CHECK(share_of_a_processor.stay > std::chrono::seconds(0));
  CHECK(share_of_a_processor.share == 0.1);
  CHECK(options_of({"--busy-poll", "auto"}).busy_poll.stay == share_of_a_processor.stay);
  CHECK(options_of({"--busy-poll", "0s"}).busy_poll.stay == std::chrono::seconds(0));
  CHECK(options_of({"--busy-poll", "10ms"}).busy_poll.stay == std::chrono::milliseconds(10));
  CHECK(options_of({"--busy-poll", "10ms"}).busy_poll.share == 1);
  CHECK(why_refused({"--busy-poll", "much"}).find("'much' is neither auto nor a duration") != std::string::npos);
  CHECK(why_refused({"--busy-poll", "2s"}) == "busy-poll: '2s' is more than 1s");
}

TEST_CASE("discovery") {
  CHECK_FALSE(options_of({}).discovery.on);
  const auto options = options_of({"--discover", "--cluster-name", "office", "--discovery-port", "99"}).discovery;
  CHECK(options.on);
  CHECK(options.cluster == "office");
  CHECK(options.port == 99);
  CHECK(why_refused({"--discover", "--listen", "[::1]:7475"}).find("discover contradicts listen") != std::string::npos);
  CHECK(why_refused({"--discover", "--listen", "*"}).empty());
  CHECK(why_refused({"--cluster-name", std::string(65, 'x')}).find("1 to 64 bytes") != std::string::npos);
  CHECK(why_refused({"--discovery-port", "0"}).find("1 to 65535") != std::string::npos);
}

TEST_CASE("the own line of the hosts file is found by an address of this host, after all names") {
  const std::vector<io::HostPort> hosts{{"10.0.0.1", 7475}, {"10.0.0.2", 7475}, {"beta", 7475}};
  CHECK(*find_own_line(hosts, {0, "x", "y", {}, {{"192.0.2.1", 7475}, {"10.0.0.2", 7475}}}, "hosts") == 1);
  CHECK(*find_own_line(hosts, {0, "beta", "y", {}, {{"10.0.0.2", 7475}}}, "hosts") == 2);
  CHECK_FALSE(find_own_line(hosts, {0, "x", "y", {}, {{"10.0.0.2", 7000}}}, "hosts"));
}
