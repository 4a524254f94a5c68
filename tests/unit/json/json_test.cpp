#include "json/json.h"

#include <google/protobuf/util/json_util.h>
#include <catch2/catch.hpp>

#include "vsync/control/v1/control.pb.h"

using namespace vsync;
namespace pb = vsync::control::v1;

TEST_CASE("integers are numbers, names are kept, absent messages are absent") {
  pb::Reply reply;
  reply.set_id(7);
  reply.mutable_send()->set_outcome("delivered");
  reply.mutable_send()->set_view(5);
  reply.mutable_send()->set_position(18446744073709551615U);
  CHECK(
      to_json(reply) ==
      R"({"id":7,"send":{"outcome":"delivered","view":5,"position":18446744073709551615,"code":"","index":0,"durable":false}})");
  CHECK(to_json(pb::Done{}) == "{}");
}

TEST_CASE("lists, maps, enums, bools") {
  pb::Status status;
  (*status.mutable_counters())["acks"] = 3;
  const auto json = to_json(status);
  CHECK(json.find(R"("members":[])") != std::string::npos);
  CHECK(json.find(R"("counters":{"acks":3})") != std::string::npos);
  CHECK(json.find(R"("has_quorum":false)") != std::string::npos);
  pb::GroupMessage message;
  message.set_service(pb::CAUSAL);
  CHECK(to_json(message).find(R"("service":"causal")") != std::string::npos);
}

TEST_CASE("text and bytes of every kind come back through protobuf's own parser") {
  const std::string bytes("\x00\x01\"\\\n\t\x7f\xff plain", 14);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    pb::GroupMessage message;
    message.set_group("gr\xc3\xbc\xc3\x9f \"quoted\" \\ \n\t \xf0\x9f\x98\x80");
    message.set_payload(bytes.substr(0, size));
    google::protobuf::util::JsonParseOptions options;
    options.case_insensitive_enum_parsing = true;
    pb::GroupMessage read;
    REQUIRE(google::protobuf::util::JsonStringToMessage(to_json(message), &read, options).ok());
    CHECK(read.SerializeAsString() == message.SerializeAsString());
  }
}

TEST_CASE("text that is no UTF-8 is still valid JSON") {
  for (const std::string broken : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "a\xe2\x82"}) {
    pb::Error error;
    error.set_message(broken);
    pb::Error read;
    CHECK(google::protobuf::util::JsonStringToMessage(to_json(error), &read).ok());
  }
}
