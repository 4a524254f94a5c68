#include "client/state_giver.h"

#include <algorithm>
#include <utility>

namespace vsync {

namespace pb = control::v1;

void StateGiver::begin(FrameSocket& socket, const pb::StateRequest& asked, std::unique_ptr<StateSource> source) {
  if (source == nullptr) {
    states_.erase(asked.group());
    pb::Request request;
    request.set_id(new_request_());
    request.mutable_state()->set_group(asked.group());
    request.mutable_state()->set_token(asked.token());
    request.mutable_state()->set_refuse(true);
    socket.append(request);
    return;
  }
  State& state = states_[asked.group()];
  state = {asked.token(), asked.window(), asked.piece_size(), std::move(source), {}, 0};
  pump(socket, asked.group(), state);
}

void StateGiver::pump(FrameSocket& socket, const std::string& group, State& state) {
  pb::Request request;
  pb::StatePiece& piece = *request.mutable_state();
  piece.set_group(group);
  piece.set_token(state.token);
  while (state.source && (state.unanswered.empty() || state.bytes + state.piece_size <= state.window)) {
    std::string& payload = *piece.mutable_payload();
    payload.resize(state.piece_size);
    const std::size_t size = std::min(state.source->read(payload), payload.size());
    payload.resize(size);
    if (size == 0) {
      piece.set_last(true);
      state.source.reset();
    }
    request.set_id(new_request_());
    state.unanswered.emplace(request.id(), size);
    state.bytes += size;
    socket.append(request);
  }
}

bool StateGiver::answered(FrameSocket& socket, std::uint64_t id, bool refused) {
  const auto found =
      std::find_if(states_.begin(), states_.end(), [&](const auto& entry) { return entry.second.unanswered.contains(id); });
  if (found == states_.end()) {
    return false;
  }
  auto& [group, state] = *found;
  state.bytes -= state.unanswered.extract(id).mapped();
  if (refused || (state.source == nullptr && state.unanswered.empty())) {
    states_.erase(found);
  } else {
    pump(socket, group, state);
  }
  return true;
}

}  // namespace vsync
