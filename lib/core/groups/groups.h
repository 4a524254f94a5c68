// Process groups over the daemon view, and the requests of local clients (protocol.md section 12).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "core/groups/client_queue.h"
#include "core/groups/envelope.h"
#include "core/groups/group_table.h"
#include "core/groups/leases.h"
#include "core/groups/open_requests.h"
#include "core/groups/reassembly.h"
#include "core/groups/stability.h"
#include "core/groups/state_transfer.h"
#include "core/model/effect.h"
#include "core/model/input.h"

namespace vsync::core {

/// The group table is a deterministic function of the totals delivered (G1); beside it live the queues of local clients.
/// Knows no link and no ballot. Not thread-safe; every call is one step of the core.
class Groups {
 public:
  /// With clients of one daemon, when these make a further one: so its users leave room to others.
  static constexpr std::size_t kMaxOwnGroups = GroupTable::kMaxGroups / 4;

  Groups(const Pid& self, const Limits& limits, bool trace);

  // ---- requests of local clients; answers are effects
  void request(ClientJoin join, Effects& effects);
  void request(ClientSession session, Effects& effects);
  void request(ClientLeave leave, Effects& effects);
  void request(ClientSend send, Effects& effects);
  /// T1: answered when joiners have taken the piece.
  void request(ClientState piece, Effects& effects);
  void request(ClientHold hold);
  /// K2: our disk has so much of a durable group; all are told.
  void synced(const HistorySynced& news);
  /// K3: what our disk has, as a HistoryAsked wants to know.
  void told(HistoryTold news);
  /// K1: our disk has promised an era, as an EraProposed wants; all are told.
  void promised(const EraPromised& news);
  /// K3: our disk can go on with the group.
  void taken(const HistoryTaken& news, Effects& effects);
  /// G2: its groups are left in order after what it had sent; no more replies go to it.
  void client_gone(ClientId client, Effects& effects);

  // ---- state transfer (T1, T2)
  [[nodiscard]] StateTransfers& transfers() { return transfers_; }
  [[nodiscard]] Time next_deadline() const { return std::min(transfers_.next_deadline(), open_requests_.next_deadline()); }

  // ---- sending
  /// Is there something to bind? (Not messages of a group that is flushing, G4.)
  [[nodiscard]] bool ready() const;
  /// The next thing to bind: one run, which may be a fragment of a large message, or all leaves of a client that is gone. They
  /// must be bound in this step. Only when ready(). Empty when everything that waited had to be refused (effects say so).
  std::vector<Run> next(Effects& effects);
  /// What next() returned was bound in `view`; outcomes follow from deliveries and stability. D is for the trace.
  void bound(const std::vector<RunPtr>& runs, ViewId view, Rank rank, const Counts& delivered, Effects& effects);
  [[nodiscard]] std::size_t queued() const;  ///< client messages accepted and not yet bound
  [[nodiscard]] bool idle() const;           ///< nothing queued and no outcome owed (J7)

  // ---- what the ordering module delivers, in order
  void deliver(const Pid& sender, const RunPtr& run, Effects& effects);
  /// Own stream stable up to `seq`: outcomes of fifo and causal sends (C1).
  void stable(Seq seq, Effects& effects);

  // ---- views
  /// V11, after the closed cut was delivered: outcomes, partial fragments dropped, clients of daemons that are gone removed (G2),
  /// pending group flushes completed (G4). A group view is installed only where something changed.
  void install(const View& view, Effects& effects);
  /// A joiner takes the table of the view it joins (J6) in place of its own. False: the bytes are damaged.
  bool load_table(std::string_view bytes);
  /// The table as of now: equal bytes at all members right after an install.
  [[nodiscard]] std::string save_table() const;
  [[nodiscard]] std::uint64_t table_hash() const;
  /// V12: outcomes by C3. own_delivered: how many own messages those who go on deliver; nullopt: unknown.
  void excluded(std::optional<Seq> own_delivered, Effects& effects);

  [[nodiscard]] Leases& leases() { return leases_; }
  [[nodiscard]] const Leases& leases() const { return leases_; }
  [[nodiscard]] Stability& stability() { return stability_; }
  [[nodiscard]] OpenRequests& open_requests() { return open_requests_; }
  [[nodiscard]] const OpenRequests& open_requests() const { return open_requests_; }
  [[nodiscard]] std::vector<GroupViewPtr> views() const;  ///< current group views, by name
  [[nodiscard]] StateWait state_wait(GroupId group) const { return table_.awaited(group); }
  [[nodiscard]] std::uint64_t ignored() const { return ignored_; }  ///< ordered runs that made no sense, here as everywhere

 private:
  /// An own run between its binding and its outcome.
  struct OwnRun {
    Service service = Service::total;
    ClientId client = 0;
    RequestId request = 0;
    std::uint32_t requests = 0;  ///< answers owed; 0: an early fragment, or the daemon's own
    Seq first = 0;
    Seq last = 0;
    ViewId view = 0;
    std::uint64_t position = 0;
    bool conditional = false;  ///< C2, G6, G7, K1: whether it is delivered is seen at its place in the order
    bool asks = false;         ///< G8: a request, answered when it ends
    GroupId group = 0;
    bool durable = false;          ///< K2: the answer waits for the disks
    HistoryPosition history = {};  ///< of the first
  };

  /// What became of a data run at its place in the order, at all daemons alike.
  struct Placed {
    std::uint64_t position = 0;    ///< of the first message; 0: it has none (yet)
    std::string_view failed = {};  ///< why it was handed to nobody, as in SendOutcome
    HistoryPosition history = {};  ///< K1: of the first message, where it is a part of one
  };

  // ---- binding
  [[nodiscard]] std::optional<Refusal> refusal(const Client& client, const ClientJoin& join) const;
  [[nodiscard]] std::optional<Refusal> refusal(const Client& client, const ClientLeave& leave) const;
  [[nodiscard]] std::optional<Refusal> refusal(const Client& client, const QueuedSend& send) const;
  [[nodiscard]] std::optional<Refusal> refusal(const Client& client, const ClientSend& send, const SendWish& wish) const;
  [[nodiscard]] std::optional<Refusal> refusal(const Group& group, const SendWish& wish) const;
  void address(QueuedSend& send) const;
  template <typename Request>
  void submit(Client& client, Request request, Effects& effects);
  void accept(Client& client, ClientSend send, Effects& effects);
  void release(ClientId client, GroupId group);
  [[nodiscard]] static bool leaving(const Client& client, const Group& group);
  void drop_what_waits(Client& client, Effects& effects);
  void never_bound(const Client& client, const QueuedSend& send, std::string_view code, Effects& effects);
  void prepare_hold(std::vector<Run>& runs);
  void prepare_turn(std::vector<Run>& runs, Effects& effects);
  [[nodiscard]] bool goes_on(const Client& client, const QueuedSend& send) const;
  bool prepare_fragment(const Client& client, QueuedSend& send, std::vector<Run>& runs);
  [[nodiscard]] Run run_of(const Client& client, const QueuedSend& send) const;
  void prepare(Client& client, QueuedSend send, std::vector<Run>& runs, Effects& effects);
  void prepare(Client& client, const ClientJoin& join, std::vector<Run>& runs, Effects& effects);
  void prepare(Client& client, const ClientSession& session, std::vector<Run>& runs, Effects& effects);
  void prepare(Client& client, const ClientLeave& leave, std::vector<Run>& runs, Effects& effects);
  void prepare(Client& client, const Farewell&, std::vector<Run>& runs, Effects& effects);
  void prepare_change(Client& client, RequestId request, Run run, std::vector<Run>& runs);
  void prepare(const StateTransfers::Statement& statement, std::vector<Run>& runs);
  void prepare_synced(std::vector<Run>& runs);
  void prepare_kept(std::vector<Run>& runs);
  void add(Run run, RequestId request, std::uint32_t requests, std::vector<Run>& runs);

  // ---- delivery
  Placed deliver_data(const Pid& sender, const RunPtr& run, Effects& effects);
  Placed hand_over(const Group& first, const Pid& sender, const Run& run, const Envelope& envelope, const Slice& body,
                   Effects& effects);
  Placed hand_to(const Group& group, const Pid& sender, const Run& run, const Envelope& envelope, const Slice& body,
                 Effects& effects);
  void deliver_hold(const Pid& sender, const Run& run, Effects& effects);
  void tell_hold(GroupId id, Effects& effects);
  void tell_holds(Effects& effects);
  void deliver_change(const Pid& sender, const Run& run, Effects& effects);
  void deliver_session(const Pid& sender, const Run& run, Effects& effects);
  void note_number(const Pid& sender, const Run& run);
  void own_delivered(const Run& run, const Placed& placed, Effects& effects);
  void durable(const Group& group, Effects& effects);
  template <typename Settled>
  void settle_undurable(Settled settled, Outcome outcome, std::string_view code, Effects& effects);
  void ask_disk(const Group& group, bool comes, Effects& effects);
  void forget_undurable(const GroupView& view, Effects& effects);
  void group_view(const GroupViewPtr& view, bool ordered, Effects& effects);
  void give_up_lease(Client& client, const std::string& group);
  void lead(const GroupView& view, bool ordered);
  void change_done(Client& client, const GroupViewPtr& view, Effects& effects);
  [[nodiscard]] static std::string_view why_refused(std::string_view code);
  void change_refused(const Run& run, std::string_view code, Effects& effects);
  void joined(const GroupViewPtr& view, ClientId id, Effects& effects);
  void left(const GroupView& view, const GroupDeparture& departure, Effects& effects);

  // ---- answers
  void answer(const OwnRun& run, Outcome outcome, std::string_view code, Effects& effects, bool durable = false);
  void refuse(const Client& client, RequestId request, const Refusal& why, Effects& effects);
  void exclude(Client& client, Effects& effects);

  /// G10: for whom a client holds a group.
  struct Holding {
    bool client = false;
    bool disk = false;  ///< K2

    [[nodiscard]] bool any() const { return client || disk; }
  };

  struct Held {
    Pid sender;
    RunPtr run;
  };

  Pid self_;
  Limits limits_;
  bool trace_;
  GroupTable table_;
  ClientQueues queues_;
  Leases leases_;
  Stability stability_;
  OpenRequests open_requests_;
  Reassembly fragments_;
  StateTransfers transfers_;
  std::set<GroupId> own_groups_;                                // with own clients
  std::set<GroupId> flush_due_;                                 // G4: GFLUSHED to bind, before anything else
  std::deque<ClientHold> holds_due_;                            // G10: to bind next
  std::map<std::pair<ClientId, GroupId>, Holding> holding_;     // G10: own clients, as asked for
  std::map<GroupId, std::set<ClientRef>> told_holds_;           // G10: as the shell knows them
  std::map<GroupId, std::vector<Held>> early_;                  // of the next group view, until it is installed here
  std::vector<OwnRun> prepared_;                                // what next() returned and bound() was not told yet
  std::deque<OwnRun> bound_;                                    // own runs, undelivered, in seq order
  std::deque<OwnRun> unstable_;                                 // own fifo and causal runs, delivered, in seq order
  std::deque<OwnRun> undurable_;                                // K2: own runs, delivered, that wait for the disks
  std::map<std::string, HistoryPosition> disk_;                 // K2: what our disk has, by group
  std::map<std::pair<GroupId, bool>, HistoryPosition> synced_;  // to be told: K2, and (true) the era that is promised (K1)
  std::map<std::string, EraProposed> proposed_;                 // K1: the last era that our disk was to promise, by group
  std::set<GroupId> telling_;                                   // K2: one is under way
  std::set<GroupId> asked_;                                     // K3: our disk was
  std::deque<HistoryTold> kept_;                                // K3: its answers, to be told
  Seq stable_ = 0;                                              // own stream
  std::uint64_t ignored_ = 0;
};

}  // namespace vsync::core
