// The `json` format: every field of every event.
#include <vector>

#include "engine/event_log.h"
#include "engine/json_line.h"

namespace vsync::engine {
namespace {

namespace trace = core::trace;
using core::to_string;

template <typename T>
void write_pids(JsonLine& json, std::string_view name, const T& pids) {
  json.key(name).begin_array();
  for (const auto& pid : pids) {
    json.value(to_string(pid));
  }
  json.end_array();
}

void write_counts(JsonLine& json, std::string_view name, const core::Counts& counts) {
  json.key(name).begin_array();
  for (const auto count : counts) {
    json.value(count);
  }
  json.end_array();
}

void write_ref(JsonLine& json, std::string_view name, const core::ViewRef& ref) {
  json.key(name).begin_object();
  json.field("epoch", ref.epoch).field("sub", ref.sub).field("coord", to_string(ref.coord));
  json.end_object();
}

void write_members(JsonLine& json, std::string_view name, const std::vector<core::Member>& members) {
  json.key(name).begin_array();
  for (const auto& member : members) {
    json.begin_object().field("pid", to_string(member.pid)).field("vote_epoch", member.vote_epoch).field("name", member.name);
    json.field("host", member.address.host).field("port", member.address.port);
    json.field("heartbeat_port", member.address.heartbeat_port).end_object();
  }
  json.end_array();
}

void write_voters(JsonLine& json, const core::View& view) {
  json.key("voters").begin_array();
  for (const auto& voter : view.voters) {
    json.begin_object().field("node", voter.node).field("vote_epoch", voter.vote_epoch).field("weight", voter.weight);
    json.end_object();
  }
  json.end_array();
}

void write_origins(JsonLine& json, const core::View& view) {
  json.key("origins").begin_array();
  for (const auto& origin : view.origins) {
    json.begin_object();
    write_ref(json, "base", origin.base);
    json.field("scope", origin.scope);
    write_pids(json, "survivors", origin.survivors);
    write_counts(json, "cut", origin.cut);
    json.end_object();
  }
  json.end_array();
}

void write_changes(JsonLine& json, const core::View& view) {
  write_pids(json, "joined", view.joined);
  json.key("left").begin_array();
  for (const auto& left : view.left) {
    json.begin_object().field("pid", to_string(left.pid)).field("reason", to_string(left.reason));
    json.field("evidence", to_string(left.evidence)).field("reporter", to_string(left.reporter));
    json.field("silence", left.silence.count()).end_object();
  }
  json.end_array().key("history").begin_object();
  for (const auto& [node, incarnation] : view.history) {
    json.field(std::to_string(node), incarnation);
  }
  json.end_object();
}

void write_view(JsonLine& json, std::string_view name, const core::View& view) {
  json.key(name).begin_object().field("id", view.id()).field("uuid", to_string(view.uuid));
  write_ref(json, "ref", view.ref);
  json.field("primary", view.primary).field("cold", view.cold).field("proto", view.proto);
  json.field("config_hash", view.config_hash).field("policy", to_string(view.policy)).field("tiebreak", view.tiebreak);
  write_members(json, "members", view.members);
  write_members(json, "witnesses", view.witnesses);
  write_voters(json, view);
  write_origins(json, view);
  write_changes(json, view);
  json.end_object();
}

void write_group_member(JsonLine& json, const core::GroupMember& member) {
  json.begin_object().field("pid", to_string(member.pid)).field("client", member.client).field("name", member.name).end_object();
}

void write_group_members(JsonLine& json, std::string_view name, const std::vector<core::GroupMember>& members) {
  json.key(name).begin_array();
  for (const auto& member : members) {
    write_group_member(json, member);
  }
  json.end_array();
}

/// Writes the name of the event and its fields.
struct EventWriter {
  JsonLine& json;

  void operator()(const trace::Start& event) {
    json.field("event", "start").field("uuid", to_string(event.uuid)).field("vote_epoch", event.vote_epoch);
  }
  void operator()(const trace::Install& event) {
    json.field("event", "install").field("previous", event.previous).field("table_hash", event.table_hash);
    write_pids(json, "transitional", event.transitional);
    write_view(json, "view", *event.view);
  }
  void operator()(const trace::Submit& event) {
    json.field("event", "submit").field("client", event.client).field("request", event.request).field("count", event.count);
  }
  void operator()(const trace::Send& event) {
    json.field("event", "send").field("view", event.view).field("first", event.first).field("count", event.count);
    json.field("stamp", event.stamp).field("rank", event.rank).field("service", to_string(event.service));
    json.field("kind", to_string(event.kind)).field("group", event.group).field("client", event.client);
    json.field("request", event.request);
    write_counts(json, "delivered", event.delivered);
  }
  void operator()(const trace::Deliver& event) {
    json.field("event", "deliver").field("view", event.view).field("sender", to_string(event.sender));
    json.field("first", event.first).field("count", event.count).field("service", to_string(event.service));
    json.field("kind", to_string(event.kind)).field("group", event.group).field("content", event.content);
  }
  void operator()(const trace::GroupInstall& event) {
    const auto& view = *event.group_view;
    json.field("event", "group_install").key("group_view").begin_object().field("group", view.group).field("name", view.name);
    json.field("view", view.view).field("number", view.number).field("token", view.token);
    json.field("total_only", view.policy.total_only).field("primary", view.primary).field("cold", view.cold);
    write_group_members(json, "members", view.members);
    write_group_members(json, "joined", view.joined);
    json.key("left").begin_array();
    for (const auto& left : view.left) {
      json.begin_object().key("member");
      write_group_member(json, left.member);
      json.field("reason", to_string(left.reason)).end_object();
    }
    json.end_array();
    write_group_members(json, "transitional", view.transitional);
    write_group_members(json, "without_state", view.without_state);
    json.end_object();
  }
  void operator()(const trace::Hold& event) {
    json.field("event", "hold").field("group", event.group).field("holders", event.holders);
  }
  void operator()(const trace::Fate& event) {
    json.field("event", "fate").field("client", event.client).field("request", event.request).field("count", event.count);
    json.field("view", event.view).field("first", event.first).field("outcome", to_string(event.outcome));
  }
  void operator()(const trace::LeaseGranted& event) {
    json.field("event", "lease_granted").field("group", event.group).field("client", event.client).field("token", event.token);
    json.field("from", event.from.count()).field("until", event.until.count());
  }
  void operator()(const trace::LeaseReleased& event) {
    json.field("event", "lease_released").field("group", event.group).field("client", event.client);
    json.field("at", event.at.count());
  }
  void operator()(const trace::Left& event) {
    json.field("event", "left").field("previous", event.previous).field("view", event.view);
  }
  void operator()(const trace::Excluded& event) { json.field("event", "excluded").field("view", event.view); }
  void operator()(const trace::Suspected& event) {
    json.field("event", "suspected").field("peer", to_string(event.peer)).field("evidence", to_string(event.evidence));
    json.field("silence", event.silence.count()).field("why", event.why).field("leader", event.leader);
  }
  void operator()(const trace::Unsuspected& event) { json.field("event", "unsuspected").field("peer", to_string(event.peer)); }
  void operator()(const trace::Promised& event) {
    json.field("event", "promised").field("view", event.view).field("ballot", to_string(event.ballot));
  }
  void operator()(const trace::ValueAccepted& event) {
    json.field("event", "value_accepted").field("view", event.view).field("ballot", to_string(event.ballot));
    write_view(json, "value", *event.value);
  }
  void operator()(const trace::Decided& event) {
    json.field("event", "decided").field("ballot", to_string(event.ballot));
    write_view(json, "value", *event.value);
  }
  void operator()(const trace::Step& event) {
    json.field("event", "step").field("name", event.name).field("amount", event.amount);
  }
};

}  // namespace

void append_json(std::string& out, std::int64_t time, const core::Pid& self, const trace::Event& event) {
  JsonLine json(out);
  json.begin_object().field("time", time).field("pid", to_string(self));
  std::visit(EventWriter{json}, event);
  json.end_object();
  out += '\n';
}

}  // namespace vsync::engine
