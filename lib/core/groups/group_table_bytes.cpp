// The group table as bytes (J6). They come from a peer: load() believes nothing.
#include <algorithm>
#include <iterator>

#include "base/codec.h"
#include "core/groups/group_table.h"
#include "core/groups/text.h"
#include "core/model/codec.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

constexpr std::uint8_t kFormat = 7;
constexpr std::size_t kMemberSize = kClientRefSize + 4;  // at least: the name may be empty
constexpr std::size_t kGroupSize = 189;                  // at least
constexpr std::size_t kPastSize = 73;                    // at least

void write(Writer& out, const GroupMember& member) {
  write(out, member.ref());
  out.put(member.name);
}

void write(Writer& out, const GroupPolicy& policy) {
  out.put(std::uint8_t{policy.total_only}).put(policy.disks);
}

void write(Writer& out, const Group& group) {
  const auto number = [&](std::size_t size) { out.put(static_cast<std::uint32_t>(size)); };
  out.put(group.id).put(group.name);
  write(out, group.policy);
  write(out, group.view->policy);
  out.put(group.view->number).put(group.view->token).put(group.totals);
  number(group.view->members.size());
  for (const auto& member : group.view->members) {
    write(out, member);
  }
  number(group.others.size());
  for (const auto& [pid, count] : group.others) {
    write(out, pid);
    out.put(count);
  }
  number(group.awaited.size());
  for (const auto& pid : group.awaited) {
    write(out, pid);
  }
  number(group.joining.size());
  for (const auto& member : group.joining) {
    write(out, member);
  }
  number(group.leaving.size());
  for (const auto& departure : group.leaving) {
    write(out, departure.member);
    out.put(static_cast<std::uint8_t>(departure.reason));
  }
  group.state.save(out);
  number(group.holders.size());
  for (const auto& holder : group.holders) {
    write(out, holder);
  }
  group.history.save(out);
}

/// A number of elements; 0 after a failure.
std::size_t read_count(Reader& in, std::size_t element_size) {
  return in.count(GroupTable::kMaxMembers, element_size).value_or(0);
}

GroupMember read_member(Reader& in) {
  const auto client = read_client_ref(in);
  return {client.pid, client.client, std::string(in.text(kMaxName).value_or(""))};
}

bool valid(const GroupMember& member) {
  return member.pid.node > 0 && member.client > 0 && valid_name(member.name);
}

GroupPolicy read_policy(Reader& in) {
  const bool total_only = in.value<std::uint8_t>() != 0;
  return {total_only, in.value<std::uint32_t>()};
}

/// Checks nothing but lengths; GroupTable::add() judges the rest.
Group read_group(Reader& in) {
  Group group;
  auto view = std::make_shared<GroupView>();
  group.id = in.value<std::uint64_t>();
  group.name = in.text(kMaxName).value_or("");
  group.policy = read_policy(in);
  view->policy = read_policy(in);
  view->number = in.value<std::uint64_t>();
  view->token = in.value<std::uint64_t>();
  group.totals = in.value<std::uint64_t>();
  for (auto n = read_count(in, kMemberSize); n > 0; --n) {
    view->members.push_back(read_member(in));
    group.daemons.insert(view->members.back().pid);
  }
  for (auto n = read_count(in, kPidSize + 8); n > 0; --n) {
    const auto pid = read_pid(in);
    group.others[pid] = in.value<std::uint64_t>();
  }
  for (auto n = read_count(in, kPidSize); n > 0; --n) {
    group.awaited.insert(read_pid(in));
  }
  for (auto n = read_count(in, kMemberSize); n > 0; --n) {
    group.joining.push_back(read_member(in));
  }
  for (auto n = read_count(in, kMemberSize + 1); n > 0; --n) {
    auto member = read_member(in);
    group.leaving.push_back({std::move(member), static_cast<LeaveReason>(in.value<std::uint8_t>())});
  }
  group.state = GroupState::load(in);
  std::copy_if(view->members.begin(), view->members.end(), std::back_inserter(view->without_state),
               [&](const GroupMember& member) { return group.state.waits(member.ref()); });
  for (auto n = read_count(in, kClientRefSize); n > 0; --n) {
    group.holders.insert(read_client_ref(in));
  }
  group.history = GroupHistory::load(in);
  view->group = group.id;
  view->name = group.name;
  view->view = view->token >> 32U;
  group.view = std::move(view);
  return group;
}

bool members_are_sound(const Group& group) {
  std::set<ClientRef> clients;
  std::set<GroupMember> members;
  for (const auto& member : group.view->members) {
    if (!valid(member) || !clients.insert(member.ref()).second) {
      return false;
    }
    members.insert(member);
  }
  for (const auto& member : group.joining) {
    if (!valid(member) || !clients.insert(member.ref()).second) {
      return false;
    }
  }
  for (const auto& departure : group.leaving) {
    if (departure.reason > LeaveReason::not_a_keeper || members.erase(departure.member) == 0) {
      return false;
    }
  }
  const bool kept = group.history.sound() && group.policy.disks <= kMaxDisks && group.view->policy.disks <= kMaxDisks;
  return !group.view->members.empty() && group.state.sound(clients) && kept;
}

bool holders_are_members(const Group& group) {
  return std::all_of(group.holders.begin(), group.holders.end(), [&](const ClientRef& holder) { return group.has(holder); });
}

bool flush_is_sound(const Group& group) {
  for (const auto& pid : group.awaited) {
    if (!group.daemons.contains(pid)) {
      return false;
    }
  }
  const bool changes = !group.joining.empty() || !group.leaving.empty();
  return group.flushing() ? !group.view->policy.total_only : !changes;
}

}  // namespace

std::string GroupTable::save() const {
  Writer out;
  out.put(kFormat).put(view_).put(std::uint8_t{cold_}).put(installed_).put(last_group_);
  out.put(static_cast<std::uint32_t>(groups_.size()));
  for (const auto& [id, group] : groups_) {
    write(out, group);
  }
  out.put(static_cast<std::uint32_t>(past_.size()));
  for (const auto& [name, history] : past_) {
    out.put(name);
    history.save(out);
  }
  sessions_.save(out);
  return out.take();
}

std::optional<GroupTable> GroupTable::load(std::string_view bytes) {
  Reader in(bytes);
  GroupTable table;
  if (in.value<std::uint8_t>() != kFormat) {
    return std::nullopt;
  }
  table.view_ = in.value<std::uint64_t>();
  table.cold_ = in.value<std::uint8_t>() != 0;
  table.installed_ = in.value<std::uint64_t>();
  table.last_group_ = in.value<std::uint64_t>();
  const auto groups = in.count(kMaxGroups, kGroupSize);
  for (std::size_t i = 0; i < groups.value_or(0); ++i) {
    auto group = read_group(in);
    if (!in.ok() || !table.add(std::move(group))) {
      return std::nullopt;
    }
  }
  for (auto n = in.count(kMaxPast, kPastSize).value_or(0); n > 0; --n) {
    const auto name = in.text(kMaxName).value_or("");
    auto history = GroupHistory::load(in);
    if (name.empty() || !valid_name(name) || history.now().blank() || !history.sound()) {
      return std::nullopt;
    }
    table.past_.emplace(name, std::move(history));
  }
  auto sessions = Sessions::load(in);
  if (!sessions) {
    return std::nullopt;
  }
  table.sessions_ = std::move(*sessions);
  // One table has one form only: whatever is out of order, double or not 0 or 1 shows here.
  if (!in.done() || table.installed_ >> 32U != 0 || table.save() != bytes) {
    return std::nullopt;
  }
  for (auto& [id, group] : table.groups_) {
    if (mutant(Mutant::hold_lost_at_join)) {
      group.holders.clear();
    }
  }
  return table;
}

bool GroupTable::add(Group group) {
  const auto& view = *group.view;
  const bool numbered = group.id > 0 && group.id <= last_group_ && view.number > 0;
  const bool token_is_old = view.view < view_ || (view.view == view_ && (view.token & 0xffff'ffffU) <= installed_);
  const bool named = !group.name.empty() && valid_name(group.name) && names_.emplace(group.name, group.id).second;
  if (!numbered || !token_is_old || !named || !members_are_sound(group) || !flush_is_sound(group) ||
      !holders_are_members(group)) {
    return false;
  }
  memberships_ += group.view->members.size() + group.joining.size();
  return groups_.emplace(group.id, std::move(group)).second;
}

}  // namespace vsync::core
