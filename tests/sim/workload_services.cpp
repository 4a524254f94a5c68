// Applications that send to several groups, to one member, and ask; and that look at what they are told (G6-G9).
#include <algorithm>

#include "sim/workload.h"

namespace vsync::sim {

using namespace core;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t kThinkMs = 10;  // a member that gets a request thinks at least so long,
constexpr std::uint64_t kMoreMs = 50;   // and up to so much longer
const std::vector<std::string> kGroups{"any", "some", "total"};

}  // namespace

const GroupView* Workload::known_view(HostId host, const std::string& group) const {
  const auto view = views_.find({host, group});
  return view == views_.end() || view->second->members.empty() ? nullptr : view->second.get();
}

/// What a send at random wants; nullopt: nothing special.
std::optional<SendWish> Workload::draw_wish(HostId host, const std::string& group) {
  auto& rng = world_.rng();
  const auto share = appetite_.several + appetite_.direct + appetite_.request;
  if (share <= 0 || !rng.chance(share)) {
    return std::nullopt;
  }
  SendWish wish;
  const auto which = static_cast<double>(rng.below(1000)) / 1000 * share;
  const auto* view = known_view(host, group);
  if (which < appetite_.several) {
    std::copy_if(kGroups.begin(), kGroups.end(), std::back_inserter(wish.more_groups),
                 [&](const auto& other) { return other != group && rng.chance(0.7); });
    return wish.more_groups.empty() ? std::nullopt : std::optional(wish);
  }
  if (which >= appetite_.several + appetite_.direct) {
    wish.wait = static_cast<Wait>(rng.below(3));
    wish.answer_within = milliseconds(20 + rng.below(1000));
  }
  if (!wish.wait || rng.chance(0.2)) {
    if (view == nullptr) {
      return std::nullopt;
    }
    const auto& member = view->members[rng.below(view->members.size())];
    wish.to = member.ref();
  }
  return wish;
}

void Workload::remember(HostId host, const Client& client, const SendWish& wish, const std::string& group, std::uint64_t first,
                        std::uint32_t count) {
  for (std::uint64_t id = first; id < first + count; ++id) {
    if (!wish.more_groups.empty()) {
      several_.insert(id);
    } else if (wish.to) {
      direct_[id] = *wish.to;
    }
  }
  auto groups = wish.more_groups;
  groups.push_back(group);
  to_groups_[{host, client.id, client.next}] = std::move(groups);
}

void Workload::judge_receipt(HostId host, const DeliverMessages& messages, check::Received& fact) {
  const auto id = fact.ids.front();
  const auto to = direct_.find(id);
  fact.several = several_.contains(id);
  fact.direct = to != direct_.end();
  if (fact.direct && (to->second.pid != world_.pid(host) || to->second.client != messages.direct)) {
    world_.record(host, check::Broken{"G7 one member", "message " + std::to_string(id) + " comes to others than it is for"});
  }
  if (messages.request != 0) {
    reply(host, messages);
  }
}

/// G6: at the place of the message all its groups have members, as the daemon of the sender sees it there.
void Workload::judge_outcome(HostId host, const SendOutcome& outcome) {
  const Asked key{host, outcome.client, outcome.request};
  const auto sent = to_groups_.find(key);
  if (sent == to_groups_.end()) {
    return;
  }
  for (const auto& group : sent->second) {
    const auto view = views_.find({host, group});
    if (outcome.outcome == Outcome::delivered && view != views_.end() && view->second->members.empty()) {
      world_.record(host, check::Broken{"G6 all or none", "delivered to " + group + ", which has no members"});
    }
  }
  to_groups_.erase(sent);
}

// ---------------------------------------------------------------- requests

/// Every member that gets a request thinks for a while; some never reply.
void Workload::reply(HostId host, const DeliverMessages& request) {
  const ClientRef asker{request.sender, request.client};
  for (const auto& [name, client] : clients_) {
    const auto id = client.id;
    const auto is_it = [&, here = world_.pid(host)](const auto& member) { return member.pid == here && member.client == id; };
    const auto asked = [&](const auto& entry) {
      return entry.first.first == host && entry.second->group == request.group &&
             std::ranges::any_of(entry.second->members, is_it);
    };
    if (name.first != host || !std::ranges::any_of(views_, asked) || (request.direct != 0 && request.direct != id) ||
        (appetite_.reply < 1 && !world_.rng().chance(appetite_.reply))) {
      continue;
    }
    world_.scheduler().after(milliseconds(kThinkMs + world_.rng().below(kMoreMs)),
                             [this, host, id, asker, number = request.request] { reply(host, id, asker, number); });
  }
}

void Workload::reply(HostId host, ClientId id, const ClientRef& asker, RequestId request) {
  auto* self = find(host, id);
  if (self == nullptr || !world_.running(host)) {
    return;
  }
  const auto key = std::tuple(asker, request, ClientRef{world_.pid(host), id});
  if (replies_.contains(key)) {
    return;
  }
  SendWish wish;
  wish.to = asker;
  wish.reply_to = request;
  const auto size = 1 + world_.rng().below(200);
  const auto content = body(1, size);
  replies_[key] = last_message_;
  world_.request(host, ClientSend{id, self->next++, "", Service::fifo, false, 1, 0, Slice::take(content),
                                  std::make_shared<const SendWish>(wish)});
}

/// G8: who is told to have replied has sent just that; who is out of the group was not waited for until the end.
void Workload::judge_answer(HostId host, const RequestAnswered& answer) {
  const auto broken = [&](const std::string& why) {
    world_.record(host, check::Broken{"G8 replies", "request " + std::to_string(answer.request) + ": " + why});
  };
  const ClientRef asker{world_.pid(host), answer.client};
  const auto sent = to_groups_.find({host, answer.client, answer.request});
  const auto group = sent == to_groups_.end() ? std::string() : sent->second.back();
  const auto view = views_.find({host, group});
  for (const auto& reply : answer.replies) {
    const auto known = replies_.find({asker, answer.request, reply.member.ref()});
    if (known == replies_.end() || known->second != id_of(reply.body.view())) {
      broken("a reply of " + to_string(reply.member.pid) + " that it did not send");
    }
  }
  for (const auto& missing : answer.missing) {
    const bool left = view != views_.end() && std::ranges::count(view->second->members, missing.member) == 0;
    if (missing.reason == "no_reply" && left) {
      broken("it waits for " + to_string(missing.member.pid) + ", which is in the group no more");
    }
  }
  to_groups_.erase({host, answer.client, answer.request});
  complete_ += answer.complete ? 1 : 0;
}

}  // namespace vsync::sim
