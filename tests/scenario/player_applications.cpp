// Commands about applications, time, and questions.
#include <algorithm>

#include "scenario/player.h"
#include "scenario/words.h"

namespace vsync::scenario {

using namespace core;
using sim::HostId;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// One client on each named machine (default: all that run) joins the group, without a word.
std::string Player::group(Words words) {
  quiet_ = true;
  std::vector<HostId> members = hosts(words);
  if (words.empty()) {
    for (const auto host : world_->hosts()) {
      if (world_->running(host)) {
        members.push_back(host);
      }
    }
  }
  for (const auto host : members) {
    workload_->join(host, kClient, kGroup, {});
  }
  const bool done = wait(
      [&] {
        return std::all_of(members.begin(), members.end(), [&](HostId host) {
          const auto groups = world_->status(host).groups;
          return std::any_of(groups.begin(), groups.end(), [&](const auto& g) { return g->members.size() == members.size(); });
        });
      },
      seconds(5));
  world_->run_until(world_->now() + milliseconds(100));
  quiet_ = false;
  return done ? "" : "the group does not form";
}

std::string Player::client_join(Words words) {
  if (words.size() < 3) {
    return "client-join HOST CLIENT GROUP [total-only] [lease] [stability] [state [offer N] [replicas N]] [durable DISKS]";
  }
  const auto wish = [&](const char* word) { return std::find(words.begin() + 3, words.end(), word) != words.end(); };
  StateWish state{.wanted = wish("state")};
  const auto host = static_cast<HostId>(number(words[0]));
  for (std::size_t i = 3; i + 1 < words.size(); ++i) {
    if (words[i] == "durable") {
      workload_->join_durable(host, words[1], words[2], static_cast<std::uint32_t>(number(words[i + 1])));
      return "";
    }
  }
  for (std::size_t i = 3; i + 1 < words.size(); ++i) {
    if (words[i] == "offer") {
      state.offer = number(words[i + 1]);
    } else if (words[i] == "replicas") {
      state.replicas = static_cast<std::uint32_t>(number(words[i + 1]));
    }
  }
  workload_->join(host, words[1], words[2], {wish("total-only"), wish("lease"), wish("stability"), state});
  return "";
}

std::string Player::client_leave(Words words) {
  if (words.size() < 3) {
    return "client-leave HOST CLIENT GROUP";
  }
  workload_->leave(static_cast<HostId>(number(words[0])), words[1], words[2]);
  return "";
}

std::string Player::client_die(Words words) {
  if (words.size() < 2) {
    return "client-die HOST CLIENT";
  }
  workload_->die(static_cast<HostId>(number(words[0])), words[1]);
  return "";
}

std::string Player::client_hold(Words words) {
  if (words.size() < 3) {
    return "client-hold HOST CLIENT GROUP [off]";
  }
  workload_->hold(static_cast<HostId>(number(words[0])), words[1], words[2], words.size() == 3);
  return "";
}

/// C6: this machine's client that outlives its connections.
std::string Player::session(Words words) {
  const auto host = words.size() == 2 ? static_cast<HostId>(number(words[0])) : 0;
  if (host == 0 || !world_->running(host)) {
    return "session HOST open|close|fifo|causal|total";
  }
  auto& survivors = workload_->survivors();
  if (words[1] == "open") {
    survivors.open(host);
  } else if (words[1] == "close") {
    survivors.disconnect(host);
  } else if (const auto kind = service(words[1])) {
    survivors.send(host, *kind, 16);
  } else {
    return "no such service";
  }
  return "";
}

std::string Player::submit(Words words) {
  const auto kind = words.size() < 2 ? std::nullopt : service(words[1]);
  if (!kind) {
    return "submit HOST|all fifo|causal|total [count N] [size N] [client C] [group G] [also GROUP]... [to HOST] [fenced] "
           "[durable]";
  }
  std::uint32_t count = 1;
  std::size_t size = 16;
  std::string client = kClient;
  std::string group = kGroup;
  bool fenced = false;
  SendWish wish;
  bool durable = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "fenced") {
      fenced = true;
    } else if (words[i] == "durable") {
      durable = true;
    } else if (i + 1 < words.size()) {
      const auto& value = words[++i];
      if (words[i - 1] == "count") {
        count = static_cast<std::uint32_t>(number(value));
      } else if (words[i - 1] == "size") {
        size = number(value);
      } else if (words[i - 1] == "client") {
        client = value;
      } else if (words[i - 1] == "group") {
        group = value;
      } else if (words[i - 1] == "also") {
        wish.more_groups.emplace_back(value);
      } else if (words[i - 1] == "to") {
        wish.to = workload_->address(static_cast<HostId>(number(value)), kClient);
      }
    }
  }
  for (const auto host : words[0] == "all" ? world_->hosts() : hosts(words.first(1))) {
    if (world_->running(host) && durable) {
      workload_->send_durable(host, client, group, count, size);
    } else if (world_->running(host)) {
      workload_->send(host, client, group, *kind, count, size, fenced, wish.to || !wish.more_groups.empty() ? &wish : nullptr);
    }
  }
  return "";
}

/// A request of a machine's client `c`; members reply within 60 ms.
std::string Player::ask(Words words) {
  const std::map<std::string, Wait> waits{{"all", Wait::all}, {"majority", Wait::majority}, {"first", Wait::first}};
  const auto wait = words.size() < 3 ? waits.end() : waits.find(words[1]);
  if (wait == waits.end()) {
    return "ask HOST all|majority|first TIME";
  }
  SendWish wish;
  wish.wait = wait->second;
  wish.answer_within = duration(words[2]);
  workload_->send(static_cast<HostId>(number(words[0])), kClient, kGroup, Service::total, 1, 16, false, &wish);
  return "";
}

/// Applications at random: so many requests of each machine in 100 s.
std::string Player::load(Words words) {
  if (words.size() != 1) {
    return "load REQUESTS|off";
  }
  if (words[0] == "off") {
    workload_->stop();
    return "";
  }
  sim::Appetite appetite;
  appetite.hold = 0;
  appetite.requests = static_cast<double>(number(words[0])) / 100;
  workload_->go(appetite);
  return "";
}

// ---------------------------------------------------------------- time and questions

std::string Player::run(Words words) {
  if (words.empty()) {
    return "run TIME";
  }
  for (const auto end = world_->now() + duration(words[0]); world_->now() < end;) {
    world_->run_until(std::min<Time>(end, world_->now() + seconds(1)));
    look_at_queues();
  }
  return "";
}

Player::Queues Player::longest_queues() const {
  Queues longest;
  for (const auto host : world_->hosts()) {
    if (world_->running(host)) {
      const auto status = world_->status(host);
      Seq held = 0;
      for (const auto& member : status.members) {
        held += member.received - member.stable;
      }
      longest.unbound = std::max<std::uint64_t>(longest.unbound, status.send_queue);
      longest.held = std::max(longest.held, held);
    }
  }
  return longest;
}

void Player::look_at_queues() {
  const auto now = longest_queues();
  seen_ = {std::max(seen_.unbound, now.unbound), std::max(seen_.held, now.held)};
}

/// The members by node, in seniority order, as all the machines `at` see them.
bool Player::in_view(const std::string& members, const std::vector<HostId>& at) const {
  return std::all_of(at.begin(), at.end(), [&](HostId host) {
    if (!world_->running(host)) {
      return false;
    }
    const auto status = world_->status(host);
    return status.view && (status.role == Role::member || status.role == Role::witness) && node_list(*status.view) == members;
  });
}

/// The nodes of the group's members, in seniority order, as all the machines `at` see them.
bool Player::has_members(const std::string& group, const std::string& members, const std::vector<HostId>& at) const {
  return std::all_of(at.begin(), at.end(), [&](HostId host) {
    std::string found;
    for (const auto& view : world_->running(host) ? world_->status(host).groups : std::vector<GroupViewPtr>{}) {
      for (const auto& member : view->name == group ? view->members : std::vector<GroupMember>{}) {
        found += (found.empty() ? "" : ",") + std::to_string(member.pid.node);
      }
    }
    return found == members;
  });
}

/// Does a client of this machine hold the group's lease, as its daemon knows?
bool Player::has_lease(HostId host, const std::string& group) const {
  if (!world_->running(host)) {
    return false;
  }
  const auto status = world_->status(host);
  return std::any_of(status.groups.begin(), status.groups.end(),
                     [&](const auto& view) { return view->name == group && status.leases.contains(view->group); });
}

std::string Player::until(Words words) {
  if (words.size() == 3 && words[0] == "lease") {
    const auto host = static_cast<HostId>(number(words[1]));
    return wait([&] { return has_lease(host, words[2]); }, seconds(30)) ? "" : "it gets none";
  }
  if (words.size() < 3 || words[0] != "view" || words[2] != "at") {
    return "until view 1,2,3 at HOST... | lease HOST GROUP";
  }
  const auto at = hosts(words.subspan(3));
  return wait([&] { return in_view(words[1], at); }, seconds(30)) ? "" : "it does not come to that";
}

/// All running machines come into one view; then everything that was sent is delivered.
std::string Player::settle(Words) {
  if (!wait([&] { return world_->common_view() != nullptr; }, seconds(60))) {
    return "no last view";
  }
  world_->run_until(world_->now() + seconds(3));
  settled_ = world_->common_view() != nullptr;
  return settled_ ? "" : "the view does not last";
}

std::string Player::frames(Words words) {
  world_->narrate_frames = words.empty() || words[0] != "off";
  return "";
}

std::string Player::quiet(Words) {
  quiet_ = true;
  return "";
}
std::string Player::loud(Words) {
  quiet_ = false;
  return "";
}

std::string Player::state(Words) {
  for (const auto host : world_->hosts()) {
    if (!world_->running(host)) {
      print("  n" + std::to_string(host) + " does not run");
      continue;
    }
    const auto status = world_->status(host);
    print("  " + to_string(world_->pid(host)) + " " + std::string(to_string(status.role)) +
          (status.view ? " in " + status.view->summary() : "") + (status.has_quorum ? "" : ", no quorum"));
  }
  return "";
}

std::string Player::expect(Words words) {
  if (words.size() >= 4 && words[0] == "view" && words[2] == "at") {
    return in_view(words[1], hosts(words.subspan(3))) ? "" : "it is not so";
  }
  if (words.size() >= 5 && words[0] == "members" && words[3] == "at") {
    return has_members(words[1], words[2], hosts(words.subspan(4))) ? "" : "it is not so";
  }
  if (words.size() == 3 && words[0] == "role") {
    const auto host = static_cast<HostId>(number(words[1]));
    const auto role = world_->running(host) ? std::string(to_string(world_->status(host).role)) : "down";
    return role == words[2] ? "" : "it is " + role;
  }
  if (words.size() == 3 && (words[0] == "lease" || words[0] == "no-lease")) {
    const bool has = has_lease(static_cast<HostId>(number(words[1])), words[2]);
    return has == (words[0] == "lease") ? "" : has ? "it has it" : "it has none";
  }
  if (words.size() == 2 && words[0] == "complete") {
    const auto complete = workload_->complete_requests();
    return complete == number(words[1]) ? "" : std::to_string(complete) + " requests got what they waited for";
  }
  if (words.size() >= 3 && words[0] == "step") {
    const auto taken = world_->step_counts[words[1]];
    const bool good = words.size() > 3 ? taken == number(words[2]) : taken >= number(words[2]);
    return good ? "" : "taken " + std::to_string(taken) + " times";
  }
  if (words.size() >= 3 && words[0] == "queues") {
    const auto queues = words.size() > 3 ? longest_queues() : seen_;
    const bool bounded = queues.unbound <= number(words[1]) && queues.held <= number(words[2]);
    return bounded ? "" : std::to_string(queues.unbound) + " unbound, " + std::to_string(queues.held) + " held";
  }
  return "expect view 1,2 at HOST... | members GROUP 1,2 at HOST... | role HOST ROLE | step NAME COUNT [exactly] | queues "
         "UNBOUND HELD [now] | "
         "[no-]lease HOST GROUP | complete COUNT";
}

}  // namespace vsync::scenario
