// What the tests of the control socket share.
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

#include "support/fake_daemon.h"
#include "unit/io/control_raw_client.h"

namespace vsync::test {

struct Fixture {
  TempDir dir;
  std::string path = dir.file("control.sock");
  FakeDaemon daemon{options_at(path)};
};

inline std::string body_of(std::initializer_list<std::string_view> messages) {
  std::string body;
  for (const auto message : messages) {
    io::append_message(body, message);
  }
  return body;
}

inline pb::Request request(std::uint64_t id) {
  pb::Request made;
  made.set_id(id);
  return made;
}

inline pb::Request join(std::uint64_t id, const std::string& group) {
  auto made = request(id);
  made.mutable_join()->set_group(group);
  return made;
}

inline pb::Request batch(std::uint64_t id, const std::string& group, std::initializer_list<std::string_view> messages) {
  auto made = request(id);
  made.mutable_send_batch()->set_group(group);
  made.mutable_send_batch()->set_count(static_cast<std::uint32_t>(messages.size()));
  made.mutable_send_batch()->set_body(body_of(messages));
  return made;
}

/// What the client wrote before is taken when its status is answered, which nothing else may precede.
inline void wait_taken(RawClient& client) {
  auto status = request(1000);
  status.mutable_status();
  client.frame(status);
  REQUIRE(client.read_frame()->has_status());
}

/// Joins and reads the view and the reply.
inline void join(RawClient& client, const std::string& group) {
  client.frame(join(1, group));
  REQUIRE(client.read_frame()->event().has_group_view());
  REQUIRE(client.read_frame()->has_join());
}

}  // namespace vsync::test
