// What the core tells the shell to do, in exactly this order (protocol.md section 3).
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/model/config.h"
#include "core/model/group.h"
#include "core/model/session.h"
#include "core/model/trace.h"

namespace vsync::core {

/// To the link of this pid; dropped if it has none (control frames are repeated by the core, data resumes by LINKUP).
struct SendFrame {
  Pid to;
  FramePtr frame;
};

struct SendDatagram {
  Member to;
  Datagram datagram;
};

/// Make the record durable, then pass in Persisted{token}. Tokens rise; a later record replaces an earlier one.
struct Persist {
  std::uint64_t token = 0;
  AcceptorRecord record;
};

/// Keep links to exactly these peers (and to the configured seeds while `seek`). Others may still connect to us.
struct WantLinks {
  std::vector<Member> peers;
  bool seek = false;
};

/// Reset the link to this pid: its input broke the protocol. The transport may dial again.
struct ResetLink {
  Pid peer;
  std::string why;
};

/// A daemon view is installed. For the control socket's events and the event log.
struct ViewInstalled {
  ViewPtr view;
  ViewId previous = 0;
  std::vector<Pid> transitional;
};

/// For which of the local members of a group an effect is: for everybody but those that wait for their state (T1). What they have
/// missed comes behind the state, for them alone.
struct Audience {
  std::vector<ClientId> later = {};  ///< not for these
  std::vector<ClientId> only = {};   ///< not empty: for these alone

  [[nodiscard]] bool includes(ClientId client) const {
    const auto in = [client](const std::vector<ClientId>& clients) {
      return std::ranges::find(clients, client) != clients.end();
    };
    return !in(later) && (only.empty() || in(only));
  }
};

/// A group view, for the local members in it and for watchers. In order with DeliverMessages.
struct GroupViewInstalled {
  GroupViewPtr group_view;
  Audience audience = {};
};

/// T1: the client is asked for the group's state as of this place in the order. It answers with ClientState.
struct StateRequested {
  ClientId client = 0;
  std::string group;
  std::uint64_t token = 0;     ///< of the group view that it belongs to; names the transfer
  std::size_t window = 0;      ///< bytes of pieces without RequestDone, at most
  std::size_t piece_size = 0;  ///< bytes of one piece, at most
};

/// K3: this node's disk is asked for the history of a durable group up to `end`, as the state of the group. It is answered with
/// ClientState of this client, like a StateRequested.
struct HistoryRequested {
  ClientId client = 0;
  std::string group;
  std::uint64_t token = 0;
  std::size_t window = 0;
  std::size_t piece_size = 0;
  KeptHistory end;
  std::vector<HistoryPosition> known = {};  ///< what the disks of those who wait have
};

/// K3: nobody here knows the group that is to begin. What does this node's disk have of it? Answered with HistoryTold.
struct HistoryAsked {
  std::string group;
  GroupId id = 0;
};

/// K1: is to begin when a majority of the keepers has promised it. This node's disk does, and answers with EraPromised.
struct EraProposed {
  std::string group;
  GroupId id = 0;
  std::uint64_t era = 0;
};

/// K3: all know that these clients have the state that came as a history. Before that the disk must stay as it was offered; from
/// now on it follows the group.
struct HistoryAdopted {
  std::string group;
  std::uint64_t token = 0;
  std::vector<ClientId> clients;
};

/// T1: a piece of the group's state as of the group view `token`. Offset 0 begins the state, also anew: what came before it is
/// void.
struct StateArrived {
  std::vector<ClientId> clients;
  std::string group;
  std::uint64_t token = 0;
  std::uint64_t offset = 0;
  bool last = false;
  bool cold = false;  ///< nobody had it: the client's own is the group's state from here on; the body is empty
  Slice body;
  bool history = false;     ///< K3: a piece of the history that a HistoryRequested asked for: the daemon's, not the client's
  std::uint64_t index = 0;  ///< K1: of the last message that is in the state, in a durable group
};

/// A client is in the group no more, because it could not get the group's state (T2), or its disk here does not keep it (K2).
struct ClientDismissed {
  ClientId client = 0;
  GroupId group = 0;
  std::string name;
  LeaveReason reason = LeaveReason::no_state;  ///< or not_a_keeper
};

/// Messages for all local members of the group, and for senders that asked. Body as in Run; never a fragment.
struct DeliverMessages {
  GroupId group = 0;
  Pid sender;
  ClientId client = 0;
  std::uint64_t token = 0;     ///< of the group view
  ViewId view = 0;             ///< daemon view
  std::uint64_t position = 0;  ///< of the first: totals count all totals of the group view, the others the sender daemon's others
  Service service = Service::total;
  bool text = false;
  std::uint32_t count = 1;
  Slice body;
  Audience audience = {};
  ClientId direct = 0;           ///< G7: of the audience for this one alone, 0 = for all
  RequestId request = 0;         ///< G8: replies to it name this number and the sender; 0 = it asks for none
  HistoryPosition history = {};  ///< K1: of the first, in a durable group
};

/// K2: whatever happens to a minority of its disks, a durable group keeps its messages up to there.
struct HistoryDurable {
  std::string group;
  GroupId id = 0;
  HistoryPosition position;
};

/// C1: the outcome of `count` sends whose requests are request, request+1, …
struct SendOutcome {
  ClientId client = 0;
  RequestId request = 0;
  std::uint32_t count = 1;
  Outcome outcome = Outcome::unknown;
  ViewId view = 0;
  std::uint64_t position = 0;    ///< of the first, when delivered
  std::string_view code;         ///< why not delivered, as in RequestRefused, when known
  HistoryPosition history = {};  ///< K1: of the first, when delivered in a durable group
  bool durable = false;          ///< K2: and on enough disks
};

/// G8: a request has ended. Who was a member at its place in the order is in `replies` or in `missing`.
struct RequestAnswered {
  struct Reply {
    GroupMember member;
    bool text = false;
    Slice body;  ///< the reply alone
  };
  struct Missing {
    GroupMember member;
    std::string_view reason;  ///< "left", "no_reply", "too_large", "no_state"
  };
  ClientId client = 0;
  RequestId request = 0;
  Outcome outcome = Outcome::unknown;
  ViewId view = 0;
  std::uint64_t position = 0;
  std::string_view code;  ///< why not delivered, or why that is not known
  bool complete = false;  ///< there are as many replies as were waited for
  std::vector<Reply> replies;
  std::vector<Missing> missing;
};

/// G9: what was delivered in this view of the group up to there is held by every member's daemon and will be delivered by each
/// that goes on. For the local members that asked for it; at most once a turn.
struct StableReached {
  GroupId group = 0;
  std::vector<ClientId> clients;
  std::uint64_t token = 0;                            ///< of the group view
  std::uint64_t position = 0;                         ///< of totals
  std::vector<std::pair<Pid, std::uint64_t>> others;  ///< position of fifo and causal ones, by the sender's daemon
};

/// The request is done: the group view with the join or without the leaver was installed, the admin command finished.
struct RequestDone {
  ClientId client = 0;
  RequestId request = 0;
  GroupViewPtr group_view;  ///< for joins
};

/// C6: what became of the sends of the session's earlier connections.
struct SessionOpened {
  ClientId client = 0;
  RequestId request = 0;
  SessionFates fates;
};

/// Refused; nothing happened. `code` is a stable word for programs: not_member, no_such_group, too_large, wrong_view, …
struct RequestRefused {
  ClientId client = 0;
  RequestId request = 0;
  std::string_view code;
  std::string message;
};

/// G10: the members for which the group's senders are held, everywhere, changed. Empty: it flows.
struct GroupHeld {
  GroupId group = 0;
  std::string name;  ///< empty: the group is gone
  std::vector<GroupMember> by;
};

/// Stop or resume reading this client's requests (R7).
struct PauseClient {
  ClientId client = 0;
  bool paused = false;
};

/// F10: `client` leads the group and may act so until `until`, by this host's clock. Given again and again while that holds.
struct LeaseGranted {
  ClientId client = 0;
  GroupId group = 0;
  std::uint64_t token = 0;  ///< of the current group view
  Time until{};
  Duration length{};  ///< of a fresh one
};

struct QuorumChanged {
  bool has = false;
};

/// A suspicion began or changed class; Evidence::none = it ended.
struct SuspicionChanged {
  Pid peer;
  Evidence evidence = Evidence::none;
  Duration silence{};
  std::string why;
};

/// R8: this member alone keeps our window full, so that our sends wait for it. Told once, before it is suspected for that.
struct MemberSlow {
  Pid peer;
  Duration blocked{};
};

/// This incarnation is over: it is in no later view. The shell takes a new incarnation, waits `backoff` and starts again (V12,
/// F8).
struct Excluded {
  ViewId view = 0;
  Duration backoff{};
  std::string why;
};

/// J3/I3: this identity may not join. incarnation: take one above it and come again. assign: take this node id. (An AdminJoin
/// under way is not answered then: the next incarnation gets it anew.) Else: stop, loudly.
struct IdentityRefused {
  RejectReason reason = RejectReason::full;
  NodeId node = 0;
  std::uint64_t incarnation = 0;
};

/// J8: left cleanly and lingered long enough.
struct LeftCluster {
  ViewId view = 0;
};

/// A peer's input was refused (and counted); the shell logs it once per peer and reason.
struct InputRefused {
  Pid peer;
  std::string_view frame;
  std::string_view why;
};

/// The daemon must stop: persistence failed or its state diverged. Nothing may be sent any more.
struct Fatal {
  std::string reason;
};

struct Trace {
  trace::Event event;
};

using Effect = std::variant<SendFrame, SendDatagram, Persist, WantLinks, ResetLink, ViewInstalled, GroupViewInstalled,
                            DeliverMessages, StateRequested, HistoryRequested, HistoryAsked, EraProposed, HistoryAdopted,
                            HistoryDurable, StateArrived, ClientDismissed, SendOutcome, RequestAnswered, StableReached,
                            RequestDone, SessionOpened, RequestRefused, PauseClient, GroupHeld, LeaseGranted, QuorumChanged,
                            SuspicionChanged, MemberSlow, Excluded, IdentityRefused, LeftCluster, InputRefused, Fatal, Trace>;

/// Reused from step to step by the shell.
using Effects = std::vector<Effect>;

}  // namespace vsync::core
