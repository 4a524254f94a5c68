// Applications of a durable group: what they are told to be durable, and what they have after all failures (K1 to K3).
#include "sim/workload.h"

namespace vsync::sim {

using namespace core;

void Workload::join_durable(HostId host, const std::string& name, const std::string& group, std::uint32_t disks) {
  auto& self = client(host, name);
  const bool asked =
      std::any_of(self.joins.begin(), self.joins.end(), [&](const auto& join) { return join.second.group == group; });
  if (asked || self.groups.contains(group) || self.replicas.contains(group)) {
    return;
  }
  self.joins[self.next] = {group, false, true};
  self.replicas[group].durable = true;
  ClientJoin join;
  join.client = self.id;
  join.request = self.next++;
  join.group = group;
  join.member_name = name;
  join.policy = {true, disks};
  join.state.wanted = true;
  world_.request(host, std::move(join));
}

void Workload::send_durable(HostId host, const std::string& name, const std::string& group, std::uint32_t count,
                            std::size_t size) {
  auto& self = client(host, name);
  for (std::uint32_t i = 0; i < count; ++i) {
    self.patient[self.next + i] = {group, last_message_ + 1 + i};
  }
  ClientSend send{self.id, self.next, group, Service::total, false, count, 0, Slice::take(body(count, size))};
  send.durable = true;
  world_.request(host, std::move(send));
  self.next += count;
}

void Workload::act_durable(HostId host, const std::string& name) {
  const std::string group = "kept";
  auto& rng = world_.rng();
  auto& self = client(host, name);
  if (rng.chance(appetite_.die)) {
    die(host, name);
  } else if (!self.replicas.contains(group) && !self.joins.contains(self.next)) {
    join_durable(host, name, group, appetite_.disks);
  } else if (rng.chance(appetite_.leave) && self.groups.contains(group)) {
    leave(host, name, group);
  } else if (!self.paused) {
    const auto limit = world_.setup().limits.max_run_bytes;
    const auto size =
        rng.chance(appetite_.large) ? limit + rng.below(2 * limit) : 1 + rng.below(std::min(limit / 2, appetite_.max_size));
    const auto count = size < limit && rng.chance(appetite_.batch) ? static_cast<std::uint32_t>(1 + rng.below(8)) : 1U;
    if (rng.chance(appetite_.patient)) {
      send_durable(host, name, group, count, size);
    } else {
      send(host, name, group, Service::total, count, size, false);
    }
  }
}

void Workload::told_durable(HostId host, const SendOutcome& outcome) {
  auto* self = find(host, outcome.client);
  if (self == nullptr) {
    return;
  }
  for (std::uint32_t i = 0; i < outcome.count; ++i) {
    const auto sent = self->patient.extract(outcome.request + i);
    if (sent.empty()) {
      continue;
    }
    if (outcome.durable) {
      const auto& [group, id] = sent.mapped();
      world_.record(host, check::ToldDurable{group, {outcome.history.era, outcome.history.index + i}, {id}});
      ++durable_;
    } else if (outcome.outcome == Outcome::delivered) {
      broken(host, self->id, "K2: told of a delivery that may be lost");
    }
  }
}

void Workload::restored(HostId host, const std::vector<ClientId>& clients, const std::string& group, const HistoryPosition& end) {
  for (const auto id : clients) {
    auto* self = find(host, id);
    if (self == nullptr || !self->replicas.contains(group)) {
      continue;
    }
    const auto& replica = self->replicas.at(group);
    if (replica.ids().size() != end.index) {
      broken(host, id,
             "goes on from " + std::to_string(end.index) + " with " + std::to_string(replica.ids().size()) + " messages");
    }
    world_.record(host, check::Kept{group, {end.era, 1}, replica.ids()});
    ++restored_;
  }
}

}  // namespace vsync::sim
