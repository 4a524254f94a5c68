// The reader of the event log understands every line that the daemon writes, and gives back what was written.
#include <catch2/catch.hpp>
#include <sstream>

#include "engine/event_log.h"
#include "support/event_log_reader.h"

using namespace vsync;
using namespace vsync::core;

namespace {

const Pid kSelf{3, 4294967297, 0};

ViewPtr some_view() {
  View view;
  view.uuid = {0x0123456789abcdef, 0xfedcba9876543210};
  view.ref.epoch = 4294967299;
  view.cold = true;
  view.config_hash = 0xffffffffffffffff;
  view.members = {{{1, 2, 0}, 17, "n\"1", {"127.0.0.1", 7475, 7476}}, {kSelf, 18, "n3", {"h", 1, 2}}};
  view.voters = {{1, 17, 1}, {3, 18, 2}};
  view.policy = QuorumPolicy::fixed;
  view.tiebreak = 1;
  view.origins = {{{4294967298, 0, {}}, Origin::kPrimary, {{1, 2, 0}}, {5, 0, 7}}};
  view.joined = {kSelf};
  view.left = {{{2, 1, 0}, LeaveReason::silent, Evidence::soft, {1, 2, 0}, std::chrono::milliseconds(1500)}};
  view.history = {{1, 2}, {3, 4294967297}};
  return std::make_shared<const View>(view);
}

GroupViewPtr some_group_view() {
  GroupView view;
  view.group = 7;
  view.name = "a\\b\n";
  view.view = 4294967299;
  view.number = 3;
  view.token = 18446744073709551615U;
  view.policy.total_only = true;
  view.members = {{{1, 2, 0}, 5, "x"}};
  view.joined = view.members;
  view.left = {{{kSelf, 6, ""}, LeaveReason::crashed}};
  view.transitional = {{kSelf, 6, ""}};
  return std::make_shared<const GroupView>(view);
}

std::vector<trace::Event> one_of_each() {
  return {trace::Start{{1, 2}, 3},
          trace::Install{some_view(), 4294967298, {{1, 2, 0}, kSelf}, 18446744073709551615U},
          trace::Submit{1, 2, 3},
          trace::Send{4, 5, 6, 7, 8, Service::causal, RunKind::data, 9, 10, 11, {1, 2, 3}},
          trace::Deliver{4, {1, 2, 0}, 5, 6, Service::fifo, RunKind::group_flushed, 9, 10},
          trace::GroupInstall{some_group_view()},
          trace::Hold{4, 5},
          trace::Fate{1, 2, 3, 4, 5, Outcome::not_delivered},
          trace::LeaseGranted{"a\\b", 5, 18446744073709551615U, Time(1), Time(9223372036854775807)},
          trace::LeaseReleased{"g", 5, Time(7)},
          trace::Left{4, 5},
          trace::Excluded{5},
          trace::Suspected{{1, 2, 0}, Evidence::firm, std::chrono::milliseconds(3), "it \"said\"\tso", true},
          trace::Unsuspected{{1, 2, 0}},
          trace::Promised{4, {2, 3}},
          trace::ValueAccepted{4, {2, 3}, some_view()},
          trace::Decided{some_view(), {2, 3}}};
}

std::string line_of(const trace::Event& event) {
  std::string line;
  engine::append_json(line, 1234567890123456789, kSelf, event);
  return line;
}

}  // namespace

TEST_CASE("what is read is what was written") {
  for (const auto& event : one_of_each()) {
    const auto line = line_of(event);
    INFO(line);
    const auto record = check::read_event(line);
    REQUIRE(record.has_value());
    CHECK(record->at == Time(1234567890123456789));
    CHECK(record->who == kSelf);
    CHECK(line_of(std::get<trace::Event>(record->fact)) == line);
  }
  CHECK(check::read_event(line_of(trace::Step{"adopted", 2})).has_value());
}

TEST_CASE("every kind of run comes back") {
  for (auto i = static_cast<unsigned>(kLastRunKind); i > 0; --i) {
    const auto kind = static_cast<RunKind>(i);
    const auto record = check::read_event(line_of(trace::Deliver{4, kSelf, 5, 6, Service::total, kind, 9, 10}));
    REQUIRE(record.has_value());
    CHECK(check::get<trace::Deliver>(*record)->kind == kind);
  }
}

TEST_CASE("a view comes back whole") {
  const auto record = check::read_event(line_of(trace::Decided{some_view(), {2, 3}}));
  REQUIRE(record.has_value());
  CHECK(*check::get<trace::Decided>(*record)->value == *some_view());
}

TEST_CASE("a part of a line is tolerated where a process was killed, and only there") {
  const auto start = line_of(trace::Start{{1, 2}, 3});
  const auto left = line_of(trace::Left{4, 5});
  const auto part = left.substr(0, left.size() / 2);
  std::vector<check::Record> records;
  const auto readable = [&](const std::string& text) {
    std::istringstream in(text);
    return check::read_event_log(in, records).has_value();
  };
  CHECK(readable(start + left + part));
  CHECK(readable(start + part + "\n" + start + left));
  CHECK(readable(start + part + start + left));
  CHECK_FALSE(readable(start + part + "\n" + left));
  CHECK_FALSE(readable(start + "{}\n" + left));
}
