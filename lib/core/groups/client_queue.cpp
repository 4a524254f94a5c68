#include "core/groups/client_queue.h"

#include <algorithm>

#include "base/assert.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

/// Bytes that a request counts in its client's queue: empty messages take memory too.
std::size_t cost(const Queued& queued) {
  const auto* send = std::get_if<QueuedSend>(&queued);
  return sizeof(Queued) + (send != nullptr ? send->piece.body.size() : 0);
}

std::size_t messages_in(const Queued& queued) {
  const auto* send = std::get_if<QueuedSend>(&queued);
  return send != nullptr ? send->piece.count : 0;
}

/// Of the groups that a send is for, as far as there are such groups.
template <typename Test>
bool any_group(const QueuedSend& send, const GroupTable& table, Test test) {
  const auto is = [&](const Group* group) { return group != nullptr && test(*group); };
  return is(send.group != 0 ? table.find(send.group) : table.find(send.name)) ||
         (send.wish && std::ranges::any_of(send.wish->more_groups, [&](const auto& name) { return is(table.find(name)); }));
}

}  // namespace

Client* ClientQueues::open(ClientId client) {
  auto& opened = clients_[client];
  opened.id = client;
  return opened.gone ? nullptr : &opened;
}

Client* ClientQueues::find(ClientId client) {
  const auto it = clients_.find(client);
  return it == clients_.end() ? nullptr : &it->second;
}

Client* ClientQueues::alive(ClientId client) {
  auto* found = find(client);
  return found != nullptr && !found->gone ? found : nullptr;
}

void ClientQueues::erase(ClientId client) {
  VSYNC_ASSERT(clients_.at(client).queue.empty(), "a client that is gone asks for nothing more");
  clients_.erase(client);
}

bool ClientQueues::changing() const {
  return std::any_of(clients_.begin(), clients_.end(), [](const auto& entry) { return entry.second.change.has_value(); });
}

void ClientQueues::push(Client& client, Queued queued, const GroupTable& table, Effects& effects) {
  account(client, queued, true, effects);
  client.queue.push_back(std::move(queued));
  done_with(client, table);
}

Client& ClientQueues::take_turn() {
  auto& client = clients_.at(turn_.front());
  turn_.pop_front();
  client.in_turn = false;
  return client;
}

Queued ClientQueues::pop(Client& client, Effects& effects) {
  auto queued = std::move(client.queue.front());
  client.queue.pop_front();
  account(client, queued, false, effects);
  return queued;
}

void ClientQueues::restart_large() {
  for (auto& [id, client] : clients_) {
    auto* send = client.queue.empty() ? nullptr : std::get_if<QueuedSend>(&client.queue.front());
    if (send != nullptr && !mutant(Mutant::large_goes_on)) {
      send->bound = 0;
    }
  }
}

void ClientQueues::done_with(Client& client, const GroupTable& table) {
  if (!client.in_turn && !client.queue.empty() && !blocked(client, table)) {
    client.in_turn = true;
    turn_.push_back(client.id);
  }
}

void ClientQueues::rearrange(const GroupTable& table) {
  std::erase_if(turn_, [&](ClientId id) {
    auto& client = clients_.at(id);
    client.in_turn = !blocked(client, table);
    return !client.in_turn;
  });
  for (auto& [id, client] : clients_) {
    done_with(client, table);
  }
}

bool ClientQueues::held_by_others(const Client& client, const QueuedSend& send, const GroupTable& table) const {
  return any_group(send, table, [&](const Group& group) {
    return group.holders.size() > (group.holders.contains({self_, client.id}) ? 1U : 0U);
  });
}

/// G4: between its GFLUSHED and the next view a daemon binds nothing of the group. Joins and leaves are part of the flush.
/// G10: nor while a member holds its senders. Who is gone has released what it held, and does not wait for others.
bool ClientQueues::blocked(const Client& client, const GroupTable& table) const {
  if (client.change) {
    return true;
  }
  const auto* send = std::get_if<QueuedSend>(&client.queue.front());
  if (send == nullptr || mutant(Mutant::group_send_while_flushing)) {
    return false;
  }
  if (client.gone && !mutant(Mutant::dead_wait_for_holders) && held_by_others(client, *send, table)) {
    return false;
  }
  return any_group(*send, table, [&](const Group& group) {
    const bool held = !group.holders.empty() && !mutant(Mutant::hold_ignored);
    return held || (group.flushing() && group.daemons.contains(self_));
  });
}

/// R7: nothing is dropped; a client with a full queue is not read any more.
void ClientQueues::account(Client& client, const Queued& queued, bool added, Effects& effects) {
  if (added) {
    client.bytes += cost(queued);
    messages_ += messages_in(queued);
    ++queued_;
  } else {
    client.bytes -= cost(queued);
    messages_ -= messages_in(queued);
    --queued_;
  }
  const bool pause = client.paused ? client.bytes >= limit_ / 2 : client.bytes > limit_;
  if (pause != client.paused && !client.gone) {
    effects.push_back(PauseClient{client.id, pause});
  }
  client.paused = pause;
}

}  // namespace vsync::core
