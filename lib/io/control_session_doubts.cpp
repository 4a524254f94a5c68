// C6: the client as a session, which outlives Nodes; and the sends that one of them could not tell about.
#include <algorithm>
#include <utility>

#include "io/control_session.h"

namespace vsync::io {

/// Sends whose ids are numbers in the session.
bool ControlSession::numbered(pb::Request::KindCase kind) {
  return kind == pb::Request::kSend || kind == pb::Request::kSendBatch;
}

void ControlSession::session(const pb::Request& request) {
  const core::SessionId asked = request.session().session();
  if (session_ != 0 && session_ != asked) {
    return error(request.id(), "bad_request", "this connection has a session already");
  }
  if (request.session().first() > core::kLastNumber) {
    return error(request.id(), "bad_request", "the ids of a session's sends are at most " + std::to_string(core::kLastNumber));
  }
  const core::RequestId expected = expect({pb::Request::kSession, request.id(), 1, 1, 0, asked});
  home_.handler().input(core::ClientSession{id_, expected, asked, request.session().first()});
}

/// False: they are none, and the client was told.
bool ControlSession::take_numbers(std::uint64_t id, std::uint32_t count) {
  if (session_ == 0) {
    return true;
  }
  if (id <= last_number_ || !core::valid_numbers(id, count)) {
    error(id, "bad_request",
          "the ids of a session's sends rise, up to " + std::to_string(core::kLastNumber) + "; the last one was " +
              std::to_string(last_number_));
    return false;
  }
  last_number_ = id + count - 1;
  return true;
}

void ControlSession::incarnation_begins() {
  if (session_ != 0) {
    reopening_ = expect({pb::Request::kSession});
    home_.handler().input(core::ClientSession{id_, reopening_, session_, last_number_ + 1});
  }
}

void ControlSession::session_opened(const core::SessionOpened& effect) {
  const auto pending = take_unanswered(effect.request);
  if (!pending) {
    return;
  }
  if (effect.request == reopening_) {
    return settle(effect.fates);
  }
  session_ = pending->session;
  pb::Reply reply;
  reply.set_id(pending->id);
  pb::SessionReply& answer = *reply.mutable_session();
  answer.set_known(effect.fates.known);
  answer.set_forgotten(effect.fates.forgotten);
  for (const auto& range : effect.fates.delivered) {
    pb::NumberRange& numbers = *answer.add_delivered();
    numbers.set_first(range.first);
    numbers.set_last(range.last);
  }
  connection_->send(reply);
}

/// Without a Node that lasts the next one is asked. Otherwise this connection has its session no more: another one of the client
/// has opened it, and was told there, or the table is full.
void ControlSession::not_reopened(std::string_view code) {
  if (code != "excluded" && code != "not_member" && code != "shutting_down") {
    session_ = 0;
    settle({});
  }
}

/// What is in doubt gets its outcome, as far as it is known.
void ControlSession::settle(const core::SessionFates& fates) {
  for (const Pending& doubt : std::exchange(doubts_, {})) {
    for (std::uint32_t offset = 0; offset < doubt.count;) {
      const std::uint64_t number = doubt.id + offset;
      const auto part = doubt.session != 0 ? fates.from(number) : core::SessionFates{}.from(number);
      core::SendOutcome effect;
      effect.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(part.last - number, doubt.count - offset - 1) + 1);
      effect.outcome = part.outcome;
      effect.code = part.outcome == core::Outcome::delivered ? "" : "excluded";
      answer_sends(doubt, offset, effect);
      offset += effect.count;
    }
  }
}

}  // namespace vsync::io
