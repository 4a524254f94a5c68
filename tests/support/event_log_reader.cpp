#include "support/event_log_reader.h"

#include <istream>
#include <map>
#include <memory>
#include <string>

#include "support/json_reader.h"

namespace vsync::check {

namespace {

/// "a<separator>b" as two numbers.
template <typename A, typename B>
std::pair<A, B> two_numbers(const std::string& text, char separator) {
  std::pair<A, B> numbers{};
  const auto middle = std::min(text.find(separator), text.size());
  std::from_chars(text.data(), text.data() + middle, numbers.first);
  std::from_chars(text.data() + std::min(middle + 1, text.size()), text.data() + text.size(), numbers.second);
  return numbers;
}

Pid pid(const Json& json) {
  const auto [node, incarnation] = two_numbers<NodeId, std::uint64_t>(json.text(), '.');
  return {node, incarnation, 0};
}

Ballot ballot(const Json& json) {
  const auto [round, node] = two_numbers<std::uint32_t, NodeId>(json.text(), '/');
  return {round, node};
}

Uuid uuid(const Json& json) {
  Uuid value;
  const auto& text = json.text();
  if (text.size() == 32) {
    std::from_chars(text.data(), text.data() + 16, value.high, 16);
    std::from_chars(text.data() + 16, text.data() + 32, value.low, 16);
  }
  return value;
}

/// The value whose word it is; the first one if it is nobody's.
template <typename Enum>
Enum word(const Json& json, Enum last) {
  for (auto i = static_cast<unsigned>(last); i > 0; --i) {
    if (json.text() == to_string(static_cast<Enum>(i))) {
      return static_cast<Enum>(i);
    }
  }
  return Enum{};
}

template <typename T>
void get(const Json& json, std::string_view name, T& value) {
  value = json[name].number<T>();
}

std::vector<Pid> pids(const Json& json) {
  std::vector<Pid> list;
  for (const auto& item : json.items()) {
    list.push_back(pid(item));
  }
  return list;
}

Counts counts(const Json& json) {
  Counts list;
  for (const auto& item : json.items()) {
    list.push_back(item.number<Seq>());
  }
  return list;
}

ViewRef view_ref(const Json& json) {
  ViewRef ref;
  get(json, "epoch", ref.epoch);
  get(json, "sub", ref.sub);
  ref.coord = pid(json["coord"]);
  return ref;
}

Member member(const Json& json) {
  Member value;
  value.pid = pid(json["pid"]);
  get(json, "vote_epoch", value.vote_epoch);
  value.name = json["name"].text();
  value.address.host = json["host"].text();
  get(json, "port", value.address.port);
  get(json, "heartbeat_port", value.address.heartbeat_port);
  return value;
}

Origin origin(const Json& json) {
  return {view_ref(json["base"]), json["scope"].number<std::uint8_t>(), pids(json["survivors"]), counts(json["cut"])};
}

Departure departure(const Json& json) {
  return {pid(json["pid"]), word(json["reason"], LeaveReason::unreachable), word(json["evidence"], Evidence::hard),
          pid(json["reporter"]), Duration(json["silence"].number<std::int64_t>())};
}

ViewPtr view(const Json& json) {
  View value;
  value.uuid = uuid(json["uuid"]);
  value.ref = view_ref(json["ref"]);
  value.primary = json["primary"].flag();
  value.cold = json["cold"].flag();
  get(json, "proto", value.proto);
  get(json, "config_hash", value.config_hash);
  value.policy = word(json["policy"], QuorumPolicy::fixed);
  get(json, "tiebreak", value.tiebreak);
  for (const auto& item : json["members"].items()) {
    value.members.push_back(member(item));
  }
  for (const auto& item : json["witnesses"].items()) {
    value.witnesses.push_back(member(item));
    value.witnesses.back().witness = true;
  }
  for (const auto& item : json["voters"].items()) {
    value.voters.push_back(
        {item["node"].number<NodeId>(), item["vote_epoch"].number<std::uint64_t>(), item["weight"].number<std::uint32_t>()});
  }
  for (const auto& item : json["origins"].items()) {
    value.origins.push_back(origin(item));
  }
  value.joined = pids(json["joined"]);
  for (const auto& item : json["left"].items()) {
    value.left.push_back(departure(item));
  }
  for (const auto& [node, incarnation] : json["history"].members()) {
    value.history[two_numbers<NodeId, int>(node, '.').first] = incarnation.number<std::uint64_t>();
  }
  return std::make_shared<const View>(std::move(value));
}

GroupMember group_member(const Json& json) {
  return {pid(json["pid"]), json["client"].number<ClientId>(), json["name"].text()};
}

std::vector<GroupMember> group_members(const Json& json) {
  std::vector<GroupMember> list;
  for (const auto& item : json.items()) {
    list.push_back(group_member(item));
  }
  return list;
}

trace::Event group_install(const Json& event) {
  const auto& json = event["group_view"];
  GroupView value;
  get(json, "group", value.group);
  value.name = json["name"].text();
  get(json, "view", value.view);
  get(json, "number", value.number);
  get(json, "token", value.token);
  value.policy.total_only = json["total_only"].flag();
  value.primary = json["primary"].flag();
  value.cold = json["cold"].flag();
  value.members = group_members(json["members"]);
  value.joined = group_members(json["joined"]);
  for (const auto& item : json["left"].items()) {
    value.left.push_back({group_member(item["member"]), word(item["reason"], LeaveReason::not_a_keeper)});
  }
  value.transitional = group_members(json["transitional"]);
  value.without_state = group_members(json["without_state"]);
  return trace::GroupInstall{std::make_shared<const GroupView>(std::move(value))};
}

trace::Event start(const Json& json) {
  return trace::Start{uuid(json["uuid"]), json["vote_epoch"].number<std::uint64_t>()};
}

trace::Event install(const Json& json) {
  return trace::Install{view(json["view"]), json["previous"].number<ViewId>(), pids(json["transitional"]),
                        json["table_hash"].number<std::uint64_t>()};
}

trace::Event submit(const Json& json) {
  trace::Submit event;
  get(json, "client", event.client);
  get(json, "request", event.request);
  get(json, "count", event.count);
  return event;
}

trace::Event send(const Json& json) {
  trace::Send event;
  get(json, "view", event.view);
  get(json, "first", event.first);
  get(json, "count", event.count);
  get(json, "stamp", event.stamp);
  get(json, "rank", event.rank);
  event.service = word(json["service"], Service::total);
  event.kind = word(json["kind"], kLastRunKind);
  get(json, "group", event.group);
  get(json, "client", event.client);
  get(json, "request", event.request);
  event.delivered = counts(json["delivered"]);
  return event;
}

trace::Event deliver(const Json& json) {
  trace::Deliver event;
  get(json, "view", event.view);
  event.sender = pid(json["sender"]);
  get(json, "first", event.first);
  get(json, "count", event.count);
  event.service = word(json["service"], Service::total);
  event.kind = word(json["kind"], kLastRunKind);
  get(json, "group", event.group);
  get(json, "content", event.content);
  return event;
}

trace::Event hold(const Json& json) {
  trace::Hold event;
  get(json, "group", event.group);
  get(json, "holders", event.holders);
  return event;
}

trace::Event fate(const Json& json) {
  trace::Fate event;
  get(json, "client", event.client);
  get(json, "request", event.request);
  get(json, "count", event.count);
  get(json, "view", event.view);
  get(json, "first", event.first);
  event.outcome = word(json["outcome"], Outcome::unknown);
  return event;
}

trace::Event left(const Json& json) {
  return trace::Left{json["previous"].number<ViewId>(), json["view"].number<ViewId>()};
}

trace::Event excluded(const Json& json) {
  return trace::Excluded{json["view"].number<ViewId>()};
}

trace::Event suspected(const Json& json) {
  return trace::Suspected{pid(json["peer"]), word(json["evidence"], Evidence::hard),
                          Duration(json["silence"].number<std::int64_t>()), json["why"].text(), json["leader"].flag()};
}

trace::Event unsuspected(const Json& json) {
  return trace::Unsuspected{pid(json["peer"])};
}

trace::Event promised(const Json& json) {
  return trace::Promised{json["view"].number<ViewId>(), ballot(json["ballot"])};
}

trace::Event value_accepted(const Json& json) {
  return trace::ValueAccepted{json["view"].number<ViewId>(), ballot(json["ballot"]), view(json["value"])};
}

trace::Event decided(const Json& json) {
  return trace::Decided{view(json["value"]), ballot(json["ballot"])};
}

trace::Event lease_granted(const Json& json) {
  trace::LeaseGranted event;
  event.group = json["group"].text();
  get(json, "client", event.client);
  get(json, "token", event.token);
  event.from = Time(json["from"].number<std::int64_t>());
  event.until = Time(json["until"].number<std::int64_t>());
  return event;
}

trace::Event lease_released(const Json& json) {
  trace::LeaseReleased event;
  event.group = json["group"].text();
  get(json, "client", event.client);
  event.at = Time(json["at"].number<std::int64_t>());
  return event;
}

using Reader = trace::Event (*)(const Json&);

Reader reader(const std::string& name) {
  static const std::map<std::string, Reader> readers{
      {"start", start},
      {"install", install},
      {"submit", submit},
      {"send", send},
      {"deliver", deliver},
      {"group_install", group_install},
      {"hold", hold},
      {"fate", fate},
      {"left", left},
      {"excluded", excluded},
      {"suspected", suspected},
      {"unsuspected", unsuspected},
      {"promised", promised},
      {"decided", decided},
      {"value_accepted", value_accepted},
      {"lease_granted", lease_granted},
      {"lease_released", lease_released},
  };
  const auto it = readers.find(name);
  return it == readers.end() ? nullptr : it->second;
}

bool is_step(const Json& json) {
  return json["event"].text() == "step";
}

}  // namespace

Result<Record> read_event(std::string_view line) {
  const auto json = Json::parse(line);
  if (!json) {
    return fail(json.error().message);
  }
  const auto& name = (*json)["event"].text();
  if (is_step(*json)) {
    // The name of a step is a word of the daemon's code; the checkers do not ask for it.
    return Record{Time((*json)["time"].number<std::int64_t>()), pid((*json)["pid"]), trace::Event(trace::Step{"", 1})};
  }
  const auto read = reader(name);
  if (read == nullptr) {
    return fail("unknown event \"" + name + "\"");
  }
  return Record{Time((*json)["time"].number<std::int64_t>()), pid((*json)["pid"]), read(*json)};
}

Result<void> read_event_log(std::istream& in, std::vector<Record>& records) {
  std::string damaged;  // what is wrong with the line before, if it was only a part
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    // The first line of a process follows the last part of its predecessor's without a line feed.
    const auto begin = line.rfind("{\"time\":");
    auto record = read_event(begin == std::string::npos ? std::string_view(line) : std::string_view(line).substr(begin));
    if (!record && damaged.empty()) {
      damaged = "line " + std::to_string(number) + ": " + record.error().message;
      continue;
    }
    const bool starts = record && get<trace::Start>(*record) != nullptr;
    if (!damaged.empty() && !starts) {
      return fail(damaged);
    }
    damaged.clear();
    records.push_back(std::move(*record));
  }
  return {};
}

}  // namespace vsync::check
