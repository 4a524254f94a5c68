#include "io/control_holds.h"

#include <algorithm>

#include "io/control_model.h"

namespace vsync::io {

namespace {

void fill_holder(pb::Holder& out, const core::GroupMember& member, std::chrono::steady_clock::time_point since) {
  fill(*out.mutable_member(), member);
  const auto time = std::chrono::steady_clock::now() - since;
  out.set_since_us(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()));
}

}  // namespace

pb::Event GroupHolds::event_of(const Hold& hold) {
  pb::Event event;
  event.mutable_group_held()->set_group(hold.name);
  for (const auto& [member, since] : hold.by) {
    fill_holder(*event.mutable_group_held()->add_by(), member, since);
  }
  return event;
}

pb::Event GroupHolds::apply(const core::GroupHeld& effect) {
  Hold& hold = holds_[effect.group];
  hold.name = effect.name.empty() ? hold.name : effect.name;
  const auto before = std::exchange(hold.by, {});
  for (const auto& member : effect.by) {
    const auto known = std::find_if(before.begin(), before.end(), [&](const auto& entry) { return entry.first == member; });
    hold.by.emplace_back(member, known == before.end() ? Clock::now() : known->second);
  }
  auto event = event_of(hold);
  if (hold.by.empty()) {
    holds_.erase(effect.group);
  }
  return event;
}

std::vector<pb::Event> GroupHolds::events() const {
  std::vector<pb::Event> events;
  for (const auto& [group, hold] : holds_) {
    events.push_back(event_of(hold));
  }
  return events;
}

void GroupHolds::fill(pb::Status& status) const {
  for (auto& group : *status.mutable_groups()) {
    for (const auto& [id, hold] : holds_) {
      for (const auto& [member, since] : hold.by) {
        if (hold.name == group.group()) {
          fill_holder(*group.add_held_by(), member, since);
        }
      }
    }
  }
}

}  // namespace vsync::io
