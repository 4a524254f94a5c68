// Peer protocol frames as plain structs (protocol.md section 6). lib/wire gives them bytes; here is only meaning.
// The sender is the pid at the other end of the link and so is in no frame.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/model/message.h"
#include "core/model/view.h"

namespace vsync::core {

/// First frame in both directions of a connection; the transport exchanges it and the core sees it in LinkOpened.
struct Hello {
  std::uint16_t proto_min = 1;
  std::uint16_t proto_max = 1;
  Uuid uuid;  ///< none while the daemon belongs to no cluster
  Pid pid;
  std::uint64_t vote_epoch = 0;
  std::string name;
  Address address;
  Role role = Role::out;
  ViewId decided = 0;
  std::uint64_t config_hash = 0;
  bool witness = false;  ///< B4

  bool operator==(const Hello&) const = default;
};

/// The sender ends this connection on purpose: a closed connection after it is no crash (S68).
struct Goodbye {
  std::string reason;

  bool operator==(const Goodbye&) const = default;
};

/// R9: opens the stream from the receiver of this frame to its sender: "I am in `view` and hold your messages up to `received`".
/// No DATA and no ACK of a view goes to a peer before the peer's LINKUP of that view has come (docs/PROTOCOL.md).
struct LinkUp {
  ViewId view = 0;
  Seq received = 0;
  std::uint64_t table_hash = 0;  ///< group table as of the install (S2)

  bool operator==(const LinkUp&) const = default;
};

struct Data {
  ViewId view = 0;
  std::vector<RunPtr> runs;
};

/// R2: what the sender holds. Always carries the sender's own count.
struct Ack {
  ViewId view = 0;
  std::vector<RankCount> counts;

  bool operator==(const Ack&) const = default;
};

/// Relay mode: the leader passes on what members stated (section 13).
struct AckAggregate {
  struct Statement {
    Rank rank = 0;
    std::vector<RankCount> counts;
    bool operator==(const Statement&) const = default;
  };
  ViewId view = 0;
  std::vector<Statement> statements;

  bool operator==(const AckAggregate&) const = default;
};

struct Suspect {
  ViewId view = 0;
  Pid suspect;
  Evidence evidence = Evidence::none;
  std::uint32_t health = 0;  ///< reporter's local health multiplier (F4)
  Duration silence{};

  bool operator==(const Suspect&) const = default;
};

/// J1: `joiner` asks to be admitted; forwarded to the leader. pid.node = 0 asks for a node id first.
struct Join {
  Member joiner;
  Uuid uuid;
  std::uint64_t config_hash = 0;
  std::uint16_t proto = 1;

  bool operator==(const Join&) const = default;
};

/// Why a JOIN is refused. assign_id is the answer to a joiner without an id: take `node` and come again.
enum class RejectReason : std::uint8_t { incarnation_used, config, uuid, full, proto, node_in_use, assign_id, name_in_use };

struct Reject {
  Pid joiner;
  RejectReason reason = RejectReason::full;
  NodeId node = 0;                ///< assign_id: the id to take
  std::uint64_t incarnation = 0;  ///< incarnation_used: the highest one used so far

  bool operator==(const Reject&) const = default;
};

/// From a member to the candidate: I want to leave. From the candidate, with `everyone`: all survivors leave, so nothing is
/// decided and all may stop (J9).
struct Leave {
  ViewId view = 0;
  bool everyone = false;

  bool operator==(const Leave&) const = default;
};

struct EvictRequest {
  ViewId view = 0;
  Pid member;
  std::string why;

  bool operator==(const EvictRequest&) const = default;
};

struct PreVote {
  ViewId view = 0;
  std::vector<Pid> suspects;

  bool operator==(const PreVote&) const = default;
};

struct PreVoteReply {
  ViewId view = 0;
  bool yes = false;

  bool operator==(const PreVoteReply&) const = default;
};

struct Prepare {
  Ballot ballot;
  ViewPtr view;  ///< V: decided, to be replaced
};

/// accepted[v]: the value an acceptor has accepted, and in which ballot.
struct AcceptedValue {
  Ballot ballot;
  ViewPtr value;
};

struct Promise {
  ViewId view = 0;
  Ballot ballot;
  std::uint64_t vote_epoch = 0;
  std::optional<AcceptedValue> accepted;
  std::optional<Counts> held;  ///< H, only from a holder of V
  std::vector<bool> reach;     ///< by rank of V: members this one has a link to (itself included)
  bool leaving = false;
};

struct Nack {
  ViewId view = 0;
  Ballot promised;

  bool operator==(const Nack&) const = default;
};

/// J5: the leader asks a joiner to link to all members; the joiner answers when it has.
struct Ready {
  ViewId view = 0;
  std::vector<Member> members;

  bool operator==(const Ready&) const = default;
};

struct ReadyOk {
  ViewId view = 0;

  bool operator==(const ReadyOk&) const = default;
};

/// V7: holder sends the messages lo..hi of `sender` to receiver. All three are ranks of V.
struct PlanEntry {
  Rank sender = 0;
  Seq lo = 0;
  Seq hi = 0;
  Rank holder = 0;
  Rank receiver = 0;

  auto operator<=>(const PlanEntry&) const = default;
};

struct Flush {
  ViewId view = 0;
  Ballot ballot;
  Counts cut;
  std::vector<PlanEntry> plan;

  bool operator==(const Flush&) const = default;
};

struct Forward {
  ViewId view = 0;
  Ballot ballot;
  Rank sender = 0;
  std::vector<RunPtr> runs;  ///< in sequence
};

struct Fetch {
  ViewId view = 0;
  Ballot ballot;
  Rank sender = 0;
  Seq lo = 0;
  Seq hi = 0;

  bool operator==(const Fetch&) const = default;
};

struct HaveAll {
  ViewId view = 0;
  Ballot ballot;

  bool operator==(const HaveAll&) const = default;
};

struct HolderLost {
  ViewId view = 0;
  Ballot ballot;
  Rank holder = 0;

  bool operator==(const HolderLost&) const = default;
};

struct Accept {
  ViewId view = 0;
  Ballot ballot;
  ViewPtr value;
};

struct Accepted {
  ViewId view = 0;
  Ballot ballot;
  std::uint64_t vote_epoch = 0;

  bool operator==(const Accepted&) const = default;
};

struct Install {
  ViewPtr value;
};

struct Installed {
  ViewId view = 0;
  std::uint64_t table_hash = 0;

  bool operator==(const Installed&) const = default;
};

struct TableRequest {
  ViewId view = 0;

  bool operator==(const TableRequest&) const = default;
};

/// J6: the group table as of the install of `view`, in pieces.
struct Table {
  ViewId view = 0;
  std::uint64_t total = 0;   ///< size of the whole table in bytes
  std::uint64_t offset = 0;  ///< of this piece
  std::uint64_t hash = 0;    ///< of the whole table
  Slice bytes;

  bool operator==(const Table&) const = default;
};

struct Evicted {
  ViewPtr current;
  std::optional<Counts> closed_cut;  ///< of the view that the receiver was last in, if known
  ViewId closed_view = 0;            ///< that view
};

struct ViewRequest {
  ViewId from = 0;  ///< highest decided view the asker has; it wants the successors

  bool operator==(const ViewRequest&) const = default;
};

/// T1: a piece of a group's state, from the donor's daemon to a joiner's. `token` names the transfer: the group view that the
/// state belongs to. Nothing is sent before the receiver's first StateAck.
struct StatePiece {
  GroupId group = 0;
  std::uint64_t token = 0;
  std::uint64_t offset = 0;
  bool last = false;
  Slice bytes;

  bool operator==(const StatePiece&) const = default;
};

/// T1: opens the transfer, and gives credit: the receiver's clients have taken so many bytes of it.
struct StateAck {
  GroupId group = 0;
  std::uint64_t token = 0;
  std::uint64_t taken = 0;

  bool operator==(const StateAck&) const = default;
};

using Frame = std::variant<Hello, Goodbye, LinkUp, Data, Ack, AckAggregate, Suspect, Join, Reject, Leave, EvictRequest, PreVote,
                           PreVoteReply, Prepare, Promise, Nack, Ready, ReadyOk, Flush, Forward, Fetch, HaveAll, HolderLost,
                           Accept, Accepted, Install, Installed, TableRequest, Table, Evicted, ViewRequest, StatePiece, StateAck>;

/// One frame may go to many peers: it is encoded once.
using FramePtr = std::shared_ptr<const Frame>;

/// F1. Also carries what the divergence check (R11) and operators need.
struct Heartbeat {
  Pid pid;
  Uuid uuid;
  ViewId decided = 0;
  Role role = Role::out;
  std::uint64_t counter = 0;  ///< +1 per heartbeat round
  std::uint32_t health = 0;   ///< local health multiplier
  ViewId view = 0;            ///< installed view of the three fields below, 0 = none
  std::uint64_t delivered_totals = 0;
  std::uint64_t delivery_hash = 0;
  std::uint64_t echo_counter = 0;  ///< last counter heard from the receiver, for the round-trip time; 0 = none
  Duration echo_delay{};           ///< time since that heartbeat was received

  bool operator==(const Heartbeat&) const = default;
};

/// F6: have you heard `target` lately?
struct PingRequest {
  Pid pid;
  Uuid uuid;
  Pid target;
  std::uint64_t nonce = 0;

  bool operator==(const PingRequest&) const = default;
};

struct PingReply {
  Pid pid;
  Uuid uuid;
  Pid target;
  std::uint64_t nonce = 0;
  bool heard = false;
  Duration age{};  ///< since `target` was heard, when heard

  bool operator==(const PingReply&) const = default;
};

using Datagram = std::variant<Heartbeat, PingRequest, PingReply>;

/// "PREPARE", "DATA", …: the frame's name in protocol.md, for logs, traces and the disposition table.
[[nodiscard]] std::string_view frame_name(const Frame& frame);
[[nodiscard]] std::string_view datagram_name(const Datagram& datagram);

}  // namespace vsync::core
