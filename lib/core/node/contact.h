// F10: when a quorum of the view was last known not to have given it up.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "core/model/view.h"

namespace vsync::core {

/// Fed with answers to heartbeats: a member that says, un-wedged in our view, that it had a heartbeat of ours, had promised the
/// view away to nobody when that heartbeat was sent; so had a witness that names the view. It never takes that back, so an answer
/// may be late, lost or repeated.
class Contact {
 public:
  void install(ViewPtr view) {
    view_ = std::move(view);
    answered_.clear();
  }

  void answered(const Pid& member, Time sent) {
    auto& last = answered_[member];
    last = std::max(last, sent);
  }

  /// The latest time at which a quorum, this daemon included, was in the view. nullopt: not known of a quorum.
  [[nodiscard]] std::optional<Time> since(const Member& self, Time now) const;

 private:
  ViewPtr view_;
  std::map<Pid, Time> answered_;  ///< newest heartbeat of ours that it had, by when we sent it
};

}  // namespace vsync::core
