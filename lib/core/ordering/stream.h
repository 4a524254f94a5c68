// One sender's stream in a view, as far as it is held (protocol.md section 4: log[s]).
#pragma once

#include <deque>
#include <vector>

#include "core/model/message.h"

namespace vsync::core {

/// Does `counts` cover these dependencies?
[[nodiscard]] bool covers(const Counts& counts, const std::vector<RankCount>& deps);

/// The log of a stream: runs in sequence, from the first that is not settled to the last that is held. Two marks move through it
/// independently, "delivered up to here" and "stable up to here"; no question scans it.
class Stream {
 public:
  void append(RunPtr run);

  [[nodiscard]] const Run* undelivered() const { return at(delivered_runs_); }  ///< first undelivered run, nullptr = none
  [[nodiscard]] const Run* unstable() const { return at(stable_runs_); }        ///< first unstable run, nullptr = none
  [[nodiscard]] const Run* oldest() const { return at(0); }                     ///< first run in the log, nullptr = none
  [[nodiscard]] Stamp last_stamp() const { return last_stamp_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  ///< payload in the log

  /// R4: are the dependencies of undelivered() delivered? Resumes where the last call stopped, because counts only grow.
  [[nodiscard]] bool dependencies_met(const Counts& delivered);
  /// Moves the delivered mark over undelivered(), which must exist, and returns it.
  const RunPtr& deliver_next();
  /// Moves the stable mark: `count` messages of the stream are stable.
  void mark_stable(Seq count);
  /// R6: takes the oldest run out of the log if it is delivered, stable, and all its dependencies are `settled`. nullptr: not
  /// yet.
  RunPtr settle_oldest(const Counts& settled);

  /// Position in the log of the first run that reaches beyond `count`.
  [[nodiscard]] std::size_t position_after(Seq count) const;
  [[nodiscard]] const Run* at(std::size_t position) const { return position < log_.size() ? log_[position].get() : nullptr; }
  [[nodiscard]] const RunPtr& ptr(std::size_t position) const { return log_[position]; }

  /// Mutant fifo_overtakes only: moves the delivered mark to just before the next fifo run. False: there is none.
  bool skip_to_fifo();

 private:
  std::deque<RunPtr> log_;
  std::size_t delivered_runs_ = 0;  ///< so many runs at the front of the log are delivered
  std::size_t stable_runs_ = 0;     ///< so many runs at the front of the log are stable
  std::size_t deps_met_ = 0;        ///< so many dependencies of undelivered() are known to be delivered
  std::size_t deps_settled_ = 0;    ///< so many dependencies of oldest() are known to be settled
  std::size_t bytes_ = 0;
  Stamp last_stamp_ = 0;
};

}  // namespace vsync::core
