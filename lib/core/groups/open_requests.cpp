#include "core/groups/open_requests.h"

#include <algorithm>

#include "core/model/mutant.h"

namespace vsync::core {

namespace {

bool replied_well(const auto& replies, const GroupMember& member) {
  const auto reply = replies.find(member.ref());
  return reply != replies.end() && !reply->second.too_large;
}

}  // namespace

/// Of `value(request)` over the open requests of a client.
template <typename Value>
std::size_t OpenRequests::sum(ClientId client, Value value) const {
  std::size_t sum = 0;
  for (auto it = requests_.lower_bound({client, 0}); it != requests_.end() && it->first.first == client; ++it) {
    sum += value(it->second);
  }
  return sum;
}

bool OpenRequests::full(ClientId client) const {
  return sum(client, [](const Open&) { return std::size_t{1}; }) >= kMaxOpen;
}

void OpenRequests::open(ClientId client, RequestId request, Wait wait, Duration within) {
  auto& open = requests_[{client, request}];
  open.wait = wait;
  open.within = within;
}

void OpenRequests::delivered(ClientId client, RequestId request, const GroupView& view, std::optional<ClientRef> to,
                             const std::set<ClientRef>& later) {
  const auto at = requests_.find({client, request});
  if (at == requests_.end()) {
    return;  // its deadline has passed
  }
  auto& open = at->second;
  open.group = view.group;
  open.alone = to.has_value();
  for (const auto& member : view.members) {
    const auto address = member.ref();
    if (!to || *to == address) {
      open.asked.push_back({member, !to && later.contains(address) ? "no_state" : ""});
    }
  }
  std::erase_if(open.replies, [&](const auto& reply) { return !is_asked(open, reply.first); });
  open.bytes = 0;
  for (const auto& [member, reply] : open.replies) {
    open.bytes += reply.body.size();
  }
}

void OpenRequests::outcome(ClientId client, RequestId request, Outcome outcome, ViewId view, std::uint64_t position,
                           std::string_view code, Effects& effects) {
  const auto at = requests_.find({client, request});
  if (at == requests_.end()) {
    return;
  }
  if (outcome == Outcome::delivered) {
    at->second.delivered = true;
    at->second.view = view;
    at->second.position = position;
    end_if_over(at, effects);
    return;
  }
  RequestAnswered answer;
  answer.client = client;
  answer.request = request;
  answer.outcome = outcome;
  answer.code = code;
  effects.push_back(std::move(answer));
  requests_.erase(at);
}

/// Nobody else's reply counts, or takes room. Before the request is delivered here that is not known.
bool OpenRequests::is_asked(const Open& open, const ClientRef& member) {
  return std::ranges::any_of(open.asked, [&](const Asked& asked) { return asked.member.ref() == member; });
}

/// The first reply of a member counts. It is copied: it waits, and must not keep the frame that it came in.
void OpenRequests::replied(const ClientRef& asker, RequestId request, const ClientRef& member, bool text, const Slice& body,
                           Effects& effects) {
  const auto at = requests_.find({asker.client, request});
  if (at == requests_.end() || (!at->second.delivered && mutant(Mutant::early_reply_lost))) {
    return;
  }
  auto& open = at->second;
  if (open.group != 0 && !is_asked(open, member)) {
    return;
  }
  const auto held = sum(asker.client, [](const Open& other) { return other.bytes; });
  const bool too_large = held + body.size() > kMaxBytes;
  const bool first =
      open.replies.try_emplace(member, Reply{text, too_large, too_large ? Slice() : Slice::copy_of(body.view())}).second;
  open.bytes += first && !too_large ? body.size() : 0;
  end_if_over(at, effects);
}

void OpenRequests::changed(const GroupView& view, const std::set<ClientRef>& later, Effects& effects) {
  if (mutant(Mutant::request_counts_leavers)) {
    return;
  }
  for (auto it = requests_.begin(); it != requests_.end();) {
    const auto at = it++;  // it may end here
    if (at->second.group != view.group) {
      continue;
    }
    for (auto& asked : at->second.asked) {
      const bool left = std::ranges::any_of(view.left, [&](const auto& departure) { return departure.member == asked.member; });
      const bool has_it = !at->second.alone && later.contains(asked.member.ref());
      asked.gone = left ? "left" : has_it ? "no_state" : asked.gone;
    }
    end_if_over(at, effects);
  }
}

void OpenRequests::gone(ClientId client) {
  std::erase_if(requests_, [&](const auto& entry) { return entry.first.first == client; });
}

void OpenRequests::excluded(Effects& effects) {
  for (auto it = requests_.begin(); it != requests_.end();) {
    it = end(it, effects);
  }
}

void OpenRequests::end_of_turn(Time now, Effects& effects) {
  for (auto it = requests_.begin(); it != requests_.end();) {
    auto& open = it->second;
    open.deadline = open.deadline.value_or(now + open.within);
    it = *open.deadline <= now ? end(it, effects) : std::next(it);
  }
}

Time OpenRequests::next_deadline() const {
  Time next = kNever;
  for (const auto& [key, open] : requests_) {
    next = std::min(next, open.deadline.value_or(kNever));
  }
  return next;
}

// ---------------------------------------------------------------- the end

std::size_t OpenRequests::wanted(const Open& open) {
  switch (open.wait) {
    case Wait::all:
      return open.asked.size();
    case Wait::majority:
      return open.asked.size() / 2 + 1;
    case Wait::first:
      return 1;
  }
  return 1;
}

/// There are as many replies as are waited for, or there cannot be.
bool OpenRequests::over(const Open& open) {
  std::size_t good = 0;
  std::size_t awaited = 0;
  for (const auto& asked : open.asked) {
    const auto address = asked.member.ref();
    good += replied_well(open.replies, asked.member) ? 1U : 0U;
    awaited += asked.gone.empty() && !open.replies.contains(address) ? 1U : 0U;
  }
  const bool all_heard = open.wait == Wait::all && awaited == 0;
  return open.delivered && (all_heard || (open.wait != Wait::all && (good >= wanted(open) || good + awaited < wanted(open))));
}

RequestAnswered OpenRequests::result(const Key& key, const Open& open) {
  RequestAnswered answer;
  answer.client = key.first;
  answer.request = key.second;
  answer.outcome = open.delivered ? Outcome::delivered : Outcome::unknown;
  answer.view = open.view;
  answer.position = open.position;
  answer.code = open.delivered ? "" : "timeout";
  for (const auto& asked : open.asked) {
    const auto reply = open.replies.find(asked.member.ref());
    if (!open.delivered) {
      continue;
    }
    if (replied_well(open.replies, asked.member)) {
      answer.replies.push_back({asked.member, reply->second.text, reply->second.body});
    } else {
      answer.missing.push_back({asked.member, reply != open.replies.end() ? "too_large"
                                              : asked.gone.empty()        ? "no_reply"
                                                                          : asked.gone});
    }
  }
  answer.complete = open.delivered && answer.replies.size() >= wanted(open);
  return answer;
}

OpenRequests::Requests::iterator OpenRequests::end(Requests::iterator at, Effects& effects) {
  effects.push_back(result(at->first, at->second));
  return requests_.erase(at);
}

void OpenRequests::end_if_over(Requests::iterator at, Effects& effects) {
  if (over(at->second)) {
    end(at, effects);
  }
}

}  // namespace vsync::core
