// What the disk has of groups that nobody here is a member of.
#include <utility>

#include "durable/keeper.h"

namespace vsync::durable {

/// K3. What cannot be read counts as lost, as when a member joins (Store::open).
void Keeper::apply(const core::HistoryAsked& effect) {
  if (const auto* kept = find(effect.group); kept != nullptr && kept->open) {
    return home_.input(core::HistoryTold{effect.id, kept->contents.kept});
  }
  store_.kept(effect.group,
              [this, group = effect.group, id = effect.id, alive = std::weak_ptr(alive_)](Result<KeptHistory> kept) {
                if (alive.expired()) {
                  return;
                }
                if (!kept) {
                  home_.report(group, "what the disk has cannot be read, and counts as lost: " + kept.error().message);
                }
                home_.input(core::HistoryTold{id, kept ? std::move(*kept) : KeptHistory{}});
              });
}

}  // namespace vsync::durable
