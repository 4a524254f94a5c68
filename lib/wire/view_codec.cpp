#include "wire/view_codec.h"

#include <algorithm>
#include <set>
#include <utility>

#include "wire/frame_codec.h"

namespace vsync::wire {

namespace {

constexpr std::size_t kMaxText = 1024;      // names, hosts, reasons
constexpr int kMaxHistory = 65536;          // nodes ever named
constexpr std::uint32_t kMaxWeight = 1024;  // of a voter

// Enumerations have the same numbers here and there.
static_assert(static_cast<int>(core::LeaveReason::unreachable) == pb::UNREACHABLE);
static_assert(static_cast<int>(core::Evidence::hard) == pb::HARD);
static_assert(static_cast<int>(core::QuorumPolicy::fixed) == pb::STATIC);

}  // namespace

template <typename Repeated>
static bool few(const Repeated& list, Check& check) {
  return check.that(list.size() <= static_cast<int>(kMaxMembers), "too many elements");
}

static void write(pb::ViewRef& to, const core::ViewRef& ref) {
  to.set_epoch(ref.epoch);
  to.set_sub(ref.sub);
  if (ref.coord != core::Pid{}) {
    write(*to.mutable_coord(), ref.coord);
  }
}

static core::ViewRef read(const pb::ViewRef& from, Check& check) {
  core::ViewRef ref{from.epoch(), from.sub(), read(from.coord())};
  check.that(ref.sub == 0 && ref.coord == core::Pid{}, "bad view reference");
  return ref;
}

static void write(pb::Origin& to, const core::Origin& origin) {
  write(*to.mutable_base(), origin.base);
  to.set_scope(origin.scope);
  for (const core::Pid& pid : origin.survivors) {
    write(*to.add_survivors(), pid);
  }
  write(*to.mutable_cut(), origin.cut);
}

static core::Origin read(const pb::Origin& from, Check& check) {
  constexpr std::uint32_t kScopes = core::Origin::kPrimary | core::Origin::kPartitionable;
  check.that(from.scope() != 0 && (from.scope() & ~kScopes) == 0, "bad origin scope");
  return {read(from.base(), check), static_cast<std::uint8_t>(from.scope()), read_pids(from.survivors(), check),
          read(from.cut(), check)};
}

static void write(pb::Departure& to, const core::Departure& departure) {
  write(*to.mutable_pid(), departure.pid);
  to.set_reason(static_cast<pb::LeaveReason>(departure.reason));
  to.set_evidence(static_cast<pb::Evidence>(departure.evidence));
  write(*to.mutable_reporter(), departure.reporter);
  to.set_silence_ns(from_duration(departure.silence));
}

static core::Departure read(const pb::Departure& from, Check& check) {
  return {read(from.pid()), to_enum(static_cast<unsigned>(from.reason()), core::LeaveReason::unreachable, check),
          to_enum(static_cast<unsigned>(from.evidence()), core::Evidence::hard, check), read(from.reporter()),
          to_duration(from.silence_ns(), check)};
}

static std::vector<core::Voter> read_voters(const google::protobuf::RepeatedPtrField<pb::Voter>& from, Check& check) {
  std::vector<core::Voter> voters;
  if (few(from, check)) {
    std::set<core::NodeId> nodes;
    for (const pb::Voter& voter : from) {
      check.that(nodes.insert(voter.node()).second && voter.node() > 0, "bad voter");
      check.that(voter.weight() >= 1 && voter.weight() <= kMaxWeight, "bad voter weight");
      voters.push_back({voter.node(), voter.vote_epoch(), voter.weight()});
    }
  }
  return voters;
}

static std::map<core::NodeId, std::uint64_t> read_history(const google::protobuf::RepeatedPtrField<pb::Named>& from,
                                                          Check& check) {
  std::map<core::NodeId, std::uint64_t> history;
  if (check.that(from.size() <= kMaxHistory, "too many elements")) {
    for (const pb::Named& named : from) {
      check.that(history.empty() || named.node() > history.rbegin()->first, "history out of order");
      history.emplace_hint(history.end(), named.node(), named.incarnation());
    }
  }
  return history;
}

// ---------------------------------------------------------------- writers

void write(pb::Pid& to, const core::Pid& pid) {
  to.set_node(pid.node);
  to.set_incarnation(pid.incarnation);
  to.set_stint(pid.stint);
}

void write(pb::Uuid& to, const core::Uuid& uuid) {
  to.set_high(uuid.high);
  to.set_low(uuid.low);
}

void write(pb::Ballot& to, const core::Ballot& ballot) {
  to.set_round(ballot.round);
  to.set_node(ballot.node);
}

void write(pb::Address& to, const core::Address& address) {
  to.set_host(address.host);
  to.set_port(address.port);
  to.set_heartbeat_port(address.heartbeat_port);
}

void write(pb::Member& to, const core::Member& member) {
  write(*to.mutable_pid(), member.pid);
  to.set_vote_epoch(member.vote_epoch);
  to.set_name(member.name);
  write(*to.mutable_address(), member.address);
  to.set_witness(member.witness);
}

void write(pb::Counts& to, const core::Counts& counts) {
  to.mutable_count()->Add(counts.begin(), counts.end());
}

void write(pb::View& to, const core::View& view) {
  write(*to.mutable_uuid(), view.uuid);
  write(*to.mutable_ref(), view.ref);
  to.set_primary(view.primary);
  to.set_cold(view.cold);
  to.set_proto(view.proto);
  to.set_config_hash(view.config_hash);
  for (const core::Member& member : view.members) {
    write(*to.add_members(), member);
  }
  for (const core::Member& witness : view.witnesses) {
    write(*to.add_witnesses(), witness);
  }
  for (const core::Voter& voter : view.voters) {
    pb::Voter& added = *to.add_voters();
    added.set_node(voter.node);
    added.set_vote_epoch(voter.vote_epoch);
    added.set_weight(voter.weight);
  }
  to.set_policy(static_cast<pb::QuorumPolicy>(view.policy));
  to.set_tiebreak(view.tiebreak);
  for (const core::Origin& origin : view.origins) {
    write(*to.add_origins(), origin);
  }
  for (const core::Pid& pid : view.joined) {
    write(*to.add_joined(), pid);
  }
  for (const core::Departure& departure : view.left) {
    write(*to.add_left(), departure);
  }
  for (const auto& [node, incarnation] : view.history) {
    pb::Named& named = *to.add_history();
    named.set_node(node);
    named.set_incarnation(incarnation);
  }
}

void write(pb::AcceptedValue& to, const core::AcceptedValue& accepted) {
  write(*to.mutable_ballot(), accepted.ballot);
  write(*to.mutable_value(), *accepted.value);
}

std::string clipped(std::string_view text) {
  if (text.size() > kMaxText) {
    std::size_t end = kMaxText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) {
      --end;  // inside a UTF-8 character
    }
    text = text.substr(0, end);
  }
  return std::string(text);
}

// ---------------------------------------------------------------- readers

core::Pid read(const pb::Pid& from) {
  return {from.node(), from.incarnation(), from.stint()};
}

core::Uuid read(const pb::Uuid& from) {
  return {from.high(), from.low()};
}

core::Ballot read(const pb::Ballot& from) {
  return {from.round(), from.node()};
}

core::Address read(const pb::Address& from, Check& check) {
  return {read_text(from.host(), check), to_u16(from.port(), check), to_u16(from.heartbeat_port(), check)};
}

core::Member read(const pb::Member& from, Check& check) {
  return {read(from.pid()), from.vote_epoch(), read_text(from.name(), check), read(from.address(), check), from.witness()};
}

core::Counts read(const pb::Counts& from, Check& check) {
  return few(from.count(), check) ? core::Counts(from.count().begin(), from.count().end()) : core::Counts{};
}

std::vector<core::Pid> read_pids(const google::protobuf::RepeatedPtrField<pb::Pid>& from, Check& check) {
  std::vector<core::Pid> pids;
  if (few(from, check)) {
    for (const pb::Pid& pid : from) {
      pids.push_back(read(pid));
    }
  }
  return pids;
}

std::vector<core::Member> read_members(const google::protobuf::RepeatedPtrField<pb::Member>& from, Check& check) {
  std::vector<core::Member> members;
  if (few(from, check)) {
    std::set<core::NodeId> nodes;
    for (const pb::Member& member : from) {
      members.push_back(read(member, check));
      check.that(member.pid().node() > 0 && nodes.insert(member.pid().node()).second, "bad member");
    }
  }
  return members;
}

core::ViewPtr read(const pb::View& from, Check& check) {
  auto view = std::make_shared<core::View>();
  view->uuid = read(from.uuid());
  view->ref = read(from.ref(), check);
  view->primary = from.primary();
  view->cold = from.cold();
  view->proto = to_u16(from.proto(), check);
  view->config_hash = from.config_hash();
  view->members = read_members(from.members(), check);
  view->voters = read_voters(from.voters(), check);
  view->policy = to_enum(static_cast<unsigned>(from.policy()), core::QuorumPolicy::fixed, check);
  view->tiebreak = from.tiebreak();
  if (few(from.origins(), check) && few(from.left(), check)) {
    for (const pb::Origin& origin : from.origins()) {
      view->origins.push_back(read(origin, check));
    }
    for (const pb::Departure& departure : from.left()) {
      view->left.push_back(read(departure, check));
    }
  }
  view->joined = read_pids(from.joined(), check);
  view->history = read_history(from.history(), check);
  check.that(view->id() > 0, "view without id");
  check.that(!view->members.empty(), "view without members");
  view->witnesses = read_members(from.witnesses(), check);
  const auto witness = [](const core::Member& member) { return member.witness; };
  check.that(std::ranges::none_of(view->members, witness) && std::ranges::all_of(view->witnesses, witness), "bad witness");
  return check.ok() ? view : nullptr;
}

core::AcceptedValue read(const pb::AcceptedValue& from, Check& check) {
  check.that(from.has_value(), "value is missing");
  return {read(from.ballot()), read(from.value(), check)};
}

core::Rank read_rank(std::uint32_t from, Check& check) {
  check.that(from < kMaxMembers, "rank out of range");
  return from;
}

std::string read_text(const std::string& from, Check& check) {
  return check.that(from.size() <= kMaxText, "text too long") ? from : std::string{};
}

}  // namespace vsync::wire
