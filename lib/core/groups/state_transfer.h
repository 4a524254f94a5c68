// T1, T2: the state of a group on its way from a donor's client to joiners, as one daemon takes part in it.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/groups/bodies.h"
#include "core/groups/group_table.h"
#include "core/model/effect.h"
#include "core/model/frame.h"
#include "core/model/input.h"

namespace vsync::core {

/// Who gives the state to whom is decided by the replicated table (GroupState); here are the pieces on their way, and what waits
/// for them. Bounded everywhere: a donor's pieces by Limits::state_window, what waits for local joiners by
/// Limits::state_queue_bytes.
///
///   donor's client ── ClientState ─▶ its daemon ── GSTATE ─▶ joiner's daemon ── StateArrived ─▶ client
///                  ◀─ RequestDone ──            ◀─ GSTATE_ACK ─              ◀─ ClientRead ───
class StateTransfers {
 public:
  /// What has to be said in the order of the group.
  struct Statement {
    GroupId group = 0;
    ClientId client = 0;
    std::optional<StateBody> news;  ///< nullopt: the client leaves, without having got the state
  };

  StateTransfers(const Pid& self, const Limits& limits) : self_(self), limits_(limits) {}

  /// The time of what is told next.
  void at(Time now) { now_ = now; }

  // ---- group views, in two halves around the effect that tells them
  /// The clients that get this view behind their state, and not now.
  std::vector<ClientId> before(const Group& group, const GroupView& view, Effects& effects);
  /// Begins the transfer whose boundary this view is; ends the one that is over.
  void after(const Group& group, const GroupView& view, Effects& effects);
  /// News was delivered, or the group is gone (null).
  void refresh(GroupId id, const Group* group, Effects& effects);

  // ---- what waits for a state
  /// The local members that get what is delivered now later or never: their state comes first.
  [[nodiscard]] std::vector<ClientId> waiting(GroupId group) const;
  /// The last one of `effects`, for those of them that get it later. Who is the reason that too much waits is given up.
  void hold(GroupId group, Effects& effects, std::size_t bytes);

  // ---- local clients, peers, time
  std::optional<Refusal> piece(const Group* group, ClientState piece, Effects& effects);
  void read(ClientId client, Effects& effects);
  void gone(ClientId client, Effects& effects);
  /// K3: our disk can take the history of this transfer, and its clients have it.
  void taken(GroupId group, const HistoryTaken& news, Effects& effects);
  void received(const Pid& from, const StatePiece& piece, Effects& effects);
  void received(const Pid& from, const StateAck& ack, Effects& effects);
  /// What was on its way on the link before is lost.
  void link_opened(const Pid& peer, Effects& effects);
  void tick(Effects& effects);
  [[nodiscard]] Time next_deadline() const;
  /// V12: unanswered pieces are refused, the rest is forgotten.
  void excluded(Effects& effects);

  /// A daemon view is installed: what peers said ahead of it has been heard or is of no use.
  void forget_early() { early_.clear(); }
  [[nodiscard]] bool has_statement() const { return !statements_.empty(); }
  Statement take_statement();

 private:
  /// At the donor's daemon.
  struct Outgoing {
    struct Receiver {
      bool open = false;
      std::uint64_t taken = 0;
    };
    struct Piece {
      StatePiece frame;
      std::optional<RequestId> request;  ///< to be answered; none: its client is gone
      /// Positions count bytes, and the end of the state as one more.
      [[nodiscard]] std::uint64_t end() const { return frame.offset + frame.bytes.size() + (frame.last ? 1 : 0); }
    };
    std::uint64_t token = 0;
    ClientId client = 0;
    std::map<Pid, Receiver> receivers;
    std::deque<Piece> unacked;
    std::uint64_t end = 0;  ///< accepted
    bool over = false;      ///< the last piece is accepted, or the donor was given up
    Time progress{};
    [[nodiscard]] std::uint64_t unacked_bytes() const { return unacked.empty() ? 0 : end - unacked.front().frame.offset; }
  };
  struct Held {
    Effect effect;
    std::size_t bytes = 0;
  };
  /// At a joiners' daemon: one transfer, until its clients have caught up with the group.
  struct Incoming {
    std::string name;
    std::uint64_t token = 0;
    Pid donor;
    std::vector<ClientId> clients;
    std::uint64_t received = 0;
    bool complete = false;
    bool history = false;             ///< K3: of a durable group, by way of our own disk
    bool stated = false;              ///< then: it was said that its clients have the state …
    bool adopted = false;             ///< … and all have heard it
    bool live = false;                ///< its clients have caught up, but the group may not know yet that they have the state
    std::map<ClientId, Time> unread;  ///< clients that have not taken what they were given, and since when
    std::deque<Held> held;
    std::size_t bytes = 0;  ///< of `held`
  };
  using Key = std::pair<GroupId, std::uint64_t>;  // group, token

  void send(const Pid& to, Frame frame, Effects& effects);
  // ---- state_donor.cpp
  void begin_outgoing(const Group& group, Effects& effects);
  void prune_outgoing(GroupId id, const Group* group, Effects& effects);
  void settle(Outgoing& outgoing, Effects& effects);
  void end_outgoing(GroupId id, Effects& effects);
  [[nodiscard]] Time patience(const Outgoing& outgoing) const;
  // ---- state_joiner.cpp
  [[nodiscard]] Incoming* incoming_of(GroupId group, ClientId client);
  void begin_incoming(const Group& group, Effects& effects);
  [[nodiscard]] bool restarts(const Group& group, const Incoming& incoming) const;
  void forget_arrived(const Group& group);
  void state_arrival(GroupId group, Incoming& incoming);
  void adopt(const Group& group, Effects& effects);
  void forget_empty();
  void give(Incoming& incoming, StateArrived arrived, Effects& effects);
  void all_taken(const Key& key, Incoming& incoming, Effects& effects);
  void release(Incoming& incoming, Effects& effects);
  void drop(Incoming& incoming);
  void keep(GroupId id, ClientId client, Held held);
  std::deque<Held> take_kept(GroupId id, const std::set<ClientId>& clients);
  void keep_direct(GroupId id, Incoming& incoming);
  void relieve(Effects& effects);
  void give_up(const Key& key, Incoming& incoming, const std::set<ClientId>& clients, Effects& effects);

  Pid self_;
  Limits limits_;
  Time now_{};
  std::map<GroupId, Outgoing> outgoing_;
  std::map<GroupId, std::map<Pid, StateAck>> early_;  ///< joiners' daemons that were faster than we
  std::map<Key, Incoming> incoming_;                  ///< by the boundary at which it began
  std::map<GroupId, std::set<ClientId>> pending_;     ///< local members whose boundary is still to come
  std::map<GroupId, std::set<ClientId>> given_up_;    ///< local members that are about to leave: they get nothing more
  std::map<GroupId, std::deque<Held>> kept_;          ///< G7: for pending members alone, so in nobody's state
  std::size_t held_bytes_ = 0;                        ///< of all incoming transfers, and of what is kept
  std::deque<Statement> statements_;
};

}  // namespace vsync::core
