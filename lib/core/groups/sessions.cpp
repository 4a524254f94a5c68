#include "core/groups/sessions.h"

#include <algorithm>
#include <iterator>

#include "core/model/codec.h"
#include "core/model/mutant.h"

namespace vsync::core {

namespace {

constexpr std::size_t kRangeSize = 16;
constexpr std::size_t kSessionSize = 8 + kClientRefSize + 8 + 8 + 4;  // at least

}  // namespace

Sessions::Opening Sessions::open(SessionId id, const ClientRef& owner, std::uint64_t first) {
  const auto it = sessions_.find(id);
  const bool open = it != sessions_.end() && it->second.closed == 0;
  if (open && it->second.owner == owner) {
    return Opening::done;
  }
  if ((open && !mutant(Mutant::session_in_two_places)) || owners_.contains(owner)) {
    return Opening::busy;
  }
  if (owners_.size() >= kMaxOpen) {
    return Opening::full;
  }
  const bool known = it != sessions_.end();
  auto& session = sessions_[id];
  if (!known) {
    session.forgotten = first - 1;
  }
  if (open) {
    owners_.erase(session.owner);
  }
  closed_.erase(session.closed);
  session.closed = 0;
  session.owner = owner;
  owners_.emplace(owner, id);
  return Opening::done;
}

void Sessions::close(SessionId id, const ClientRef& owner) {
  if (const auto it = owners_.find(owner); it != owners_.end() && it->second == id) {
    close(id);
  }
}

void Sessions::close(SessionId id) {
  auto& session = sessions_.at(id);
  owners_.erase(session.owner);
  session.closed = ++closings_;
  closed_.emplace(session.closed, id);
  if (closed_.size() > kMaxClosed) {
    sessions_.erase(closed_.begin()->second);
    closed_.erase(closed_.begin());
  }
}

void Sessions::install(const View& view) {
  std::vector<SessionId> over;
  for (const auto& [owner, id] : owners_) {
    if (!view.contains(owner.pid)) {
      over.push_back(id);
    }
  }
  for (const auto id : over) {
    close(id);
  }
}

void Sessions::delivered(const ClientRef& owner, std::uint64_t number, std::uint32_t count) {
  const auto it = owners_.find(owner);
  if (it != owners_.end() && !mutant(Mutant::session_not_kept)) {
    add(sessions_.at(it->second), {number, number + count - 1});
  }
}

void Sessions::add(Session& session, NumberRange numbers) {
  auto& ranges = session.delivered;
  numbers.first = std::max(numbers.first, session.forgotten + 1);
  if (numbers.first > numbers.last) {
    return;
  }
  // Nearly always it goes to the end. What it touches becomes one range with it.
  auto begin = ranges.end();
  while (begin != ranges.begin() && std::prev(begin)->last + 1 >= numbers.first) {
    --begin;
  }
  auto end = begin;
  while (end != ranges.end() && end->first <= numbers.last + 1) {
    numbers.first = std::min(numbers.first, end->first);
    numbers.last = std::max(numbers.last, end->last);
    ++end;
  }
  ranges.insert(ranges.erase(begin, end), numbers);
  if (ranges.size() > kMaxRanges) {
    session.forgotten = ranges.front().last;
    ranges.erase(ranges.begin());
  }
}

SessionFates Sessions::fates(SessionId id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? SessionFates{} : SessionFates{true, it->second.forgotten, it->second.delivered};
}

// ---------------------------------------------------------------- as bytes

void Sessions::save(Writer& out) const {
  out.put(closings_).put(static_cast<std::uint32_t>(sessions_.size()));
  for (const auto& [id, session] : sessions_) {
    out.put(id);
    write(out, session.owner);
    out.put(session.closed).put(session.forgotten).put(static_cast<std::uint32_t>(session.delivered.size()));
    for (const auto& range : session.delivered) {
      out.put(range.first).put(range.last);
    }
  }
}

std::optional<Sessions::Session> Sessions::read(Reader& in) {
  Session session;
  session.owner = read_client_ref(in);
  session.closed = in.value<std::uint64_t>();
  session.forgotten = in.value<std::uint64_t>();
  if (session.forgotten > kLastNumber) {
    return std::nullopt;
  }
  auto below = session.forgotten;
  for (auto n = in.count(kMaxRanges, kRangeSize).value_or(0); n > 0; --n) {
    const auto first = in.value<std::uint64_t>();
    const auto last = in.value<std::uint64_t>();
    if (first <= below || last < first || last > kLastNumber) {
      return std::nullopt;
    }
    session.delivered.push_back({first, last});
    below = last;
  }
  return in.ok() ? std::optional(session) : std::nullopt;
}

std::optional<Sessions> Sessions::load(Reader& in) {
  Sessions loaded;
  loaded.closings_ = in.value<std::uint64_t>();
  for (auto n = in.count(kMaxOpen + kMaxClosed, kSessionSize).value_or(0); n > 0; --n) {
    const auto id = in.value<std::uint64_t>();
    auto session = read(in);
    if (!session || id == 0 || session->closed > loaded.closings_) {
      return std::nullopt;
    }
    const bool alone = session->closed == 0 ? loaded.owners_.emplace(session->owner, id).second
                                            : loaded.closed_.emplace(session->closed, id).second;
    if (!alone || !loaded.sessions_.emplace(id, std::move(*session)).second) {
      return std::nullopt;
    }
  }
  return in.ok() && loaded.closed_.size() <= kMaxClosed ? std::optional(std::move(loaded)) : std::nullopt;
}

}  // namespace vsync::core
