#include "core/groups/leases.h"

#include <algorithm>
#include <utility>

#include "core/model/mutant.h"

namespace vsync::core {

void Leases::changed(const GroupView& view, ClientId leader, bool ordered) {
  const bool given_up = std::ranges::all_of(view.left, [&](const GroupDeparture& departure) {
    return (ordered || mutant(Mutant::lease_leaver_trusted)) && departure.reason == LeaveReason::left;
  });
  if (!given_up && !mutant(Mutant::lease_no_wait)) {
    waits_[view.name] = kUnset;
  }
  const auto known = led_.find(view.group);
  if (leader == 0) {
    led_.erase(view.group);
  } else if (known != led_.end() && known->second.client == leader) {
    known->second.token = view.token;  // the same leader goes on with its lease, and is told so under the new token
    known->second.told = false;
  } else {
    led_[view.group] = {view.name, leader, view.token, Time{}, false, false};
  }
  renew_at_ = led_.empty() ? kNever : Time{};
}

void Leases::released(ClientId client, const std::string& group) {
  for (auto& [id, led] : led_) {
    if (led.client == client && led.name == group && !led.released) {
      led.released = true;
      led.until = {};
      released_.push_back({led.name, client, Time{}});
    }
  }
}

void Leases::gone(ClientId client) {
  std::erase_if(led_, [&](const auto& entry) { return entry.second.client == client; });
  renew_at_ = led_.empty() ? kNever : renew_at_;
}

void Leases::end_of_turn(Time now, Effects& effects) {
  for (auto& released : std::exchange(released_, {})) {
    if (trace_) {
      released.at = now;
      effects.push_back(Trace{std::move(released)});
    }
  }
  if (waits_.size() > kMany) {
    waits_.clear();
    everybody_waits_ = kUnset;
  }
  if (everybody_waits_ == kUnset) {
    everybody_waits_ = mutant(Mutant::lease_joiner_trusts) ? Time{} : now + limits_.lease_wait();
  }
  for (auto& [name, until] : waits_) {
    until = until == kUnset ? now + limits_.lease_wait() : until;
  }
  std::erase_if(waits_, [&](const auto& entry) { return entry.second <= now; });
}

bool Leases::waits(const std::string& name, Time now) const {
  return now < everybody_waits_ || waits_.contains(name);
}

void Leases::grant(Time backed, Time now, Effects& effects) {
  renew_at_ = led_.empty() ? kNever : now + limits_.heartbeat / 2;
  for (auto& [id, led] : led_) {
    const bool begins = led.until <= now;
    const Time until = std::max(led.until, backed + limits_.lease);
    const bool known = until == led.until && led.told;
    if (led.released || until <= now || known || (begins && waits(led.name, now))) {
      continue;
    }
    led.until = until;
    led.told = true;
    effects.push_back(LeaseGranted{led.client, id, led.token, until, limits_.lease});
    if (trace_) {
      effects.push_back(Trace{trace::LeaseGranted{led.name, led.client, led.token, now, until}});
    }
  }
}

Time Leases::until(GroupId group) const {
  const auto led = led_.find(group);
  return led == led_.end() ? Time{} : led->second.until;
}

}  // namespace vsync::core
