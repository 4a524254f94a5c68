// Protocol events: what the event log writes and the checkers judge (protocol.md section 16, product.md event log).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/model/frame.h"
#include "core/model/group.h"

namespace vsync::core::trace {

/// The daemon founded the cluster or started; first event of an incarnation.
struct Start {
  Uuid uuid;
  std::uint64_t vote_epoch = 0;
};

/// p installed a view. `previous` = the view it came from with its state, 0 for joiners.
struct Install {
  ViewPtr view;
  ViewId previous = 0;
  std::vector<Pid> transitional;  ///< D6; {self} for a joiner
  std::uint64_t table_hash = 0;   ///< S1, S2
};

/// A client message was accepted into the send queue. (client, request) identifies it at this pid.
struct Submit {
  ClientId client = 0;
  RequestId request = 0;
  std::uint32_t count = 1;
};

/// R1: bound. (pid, view, seq) identifies a message from now on.
struct Send {
  ViewId view = 0;
  Seq first = 0;
  std::uint32_t count = 1;
  Stamp stamp = 0;
  Rank rank = 0;  ///< sender's rank: key = (stamp, rank, seq)
  Service service = Service::total;
  RunKind kind = RunKind::data;
  GroupId group = 0;
  ClientId client = 0;
  RequestId request = 0;  ///< of the first message, 0 for the daemon's own runs
  Counts delivered;       ///< D at the sending, for the causality check
};

struct Deliver {
  ViewId view = 0;
  Pid sender;
  Seq first = 0;
  std::uint32_t count = 1;
  Service service = Service::total;
  RunKind kind = RunKind::data;
  GroupId group = 0;
  std::uint64_t content = 0;  ///< hash of the body: what was delivered is what was sent
};

/// A group view went to the local members.
struct GroupInstall {
  GroupViewPtr group_view;
};

/// F10: a local client is told that it leads the group called `group`, from now on until then, by the clock of its host.
struct LeaseGranted {
  std::string group;
  ClientId client = 0;
  std::uint64_t token = 0;
  Time from{};
  Time until{};
};

/// The client has given it up: it asked to leave.
struct LeaseReleased {
  std::string group;
  ClientId client = 0;
  Time at{};
};

/// G10: so many members of the group hold its senders.
struct Hold {
  GroupId group = 0;
  std::uint32_t holders = 0;
};

/// C1: what the client was told. `view` and `first` name the binding, 0 if it was never bound.
struct Fate {
  ClientId client = 0;
  RequestId request = 0;
  std::uint32_t count = 1;
  ViewId view = 0;
  Seq first = 0;
  Outcome outcome = Outcome::unknown;
};

/// p left cleanly: survivor of `previous`, not a member of `view`.
struct Left {
  ViewId previous = 0;
  ViewId view = 0;
};

/// p learnt that it is in no later view; it comes back as a new incarnation.
struct Excluded {
  ViewId view = 0;
};

struct Suspected {
  Pid peer;
  Evidence evidence = Evidence::none;
  Duration silence{};
  std::string why;
  bool leader = false;  ///< the peer leads the view
};

struct Unsuspected {
  Pid peer;
};

/// C2: acceptor steps, for the ballot checks.
struct Promised {
  ViewId view = 0;
  Ballot ballot;
};

struct ValueAccepted {
  ViewId view = 0;
  Ballot ballot;
  ViewPtr value;
};

struct Decided {
  ViewPtr value;
  Ballot ballot;  ///< of the decider; {0,0} when learnt from INSTALL
};

/// Counters for tests and metrics: a named step of the protocol was taken (adopt, forward, trim, …), `amount` times.
struct Step {
  std::string_view name;
  std::uint64_t amount = 1;
};

using Event = std::variant<Start, Install, Submit, Send, Deliver, GroupInstall, Hold, Fate, Left, Excluded, Suspected,
                           Unsuspected, Promised, ValueAccepted, Decided, Step, LeaseGranted, LeaseReleased>;

}  // namespace vsync::core::trace
