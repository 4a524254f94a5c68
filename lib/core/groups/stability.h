// G9: how far the messages of a group are held by every member's daemon, for local members that asked to be told.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <vector>

#include "core/model/effect.h"
#include "core/model/message.h"

namespace vsync::core {

/// A total is settled when it is delivered (R6), so only fifo and causal messages are counted here until they are. Beside the
/// replicated table: nothing of it goes to others.
class Stability {
 public:
  /// From the next view of the group on.
  void watch(GroupId group, ClientId client) { groups_[group].clients.insert(client); }
  void forget(GroupId group, ClientId client);
  void gone(ClientId client);
  /// A view of the group: positions begin anew.
  void changed(const GroupView& view);
  /// A run got its place in the group; its last message has this position.
  void placed(GroupId group, const Pid& sender, const Run& run, std::uint64_t position);
  /// `settled(sender)`: how many of its messages are settled. Asked for those only whose messages wait.
  template <typename Settled>
  void advance(Settled settled) {
    for (auto& [sender, runs] : waiting_) {
      const Seq seq = runs.empty() ? 0 : settled(sender);
      for (; !runs.empty() && runs.front().last <= seq; runs.pop_front()) {
        reached(sender, runs.front());
      }
    }
  }
  /// V11: whatever was delivered is inside the closed cut, so everybody who goes on delivers it.
  void all_settled();
  /// What has changed since the last call.
  void tell(Effects& effects);

 private:
  struct Watched {
    std::set<ClientId> clients;
    std::uint64_t token = 0;
    std::uint64_t totals = 0;
    std::map<Pid, std::uint64_t> others;
    bool news = false;
  };
  struct Waiting {
    Seq last = 0;
    GroupId group = 0;
    std::uint64_t token = 0;
    std::uint64_t position = 0;
  };

  void reached(const Pid& sender, const Waiting& placed);

  std::map<GroupId, Watched> groups_;
  std::map<Pid, std::deque<Waiting>> waiting_;  ///< by sender, in the order of its stream
};

}  // namespace vsync::core
