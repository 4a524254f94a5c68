// The three formats, line by line.
#include "engine/event_log.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

using namespace vsync;
using namespace vsync::engine;
namespace trace = vsync::core::trace;

namespace {

const core::Pid kSelf{2, 7, 0};

core::ViewPtr view_of(core::ViewId id) {
  core::View view;
  view.uuid = {1, 2};
  view.ref.epoch = id;
  view.members = {{{1, 4, 0}, 11, "one", {"10.0.0.1", 7475, 7475}}, {{2, 7, 0}, 12, "two", {"10.0.0.2", 7475, 7475}}};
  view.voters = {{1, 11, 1}, {2, 12, 1}};
  view.joined = {{2, 7, 0}};
  view.left = {{{3, 1, 0}, core::LeaveReason::silent, core::Evidence::soft, {1, 4, 0}, std::chrono::milliseconds(5)}};
  view.history = {{1, 4}, {2, 7}, {3, 1}};
  return std::make_shared<core::View>(std::move(view));
}

std::string text(const trace::Event& event) {
  std::string out;
  append_text(out, kSelf, event);
  return out;
}

std::string membership(const trace::Event& event, const core::ViewPtr& view = view_of(5)) {
  std::string out;
  append_membership(out, kSelf, view, event);
  return out;
}

std::string json(const trace::Event& event) {
  std::string out;
  append_json(out, 42, kSelf, event);
  return out;
}

}  // namespace

TEST_CASE("text: installs, sends and deliveries, one message a line") {
  CHECK(text(trace::Install{view_of(5), 4, {}, 0}) == "2 install view 5 1,2\n");
  trace::Send send;
  send.view = 5;
  send.first = 3;
  send.count = 2;
  CHECK(text(send) == "2 send multicast 3 within 5\n2 send multicast 4 within 5\n");
  trace::Deliver deliver;
  deliver.view = 5;
  deliver.sender = {1, 4, 0};
  deliver.first = 9;
  CHECK(text(deliver) == "2 deliver multicast 9 from 1 within 5\n");
  CHECK(text(trace::Excluded{5}).empty());
}

TEST_CASE("membership: views and unreachable peers") {
  CHECK(membership(trace::Install{view_of(6), 5, {}, 0}) == "{peer_id:2, view_id: 6, leader: 1, memb_list: [<1,2>]}\n");
  trace::Suspected suspected;
  suspected.peer = {1, 4, 0};
  suspected.leader = true;
  CHECK(membership(suspected) == "{peer_id:2, view_id: 5, leader: 1, message:\"peer 1 (leader) unreachable\"}\n");
  suspected.leader = false;
  CHECK(membership(suspected) == "{peer_id:2, view_id: 5, leader: 1, message:\"peer 1 unreachable\"}\n");
  CHECK(membership(trace::Excluded{5}).empty());
}

TEST_CASE("json: every event is one object with its name and fields") {
  CHECK(json(trace::Excluded{5}) == "{\"time\":42,\"pid\":\"2.7\",\"event\":\"excluded\",\"view\":5}\n");
  CHECK(json(trace::Fate{3, 9, 2, 5, 7, core::Outcome::delivered}) ==
        "{\"time\":42,\"pid\":\"2.7\",\"event\":\"fate\",\"client\":3,\"request\":9,\"count\":2,\"view\":5,\"first\":7,"
        "\"outcome\":\"delivered\"}\n");
  CHECK(json(trace::Promised{5, {2, 1}}) ==
        "{\"time\":42,\"pid\":\"2.7\",\"event\":\"promised\",\"view\":5,\"ballot\":\"2/1\"}\n");
  const auto install = json(trace::Install{view_of(5), 4, {{1, 4, 0}, {2, 7, 0}}, 99});
  CHECK(install.find(
            "\"event\":\"install\",\"previous\":4,\"table_hash\":99,\"transitional\":[\"1.4\",\"2.7\"],\"view\":{\"id\":5") !=
        std::string::npos);
  CHECK(
      install.find(
          "\"left\":[{\"pid\":\"3.1\",\"reason\":\"silent\",\"evidence\":\"soft\",\"reporter\":\"1.4\",\"silence\":5000000}]") !=
      std::string::npos);
  CHECK(install.find("\"history\":{\"1\":4,\"2\":7,\"3\":1}") != std::string::npos);
}

TEST_CASE("json: words of clients are escaped") {
  trace::Suspected suspected;
  suspected.why = "a \"quoted\"\\\n\x01 word";
  CHECK(json(suspected).find("\"why\":\"a \\\"quoted\\\"\\\\\\u000a\\u0001 word\"") != std::string::npos);
}

TEST_CASE("a log file is appended to, and knows the view for what follows it") {
  char path[] = "/tmp/vsync-event-log-XXXXXX";
  REQUIRE(::close(::mkstemp(path)) == 0);
  {
    auto log = EventLog::open(path, EventLog::Format::membership);
    REQUIRE(log);
    (*log)->write(kSelf, trace::Install{view_of(6), 5, {}, 0});
    (*log)->crashing(kSelf);
    REQUIRE((*log)->flush());
  }
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  ::unlink(path);
  CHECK(content.str() ==
        "{peer_id:2, view_id: 6, leader: 1, memb_list: [<1,2>]}\n"
        "{peer_id:2, view_id: 6, leader: 1, message:\"crashing\"}\n");
}

TEST_CASE("a log file that cannot be opened or written is told") {
  const auto log = EventLog::open("/proc/none/events", EventLog::Format::text);
  REQUIRE_FALSE(log);
  CHECK(log.error().message.find("/proc/none/events") != std::string::npos);

  auto full = EventLog::open("/dev/full", EventLog::Format::json);
  REQUIRE(full);
  (*full)->write(kSelf, trace::Excluded{1});
  CHECK_FALSE((*full)->flush());
}
