// Members on their way to the state of their group.
#include <algorithm>
#include <utility>

#include "durable/keeper.h"

namespace vsync::durable {

void Keeper::apply(core::StateArrived& effect) {
  auto* kept = find(effect.group);
  if (kept == nullptr) {
    return;
  }
  if (effect.offset == 0) {
    kept->waiting.clear();
    for (const auto client : effect.clients) {  // what it got before is void, or it would not get this
      forget(*kept, client);
    }
  }
  if (occupied(*kept, effect.token)) {
    kept->waiting.push_back(std::move(effect));
    return;
  }
  if (effect.offset == 0) {
    drop_restore(*kept);
    kept->restore.emplace();
    kept->restore->token = effect.token;
  }
  if (!kept->restore || kept->restore->token != effect.token) {
    return;
  }
  auto& restore = *kept->restore;
  restore.clients = std::move(effect.clients);
  restore.pieces.push_back(std::move(effect.body));
  restore.last = effect.last;
  restore.arrived = effect.offset + restore.pieces.back().size() + (effect.last ? 1 : 0);
  restore.untold = true;
  pump(effect.group, effect.token);
}

/// Has an earlier transfer come to its end, and is not adopted yet? The core goes on with both; the disk takes them one by one.
bool Keeper::occupied(const Kept& kept, std::uint64_t token) {
  return kept.restore && kept.restore->token != token && kept.restore->last;
}

void Keeper::next_restore(Kept& kept) {
  for (auto& piece : std::exchange(kept.waiting, {})) {
    apply(piece);
  }
}

/// It gets nothing more of the transfer under way.
void Keeper::forget(Kept& kept, core::ClientId client) {
  for (auto& piece : kept.waiting) {
    std::erase(piece.clients, client);
  }
  std::erase_if(kept.waiting, [](const auto& piece) { return piece.clients.empty(); });
  if (kept.restore && std::erase(kept.restore->clients, client) + std::erase(kept.restore->gone, client) > 0) {
    kept.restore->unread.erase(client);
    if (kept.restore->clients.empty() && kept.restore->gone.empty()) {
      drop_restore(kept);
      next_restore(kept);
    } else {
      pump(kept.name, kept.restore->token);
    }
  }
}

void Keeper::read(core::ClientId client) {
  for (auto& [name, kept] : groups_) {
    if (kept.restore && kept.restore->unread.erase(client) > 0) {
      pump(name, kept.restore->token);
    }
  }
}

/// Goes on until the clients have to read, the store has to answer or to write, or more has to come.
void Keeper::pump(const std::string& group, std::uint64_t token) {
  while (true) {
    auto* kept = find(group);
    if (kept == nullptr || !kept->restore || kept->restore->token != token) {
      return;
    }
    auto& restore = *kept->restore;
    if (!restore.unread.empty() || restore.reading || (restore.staged && kept->unwritten > limits_.window)) {
      return;
    }
    if (!restore.own_done) {
      return read_own(*kept);
    }
    auto part = restore.reader.next();
    if (!part) {
      abandon(*kept, part.error().message);
      return;
    }
    if (*part) {
      if (!take(*kept, std::move(**part), false)) {
        return;
      }
    } else if (!restore.pieces.empty()) {
      restore.reader.add(restore.pieces.front().view());
      restore.pieces.pop_front();
    } else if (restore.last && !std::exchange(restore.told_last, true)) {
      if (!restore.header || restore.disk < restore.header->end.position.index) {
        abandon(*kept, "a history without its end", true);
        return;
      }
      no_checkpoint(*kept);
      home_.restored(restore.clients, group, restore.checkpoint, restore.header->end.position);
    } else {
      if (std::exchange(restore.untold, false)) {
        home_.input(core::HistoryTaken{group, token, restore.arrived});
      }
      return;
    }
  }
}

Store::Done Keeper::when_put(Kept& kept, const Slice& bytes) {
  return when_written(kept, &Kept::unwritten, bytes.size(), [this](Kept& self) {
    if (self.restore) {
      pump(self.name, self.restore->token);
    }
  });
}

/// False: it goes on later.
bool Keeper::take(Kept& kept, Part part, bool own) {
  auto& restore = *kept.restore;
  if (const auto* header = std::get_if<Header>(&part)) {
    begin(kept, *header);
    return true;
  }
  if (!restore.header) {
    return abandon(kept, "a history without a beginning");
  }
  if (auto* piece = std::get_if<CheckpointPiece>(&part)) {
    if (own || !restore.own) {
      if (!own && restore.for_disk) {
        store_.put(kept.name, *piece, when_put(kept, piece->bytes));
        restore.checkpoint_bytes += piece->bytes.size();
      }
      hand_over(kept, std::move(*piece));
    }
    return true;
  }
  const auto& messages = std::get<Messages>(part);
  if (messages.last() > restore.header->end.position.index) {
    return true;  // behind the boundary: they come in the order of the group
  }
  if (!own && messages.first.index > restore.disk) {
    if (messages.first.index != restore.disk + 1) {
      return abandon(kept, "a history with a hole before message " + std::to_string(messages.first.index), true);
    }
    if (restore.for_disk) {
      if (!std::exchange(restore.staged, true)) {
        store_.stage(kept.name, false);
      }
      store_.put(kept.name, messages, when_put(kept, messages.body));
      restore.log_bytes += messages.body.size();
    }
    restore.disk = messages.last();
  }
  hand_over(kept, messages);
  return true;
}

/// The own disk counts if it has the beginning of the same history; else everything comes from the other.
void Keeper::begin(Kept& kept, const Header& header) {
  auto& restore = *kept.restore;
  restore.header = header;
  const auto& mine = kept.contents.kept;
  const bool from_myself = kept.giving && kept.giving->token == restore.token;
  const bool common = std::any_of(header.common.begin(), header.common.end(), [&](const HistoryPosition& position) {
    const bool same_era = mine.position.era == header.end.position.era && position.era == mine.position.era;
    return position == mine.position || (same_era && position.index <= mine.position.index);
  });
  restore.own = !mine.blank() && (from_myself || common);
  restore.own_done = !restore.own;
  restore.disk = restore.own ? mine.position.index : 0;
  restore.for_disk = kept.following.empty();
  if (!restore.own && restore.for_disk) {
    restore.staged = true;
    store_.stage(kept.name, true);
  }
}

void Keeper::read_own(Kept& kept) {
  auto& restore = *kept.restore;
  restore.reading = true;
  home_.input(core::HistoryTaken{kept.name, restore.token, 0});  // it takes its time, but goes on
  store_.read(kept.name, restore.cursor, restore.header->end.position.index, limits_.chunk,
              [this, group = kept.name, token = restore.token, alive = std::weak_ptr(alive_)](Result<Chunk> chunk) {
                auto* self = alive.expired() ? nullptr : find(group);
                if (self == nullptr || !self->restore || self->restore->token != token || !self->restore->reading) {
                  return;
                }
                auto& waiting = *self->restore;
                waiting.reading = false;
                if (!chunk) {
                  return home_.failed("group " + group + ": " + chunk.error().message);
                }
                waiting.cursor = chunk->next;
                waiting.own_done = chunk->end;
                PartReader parts;
                parts.add(chunk->parts);
                auto part = parts.next();
                for (; part && *part; part = parts.next()) {
                  take(*self, std::move(**part), true);
                }
                if (!part) {
                  return home_.failed("group " + group + ": " + part.error().message);
                }
                pump(group, token);
              });
}

void Keeper::hand_over(Kept& kept, CheckpointPiece piece) {
  auto& restore = *kept.restore;
  core::StateArrived state{restore.clients, kept.name, restore.token, piece.offset, piece.last, false, std::move(piece.bytes)};
  state.index = piece.position.index;
  restore.checkpoint = piece.position;
  restore.began = true;
  if (piece.last) {
    restore.given = std::max(restore.given, piece.position.index);
    restore.disk = std::max(restore.disk, piece.position.index);
  }
  restore.unread.insert(restore.clients.begin(), restore.clients.end());
  home_.tell(std::move(state));
}

void Keeper::hand_over(Kept& kept, const Messages& messages) {
  auto& restore = *kept.restore;
  no_checkpoint(kept);
  if (messages.first.index > restore.given && !restore.clients.empty()) {
    restore.given = messages.last();
    restore.unread.insert(restore.clients.begin(), restore.clients.end());
    home_.tell(to_effect(messages, kept.id, restore.clients));
  }
}

/// The state before the first message.
void Keeper::no_checkpoint(Kept& kept) {
  auto& restore = *kept.restore;
  if (!std::exchange(restore.began, true)) {
    restore.unread.insert(restore.clients.begin(), restore.clients.end());
    home_.tell(core::StateArrived{restore.clients, kept.name, restore.token, 0, true, true, {}});
  }
}

/// What came is no history, or none that goes on from what the disk has by now (`does_not_fit`). If that is because our disk has
/// gone on since the join, its members leave at once, and say what it has when they come again. Else they are given up in time
/// (T2), for the next history may be as bad.
bool Keeper::abandon(Kept& kept, const std::string& why, bool does_not_fit) {
  home_.report(kept.name, "the state that another member gave is refused: " + why);
  if (does_not_fit && kept.contents.kept.position != kept.offered) {
    home_.input(core::HistoryTaken{kept.name, kept.restore->token, 0, true});
  }
  drop_restore(kept);
  next_restore(kept);
  return false;
}

void Keeper::drop_restore(Kept& kept) {
  if (kept.restore && kept.restore->staged) {
    store_.rollback(kept.name);
  }
  kept.restore.reset();
}

/// K1. Nobody has the state, so a transfer that was under way is over.
void Keeper::apply(const core::EraProposed& effect) {
  auto* kept = find(effect.group);
  if (kept == nullptr || !kept->open) {
    return;  // the member that waited is gone
  }
  kept->waiting.clear();
  drop_restore(*kept);
  auto& promised = kept->contents.kept.promised;
  promised = std::max(promised, effect.era);
  store_.promise(kept->name, effect.era,
                 [this, id = effect.id, era = effect.era, alive = std::weak_ptr(alive_)](const auto& done) {
                   if (!alive.expired()) {
                     return done ? home_.input(core::EraPromised{id, era}) : home_.failed(done.error().message);
                   }
                 });
}

/// K3: only now the disk may change, for until now the group may have had to begin anew from what it was.
void Keeper::apply(const core::HistoryAdopted& effect) {
  auto* kept = find(effect.group);
  if (kept == nullptr || !kept->restore || kept->restore->token != effect.token || !kept->restore->header) {
    return home_.failed("group " + effect.group + ": its history is not here");
  }
  auto& mine = kept->contents.kept;
  auto end = kept->restore->header->end;
  end.promised = mine.promised;
  if (kept->restore->staged || mine.position.era != end.position.era) {
    if (kept->restore->checkpoint.era != 0 && !kept->restore->own) {
      kept->contents.checkpoint = kept->restore->checkpoint;
    }
    if (!kept->restore->own) {
      kept->contents.checkpoint_bytes = kept->contents.log_bytes = 0;
    }
    kept->contents.checkpoint_bytes += kept->restore->checkpoint_bytes;
    kept->contents.log_bytes += kept->restore->log_bytes;
    mine = end;
    store_.commit(kept->name, end, when_synced(*kept));
  } else {
    home_.input(core::HistorySynced{kept->name, kept->synced});  // K2: it may never have been said, if we crashed before
  }
  for (const auto client : effect.clients) {
    if (const auto wish = kept->wished.find(client); wish != kept->wished.end()) {
      kept->policy = wish->second;
    }
    const auto& gone = kept->restore->gone;
    kept->following[client] = std::count(gone.begin(), gone.end(), client) > 0 ? kGone : end.position.index;
  }
  kept->restore.reset();
  kept->checkpoint_at = home_.now();
  if (kept->joining && kept->following.contains(kept->joining->first)) {
    kept->joining.reset();
  }
  next_join(*kept);
  next_restore(*kept);
}

}  // namespace vsync::durable
