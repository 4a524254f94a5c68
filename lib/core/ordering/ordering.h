// The ordering module: one view's streams, acknowledgements and deliveries (protocol.md sections 7, 8, 13 and V7, V10).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/model/config.h"
#include "core/model/frame.h"
#include "core/model/message.h"
#include "core/model/view.h"

namespace vsync::core {

/// A run whose turn has come; its messages are delivered together.
struct Delivery {
  Rank sender = 0;
  RunPtr run;
};

/// What became of a run that a peer sent.
enum class Receipt : std::uint8_t { stored, duplicate, gap, refused };

/// Holds, orders and releases the messages of one view. Knows no link, no group and no ballot: the node asks it.
/// Not thread-safe; every call is one step of the core.
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
  /// Room in the window of own unstable bytes and messages.
  [[nodiscard]] bool window_open() const;
  /// R1: binds `runs` to the next numbers of the own stream, in this step, under one time stamp (R10). Wedged: must not be
  /// called. Returns what to multicast: `deps` hold the entries that grew (section 8).
  std::vector<RunPtr> bind(std::vector<Run> runs);

  // ---- receiving (R2)
  /// A run of `sender`'s stream. `gap`: an earlier one is missing; `refused`: malformed (a count of 0, a dependency that cannot
  /// be).
  Receipt receive(Rank sender, RunPtr run);
  /// A statement of `from`, first-hand or relayed (section 13).
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
  /// Appends everything that may be delivered now, in order, and discards what is delivered and stable.
  void deliver(std::vector<Delivery>& out);

  // ---- knowledge
  [[nodiscard]] const Counts& held() const;          ///< R, and H at a promise
  [[nodiscard]] const Counts& delivered() const;     ///< D
  [[nodiscard]] Seq stable(Rank sender) const;       ///< how many of `sender`'s messages every member is known to hold
  [[nodiscard]] Stamp clock() const;                 ///< Lamport clock
  [[nodiscard]] std::size_t unstable_bytes() const;  ///< own bytes in the window
  /// The rank whose acknowledgement the oldest undelivered total waits for; nullopt: none waits.
  [[nodiscard]] std::optional<Rank> blocker() const;
  /// R11: number of totals delivered in this view, and the hash chain over them.
  [[nodiscard]] std::uint64_t delivered_totals() const;
  [[nodiscard]] std::uint64_t delivery_hash() const;

  // ---- re-sending and the view change
  /// Held runs of `sender` that cover lo..hi (R9, V7): for own streams with `deps` made complete, so that the first run re-sent
  /// after a break carries all that the receiver may lack.
  [[nodiscard]] std::vector<RunPtr> range(Rank sender, Seq lo, Seq hi) const;
  /// V7: stores a forwarded run in the wedged view. It is neither acknowledged nor delivered.
  Receipt forward(Rank sender, RunPtr run);
  /// V7: everything up to the cut is held.
  [[nodiscard]] bool has_all(const Counts& cut) const;
  /// V10: D <= cut <= R for every member. False: the caller stops the daemon (C1).
  [[nodiscard]] bool cut_is_sane(const Counts& cut) const;
  /// V10: delivers what is left up to the cut in key order, without messages whose dependencies are lost; returns the closed cut.
  Counts close(const Counts& cut, std::vector<Delivery>& out);
  /// C3: how many own messages everybody who goes on delivers, given the cut of the view that excludes this daemon.
  [[nodiscard]] Seq fate(const Counts& cut) const;
  [[nodiscard]] std::uint64_t trimmed() const;  ///< messages skipped by close()
};

}  // namespace vsync::core
