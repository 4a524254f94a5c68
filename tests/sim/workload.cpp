#include "sim/workload.h"

#include <algorithm>

namespace vsync::sim {

using namespace core;

namespace {

constexpr std::size_t kIdSize = 8;

char filler(std::uint64_t id, std::size_t at) {
  return static_cast<char>((id * 31 + at * 7) & 0xffU);
}

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out += static_cast<char>((value >> (8 * i)) & 0xffU);
  }
}

std::uint64_t take(std::string_view& in, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[static_cast<std::size_t>(i)])) << (8 * i);
  }
  in.remove_prefix(static_cast<std::size_t>(bytes));
  return value;
}

/// The id in a message; 0 if it is not what was sent.
std::uint64_t checked_id(std::string_view message) {
  if (message.size() < kIdSize) {
    return 0;
  }
  const auto id = take(message, kIdSize);
  for (std::size_t at = 0; at < message.size(); ++at) {
    if (message[at] != filler(id, at)) {
      return 0;
    }
  }
  return id;
}

}  // namespace

Workload::Client& Workload::client(HostId host, const std::string& name) {
  auto& client = clients_[{host, name}];
  if (client.id == 0) {
    client.id = ++last_client_;
  }
  return client;
}

Workload::Client* Workload::find(HostId host, ClientId id) {
  for (auto& [name, client] : clients_) {
    if (name.first == host && client.id == id) {
      return &client;
    }
  }
  return nullptr;
}

// ---------------------------------------------------------------- requests

void Workload::join(HostId host, const std::string& name, const std::string& group, const JoinWish& wish) {
  auto& self = client(host, name);
  const bool asked =
      std::any_of(self.joins.begin(), self.joins.end(), [&](const auto& join) { return join.second.group == group; });
  const bool wanted = wish.state.wanted && !asked && !self.groups.contains(group) && !self.replicas.contains(group);
  self.joins[self.next] = {group, wish.lease, wanted};
  if (wanted) {
    self.replicas[group];
  }
  ClientJoin join{self.id, self.next++, group, name, GroupPolicy{wish.total_only}, wish.lease, {}, wish.stability};
  join.state = wanted ? wish.state : StateWish{};
  world_.request(host, std::move(join));
}

void Workload::leave(HostId host, const std::string& name, const std::string& group) {
  auto& self = client(host, name);
  self.groups.erase(group);
  self.held.erase(group);
  self.leased.erase(group);
  world_.request(host, ClientLeave{self.id, self.next++, group});
}

std::string Workload::body(std::uint32_t count, std::size_t size) {
  std::string out;
  out.reserve(count * (size + 4));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto id = ++last_message_;
    put(out, std::max(size, kIdSize), 4);
    put(out, id, kIdSize);
    for (std::size_t at = 0; at + kIdSize < size; ++at) {
      out += filler(id, at);
    }
  }
  return out;
}

void Workload::send(HostId host, const std::string& name, const std::string& group, Service service, std::uint32_t count,
                    std::size_t size, bool fenced, const SendWish* wish) {
  auto& self = client(host, name);
  const auto token = fenced ? self.tokens[group] : 0;
  for (std::uint32_t i = 1; token != 0 && i <= count; ++i) {
    fences_[last_message_ + i] = token;
  }
  if (wish != nullptr) {
    remember(host, self, *wish, group, last_message_ + 1, count);
  }
  world_.request(host, ClientSend{self.id, self.next, group, service, false, count, token, Slice::take(body(count, size)),
                                  wish != nullptr ? std::make_shared<const SendWish>(*wish) : nullptr});
  self.next += count;
}

void Workload::die(HostId host, const std::string& name) {
  const auto it = clients_.find({host, name});
  if (it != clients_.end()) {
    world_.request(host, ClientGone{it->second.id});
    clients_.erase(it);
  }
}

void Workload::hold(HostId host, const std::string& name, const std::string& group, bool held) {
  auto& self = client(host, name);
  held ? static_cast<void>(self.held.insert(group)) : static_cast<void>(self.held.erase(group));
  world_.request(host, ClientHold{self.id, self.ids[group], held});
}

/// Everybody reads again.
void Workload::stop() {
  running_ = false;
  for (auto& [name, self] : clients_) {
    for (const auto& group : std::set<std::string>(self.held)) {
      if (world_.running(name.first)) {
        hold(name.first, name.second, group, false);
      }
    }
  }
}

// ---------------------------------------------------------------- at random

void Workload::go() {
  running_ = true;
  for (const auto host : world_.hosts()) {
    if (!world_.witness(host)) {
      act(host);
    }
  }
}

void Workload::act(HostId host) {
  if (!running_) {
    return;
  }
  auto& rng = world_.rng();
  const auto mean = appetite_.requests <= 0 ? 1e9 : 1e9 / appetite_.requests;
  world_.scheduler().after(Duration(1 + rng.below(static_cast<std::uint64_t>(2 * mean))), [this, host] { act(host); });
  if (!world_.running(host) || appetite_.requests <= 0) {
    return;
  }
  if (rng.chance(appetite_.survivor)) {
    return survivors_.act(host);
  }
  const auto name = "c" + std::to_string(rng.below(appetite_.clients));
  auto& self = client(host, name);
  if (host <= appetite_.disks && rng.chance(appetite_.durable)) {
    return act_durable(host, name);
  }
  const std::string group = std::vector<std::string>{"any", "some", "total"}[rng.below(3)];
  const bool total_only = group == "total";
  if (rng.chance(appetite_.die)) {
    die(host, name);
  } else if (self.groups.empty() ? rng.chance(0.5) : rng.chance(appetite_.join)) {
    const auto wants = [&](double chance) { return chance > 0 && rng.chance(chance); };
    JoinWish wish{total_only, wants(appetite_.lease), wants(appetite_.stability), {.wanted = rng.chance(appetite_.replica)}};
    wish.state.offer = rng.below(4);
    join(host, name, group, wish);
  } else if (appetite_.hold > 0 &&
             (self.held.contains(group) ? rng.chance(0.3) : self.groups.contains(group) && rng.chance(appetite_.hold))) {
    hold(host, name, group, !self.held.contains(group));
  } else if (rng.chance(appetite_.leave) && self.groups.contains(group)) {
    leave(host, name, group);
  } else if (!self.paused) {
    const auto wish = draw_wish(host, group);
    const bool ordered = total_only || !self.groups.contains(group) || (wish && !wish->to) || (wish && wish->wait);
    const auto service = ordered ? Service::total : static_cast<Service>(rng.below(3));
    const bool large = rng.chance(appetite_.large);
    const auto limit = world_.setup().limits.max_run_bytes;
    const auto size = large ? std::min(limit + rng.below(3 * limit), world_.setup().limits.max_message - 16)
                            : 1 + rng.below(std::min(limit / 2, appetite_.max_size));
    const bool batch = !large && rng.chance(appetite_.batch) && !(wish && wish->wait);
    const auto count = batch ? static_cast<std::uint32_t>(1 + rng.below(8)) : 1U;
    send(host, name, group, service, count, size, rng.chance(appetite_.fenced) && !wish, wish ? &*wish : nullptr);
  }
}

// ---------------------------------------------------------------- answers

void Workload::effect(HostId host, const Effect& effect) {
  state_effect(host, effect);
  survivors_.effect(host, effect);
  if (const auto* messages = std::get_if<DeliverMessages>(&effect)) {
    if (messages->audience.only.empty()) {
      received(host, *messages);
    }
  } else if (const auto* done = std::get_if<RequestDone>(&effect)) {
    auto* self = find(host, done->client);
    if (self != nullptr && self->joins.contains(done->request)) {
      const auto& join = self->joins[done->request];
      self->groups.insert(join.group);
      self->leased.erase(join.group);  // it may have come back without: what it asked before it left is over
      if (join.lease) {
        self->leased.insert(join.group);
      }
      self->joins.erase(done->request);
    }
  } else if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
    if (auto* self = find(host, refused->client); self != nullptr && self->joins.contains(refused->request)) {
      if (const auto join = self->joins.extract(refused->request).mapped(); join.state) {
        self->replicas.erase(join.group);
      }
    }
  } else if (const auto* pause = std::get_if<PauseClient>(&effect)) {
    if (auto* self = find(host, pause->client)) {
      self->paused = pause->paused;
    }
  } else if (const auto* outcome = std::get_if<SendOutcome>(&effect)) {
    told_durable(host, *outcome);
    judge_outcome(host, *outcome);
  } else if (const auto* answer = std::get_if<RequestAnswered>(&effect)) {
    judge_answer(host, *answer);
  } else if (const auto* stable = std::get_if<StableReached>(&effect)) {
    world_.record(host, check::ToldStable{stable->group, stable->token, stable->position, stable->others});
  } else if (const auto* installed = std::get_if<GroupViewInstalled>(&effect)) {
    if (installed->audience.only.empty()) {
      views_[{host, installed->group_view->name}] = installed->group_view;
    }
    for (auto& [name, self] : clients_) {
      if (name.first == host) {
        self.tokens[installed->group_view->name] = installed->group_view->token;
        self.ids[installed->group_view->name] = installed->group_view->group;
      }
    }
  }
}

std::vector<std::uint64_t> Workload::ids_in(const DeliverMessages& messages) {
  std::vector<std::uint64_t> ids;
  auto rest = messages.body.view();
  for (std::uint32_t i = 0; i < messages.count; ++i) {
    const auto size = rest.size() < 4 ? rest.size() + 1 : take(rest, 4);
    if (size > rest.size()) {
      ids.push_back(0);
      break;
    }
    ids.push_back(checked_id(rest.substr(0, size)));
    rest.remove_prefix(size);
  }
  return ids;
}

void Workload::received(HostId host, const DeliverMessages& messages) {
  check::Received fact{messages.group, messages.token, messages.view, messages.sender, messages.service, messages.position, {},
                       false,          false,          false};
  fact.ids = ids_in(messages);
  for (const auto id : fact.ids) {
    const auto fence = fences_.find(id);
    fact.wrong_view = fact.wrong_view || (fence != fences_.end() && fence->second != messages.token);
  }
  received_ += fact.ids.size();
  judge_receipt(host, messages, fact);
  world_.record(host, std::move(fact));
}

std::uint64_t Workload::id_of(std::string_view message) {
  return checked_id(message);
}

std::vector<std::string> Workload::leaders_without_lease() const {
  std::vector<std::string> found;
  for (const auto host : world_.hosts()) {
    if (!world_.running(host)) {
      continue;
    }
    const auto status = world_.status(host);
    for (const auto& group : status.groups) {
      const auto& leader = group->members.front();
      const auto asked = [&](const auto& entry) {
        return entry.first.first == host && entry.second.id == leader.client && entry.second.leased.contains(group->name);
      };
      if (leader.pid == status.self.pid && std::any_of(clients_.begin(), clients_.end(), asked) &&
          !status.leases.contains(group->group)) {
        found.push_back(to_string(leader.pid) + " leads " + group->name);
      }
    }
  }
  return found;
}

void Workload::process_ended(HostId host, bool crashed) {
  std::erase_if(views_, [&](const auto& entry) { return entry.first.first == host; });
  std::erase_if(to_groups_, [&](const auto& entry) { return std::get<0>(entry.first) == host; });
  survivors_.process_ended(host, crashed);
  if (crashed) {
    std::erase_if(clients_, [&](const auto& entry) { return entry.first.first == host; });
    return;
  }
  for (auto& [name, self] : clients_) {
    if (name.first == host) {
      self.groups.clear();
      self.leased.clear();
      self.joins.clear();
      self.tokens.clear();
      self.held.clear();
      self.paused = false;
      self.replicas.clear();
    }
  }
}

}  // namespace vsync::sim
