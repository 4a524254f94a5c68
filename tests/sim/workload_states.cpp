// Replicas among the applications: they take the state of their group, keep it, and give it (T1, T2).
#include <algorithm>

#include "sim/workload.h"

namespace vsync::sim {

using namespace core;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kScriptedState = 20'000;  // bytes: some pieces

}  // namespace

void Workload::state_effect(HostId host, const Effect& effect) {
  if (const auto* installed = std::get_if<GroupViewInstalled>(&effect)) {
    view_of_replicas(host, *installed);
  } else if (const auto* messages = std::get_if<DeliverMessages>(&effect)) {
    messages_of_replicas(host, *messages);
  } else if (const auto* asked = std::get_if<StateRequested>(&effect)) {
    state_asked(host, *asked);
  } else if (const auto* arrived = std::get_if<StateArrived>(&effect)) {
    state_arrived(host, *arrived);
  } else if (const auto* done = std::get_if<RequestDone>(&effect)) {
    answered(host, done->client, done->request, false);
  } else if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
    answered(host, refused->client, refused->request, true);
  } else if (const auto* dismissed = std::get_if<ClientDismissed>(&effect)) {
    if (appetite_.refuses <= 0 && appetite_.stuck <= 0) {
      broken(host, dismissed->client, "dismissed although everybody does what it should");
    }
    if (auto* self = find(host, dismissed->client)) {
      self->replicas.erase(dismissed->name);
      self->groups.erase(dismissed->name);
      self->leased.erase(dismissed->name);
    }
  }
}

void Workload::view_of_replicas(HostId host, const GroupViewInstalled& effect) {
  const auto& view = *effect.group_view;
  for (auto& [name, self] : clients_) {
    if (name.first != host || !effect.audience.includes(self.id)) {
      continue;
    }
    const auto it = self.replicas.find(view.name);
    const auto is_in = [&, id = self.id](const std::vector<GroupMember>& list) {
      return std::any_of(list.begin(), list.end(), [&](const auto& m) { return m.client == id && m.pid == world_.pid(host); });
    };
    if (it == self.replicas.end()) {
      continue;
    }
    if (!is_in(view.members) && it->second.group() == view.group) {
      self.replicas.erase(it);  // it left
      continue;
    }
    if (is_in(view.joined)) {
      it->second.enter(view.group);
    }
    // One that the group does not know to have the state yet may still be given another one: when the group begins anew.
    if (it->second.has_state() && !is_in(view.without_state)) {
      world_.record(host, check::StateAt{view.group, view.token, self.id, it->second.hash()});
    }
    if (!effect.audience.only.empty()) {
      read_later(host, self.id);
    }
  }
}

void Workload::messages_of_replicas(HostId host, const DeliverMessages& messages) {
  for (auto& [name, self] : clients_) {
    if (name.first != host || !messages.audience.includes(self.id) || (messages.direct != 0 && messages.direct != self.id)) {
      continue;
    }
    for (auto& [group, replica] : self.replicas) {
      if (replica.group() != messages.group || messages.direct != 0) {
        continue;  // G7: what only one member gets changes no state
      }
      if (!replica.has_state()) {
        broken(host, self.id, "a message of " + group + " before the state");
      }
      if (!replica.durable) {
        replica.apply(messages);
        continue;
      }
      const auto ids = ids_in(messages);
      if (const auto why = replica.apply(messages, ids); !why.empty()) {
        broken(host, self.id, why);
      }
      if (messages.audience.only.empty()) {  // else it may be of an era before; see restored()
        world_.record(host, check::Kept{group, messages.history, ids});
      }
    }
    if (!messages.audience.only.empty()) {
      read_later(host, self.id);
    }
  }
}

void Workload::state_asked(HostId host, const StateRequested& asked) {
  auto* self = find(host, asked.client);
  const auto replica = self == nullptr ? decltype(self->replicas.begin()){} : self->replicas.find(asked.group);
  if (self == nullptr || replica == self->replicas.end()) {
    return;
  }
  if (!replica->second.has_state()) {
    broken(host, asked.client, "asked for a state that it has not");
    return;
  }
  auto& rng = world_.rng();
  const bool scripted = !running_ || appetite_.requests <= 0;
  if (!scripted && rng.chance(appetite_.refuses)) {
    world_.request(host, ClientState{self->id, self->next++, asked.group, asked.token, false, true, {}});
  } else if (scripted || !rng.chance(appetite_.refuses)) {
    replica->second.give(asked, scripted ? kScriptedState : rng.below(20) * rng.below(2000));
    give_more(host, asked.client, asked.group);
  }
}

/// At its own pace.
void Workload::give_more(HostId host, ClientId id, const std::string& group) {
  world_.scheduler().after(microseconds(world_.rng().below(2000)), [this, host, id, group] {
    auto* self = find(host, id);
    if (self == nullptr || !world_.running(host) || !self->replicas.contains(group)) {
      return;
    }
    auto piece = self->replicas.at(group).next_piece(id, self->next, 1 + world_.rng().below(5000));
    if (piece) {
      ++self->next;
      world_.request(host, std::move(*piece));
      give_more(host, id, group);
    }
  });
}

void Workload::answered(HostId host, ClientId id, RequestId request, bool refused) {
  if (auto* self = find(host, id)) {
    for (auto& [group, replica] : self->replicas) {
      if (replica.answered(request, refused)) {
        give_more(host, id, group);
      }
    }
  }
}

void Workload::state_arrived(HostId host, const StateArrived& piece) {
  for (const auto id : piece.clients) {
    auto* self = find(host, id);
    if (self == nullptr || !self->replicas.contains(piece.group)) {
      continue;
    }
    auto& replica = self->replicas.at(piece.group);
    if (const auto why = replica.arrive(piece); !why.empty()) {
      broken(host, id, why);
    }
    if (piece.last && !replica.durable) {  // of a durable group messages follow before it is the state at that view
      world_.record(host, check::StateAt{replica.group(), piece.token, id, replica.hash()});
    }
    read_later(host, id);
  }
}

void Workload::read_later(HostId host, ClientId id) {
  auto* self = find(host, id);
  if (self == nullptr || std::exchange(self->reading, true)) {
    return;
  }
  auto& rng = world_.rng();
  const bool stuck = running_ && appetite_.requests > 0 && rng.chance(appetite_.stuck);
  world_.scheduler().after(stuck ? Duration(milliseconds(rng.below(3000))) : Duration(microseconds(rng.below(3000))),
                           [this, host, id] {
                             if (auto* reader = find(host, id); reader != nullptr) {
                               reader->reading = false;
                               if (world_.running(host)) {
                                 world_.request(host, ClientRead{id});
                               }
                             }
                           });
}

void Workload::broken(HostId host, ClientId id, const std::string& why) {
  world_.record(host, check::StateBroken{"client " + std::to_string(id) + ": " + why});
}

void Workload::judge_states(check::Report& report) const {
  std::map<std::string, std::pair<bool, std::string>> groups;  // somebody has it; who waits
  for (const auto& [name, self] : clients_) {
    for (const auto& [group, replica] : self.replicas) {
      const bool patient = replica.durable && appetite_.stuck > 0;  // each of its many steps may take a while
      if (world_.running(name.first) && replica.group() != 0 && !patient) {
        auto& [has, waits] = groups[group];
        has = has || replica.has_state();
        waits += replica.has_state() ? "" : " n" + std::to_string(name.first) + "/" + name.second + " in " + group;
      }
    }
  }
  for (const auto& [group, state] : groups) {
    if (state.first && !state.second.empty()) {
      report.violation("T2 state arrives", "without it to the end:" + state.second);
    }
  }
}

}  // namespace vsync::sim
