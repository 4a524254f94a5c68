#include "sim/replica.h"

#include <algorithm>

#include "base/codec.h"
#include "base/hash.h"

namespace vsync::sim {

using namespace core;

std::uint64_t Replica::hash() const {
  return Hasher().add(totals_).add(others_).value();
}

void Replica::apply(const DeliverMessages& messages) {
  const auto content = Hasher().add(messages.body.view()).add(messages.count).value();
  if (messages.service == Service::total) {
    totals_ = Hasher().add(totals_).add(content).value();
  } else {
    others_ += content;
  }
}

std::string Replica::apply(const DeliverMessages& messages, const std::vector<std::uint64_t>& ids) {
  apply(messages);
  if (messages.history.index != ids_.size() + 1) {
    return "message " + std::to_string(messages.history.index) + " where " + std::to_string(ids_.size() + 1) + " was due";
  }
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  return "";
}

std::string Replica::arrive(const StateArrived& piece) {
  if (piece.offset == 0) {
    arriving_.clear();
    has_ = false;
    token_ = piece.token;
  }
  if (has_ || piece.token != token_ || piece.offset != arriving_.size()) {
    return "a piece at " + std::to_string(piece.offset) + " where " + std::to_string(arriving_.size()) + " was due";
  }
  arriving_ += piece.body.view();
  if (!piece.last) {
    return "";
  }
  has_ = true;
  if (piece.cold) {
    totals_ = durable ? 0 : Hasher().add(piece.token).value();  // a group that begins anew is not the one before
    others_ = 0;
    ids_.clear();
    return "";
  }
  Reader reader(arriving_);
  totals_ = reader.value<std::uint64_t>();
  others_ = reader.value<std::uint64_t>();
  ids_.clear();
  for (auto n = reader.count(arriving_.size(), sizeof(std::uint64_t)).value_or(0); n > 0; --n) {
    ids_.push_back(reader.value<std::uint64_t>());
  }
  const auto fill = reader.raw(reader.left()).value_or("");
  const bool whole = std::all_of(fill.begin(), fill.end(), [&](char c) { return c == static_cast<char>(totals_ & 0x7fU); });
  return whole && reader.done() && (!durable || ids_.size() == piece.index) ? "" : "the state is damaged";
}

void Replica::give(const StateRequested& asked, std::size_t size) {
  Writer writer;
  writer.put(totals_).put(others_).put(static_cast<std::uint32_t>(ids_.size()));
  for (const auto id : ids_) {
    writer.put(id);
  }
  writer.raw(std::string(size, static_cast<char>(totals_ & 0x7fU)));
  giving_ = Giving{asked, writer.take(), 0, false, {}};
}

std::optional<ClientState> Replica::next_piece(ClientId client, RequestId request, std::size_t size) {
  if (!giving_ || giving_->ended) {
    return std::nullopt;
  }
  size = std::min({size, giving_->asked.piece_size, giving_->bytes.size() - giving_->at});
  std::size_t unanswered = 0;
  for (const auto& [number, bytes] : giving_->unanswered) {
    unanswered += bytes;
  }
  if (!giving_->unanswered.empty() && unanswered + size > giving_->asked.window) {
    return std::nullopt;
  }
  giving_->ended = giving_->at + size == giving_->bytes.size();
  ClientState piece{client,
                    request,
                    giving_->asked.group,
                    giving_->asked.token,
                    giving_->ended,
                    false,
                    Slice::copy_of(std::string_view(giving_->bytes).substr(giving_->at, size))};
  giving_->at += size;
  giving_->unanswered[request] = size;
  return piece;
}

bool Replica::answered(RequestId request, bool refused) {
  if (!giving_ || giving_->unanswered.erase(request) == 0) {
    return false;
  }
  if (refused) {
    giving_.reset();
  }
  return true;
}

}  // namespace vsync::sim
