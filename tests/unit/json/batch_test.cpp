#include "json/batch.h"

#include <catch2/catch.hpp>

#include "json/json.h"

using namespace vsync;
namespace pb = vsync::control::v1;

TEST_CASE("a message of a batch has its own numbers, and all that the batch says") {
  pb::MessageBatch batch;
  batch.set_group("g");
  batch.mutable_sender()->set_name("x");
  batch.set_view(5);
  batch.set_position(10);
  batch.set_service(pb::CAUSAL);
  batch.set_token(6);
  batch.set_direct(true);
  batch.set_request(7);
  batch.set_index(20);
  batch.set_text(true);
  pb::GroupMessage message;
  fill(message, batch, 2, "hello");
  CHECK(to_json(message) ==
        R"({"group":"g","sender":{"node":0,"incarnation":0,"client":0,"name":"x"},"view":5,"position":12,"service":"causal",)"
        R"("text":"hello","token":6,"direct":true,"request":7,"index":22})");
  batch.set_index(0);
  fill(message, batch, 2, "hello");
  CHECK(message.index() == 0);  // the group is not durable
}

TEST_CASE("text that is no UTF-8 is payload") {
  pb::MessageBatch batch;
  batch.set_text(true);
  pb::GroupMessage message;
  fill(message, batch, 0, "\xff");
  CHECK(message.payload() == "\xff");
  batch.set_text(false);
  fill(message, batch, 0, "text");
  CHECK(message.payload() == "text");
}
