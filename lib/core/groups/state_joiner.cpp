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
  const bool donates = !incoming.history && state.donor().first == self_ && contains(incoming.clients, state.donor().second);
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
  std::erase_if(pending, gone);
  auto& given_up = given_up_[group.id];
  std::erase_if(given_up, gone);
  std::vector<ClientId> later(given_up.begin(), given_up.end());
  for (auto& [key, incoming] : incoming_) {
    if (key.first != group.id) {
      continue;
    }
    std::erase_if(incoming.clients, gone);
    if (std::erase_if(incoming.unread, gone) > 0 && incoming.unread.empty()) {
      all_taken(key, incoming, effects);
    }
    const bool boundary = group.state.boundary() == view.token;
    if (boundary && restarts(group, incoming)) {
      pending.insert(incoming.clients.begin(), incoming.clients.end());
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
    if (group.state.donor().first == self_) {
      const auto donor = group.state.donor().second;
      const bool history = group.policy.disks > 0;
      if (!history) {
        pending_[group.id].erase(donor);
      }
      if (!history && group.state.cold() &&
          incoming_of(group.id, donor) == nullptr) {  // else it has all of it already: see restarts()
        effects.push_back(StateArrived{{donor}, group.name, view.token, 0, true, true, {}});
      }
      if (group.state.active()) {
        begin_outgoing(group, effects);
      }
    }
    begin_incoming(group, effects);
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
  incoming.donor = state.donor().first;
  incoming.clients = std::move(clients);
  incoming.history = group.policy.disks > 0;
  incoming.progress = now_;
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

void StateTransfers::hold(GroupId group, const Effect& effect, std::size_t bytes) {
  if (mutant(Mutant::state_overtaken)) {
    return;
  }
  for (auto it = incoming_.lower_bound({group, 0}); it != incoming_.end() && it->first.first == group; ++it) {
    auto& incoming = it->second;
    const auto* messages = std::get_if<DeliverMessages>(&effect);
    const bool for_others = messages != nullptr && messages->direct != 0 && !contains(incoming.clients, messages->direct);
    if (incoming.live || for_others) {
      continue;
    }
    incoming.held.push_back({effect, bytes + sizeof(Effect)});
    held_bytes_ += bytes + sizeof(Effect);
    if (held_bytes_ > limits_.state_queue_bytes) {
      give_up(group, incoming);
    }
  }
  forget_empty();
}

void StateTransfers::drop(Incoming& incoming) {
  for (const auto& held : incoming.held) {
    held_bytes_ -= held.bytes;
  }
  incoming.held.clear();
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

/// T2: what waits for these clients is too much, or they do not take what they get. They leave, and may come again.
void StateTransfers::give_up(GroupId id, Incoming& incoming) {
  for (const auto client : std::exchange(incoming.clients, {})) {
    given_up_[id].insert(client);
    statements_.push_back({id, client, std::nullopt});
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
  incoming.progress = now_;
  if (news.taken == incoming.received) {
    incoming.unread.clear();
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
  if (incoming.unread.empty()) {
    incoming.progress = now_;
  }
  incoming.unread.insert(incoming.clients.begin(), incoming.clients.end());
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
  incoming.progress = now_;
  send(incoming.donor, StateAck{key.first, key.second, incoming.received}, effects);
  if (incoming.complete && !incoming.live && !incoming.clients.empty()) {
    release(incoming, effects);
  }
}

/// What has waited follows the state, at the pace of its readers; then they are members like the others.
void StateTransfers::release(Incoming& incoming, Effects& effects) {
  std::size_t bytes = 0;
  std::set<ClientId> given;  // 0: all
  while (!incoming.held.empty() && bytes < limits_.state_window) {
    auto held = std::move(incoming.held.front());
    incoming.held.pop_front();
    held_bytes_ -= held.bytes;
    bytes += held.bytes;
    if (auto* messages = std::get_if<DeliverMessages>(&held.effect)) {
      messages->audience = {{}, incoming.clients};
      given.insert(messages->direct);
    } else if (auto* view = std::get_if<GroupViewInstalled>(&held.effect)) {
      view->audience = {{}, incoming.clients};
      given.insert(0);
    }
    if (!mutant(Mutant::state_forgets_messages)) {
      effects.push_back(std::move(held.effect));
    }
  }
  incoming.live = incoming.held.empty();
  if (!incoming.live) {
    if (given.erase(0) > 0) {
      given.insert(incoming.clients.begin(), incoming.clients.end());
    }
    incoming.unread.merge(given);
  }
}

}  // namespace vsync::core
