#include "engine/logs.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace vsync;
using namespace vsync::engine;

namespace {

class Source : public LogContextSource {
 public:
  LogContext log_context() const override { return {3, 5, 120}; }
};

std::string content_of(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

struct LogFile {
  LogFile() { REQUIRE(::close(::mkstemp(path)) == 0); }
  ~LogFile() { ::unlink(path); }
  char path[32] = "/tmp/vsync-log-XXXXXX";
};

}  // namespace

TEST_CASE("lines carry subsystem, node, view and clock") {
  LogFile file;
  auto logs = Logs::open({{}, {file.path}, false, false});
  REQUIRE(logs);
  Source source;
  (*logs)->set_source(&source);
  (**logs)[Subsystem::detector].info("hello");
  CHECK(content_of(file.path).find("info detector [node 3 view 5 clock 120] hello\n") != std::string::npos);
}

TEST_CASE("an entry of the journal has fields to search by") {
  const LogContext context{3, 5, 120, "suspected", {2, 7, 0}};
  const auto fields = journal_fields(context, "detector", 4, "suspects 2.7");
  const std::vector<std::string> expected{"MESSAGE=suspects 2.7",  "PRIORITY=4",      "VSYNC_SUBSYSTEM=detector",
                                          "VSYNC_NODE=3",          "VSYNC_VIEW=5",    "VSYNC_CLOCK=120",
                                          "VSYNC_EVENT=suspected", "VSYNC_MEMBER=2.7"};
  CHECK(fields == expected);
  CHECK(journal_fields({3, 5, 120}, "detector", 4, "hello").size() == 6);  // no field without a value
}

TEST_CASE("levels are set per subsystem, at the start and at run time") {
  LogFile file;
  auto logs = Logs::open({{{"", "warn"}, {"groups", "debug"}}, {file.path}, false, false});
  REQUIRE(logs);
  (**logs)[Subsystem::detector].info("one");
  (**logs)[Subsystem::groups].debug("two");
  REQUIRE((*logs)->set_level("info", "detector"));
  (**logs)[Subsystem::detector].info("three");
  REQUIRE((*logs)->set_level("off", ""));
  (**logs)[Subsystem::groups].error("four");
  const auto content = content_of(file.path);
  CHECK(content.find("one") == std::string::npos);
  CHECK(content.find("two") != std::string::npos);
  CHECK(content.find("three") != std::string::npos);
  CHECK(content.find("four") == std::string::npos);
  CHECK_FALSE((*logs)->set_level("loud", ""));
  CHECK_FALSE((*logs)->set_level("info", "kitchen"));
}

TEST_CASE("files are opened anew after they were moved") {
  LogFile file;
  auto logs = Logs::open({{}, {file.path}, false, false});
  REQUIRE(logs);
  (**logs)[Subsystem::storage].info("before");
  ::unlink(file.path);
  REQUIRE((*logs)->reopen());
  (**logs)[Subsystem::storage].info("after");
  CHECK(content_of(file.path).find("after") != std::string::npos);
  CHECK(content_of(file.path).find("before") == std::string::npos);
}

TEST_CASE("log levels as they are written") {
  CHECK(parse_log_level("debug")->level == "debug");
  CHECK(parse_log_level("transport=trace")->subsystem == "transport");
  CHECK_FALSE(parse_log_level("transport"));
  CHECK_FALSE(parse_log_level("=debugg"));
  const auto logs = Logs::open({{}, {"/proc/none/log"}, false, false});
  REQUIRE_FALSE(logs);
  CHECK(logs.error().message.find("/proc/none/log") != std::string::npos);
}
