// Members that do not read as fast as their groups send: what they chose when they joined (when_slow) is done.
#include <algorithm>
#include <utility>

#include "io/control_session.h"

namespace vsync::io {

namespace {

constexpr std::chrono::milliseconds kBlock{10'000};
constexpr std::chrono::milliseconds kLongestBlock{600'000};

std::size_t mark(std::uint64_t asked, std::size_t usual, std::size_t most) {
  return asked == 0 ? usual : static_cast<std::size_t>(std::min<std::uint64_t>(asked, most));
}

}  // namespace

/// nullopt: it is none that this version knows.
std::optional<ControlSession::Stay> ControlSession::stay_of(const pb::JoinRequest& join) const {
  if (!pb::WhenSlow_IsValid(join.when_slow())) {
    return std::nullopt;
  }
  // Who would rather wait or resynchronise than be cut off is dealt with long before the connection is at its limit.
  const std::size_t share = join.when_slow() == pb::DISCONNECT ? 1 : 4;
  Stay stay;
  stay.group = join.group();
  stay.when_slow = join.when_slow();
  stay.bytes = mark(join.backlog_bytes(), limits_.client_limit / share, limits_.client_limit);
  stay.messages = mark(join.backlog_messages(), limits_.max_output_messages / share, limits_.max_output_messages);
  stay.block = join.block_ms() == 0 ? kBlock : std::min(std::chrono::milliseconds(join.block_ms()), kLongestBlock);
  return stay;
}

void ControlSession::deliver(const SharedFrame& frame, const FrameTag& tag) {
  const auto found = stays_.find(tag.group);
  if (found == stays_.end() || keeps_up(found->first, found->second, tag)) {
    connection_->send(frame, tag);
  }
}

/// False: the frame is not for this client.
bool ControlSession::keeps_up(core::GroupId group, Stay& stay, const FrameTag& tag) {
  if (tag.paced) {
    return !stay.gone;
  }
  Waiting waiting = connection_->waiting(group);
  if (!stay.gone && waiting.over(stay.bytes, stay.messages)) {
    connection_->push();  // what came in this turn has not been offered to it yet
    waiting = connection_->waiting(group);
  }
  if (stay.gone || !waiting.over(stay.bytes, stay.messages)) {
    return !stay.gone;
  }
  switch (stay.when_slow) {
    case pb::BLOCK:
      if (!std::exchange(stay.held, true)) {
        stay.since = std::chrono::steady_clock::now();
        home_.tell_slow(*this, group, "held");
        home_.later(core::ClientHold{id_, group, true});
        home_.watch_holds();
      }
      return true;
    case pb::GAP:
      gap(group, stay, tag);
      return false;
    default:
      home_.tell_slow(*this, group, "disconnected");
      connection_->give_up("you do not read: " + std::to_string(waiting.bytes) + " bytes in " + std::to_string(waiting.messages) +
                           " messages of group " + stay.group + " are waiting for you");
      return false;
  }
}

/// Its place in the group ends here for the client, and for all others where the leave is delivered.
void ControlSession::gap(core::GroupId group, Stay& stay, const FrameTag& next) {
  home_.tell_slow(*this, group, "gap");
  const auto [dropped, messages] = connection_->drop(group);
  const FrameTag& first = messages > 0 ? dropped : next;
  stay.gone = true;
  pb::Reply reply;
  pb::GapEvent& gap = *reply.mutable_event()->mutable_gap();
  gap.set_group(stay.group);
  gap.set_view(first.view);
  gap.set_token(first.token);
  gap.set_service(to_proto(first.service));
  gap.set_position(first.position);
  gap.set_missed(messages + next.messages);
  connection_->send(reply);
  home_.later(core::ClientLeave{id_, 0, stay.group, core::LeaveReason::slow});
}

bool ControlSession::relieve() {
  bool relieved = false;
  for (auto& [group, stay] : stays_) {
    // What is in writing goes out whole: to leave for that would free nothing.
    if (stay.when_slow == pb::GAP && !stay.gone && connection_->droppable(group)) {
      gap(group, stay, {});
      relieved = true;
    }
  }
  return relieved;
}

void ControlSession::release_groups() {
  for (auto& [group, stay] : stays_) {
    if (stay.held && !connection_->waiting(group).over(stay.bytes / 2, stay.messages / 2)) {
      stay.held = false;
      home_.tell_slow(*this, group, "released");
      home_.later(core::ClientHold{id_, group, false});
    }
  }
}

bool ControlSession::check_holds(std::chrono::steady_clock::time_point now) {
  bool holds = false;
  for (const auto& [group, stay] : stays_) {
    if (stay.held && now - stay.since >= stay.block) {
      home_.tell_slow(*this, group, "disconnected");
      connection_->give_up("you do not read: group " + stay.group + " has waited " + std::to_string(stay.block.count()) +
                           " ms for you");
      return false;
    }
    holds = holds || stay.held;
  }
  return holds;
}

void ControlSession::left(core::GroupId group) {
  stays_.erase(group);
}

bool ControlSession::hears(core::GroupId group) const {
  const auto found = stays_.find(group);
  return found == stays_.end() || !found->second.gone;
}

std::optional<FrameTag> ControlSession::tag_in(std::string_view group) const {
  const auto found = std::ranges::find_if(stays_, [&](const auto& entry) { return entry.second.group == group; });
  if (found == stays_.end()) {
    return FrameTag{};
  }
  return found->second.gone ? std::nullopt : std::optional(FrameTag{.group = found->first});
}

/// nullopt: it keeps up. A group that is held for it comes before one where only more waits.
std::optional<ControlSession::Behind> ControlSession::slowness() const {
  constexpr std::size_t kNotable = std::size_t{1} << 20U;
  Behind behind;
  std::pair<bool, std::size_t> furthest;
  behind.slow.set_action("behind");
  behind.slow.set_backlog_bytes(connection_->backlog());
  behind.slow.set_backlog_messages(connection_->backlog_messages());
  bool notable = connection_->backlog() > kNotable;
  for (const auto& [group, stay] : stays_) {
    const Waiting waiting = connection_->waiting(group);
    notable = notable || stay.held || waiting.over(stay.bytes / 2, stay.messages / 2);
    const std::pair how_far(stay.held, waiting.bytes);
    if (behind.group == 0 || how_far > furthest) {
      furthest = how_far;
      behind.group = group;
      behind.slow.set_group(stay.group);
      behind.slow.set_action(stay.held ? "held" : "behind");
    }
  }
  return notable ? std::optional(behind) : std::nullopt;
}

// ---- credit

void ControlSession::charge(std::uint32_t messages, std::size_t bytes) {
  in_flight_messages_ += messages;
  in_flight_bytes_ += bytes;
  tell_credit();
}

void ControlSession::credit(std::uint32_t messages, std::size_t bytes) {
  in_flight_messages_ -= messages;
  in_flight_bytes_ -= bytes;
  tell_credit();
}

/// Not for every message: when it has changed by an eighth, and when all of it is there again.
void ControlSession::tell_credit() {
  if (!credit_asked_) {
    return;
  }
  const auto left = [](std::size_t most, std::size_t used) { return most - std::min(most, used); };
  const std::size_t messages = left(limits_.max_unanswered_messages, in_flight_messages_);
  const std::size_t bytes = left(limits_.max_unanswered, in_flight_bytes_);
  const auto moved = [](std::size_t now, std::size_t told, std::size_t most) {
    return now != told && (now == most || now == 0 || (now > told ? now - told : told - now) >= most / 8);
  };
  if (moved(messages, told_messages_, limits_.max_unanswered_messages) || moved(bytes, told_bytes_, limits_.max_unanswered)) {
    told_messages_ = messages;
    told_bytes_ = bytes;
    pb::Reply reply;
    reply.mutable_event()->mutable_credit()->set_messages(messages);
    reply.mutable_event()->mutable_credit()->set_bytes(bytes);
    connection_->send(reply);
  }
}

}  // namespace vsync::io
