// The joiners' side of a state transfer.
#include <algorithm>
#include <utility>

#include "core/groups/state_transfer.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

bool contains(const std::vector<ClientId>& clients, ClientId client) {
  return std::find(clients.begin(), clients.end(), client) != clients.end();
}

/// G7: of a message for one member; 0: it is for all.
ClientId alone(const Effect& effect) {
  const auto* messages = std::get_if<DeliverMessages>(&effect);
  return messages != nullptr ? messages->direct : 0;
}

}  // namespace

// ---------------------------------------------------------------- views

/// A new boundary voids the transfer under way. Who has the whole state already goes on with it: what it holds is the state at
/// the new boundary too. Not so when the group begins anew there, with the state of another one.
bool StateTransfers::restarts(const Group& group, const Incoming& incoming) const {
  const auto& state = group.state;
  if (!incoming.complete) {
    return !mutant(Mutant::state_claimed);
  }
  const auto joins = [&](ClientId client) { return state.joiners().contains({self_, client}); };
  const bool donates = !incoming.history && state.donor().pid == self_ && contains(incoming.clients, state.donor().client);
  return state.cold() && !donates && std::any_of(incoming.clients.begin(), incoming.clients.end(), joins);
}

std::vector<ClientId> StateTransfers::before(const Group& group, const GroupView& view, Effects& effects) {
  std::set<ClientId> local;
  for (const auto& member : view.members) {
    if (member.pid == self_) {
      local.insert(member.client);
    }
  }
  auto& pending = pending_[group.id];
  const auto gone = [&](ClientId client) { return !local.contains(client); };
  auto left = pending;
  std::erase_if(left, [&](ClientId client) { return local.contains(client); });
  take_kept(group.id, left);
  std::erase_if(pending, gone);
  auto& given_up = given_up_[group.id];
  std::erase_if(given_up, gone);
  std::vector<ClientId> later(given_up.begin(), given_up.end());
  for (auto& [key, incoming] : incoming_) {
    if (key.first != group.id) {
      continue;
    }
    std::erase_if(incoming.clients, gone);
    if (std::erase_if(incoming.unread, [&](const auto& entry) { return gone(entry.first); }) > 0 && incoming.unread.empty()) {
      all_taken(key, incoming, effects);
    }
    const bool boundary = group.state.boundary() == view.token;
    const bool over = incoming.history && !group.state.exists();  // its donor is gone, and nobody else has the state
    if (over || (boundary && restarts(group, incoming))) {
      pending.insert(incoming.clients.begin(), incoming.clients.end());
      keep_direct(group.id, incoming);
      incoming.clients.clear();
    }
    if (!incoming.live) {
      later.insert(later.end(), incoming.clients.begin(), incoming.clients.end());
    }
  }
  forget_empty();
  for (const auto client : local) {
    if (group.state.waits({self_, client}) && incoming_of(group.id, client) == nullptr && !given_up.contains(client)) {
      pending.insert(client);
    }
  }
  return later;
}

void StateTransfers::after(const Group& group, const GroupView& view, Effects& effects) {
  prune_outgoing(group.id, &group, effects);
  if (group.state.boundary() == view.token) {
    if (group.state.donor().pid == self_) {
      const auto donor = group.state.donor().client;
      const bool history = group.policy.disks > 0;
      if (!history) {
        pending_[group.id].erase(donor);
      }
      if (!history && group.state.cold() &&
          incoming_of(group.id, donor) == nullptr) {  // else it has all of it already: see restarts()
        effects.push_back(StateArrived{{donor}, group.name, view.token, 0, true, true, {}});
        for (auto& held : take_kept(group.id, {donor})) {
          std::get<DeliverMessages>(held.effect).audience = {{}, {donor}};
          effects.push_back(std::move(held.effect));
        }
      }
      if (group.state.active()) {
        begin_outgoing(group, effects);
      }
    }
    begin_incoming(group, effects);
    if (const auto kept = kept_.find(group.id); kept != kept_.end() && kept->second.empty()) {
      kept_.erase(kept);
    }
    for (const auto& [from, ack] : std::map(early_[group.id])) {
      if (ack.token == view.token) {
        received(from, ack, effects);
      }
    }
    std::erase_if(early_[group.id], [&](const auto& entry) { return entry.second.token <= view.token; });
  }
  forget_arrived(group);
  if (const auto early = early_.find(group.id); early != early_.end() && early->second.empty()) {
    early_.erase(early);
  }
  for (auto* clients : {&pending_, &given_up_}) {
    if ((*clients)[group.id].empty()) {
      clients->erase(group.id);
    }
  }
}

/// Those who have caught up and are known to have the state are members like the others.
void StateTransfers::forget_arrived(const Group& group) {
  for (auto it = incoming_.lower_bound({group.id, 0}); it != incoming_.end() && it->first.first == group.id; ++it) {
    if (it->second.live) {
      std::erase_if(it->second.clients, [&](ClientId client) { return !group.state.waits({self_, client}); });
    }
  }
  forget_empty();
}

void StateTransfers::refresh(GroupId id, const Group* group, Effects& effects) {
  prune_outgoing(id, group, effects);
  if (group != nullptr) {
    adopt(*group, effects);
    forget_arrived(*group);
  } else {
    early_.erase(id);
    pending_.erase(id);
    given_up_.erase(id);
    for (const auto& held : kept_[id]) {
      held_bytes_ -= held.bytes;
    }
    kept_.erase(id);
    for (auto& [key, incoming] : incoming_) {
      if (key.first == id) {
        incoming.clients.clear();
      }
    }
    forget_empty();
  }
}

StateTransfers::Incoming* StateTransfers::incoming_of(GroupId group, ClientId client) {
  for (auto it = incoming_.lower_bound({group, 0}); it != incoming_.end() && it->first.first == group; ++it) {
    if (contains(it->second.clients, client)) {
      return &it->second;
    }
  }
  return nullptr;
}

void StateTransfers::begin_incoming(const Group& group, Effects& effects) {
  const auto& state = group.state;
  auto& pending = pending_[group.id];
  std::vector<ClientId> clients;
  for (const auto& [daemon, client] : state.joiners()) {
    if (daemon != self_ || given_up_[group.id].contains(client)) {
      continue;
    }
    if (pending.erase(client) > 0) {
      clients.push_back(client);
    } else {
      statements_.push_back({group.id, client, StateBody{StateNews::arrived, state.boundary()}});  // it has all: see restarts()
    }
  }
  if (clients.empty()) {
    return;
  }
  auto& incoming = incoming_[{group.id, state.boundary()}];
  incoming.name = group.name;
  incoming.token = state.boundary();
  incoming.donor = state.donor().pid;
  incoming.held = take_kept(group.id, {clients.begin(), clients.end()});
  for (const auto& held : incoming.held) {
    incoming.bytes += held.bytes;
    held_bytes_ += held.bytes;
  }
  incoming.clients = std::move(clients);
  incoming.history = group.policy.disks > 0;
  send(incoming.donor, StateAck{group.id, incoming.token, 0}, effects);
}

// ---------------------------------------------------------------- what waits

std::vector<ClientId> StateTransfers::waiting(GroupId group) const {
  std::vector<ClientId> clients;
  for (const auto* without : {&pending_, &given_up_}) {
    if (const auto it = without->find(group); it != without->end()) {
      clients.insert(clients.end(), it->second.begin(), it->second.end());
    }
  }
  for (auto it = incoming_.lower_bound({group, 0}); it != incoming_.end() && it->first.first == group; ++it) {
    if (!it->second.live) {
      clients.insert(clients.end(), it->second.clients.begin(), it->second.clients.end());
    }
  }
  return mutant(Mutant::state_overtaken) ? std::vector<ClientId>{} : clients;
}

void StateTransfers::hold(GroupId group, Effects& effects, std::size_t bytes) {
  const auto first = incoming_.lower_bound({group, 0});
  const bool catching_up = first != incoming_.end() && first->first.first == group;
  const auto pending = pending_.find(group);
  const auto to = alone(effects.back());
  const bool later = to != 0 && pending != pending_.end() && pending->second.contains(to);
  if ((!catching_up && !later) || mutant(Mutant::state_overtaken)) {
    return;
  }
  const Held held{effects.back(), bytes + sizeof(Effect)};
  if (later) {
    keep(group, to, held);
  }
  for (auto it = first; it != incoming_.end() && it->first.first == group; ++it) {
    auto& incoming = it->second;
    if (!incoming.live && (to == 0 || contains(incoming.clients, to))) {
      incoming.held.push_back(held);
      incoming.bytes += held.bytes;
      held_bytes_ += held.bytes;
    }
  }
  relieve(effects);
  forget_empty();
}

/// G7: the state that a pending member gets at its boundary has nothing of what was for it alone.
void StateTransfers::keep(GroupId id, ClientId client, Held held) {
  held_bytes_ += held.bytes;
  kept_[id].push_back(std::move(held));
  if (held_bytes_ > limits_.state_queue_bytes) {
    take_kept(id, {client});
    pending_[id].erase(client);
    given_up_[id].insert(client);
    statements_.push_back({id, client, std::nullopt});
  }
}

std::deque<StateTransfers::Held> StateTransfers::take_kept(GroupId id, const std::set<ClientId>& clients) {
  std::deque<Held> taken;
  const auto kept = kept_.find(id);
  if (kept == kept_.end()) {
    return taken;
  }
  std::deque<Held> rest;
  for (auto& held : kept->second) {
    const bool wanted = clients.contains(alone(held.effect));
    held_bytes_ -= wanted ? held.bytes : 0;
    (wanted ? taken : rest).push_back(std::move(held));
  }
  kept->second = std::move(rest);
  return taken;
}

/// The transfer begins anew: what is for one of its clients alone waits for the next state.
void StateTransfers::keep_direct(GroupId id, Incoming& incoming) {
  for (const auto& held : incoming.held) {
    if (const auto to = alone(held.effect); to != 0 && contains(incoming.clients, to)) {
      kept_[id].push_back(held);
      held_bytes_ += held.bytes;
    }
  }
}

void StateTransfers::drop(Incoming& incoming) {
  held_bytes_ -= std::exchange(incoming.bytes, 0);
  incoming.held.clear();
}

/// T2: too much waits. Of the transfer with the most those leave who do not take what they got; if there are none, all: their
/// donor is too slow.
void StateTransfers::relieve(Effects& effects) {
  if (held_bytes_ <= limits_.state_queue_bytes || incoming_.empty()) {
    return;
  }
  const auto less = [](const auto& a, const auto& b) { return a.second.bytes < b.second.bytes; };
  auto& [key, incoming] = *std::max_element(incoming_.begin(), incoming_.end(), less);
  std::set<ClientId> slow;
  for (const auto& [client, since] : incoming.unread) {
    slow.insert(client);
  }
  if (slow.empty()) {
    slow.insert(incoming.clients.begin(), incoming.clients.end());
  }
  if (incoming.bytes > 0) {
    give_up(key, incoming, slow, effects);
  }
}

/// Transfers that serve nobody any more.
void StateTransfers::forget_empty() {
  for (auto it = incoming_.begin(); it != incoming_.end();) {
    if (it->second.clients.empty()) {
      drop(it->second);
      it = incoming_.erase(it);
    } else {
      ++it;
    }
  }
}

/// T2: they leave, and may come again. The others go on.
void StateTransfers::give_up(const Key& key, Incoming& incoming, const std::set<ClientId>& clients, Effects& effects) {
  for (const auto client : clients) {
    given_up_[key.first].insert(client);
    statements_.push_back({key.first, client, std::nullopt});
    std::erase(incoming.clients, client);
    incoming.unread.erase(client);
    if (const auto outgoing = outgoing_.find(key.first); outgoing != outgoing_.end() && outgoing->second.client == client) {
      outgoing->second.over = true;  // T1: it was to give its state behind what it now does not get; its leave ends the transfer
      std::erase_if(incoming.held, [](const Held& held) {
        return std::holds_alternative<StateRequested>(held.effect) || std::holds_alternative<HistoryRequested>(held.effect);
      });
    }
  }
  if (!incoming.clients.empty() && incoming.unread.empty()) {
    all_taken(key, incoming, effects);
  }
}

// ---------------------------------------------------------------- pieces

void StateTransfers::received(const Pid& from, const StatePiece& piece, Effects& effects) {
  const auto it = incoming_.find({piece.group, piece.token});
  if (it == incoming_.end() || it->second.donor != from || it->second.complete) {
    return;  // T2: of a transfer that is over here
  }
  auto& incoming = it->second;
  if (piece.offset != incoming.received && !mutant(Mutant::state_repeated)) {
    return;  // it was here before the link broke
  }
  incoming.received += piece.bytes.size() + (piece.last ? 1 : 0);
  incoming.complete = piece.last;
  StateArrived arrived{incoming.clients, incoming.name, incoming.token, piece.offset,
                       piece.last,       false,         piece.bytes,    incoming.history};
  give(incoming, std::move(arrived), effects);
  if (incoming.complete && !incoming.history) {
    state_arrival(piece.group, incoming);
    release(incoming, effects);
  }
}

void StateTransfers::taken(GroupId group, const HistoryTaken& news, Effects& effects) {
  const auto it = incoming_.find({group, news.token});
  if (it == incoming_.end() || !it->second.history || it->second.stated) {
    return;
  }
  auto& incoming = it->second;
  if (news.refused) {
    give_up(it->first, incoming, {incoming.clients.begin(), incoming.clients.end()}, effects);
    return forget_empty();
  }
  if (news.taken == incoming.received) {
    incoming.unread.clear();
  }
  for (auto& [client, since] : incoming.unread) {
    since = now_;
  }
  send(incoming.donor, StateAck{group, news.token, std::min(news.taken, incoming.received)}, effects);
  if (incoming.complete && news.taken == incoming.received) {
    state_arrival(group, incoming);
  }
}

void StateTransfers::state_arrival(GroupId group, Incoming& incoming) {
  incoming.stated = true;
  for (const auto client : incoming.clients) {
    statements_.push_back({group, client, StateBody{StateNews::arrived, incoming.token}});
  }
}

/// K3: all know that these clients have the state; from now on our disk goes on with the group.
void StateTransfers::adopt(const Group& group, Effects& effects) {
  for (auto it = incoming_.lower_bound({group.id, 0}); it != incoming_.end() && it->first.first == group.id; ++it) {
    auto& incoming = it->second;
    const bool known = std::none_of(incoming.clients.begin(), incoming.clients.end(), [&](ClientId client) {
      return group.state.waits({self_, client});
    });
    if (incoming.history && incoming.stated && !incoming.adopted && known && !incoming.clients.empty()) {
      incoming.adopted = true;
      effects.push_back(HistoryAdopted{group.name, incoming.token, incoming.clients});
      release(incoming, effects);
    }
  }
}

void StateTransfers::give(Incoming& incoming, StateArrived arrived, Effects& effects) {
  for (const auto client : incoming.clients) {
    incoming.unread.try_emplace(client, now_);
  }
  effects.push_back(std::move(arrived));
}

void StateTransfers::read(ClientId client, Effects& effects) {
  std::vector<Key> taken;
  for (auto& [key, incoming] : incoming_) {
    const bool ours = !incoming.history || incoming.adopted;  // else taken() tells
    if (ours && incoming.unread.erase(client) > 0 && incoming.unread.empty()) {
      taken.push_back(key);
    }
  }
  for (const auto& key : taken) {
    all_taken(key, incoming_.at(key), effects);
  }
}

/// Nobody has anything left to take of what came: the donor may send more.
void StateTransfers::all_taken(const Key& key, Incoming& incoming, Effects& effects) {
  if (incoming.history && !incoming.adopted) {
    return;  // taken() tells
  }
  send(incoming.donor, StateAck{key.first, key.second, incoming.received}, effects);
  if (incoming.complete && !incoming.live && !incoming.clients.empty()) {
    release(incoming, effects);
  }
}

/// What has waited follows the state, at the pace of its readers; then they are members like the others.
void StateTransfers::release(Incoming& incoming, Effects& effects) {
  std::size_t bytes = 0;
  std::set<ClientId> given;
  while (!incoming.held.empty() && bytes < limits_.state_window) {
    auto held = std::move(incoming.held.front());
    incoming.held.pop_front();
    incoming.bytes -= held.bytes;
    held_bytes_ -= held.bytes;
    const auto to = alone(held.effect);
    if (to != 0 && !contains(incoming.clients, to)) {
      continue;  // it has left, and takes nothing any more
    }
    bytes += held.bytes;
    if (auto* messages = std::get_if<DeliverMessages>(&held.effect)) {
      messages->audience = {{}, incoming.clients};
    } else if (auto* view = std::get_if<GroupViewInstalled>(&held.effect)) {
      view->audience = {{}, incoming.clients};
    }
    if (to != 0) {
      given.insert(to);
    } else if (held.bytes > 0) {  // else it is what a donor is asked
      given.insert(incoming.clients.begin(), incoming.clients.end());
    }
    if (!mutant(Mutant::state_forgets_messages)) {
      effects.push_back(std::move(held.effect));
    }
  }
  incoming.live = incoming.held.empty();
  for (const auto client : incoming.live ? std::set<ClientId>{} : given) {
    incoming.unread.try_emplace(client, now_);
  }
}

}  // namespace vsync::core
