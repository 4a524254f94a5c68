// The donor's side of a state transfer.
#include <algorithm>
#include <utility>

#include "core/groups/state_transfer.h"

namespace vsync::core {

namespace {

/// A piece fits where a message fits.
std::size_t piece_size(const Limits& limits) {
  return std::min(limits.max_run_bytes, limits.max_message);
}

Refusal transfer_over() {
  return {"no_transfer", "nobody waits for this state any more"};
}

}  // namespace

void StateTransfers::send(const Pid& to, Frame frame, Effects& effects) {
  if (to != self_) {
    effects.push_back(SendFrame{to, std::make_shared<const Frame>(std::move(frame))});
  } else if (const auto* piece = std::get_if<StatePiece>(&frame)) {
    received(self_, *piece, effects);
  } else {
    received(self_, std::get<StateAck>(frame), effects);
  }
}

// ---------------------------------------------------------------- who is served

/// The donor's client is asked behind the view, so that its answer is the state of exactly this place.
void StateTransfers::begin_outgoing(const Group& group, Effects& effects) {
  const auto& state = group.state;
  auto& outgoing = outgoing_[group.id];
  outgoing.token = state.boundary();
  outgoing.client = state.donor().client;
  outgoing.progress = now_;
  for (const auto& [daemon, client] : state.joiners()) {
    outgoing.receivers[daemon];
  }
  if (const auto given_up = given_up_.find(group.id); given_up != given_up_.end() && given_up->second.contains(outgoing.client)) {
    outgoing.over = true;  // it lacks messages, and its leave is on its way
    statements_.push_back({group.id, outgoing.client, StateBody{StateNews::refused, outgoing.token}});
    return;
  }
  Effect asked = StateRequested{outgoing.client, group.name, outgoing.token, limits_.state_window, piece_size(limits_)};
  if (group.policy.disks > 0) {
    asked = HistoryRequested{outgoing.client,     group.name,          outgoing.token, limits_.state_window,
                             piece_size(limits_), group.history.now(), state.known()};
  }
  // A donor that is catching up itself is asked when it comes to that place.
  if (auto* incoming = incoming_of(group.id, outgoing.client); incoming != nullptr && !incoming->live) {
    incoming->held.push_back({std::move(asked), 0});
  } else {
    effects.push_back(std::move(asked));
  }
}

/// Only daemons of members that still wait are served; nobody left: the transfer is over.
void StateTransfers::prune_outgoing(GroupId id, const Group* group, Effects& effects) {
  const auto it = outgoing_.find(id);
  if (it == outgoing_.end()) {
    return;
  }
  auto& outgoing = it->second;
  if (group == nullptr || !group->state.active() || group->state.boundary() != outgoing.token) {
    end_outgoing(id, effects);
    return;
  }
  std::set<Pid> daemons;
  for (const auto& [daemon, client] : group->state.joiners()) {
    daemons.insert(daemon);
  }
  std::erase_if(outgoing.receivers, [&](const auto& entry) { return !daemons.contains(entry.first); });
  settle(outgoing, effects);
}

void StateTransfers::end_outgoing(GroupId id, Effects& effects) {
  const auto outgoing = outgoing_.extract(id).mapped();
  for (const auto& piece : outgoing.unacked) {
    if (piece.request && outgoing.over) {
      effects.push_back(RequestDone{outgoing.client, *piece.request, nullptr});  // everybody has it, or the donor was given up
    } else if (piece.request) {
      auto why = transfer_over();
      effects.push_back(RequestRefused{outgoing.client, *piece.request, why.code, std::move(why.message)});
    }
  }
}

// ---------------------------------------------------------------- pieces

std::optional<Refusal> StateTransfers::piece(const Group* group, ClientState piece, Effects& effects) {
  const auto it = group == nullptr ? outgoing_.end() : outgoing_.find(group->id);
  if (it == outgoing_.end() || it->second.client != piece.client || it->second.token != piece.token || it->second.over) {
    return transfer_over();
  }
  auto& outgoing = it->second;
  outgoing.progress = now_;
  if (piece.refused) {
    outgoing.over = true;
    statements_.push_back({group->id, piece.client, StateBody{StateNews::refused, outgoing.token}});
    effects.push_back(RequestDone{piece.client, piece.request, nullptr});
    return std::nullopt;
  }
  if (piece.body.size() > piece_size(limits_)) {
    return Refusal{"too_large", "a piece of a state has up to " + std::to_string(piece_size(limits_)) + " bytes"};
  }
  if (outgoing.unacked_bytes() + piece.body.size() > limits_.state_window && !outgoing.unacked.empty()) {
    return Refusal{"too_many", "more than " + std::to_string(limits_.state_window) + " bytes without a reply"};
  }
  if (piece.body.empty() && !piece.last) {
    return Refusal{"bad_request", "only the last piece of a state may be empty"};
  }
  const StatePiece frame{group->id, outgoing.token, outgoing.end, piece.last, std::move(piece.body)};
  outgoing.over = frame.last;
  outgoing.unacked.push_back({frame, piece.request});
  outgoing.end = outgoing.unacked.back().end();
  for (const auto& [daemon, receiver] : outgoing.receivers) {
    if (receiver.open) {
      send(daemon, frame, effects);
    }
  }
  return std::nullopt;
}

/// The first one opens the transfer. One that comes before our own boundary is kept until then.
void StateTransfers::received(const Pid& from, const StateAck& ack, Effects& effects) {
  const auto it = outgoing_.find(ack.group);
  if (it == outgoing_.end() || it->second.token < ack.token) {
    if (early_.size() < GroupTable::kMaxGroups) {
      auto& early = early_[ack.group][from];
      early = early.token > ack.token ? early : ack;  // an older one is sent again when a link breaks
    }
    return;
  }
  const auto receiver = it->second.receivers.find(from);
  if (it->second.token != ack.token || receiver == it->second.receivers.end()) {
    return;
  }
  auto& outgoing = it->second;
  receiver->second.taken = std::max(receiver->second.taken, ack.taken);
  outgoing.progress = now_;
  if (!std::exchange(receiver->second.open, true)) {
    for (const auto& piece : outgoing.unacked) {
      send(from, piece.frame, effects);
    }
  }
  settle(outgoing, effects);
}

/// Pieces that everybody has taken are answered: the client may send as much again.
void StateTransfers::settle(Outgoing& outgoing, Effects& effects) {
  std::uint64_t taken = outgoing.end;
  for (const auto& [daemon, receiver] : outgoing.receivers) {
    taken = std::min(taken, receiver.open ? receiver.taken : 0);
  }
  while (!outgoing.unacked.empty() && outgoing.unacked.front().end() <= taken) {
    if (const auto request = outgoing.unacked.front().request) {
      effects.push_back(RequestDone{outgoing.client, *request, nullptr});
    }
    outgoing.unacked.pop_front();
  }
}

void StateTransfers::gone(ClientId client, Effects& effects) {
  for (auto& [id, outgoing] : outgoing_) {
    if (outgoing.client == client) {
      for (auto& piece : outgoing.unacked) {
        piece.request.reset();
      }
      outgoing.over = true;  // its departure is on its way in the order
    }
  }
  for (auto& [key, incoming] : incoming_) {
    std::erase(incoming.clients, client);
    if (incoming.unread.erase(client) > 0 && incoming.unread.empty()) {
      all_taken(key, incoming, effects);
    }
  }
  forget_empty();
}

StateTransfers::Statement StateTransfers::take_statement() {
  auto statement = std::move(statements_.front());
  statements_.pop_front();
  return statement;
}

// ---------------------------------------------------------------- time

/// T2: when the donor is given up; kNever while it is not its turn.
Time StateTransfers::patience(const Outgoing& outgoing) const {
  const bool its_turn = !outgoing.over && outgoing.unacked.empty();
  return its_turn ? outgoing.progress + limits_.state_timeout : kNever;
}

void StateTransfers::tick(Effects& effects) {
  for (auto& [id, outgoing] : outgoing_) {
    if (patience(outgoing) <= now_) {
      outgoing.over = true;
      statements_.push_back({id, outgoing.client, StateBody{StateNews::refused, outgoing.token}});
    }
  }
  for (auto& [key, incoming] : incoming_) {
    std::set<ClientId> slow;
    for (const auto& [client, since] : incoming.unread) {
      if (!incoming.live && since + limits_.state_timeout <= now_) {
        slow.insert(client);
      }
    }
    if (!slow.empty()) {
      give_up(key, incoming, slow, effects);
    }
  }
  forget_empty();
}

Time StateTransfers::next_deadline() const {
  Time next = kNever;
  for (const auto& [id, outgoing] : outgoing_) {
    next = std::min(next, patience(outgoing));
  }
  for (const auto& [key, incoming] : incoming_) {
    for (const auto& [client, since] : incoming.unread) {
      next = incoming.live ? next : std::min(next, since + limits_.state_timeout);
    }
  }
  return next;
}

void StateTransfers::link_opened(const Pid& peer, Effects& effects) {
  for (auto& [id, outgoing] : outgoing_) {
    const auto receiver = outgoing.receivers.find(peer);
    if (receiver != outgoing.receivers.end() && receiver->second.open) {
      for (const auto& piece : outgoing.unacked) {
        send(peer, piece.frame, effects);
      }
    }
  }
  for (const auto& [key, incoming] : incoming_) {
    if (incoming.donor == peer && !incoming.complete) {
      const auto taken = incoming.unread.empty() ? incoming.received : 0;
      send(peer, StateAck{key.first, key.second, taken}, effects);
    }
  }
}

void StateTransfers::excluded(Effects& effects) {
  while (!outgoing_.empty()) {
    outgoing_.begin()->second.over = false;
    end_outgoing(outgoing_.begin()->first, effects);
  }
  early_.clear();
  incoming_.clear();
  pending_.clear();
  given_up_.clear();
  kept_.clear();
  statements_.clear();
  held_bytes_ = 0;
}

}  // namespace vsync::core
