// The ordering module: one view's streams, acknowledgements and deliveries (protocol.md sections 7, 8, 13 and V7, V10).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/hash.h"
#include "core/model/config.h"
#include "core/model/frame.h"
#include "core/model/message.h"
#include "core/ordering/acknowledge_map.h"
#include "core/ordering/lamport_clock.h"
#include "core/ordering/stable_queue.h"
#include "core/ordering/stream.h"

namespace vsync::core {

/// A run whose turn has come; its messages are delivered together.
struct Delivery {
  Rank sender = 0;
  RunPtr run;
};

/// What became of a run that a peer sent. `duplicate`: nothing new, or nothing is received in this view any more: ignore it.
enum class Receipt : std::uint8_t { stored, duplicate, gap, refused };

/// Holds, orders and releases the messages of one view. Knows no link, no group and no ballot: the node asks it.
/// Not thread-safe; every call is one step of the core. Work per run is proportional to the number of members.
///
/// A run is *settled* when it is delivered here, stable, and all that it depends on is settled: then everybody who goes on
/// delivers it, whatever happens. Stable alone does not say so: a causal run that all hold is still trimmed (V10) if what it
/// depends on dies with those who hold that. Total runs are settled as soon as they are delivered (L4).
class Ordering {
 public:
  explicit Ordering(const Limits& limits);

  // ---- life of a view
  /// V11: a fresh view of `members` members, in which this daemon has rank `self`. Everything of the old view is dropped.
  void install(std::size_t members, Rank self);
  /// V4: from now on nothing is sent, received, acknowledged or delivered in this view, for ever.
  void wedge();
  [[nodiscard]] bool wedged() const;

  // ---- sending (R1, R7, R10)
  /// R7: room in the window of own messages that are not settled. One bind() may overshoot it.
  [[nodiscard]] bool window_open() const;
  /// R1: binds `runs` to the next numbers of the own stream, in this step, under one time stamp (R10). Must not be called
  /// when wedged. Returns what to multicast: `deps` hold the entries that grew since the previous run (section 8).
  std::vector<RunPtr> bind(std::vector<Run> runs);

  // ---- receiving (R2)
  /// A run of `sender`'s stream. `gap`: an earlier one is missing; `refused`: malformed (a count of 0, a dependency that cannot
  /// be, a stamp before that of its predecessor, ...), nothing was changed.
  Receipt receive(Rank sender, RunPtr run);
  /// A statement of `from`, first-hand or relayed (section 13). Entries that cannot be true are ignored.
  void acknowledge(Rank from, std::span<const RankCount> counts);
  /// The acknowledgement that is due since the last call: entries that changed, and always the own count (R2). nullopt: none is
  /// due.
  std::optional<std::vector<RankCount>> take_due_ack();
  /// The whole own vector, for a link that was opened anew (R9).
  [[nodiscard]] std::vector<RankCount> full_ack() const;
  /// Relay mode, at the leader: statements that changed since the last call (AGG).
  std::vector<AckAggregate::Statement> take_due_aggregate();
  [[nodiscard]] std::vector<AckAggregate::Statement> full_aggregate() const;

  // ---- delivery (R3, R4, R5, R6)
  /// Appends everything that may be delivered now, in order, and discards what is settled (R6). Call it whenever something was
  /// bound, received or acknowledged.
  void deliver(std::vector<Delivery>& out);

  // ---- knowledge
  [[nodiscard]] const Counts& held() const;       ///< R, and H at a promise
  [[nodiscard]] const Counts& delivered() const;  ///< D
  [[nodiscard]] Seq stable(Rank sender) const;    ///< how many of `sender`'s messages every member is known to hold
  /// How many of `sender`'s messages are delivered by everybody who goes on, whatever happens. C1: for the own rank this, not
  /// stable(), makes a fifo or causal send DELIVERED.
  [[nodiscard]] Seq settled(Rank sender) const;
  [[nodiscard]] Stamp clock() const;                 ///< Lamport clock
  [[nodiscard]] std::size_t unstable_bytes() const;  ///< own bytes in the window (R7)
  /// The rank whose acknowledgement or message the undelivered message of smallest key waits for; nullopt: none waits.
  [[nodiscard]] std::optional<Rank> blocker() const;
  /// R8: the one member whose acknowledgement alone the oldest run in the window waits for; nullopt: none or several.
  [[nodiscard]] std::optional<Rank> straggler() const;
  /// R11: number of totals delivered in this view, and the hash chain over them.
  [[nodiscard]] std::uint64_t delivered_totals() const;
  [[nodiscard]] std::uint64_t delivery_hash() const;

  // ---- re-sending and the view change
  /// Held runs of `sender` that cover lo..hi (R9, V7), as they were first sent. Deltas are enough for whoever holds everything
  /// before lo: each run is delivered after its predecessors, so their dependencies are met already. What was discarded is left
  /// out: everybody has stated to hold it.
  [[nodiscard]] std::vector<RunPtr> range(Rank sender, Seq lo, Seq hi) const;
  /// V7: stores a forwarded run in the wedged view. It is neither acknowledged nor delivered. `refused` also when not wedged.
  Receipt forward(Rank sender, RunPtr run);
  /// V7: everything up to the cut is held.
  [[nodiscard]] bool has_all(const Counts& cut) const;
  /// V10: D <= cut <= R for every member. False: the caller stops the daemon (C1).
  [[nodiscard]] bool cut_is_sane(const Counts& cut) const;
  /// V10: delivers what is left up to the cut in key order, without messages whose dependencies are lost; returns the closed cut.
  /// Only for a sane cut. Wedges the view if it is not.
  Counts close(const Counts& cut, std::vector<Delivery>& out);
  /// C3: how many own messages everybody who goes on delivers, given the cut of the view that excludes this daemon.
  [[nodiscard]] Seq fate(const Counts& cut) const;
  [[nodiscard]] std::uint64_t trimmed() const;  ///< messages skipped by close(), in all views

 private:
  Ordering(const Limits& limits, std::size_t members, Rank self);

  [[nodiscard]] std::vector<RankCount> dependencies(Service service);
  [[nodiscard]] Receipt check(Rank sender, const Run& run) const;
  [[nodiscard]] bool well_formed(Rank sender, const Run& run) const;
  void store(Rank sender, RunPtr run);
  void learn(Rank member, Rank sender, Seq count);
  void refresh(Rank sender);

  void deliver_unordered(std::vector<Delivery>& out);
  bool deliver_total(std::vector<Delivery>& out);
  [[nodiscard]] bool nothing_missing() const;
  [[nodiscard]] std::optional<Rank> releasable() const;
  void deliver_next(Rank sender, std::vector<Delivery>& out);
  void account(Rank sender, const Run& run);
  void settle();

  template <typename Visit>
  Counts closure(Counts from, const Counts& cut, Visit visit) const;
  [[nodiscard]] std::size_t members() const { return streams_.size(); }

  Limits limits_;
  Rank self_ = 0;
  bool wedged_ = false;
  LamportClock clock_;
  Counts held_;       ///< R
  Counts delivered_;  ///< D
  Counts settled_;    ///< where the logs begin
  Counts sent_deps_;  ///< dependencies that the own stream has named so far
  std::vector<Stream> streams_;
  AcknowledgeMap acknowledged_;              ///< A
  StatedKnowledge stated_;                   ///< in own acknowledgements
  std::vector<StatedKnowledge> aggregated_;  ///< in aggregates, by the member that stated it
  StableQueue queue_;
  std::uint64_t delivered_totals_ = 0;
  Hasher delivery_chain_;  ///< R11
  std::uint64_t trimmed_ = 0;
};

}  // namespace vsync::core
