// Which members this daemon may send view traffic to, and how: LINKUP, resumption, acknowledgement strategies (R9, section 13).
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/model/effect.h"
#include "core/model/frame.h"
#include "core/model/view.h"
#include "core/ordering/ordering.h"

namespace vsync::core {

/// The outgoing side of one view. A stream to a member opens when its LINKUP of this view arrives and closes with its link.
class Streams {
 public:
  explicit Streams(const Limits& limits) : limits_(limits) {}

  void install(ViewPtr view, Rank self, Time now);
  /// Nothing of this view is sent any more (V4).
  void close_all();
  void link_closed(const Pid& peer);

  /// R9: `peer` is in our view and holds our messages up to `received`: re-sends the rest and states what we hold.
  void open(Rank peer, Seq received, const Ordering& ordering, Effects& effects);
  void send_data(std::vector<RunPtr> runs, Effects& effects);
  /// R2: one coalesced acknowledgement at the end of a turn, directly or through the leader.
  void send_acks(Ordering& ordering, Effects& effects);
  /// Relay mode: an aggregate came.
  void aggregate_came(Time now) { last_aggregate_ = now; }
  /// Relay mode: without news from the leader for relay_to while something waits, acknowledge directly until the next view.
  void check_relay(Ordering& ordering, Time now, Effects& effects);
  [[nodiscard]] Time next_deadline(bool waiting) const;

  [[nodiscard]] bool relayed() const { return view_ && view_->members.size() > limits_.ack_direct_max; }
  [[nodiscard]] bool leads() const { return self_ == 0; }

 private:
  void send(Rank to, const FramePtr& frame, Effects& effects) const;
  void send_to_open(Frame frame, Effects& effects) const;
  void state_holdings(Rank to, const Ordering& ordering, Effects& effects) const;

  const Limits& limits_;
  ViewPtr view_;
  Rank self_ = 0;
  std::vector<bool> open_;  ///< by rank
  bool direct_ = true;      ///< acknowledgements go to everybody
  Time last_aggregate_{};
};

}  // namespace vsync::core
