#include "core/groups/stability.h"

#include <utility>

#include "core/model/mutant.h"

namespace vsync::core {

void Stability::forget(GroupId group, ClientId client) {
  const auto watched = groups_.find(group);
  if (watched != groups_.end() && watched->second.clients.erase(client) > 0 && watched->second.clients.empty()) {
    groups_.erase(watched);
  }
}

void Stability::gone(ClientId client) {
  for (auto it = groups_.begin(); it != groups_.end();) {
    forget((it++)->first, client);
  }
}

void Stability::changed(const GroupView& view) {
  if (const auto watched = groups_.find(view.group); watched != groups_.end()) {
    watched->second = {std::move(watched->second.clients), view.token, 0, {}, false};
  }
}

void Stability::placed(GroupId group, const Pid& sender, const Run& run, std::uint64_t position) {
  const auto watched = groups_.find(group);
  if (watched == groups_.end()) {
    return;
  }
  if (run.service == Service::total) {
    watched->second.totals = position;
    watched->second.news = true;
    return;
  }
  const Waiting placed{run.last(), group, watched->second.token, position};
  if (mutant(Mutant::stable_on_delivery)) {
    reached(sender, placed);
  } else {
    waiting_[sender].push_back(placed);
  }
}

void Stability::reached(const Pid& sender, const Waiting& placed) {
  const auto watched = groups_.find(placed.group);
  if (watched != groups_.end() && watched->second.token == placed.token) {
    watched->second.others[sender] = placed.position;
    watched->second.news = true;
  }
}

void Stability::all_settled() {
  for (const auto& [sender, runs] : std::exchange(waiting_, {})) {
    for (const auto& placed : runs) {
      reached(sender, placed);
    }
  }
}

void Stability::tell(Effects& effects) {
  for (auto& [group, watched] : groups_) {
    if (std::exchange(watched.news, false)) {
      effects.push_back(StableReached{group,
                                      {watched.clients.begin(), watched.clients.end()},
                                      watched.token,
                                      watched.totals,
                                      {watched.others.begin(), watched.others.end()}});
    }
  }
}

}  // namespace vsync::core
