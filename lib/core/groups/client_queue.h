// What local clients asked for and is not bound yet: one queue per client, served in turn (R7, C2, G4).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>

#include "core/groups/group_table.h"
#include "core/model/effect.h"
#include "core/model/input.h"

namespace vsync::core {

/// A piece of a send. The name is kept only while no group with it was known.
struct QueuedSend {
  GroupId group = 0;
  std::string name;
  RequestId request = 0;
  Service service = Service::total;
  bool text = false;
  std::uint64_t in_view = 0;
  Piece piece;
  std::uint64_t number = 0;  ///< C6
  std::size_t bound = 0;     ///< bytes of a large message that went out as fragments in this view
  std::shared_ptr<const SendWish> wish;
  Slice envelope;        ///< made of the wish when binding begins
  bool durable = false;  ///< K2
};

/// G2: the client is gone; its groups are left after what it had sent.
struct Farewell {};

using Queued = std::variant<QueuedSend, ClientSession, ClientJoin, ClientLeave, Farewell>;

struct Client {
  ClientId id = 0;
  std::deque<Queued> queue;
  std::set<GroupId> groups;         ///< it is a member of, in their current views
  SessionId session = 0;            ///< C6: it opens, or has opened; 0 = none
  std::optional<RequestId> change;  ///< join, leave or session in flight: the rest of the queue waits for what comes of it
  bool change_asks_lease = false;   ///< it is a join, and
  bool change_asks_stability = false;
  std::set<GroupId> leased;  ///< of `groups`: where it wants its lease
  std::size_t bytes = 0;     ///< of the queue
  bool paused = false;
  bool gone = false;     ///< no more replies go to it
  bool in_turn = false;  ///< waits for its turn in ClientQueues
  GroupId begun = 0;     ///< it is gone, and the large message that it had begun to this group will never end
};

class ClientQueues {
 public:
  /// `self`: the daemon whose clients these are. A client with more than `limit` queued bytes is paused.
  ClientQueues(const Pid& self, std::size_t limit) : self_(self), limit_(limit) {}

  /// Null: it is gone, and whatever is still asked in its name comes too late.
  Client* open(ClientId client);
  [[nodiscard]] Client* find(ClientId client);
  /// The client, if replies may go to it.
  [[nodiscard]] Client* alive(ClientId client);
  /// Its queue must be empty.
  void erase(ClientId client);
  [[nodiscard]] std::map<ClientId, Client>& clients() { return clients_; }

  void push(Client& client, Queued queued, const GroupTable& table, Effects& effects);
  /// Whether anybody's turn can come now.
  [[nodiscard]] bool ready() const { return !turn_.empty(); }
  /// Whose turn it is: what is at the front of its queue may be bound. Only when ready(). Call done_with() afterwards.
  Client& take_turn();
  /// Takes what is at the front of its queue.
  Queued pop(Client& client, Effects& effects);
  /// The client goes to the end of the line, if it has more that may be bound.
  void done_with(Client& client, const GroupTable& table);
  /// A group began or ended a flush, or a change in flight took effect: who waits for nothing any more gets in line.
  void rearrange(const GroupTable& table);
  /// G10: somebody else holds a group that this is for.
  [[nodiscard]] bool held_by_others(const Client& client, const QueuedSend& send, const GroupTable& table) const;
  /// V11: everybody has dropped the beginnings of large messages. They start anew.
  void restart_large();

  [[nodiscard]] std::size_t messages() const { return messages_; }  ///< in all queues
  [[nodiscard]] bool empty() const { return queued_ == 0; }
  [[nodiscard]] bool changing() const;  ///< some `change` is in flight

 private:
  [[nodiscard]] bool blocked(const Client& client, const GroupTable& table) const;
  void account(Client& client, const Queued& queued, bool added, Effects& effects);

  Pid self_;
  std::size_t limit_;
  std::map<ClientId, Client> clients_;
  std::deque<ClientId> turn_;  // round robin; none of them is blocked
  std::size_t messages_ = 0;
  std::size_t queued_ = 0;
};

}  // namespace vsync::core
