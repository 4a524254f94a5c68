#include "core/groups/group_table.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

auto same_client(const ClientRef& client) {
  return [client](const GroupMember& member) { return member.ref() == client; };
}

bool contains(const std::vector<GroupMember>& members, const GroupMember& member) {
  return std::any_of(members.begin(), members.end(), same_client(member.ref()));
}

bool contains(const std::vector<GroupDeparture>& left, const GroupMember& member) {
  return std::any_of(left.begin(), left.end(), [&](const GroupDeparture& d) { return d.member == member; });
}

LeaveReason reason_of(const View& view, const Pid& pid) {
  const auto it = std::find_if(view.left.begin(), view.left.end(), [&](const Departure& d) { return d.pid == pid; });
  return it == view.left.end() ? LeaveReason::crashed : it->reason;
}

}  // namespace

bool Group::has(const ClientRef& member) const {
  return std::any_of(view->members.begin(), view->members.end(), same_client(member));
}

std::uint64_t Group::placed(const Pid& sender, Service service) const {
  const auto other = others.find(sender);
  return service == Service::total ? totals : other == others.end() ? 0 : other->second;
}

GroupTable::Change GroupTable::join(const Pid& daemon, ClientId client, const JoinBody& body) {
  const GroupMember member{daemon, client, std::string(body.member_name)};
  const auto name = names_.find(body.group);
  auto fresh = name == names_.end() ? new_group(body) : Group{};
  if (memberships_ >= kMaxMemberships) {
    return {};
  }
  if (const auto why = refusal(name == names_.end() ? fresh : groups_.at(name->second), daemon, body); !why.empty()) {
    return {.refused = why};
  }
  if (name == names_.end()) {
    if (groups_.size() >= kMaxGroups) {
      return {};
    }
    const GroupId id = fresh.id = ++last_group_;
    names_.emplace(body.group, id);
    groups_.emplace(id, std::move(fresh));
  }
  auto& group = groups_.at(names_.find(body.group)->second);
  const bool known = contains(group.view->members, member) || contains(group.joining, member);
  if (known || group.view->members.size() + group.joining.size() >= kMaxMembers) {
    return {};
  }
  if (body.policy.disks > 0) {
    group.policy = body.policy;
    group.history.learn(body.state.kept);
  }
  group.joining.push_back(member);
  ++memberships_;
  group.state.join({daemon, client}, body.state);
  return advance(group);
}

/// K3: what began on some disks goes on from there, whoever comes first.
Group GroupTable::new_group(const JoinBody& body) const {
  Group group;
  group.name = body.group;
  group.policy = body.policy;
  group.view = std::make_shared<GroupView>();  // number 0: nobody yet
  if (const auto past = past_.find(body.group); past != past_.end() && !mutant(Mutant::history_forgotten)) {
    group.history = past->second;
    group.policy = {true, static_cast<std::uint32_t>(group.history.now().keepers.size())};
  }
  return group;
}

/// K1, K3: a state must be kept as the group keeps it. That is as a disk says, or as long as none has, as the first says who
/// waits.
std::string_view GroupTable::refusal(const Group& group, const Pid& daemon, const JoinBody& body) {
  if (!body.state.wanted && body.policy.disks == 0) {
    return {};
  }
  const auto& kept = body.state.kept;
  const bool first = group.state.empty() || (!kept.blank() && group.policy.disks > 0 && !mutant(Mutant::history_waiting_decide));
  const bool open = body.policy.disks > 0 && group.history.now().blank() && first;
  const auto disks = !open ? group.policy.disks : kept.blank() ? body.policy.disks : kept.keepers.size();
  if (body.policy.disks != disks) {
    return "other_policy";
  }
  return body.state.wanted ? group.history.refusal(daemon.node, kept) : "";
}

GroupTable::Change GroupTable::leave(const Pid& daemon, ClientId client, GroupId id, LeaveReason reason) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) {
    return {};
  }
  auto& group = it->second;
  const auto& members = group.view->members;
  const auto member = std::find_if(members.begin(), members.end(), same_client({daemon, client}));
  if (member == members.end()) {
    // A client that leaves before the flush of its join is over was never a member.
    const bool was_joining = std::erase_if(group.joining, same_client({daemon, client})) > 0;
    group.state.forget({daemon, client});
    memberships_ -= was_joining ? 1 : 0;
    return {.group = was_joining ? id : 0};
  }
  if (contains(group.leaving, *member)) {
    return {};
  }
  group.leaving.push_back({*member, reason});
  return advance(group);
}

GroupTable::Change GroupTable::flushed(const Pid& daemon, GroupId id) {
  const auto it = groups_.find(id);
  if (it == groups_.end() || it->second.awaited.erase(daemon) == 0) {
    return {};
  }
  auto& group = it->second;
  return {.group = id, .installed = group.flushing() ? nullptr : install_group_view(group)};
}

/// T1, T2. Somebody who waits for the next boundary gets it: a view in which nobody comes or goes.
GroupTable::Change GroupTable::state_news(const Pid& daemon, ClientId client, GroupId id, const StateBody& body) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) {
    return {};
  }
  auto& group = it->second;
  if (body.news == StateNews::refused && group.state.awaits_itself({daemon, client}, body.token)) {
    return leave(daemon, client, id, LeaveReason::no_state);  // K3: its disk tells nothing; the others choose again
  }
  if (!group.state.news({daemon, client}, body.token, body.news)) {
    return {};
  }
  return group.state.needs_view() && !group.flushing() ? advance(group) : Change{.group = id};
}

GroupTable::Change GroupTable::synced(const Pid& daemon, GroupId id, const HistoryPosition& position) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) {
    return {};
  }
  auto& group = it->second;
  auto& history = group.history;
  if (history.promised(daemon.node, position.era)) {
    return history.is_promised() && !group.flushing() ? advance(group) : Change{.group = id};
  }
  const auto before = history.durable();
  return history.synced(daemon.node, position) ? Change{.group = id, .durable = history.durable() > before} : Change{};
}

GroupTable::Change GroupTable::told(const Pid& daemon, GroupId id, const KeptHistory& kept) {
  const auto it = groups_.find(id);
  if (it == groups_.end() || !it->second.history.told(daemon, kept)) {
    return {};  // another one has told first
  }
  auto& group = it->second;
  if (!kept.blank()) {
    group.policy.disks = static_cast<std::uint32_t>(kept.keepers.size());
  }
  const bool over = !kept.blank() || group.history.answered(daemons_);
  return over && !group.flushing() ? advance(group) : Change{.group = id};
}

HistoryPosition GroupTable::count(GroupId group, std::uint32_t count) {
  return groups_.at(group).history.count(count);
}

bool GroupTable::hold(const Pid& daemon, ClientId client, GroupId id, bool held) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) {
    return false;
  }
  auto& group = it->second;
  if (!held) {
    return !mutant(Mutant::release_ignored) && group.holders.erase({daemon, client}) > 0;
  }
  return group.has({daemon, client}) && group.holders.insert({daemon, client}).second;
}

/// A change was added: G3 at once, G4 when all daemons with members have flushed.
GroupTable::Change GroupTable::advance(Group& group) {
  const GroupId id = group.id;
  const bool needs_flush = !group.view->policy.total_only && !group.daemons.empty() && !mutant(Mutant::group_flush_skipped);
  if (!needs_flush) {
    return {.group = id, .installed = install_group_view(group)};
  }
  const bool starts = !group.flushing();
  if (starts) {
    group.awaited = group.daemons;
  }
  return {.group = id, .flush_started = starts};
}

void GroupTable::dismiss_hopeless(Group& group) {
  const auto stays = [&](const GroupMember& member) { return !contains(group.leaving, member); };
  for (const auto& member : group.state.hopeless(group.view->members, stays)) {
    group.leaving.push_back({member, LeaveReason::no_state});
  }
}

/// K3: a disk that is here has begun the group on other nodes.
void GroupTable::dismiss_strangers(Group& group) {
  const auto strangers = group.state.strangers(group.history);
  for (const auto& member : group.view->members) {
    if (strangers.contains(member.ref()) && !contains(group.leaving, member)) {
      group.leaving.push_back({member, LeaveReason::not_a_keeper});
    }
  }
}

/// G5. Ends the group when nobody is left in it: `group` is gone then, and the view has no members.
GroupViewPtr GroupTable::install_group_view(Group& group) {
  dismiss_hopeless(group);
  dismiss_strangers(group);
  auto view = std::make_shared<GroupView>();
  view->group = group.id;
  view->name = group.name;
  view->view = view_;
  view->number = group.view->number + 1;
  view->token = next_token();
  view->policy = group.policy;
  view->cold = cold_ && view->number == 1;
  for (const auto& member : group.view->members) {
    if (!contains(group.leaving, member)) {
      view->transitional.push_back(member);
    }
  }
  view->members = view->transitional;
  view->members.insert(view->members.end(), group.joining.begin(), group.joining.end());
  view->joined = std::exchange(group.joining, {});
  view->left = std::exchange(group.leaving, {});
  memberships_ -= view->left.size();
  const auto origin = Hasher().add(cluster_.high).add(cluster_.low).add(view->token).value();
  group.state.install(view->members, view->token, group.history, {group.policy.disks, origin, daemons_});
  for (const auto& member : view->members) {
    if (group.state.waits(member.ref())) {
      view->without_state.push_back(member);
    }
  }

  group.view = view;
  std::erase_if(group.holders,
                [&](const ClientRef& holder) { return !mutant(Mutant::hold_outlives_member) && !group.has(holder); });
  group.awaited.clear();
  group.totals = 0;
  group.others.clear();
  group.daemons.clear();
  for (const auto& member : view->members) {
    group.daemons.insert(member.pid);
  }
  if (view->members.empty()) {
    remember(group);
    names_.erase(view->name);
    groups_.erase(view->group);
  }
  return view;
}

StateWait GroupTable::awaited(GroupId group) const {
  const auto& known = groups_.at(group);
  return known.state.awaited(known.view->members, known.history, {known.policy.disks, 0, daemons_});
}

/// K3. When there are too many, the one that began its era first is forgotten.
void GroupTable::remember(const Group& group) {
  if (group.history.now().blank() || group.state.boundary() == 0) {
    return;  // it did not begin
  }
  past_.insert_or_assign(group.name, group.history);
  if (past_.size() > kMaxPast) {
    past_.erase(std::min_element(past_.begin(), past_.end(), [](const auto& a, const auto& b) {
      return a.second.now().position.era < b.second.now().position.era;
    }));
  }
}

std::uint64_t GroupTable::next_token() {
  ++installed_;
  VSYNC_ASSERT(installed_ >> 32U == 0, "C4: the group views of one daemon view are counted in 32 bits");
  return mutant(Mutant::token_not_increasing) ? installed_ : view_ << 32U | installed_;
}

std::uint64_t GroupTable::place(GroupId id, const Pid& sender, Service service, std::uint32_t count) {
  auto& group = groups_.at(id);
  auto& counter = service == Service::total ? group.totals : group.others[sender];
  const auto position = counter + 1;
  counter += count;
  return position;
}

std::vector<GroupViewPtr> GroupTable::install(const View& view) {
  const bool again = view.id() == view_;
  if (view.cold && !again) {
    *this = {};                      // B2: nobody brings state
    last_group_ = view.id() << 32U;  // and no number of a group comes back
  }
  cluster_ = view.uuid;
  daemons_.clear();
  for (const auto& member : view.members) {
    daemons_.insert(member.pid);
  }
  if (again) {
    return {};
  }
  view_ = view.id();
  sessions_.install(view);
  cold_ = view.cold;
  installed_ = 0;
  std::vector<GroupViewPtr> installed;
  for (auto it = groups_.begin(); it != groups_.end();) {
    auto& group = (it++)->second;  // it may end here
    const bool flushing = group.flushing();
    if (!mutant(Mutant::ghost_member)) {
      remove_daemons_not_in(view, group);
    }
    group.history.prune(daemons_);
    if (flushing || !group.leaving.empty() || group.history.answered(daemons_)) {
      installed.push_back(install_group_view(group));
    }
  }
  return installed;
}

void GroupTable::remove_daemons_not_in(const View& view, Group& group) {
  memberships_ -= std::erase_if(group.joining, [&](const GroupMember& m) { return !view.contains(m.pid); });
  for (const auto& daemon : group.daemons) {
    if (view.contains(daemon)) {
      continue;
    }
    for (const auto& member : group.view->members) {
      if (member.pid == daemon && !contains(group.leaving, member)) {
        group.leaving.push_back({member, reason_of(view, daemon)});
      }
    }
  }
}

const Group* GroupTable::find(GroupId group) const {
  const auto it = groups_.find(group);
  return it == groups_.end() ? nullptr : &it->second;
}

const Group* GroupTable::find(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : find(it->second);
}

}  // namespace vsync::core
