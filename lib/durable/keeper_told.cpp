// What the disk has of groups that nobody here is a member of.
#include <utility>

#include "durable/keeper.h"

namespace vsync::durable {

/// K3. What is damaged counts as lost, as when a member joins (Store::open). What cannot be read now may well be there: saying
/// that there is nothing would let the group begin anew beside it, so nothing is said until it can be read.
void Keeper::apply(const core::HistoryAsked& effect) {
  asked_[effect.id] = {effect.group, {}, false};
  look(effect.id);
}

void Keeper::look(core::GroupId id) {
  const auto group = asked_.at(id).group;
  if (const auto* kept = find(group); kept != nullptr && kept->open) {
    asked_.erase(id);
    return home_.input(core::HistoryTold{id, kept->contents.kept});
  }
  asked_.at(id).looking = true;
  store_.kept(group, [this, id, group, alive = std::weak_ptr(alive_)](Result<Contents> contents) {
    if (alive.expired()) {
      return;
    }
    const auto asked = asked_.find(id);
    if (asked == asked_.end()) {
      return;
    }
    asked->second.looking = false;
    if (!contents) {
      if (std::exchange(asked->second.problem, contents.error().message) != contents.error().message) {
        home_.report(group, "what the disk has cannot be read, and is looked for again: " + contents.error().message);
      }
      return;  // until the next tick
    }
    if (!contents->damage.empty()) {
      home_.report(group, "what the disk has is damaged, and counts as lost: " + contents->damage);
    }
    asked_.erase(asked);
    home_.input(core::HistoryTold{id, std::move(contents->kept)});
  });
}

void Keeper::look_again() {
  for (auto it = asked_.begin(); it != asked_.end();) {
    const auto& [id, asked] = *it++;  // it may be told at once
    if (!asked.looking) {
      look(id);
    }
  }
}

}  // namespace vsync::durable
