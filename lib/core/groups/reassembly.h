// Fragments of large messages, until the last one is delivered.
#pragma once

#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "core/model/message.h"

namespace vsync::core {

/// All fragments of a message are bound in one view and delivered with nothing of their client to this group in between.
class Reassembly {
 public:
  explicit Reassembly(std::size_t max_message) : max_message_(max_message) {}

  /// Takes a delivered fragment; with the last one returns the message as the body of a run. Too long ones are dropped whole.
  std::optional<Slice> add(const Pid& sender, const Run& fragment);
  /// V11: everybody drops the beginnings of messages whose rest is not in the cut.
  void clear() { partial_.clear(); }
  /// G4: who left without having been asked sends no more in the group view: what it began there ends nowhere. Totals go on.
  void left(const Pid& sender, ClientId client, GroupId group) {
    const auto it = partial_.find(Key{sender, client, group});
    if (it != partial_.end() && it->second.service != Service::total) {
      partial_.erase(it);
    }
  }
  /// G2: a client that leaves behind what it had sent has ended it, or is gone and never will.
  void left(const Pid& sender, ClientId client) {
    std::erase_if(partial_, [&](const auto& entry) {
      return std::get<Pid>(entry.first) == sender && std::get<ClientId>(entry.first) == client;
    });
  }
  /// The group is gone: what was on its way to it ends nowhere.
  void forget(GroupId group) {
    std::erase_if(partial_, [&](const auto& entry) { return std::get<GroupId>(entry.first) == group; });
  }
  [[nodiscard]] std::size_t size() const { return partial_.size(); }  ///< unfinished messages

 private:
  struct Partial {
    Service service = Service::total;
    std::vector<Slice> pieces;
    std::size_t size = 0;  // bytes of all pieces so far, kept or not
  };
  using Key = std::tuple<Pid, ClientId, GroupId>;

  std::map<Key, Partial> partial_;
  std::size_t max_message_;
};

}  // namespace vsync::core
