// What the shell tells the core (protocol.md section 3). One at a time; time comes beside it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/model/config.h"
#include "core/model/group.h"
#include "core/model/session.h"

namespace vsync::core {

/// The deadline that next_deadline() named has come (or any other moment).
struct Tick {};

/// Everything that was readable has been passed in: send acknowledgements, deliver, bind (R2, F2).
struct EndOfTurn {};

struct FrameReceived {
  Pid from;
  Frame frame;
};

struct DatagramReceived {
  Datagram datagram;
};

/// A connection to this pid is up and both HELLOs were exchanged. At most one link per pid is up at a time.
struct LinkOpened {
  Hello peer;
};

/// The connection to this pid is gone. `clean`: it ended after a GOODBYE. The transport re-dials by itself while the peer is
/// wanted.
struct LinkClosed {
  Pid peer;
  bool clean = false;
};

/// FIRM evidence from the kernel: the re-dial was refused, or the port is unreachable. HARD: a supervisor says so.
struct PeerGone {
  Pid peer;
  Evidence evidence = Evidence::firm;
  std::string why;
};

/// Every configured peer was dialled at least once and answered or failed.
struct SeedsTried {};

struct Persisted {
  std::uint64_t token = 0;
};

struct PersistFailed {
  std::uint64_t token = 0;
  std::string why;
};

/// Requests of local applications. `client` is a connection on the control socket.
struct ClientJoin {
  ClientId client = 0;
  RequestId request = 0;
  std::string group;
  std::string member_name;
  GroupPolicy policy;
  bool lease = false;  ///< F10: tell it its lease whenever it leads
  StateWish state = {};
  bool stability = false;  ///< G9: tell it how far the group's messages are held by all
};

/// request 0: nobody asked for it (reason `slow`).
struct ClientLeave {
  ClientId client = 0;
  RequestId request = 0;
  std::string group;
  LeaveReason reason = LeaveReason::left;
};

/// C6: this client is the session of that name, which may have had other connections before; all of them are over. Answered with
/// SessionOpened, or refused (`busy`) while one of them may still deliver something.
struct ClientSession {
  ClientId client = 0;
  RequestId request = 0;
  SessionId session = 0;
  std::uint64_t first = 1;  ///< its sends from this number on are of this connection
};

/// G6-G8: what a send wants beyond "to all members of one group".
struct SendWish {
  std::vector<std::string> more_groups;  ///< G6: total only; delivered in all of them at one place, or in none
  std::optional<ClientRef> to;           ///< G7: to this member alone; with `reply_to`: to who asked
  RequestId reply_to = 0;                ///< G8: the request that this one message replies to; without a group
  std::optional<Wait> wait;              ///< G8: one message that is a request; answered by RequestAnswered
  Duration answer_within{};              ///< G8: from its acceptance
};

/// `count` messages for one group; their requests are request, request+1, … Body as in Run.
struct ClientSend {
  ClientId client = 0;
  RequestId request = 0;
  std::string group;
  Service service = Service::total;
  bool text = false;
  std::uint32_t count = 1;
  std::uint64_t in_view = 0;  ///< C2: token of the group view it must be sent in, 0 = any
  Slice body;
  std::shared_ptr<const SendWish> wish = nullptr;  ///< null: none
  std::uint64_t number = 0;  ///< C6: of the first, for a client with a session; the numbers of its sends rise
  bool durable = false;      ///< K2: `delivered` is told when enough disks have it
};

/// T1: the next piece of the state that a StateRequested asked for.
struct ClientState {
  ClientId client = 0;
  RequestId request = 0;
  std::string group;
  std::uint64_t token = 0;  ///< of the StateRequested
  bool last = false;        ///< the state ends with it
  bool refused = false;     ///< T2: the client cannot or will not give the state
  Slice body;
};

/// K2: this node's disk has the history of a durable group up to there.
struct HistorySynced {
  std::string group;
  HistoryPosition position;
};

/// K3: what this node's disk has of the group of a HistoryAsked.
struct HistoryTold {
  GroupId group = 0;
  KeptHistory kept;
};

/// K1: this node's disk has promised the era of an EraProposed: no smaller one will begin where the disk is asked.
struct EraPromised {
  GroupId group = 0;
  std::uint64_t era = 0;
};

/// K3: so much of the history that StateArrived brings was read by the clients, and can be taken by the disk. Said again while
/// they read what is on the disk already.
struct HistoryTaken {
  std::string group;
  std::uint64_t token = 0;
  std::uint64_t taken = 0;  ///< bytes, and one more for the end
  bool refused = false;     ///< it does not go on from what the disk has by now: its members leave (T2), and may come again
};

/// T1: what this client was given so far has left the daemon, but for little.
struct ClientRead {
  ClientId client = 0;
};

/// G10: this member does not keep up: nobody sends to its group from here on, or anybody again.
struct ClientHold {
  ClientId client = 0;
  GroupId group = 0;
  bool held = false;
  bool disk = false;  ///< K2: it is not the client that does not keep up but the disk of this node; both must release
};

struct ClientGone {
  ClientId client = 0;
};

/// Operator commands. The reply carries client and request.
struct AdminJoin {
  ClientId client = 0;
  RequestId request = 0;
};

/// J7. client 0: no reply is wanted (SIGTERM).
struct AdminLeave {
  ClientId client = 0;
  RequestId request = 0;
};

struct AdminEvict {
  ClientId client = 0;
  RequestId request = 0;
  NodeId node = 0;   ///< 0 = by name only
  std::string name;  ///< empty = by node id only; with both, a member that either fits, if there is just one
  std::string why;
};

/// B2, policy `manual`: go on without the state that nobody holds any more.
struct AdminColdStart {
  ClientId client = 0;
  RequestId request = 0;
};

using Input = std::variant<Tick, EndOfTurn, FrameReceived, DatagramReceived, LinkOpened, LinkClosed, PeerGone, SeedsTried,
                           Persisted, PersistFailed, ClientJoin, ClientSession, ClientLeave, ClientSend, ClientState,
                           HistorySynced, HistoryTold, EraPromised, HistoryTaken, ClientRead, ClientHold, ClientGone, AdminJoin,
                           AdminLeave, AdminEvict, AdminColdStart>;

}  // namespace vsync::core
