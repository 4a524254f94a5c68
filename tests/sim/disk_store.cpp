#include "sim/disk_store.h"

#include <algorithm>
#include <utility>

namespace vsync::sim {

using namespace durable;

namespace {

void place(std::vector<CheckpointPiece>& pieces, CheckpointPiece piece) {
  if (piece.offset == 0) {
    pieces.clear();
  }
  pieces.push_back(std::move(piece));
}

HistoryPosition checkpoint_of(const StoredHistory& history) {
  return history.checkpoint.empty() ? HistoryPosition{} : history.checkpoint.front().position;
}

bool lies_on(const StoredHistory& history, const HistoryPosition& position) {
  if (position == checkpoint_of(history)) {
    return position.era != 0;
  }
  return std::any_of(history.log.begin(), history.log.end(), [&](const auto& messages) {
    return messages.first.era == position.era && messages.last() == position.index;
  });
}

}  // namespace

StoredHistory& DiskStore::current(const std::string& group) {
  const auto staged = staged_.find(group);
  return staged != staged_.end() ? staged->second : disk_.histories[group];
}

void DiskStore::enqueue(std::function<void()> write, Done done) {
  operations_.push_back({std::move(write), std::move(done)});
  next();
}

void DiskStore::next() {
  if (writing_ || operations_.empty() || ended_) {
    return;
  }
  writing_ = true;
  scheduler_.after(delay_(), [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired() || ended_) {
      return;
    }
    writing_ = false;
    if (disk_.stopped) {
      return next();
    }
    // What has come meanwhile goes with one sync.
    for (auto left = std::exchange(operations_, {}); !left.empty(); left.pop_front()) {
      if (disk_.fails) {
        if (left.front().done) {
          left.front().done(fail("no space left on device"));
        }
        return;
      }
      left.front().write();
      if (left.front().done) {
        left.front().done({});
      }
      if (ended_) {
        return;
      }
    }
    next();
  });
}

void DiskStore::end(bool lost) {
  ended_ = true;
  auto written = operations_.size();
  if (lost && written > 0) {
    written = disk_.stopped ? 0 : rng_.below(written + 1);
  }
  for (; written > 0; --written) {
    operations_.front().write();
    operations_.pop_front();
  }
  operations_.clear();
}

// ---------------------------------------------------------------- writing

void DiskStore::append(const std::string& group, Messages messages, Done done) {
  enqueue(
      [this, group, messages = std::move(messages)] {
        auto& history = disk_.histories[group];
        history.kept.position.index = messages.last();
        history.log.push_back(messages);
      },
      std::move(done));
}

void DiskStore::promise(const std::string& group, std::uint64_t era, Done done) {
  enqueue(
      [this, group, era] {
        auto& promised = disk_.histories[group].kept.promised;
        promised = std::max(promised, era);
      },
      std::move(done));
}

void DiskStore::stage(const std::string& group, bool wipe) {
  enqueue([this, group, wipe] { staged_[group] = wipe ? StoredHistory{} : disk_.histories[group]; }, nullptr);
}

void DiskStore::put(const std::string& group, CheckpointPiece piece, Done done) {
  enqueue([this, group, piece = std::move(piece)] { place(staged_[group].checkpoint, piece); }, std::move(done));
}

void DiskStore::put(const std::string& group, Messages messages, Done done) {
  enqueue([this, group, messages = std::move(messages)] { staged_[group].log.push_back(messages); }, std::move(done));
}

void DiskStore::commit(const std::string& group, const core::KeptHistory& kept, Done done) {
  enqueue(
      [this, group, kept] {
        auto& history = disk_.histories[group];
        history = current(group);
        staged_.erase(group);
        history.kept = kept;
        std::erase_if(history.log, [&](const auto& messages) { return messages.last() > kept.position.index; });
      },
      std::move(done));
}

void DiskStore::rollback(const std::string& group) {
  enqueue([this, group] { staged_.erase(group); }, nullptr);
}

void DiskStore::checkpoint(const std::string& group, CheckpointPiece piece, Done done) {
  enqueue(
      [this, group, piece = std::move(piece)] {
        place(making_[group], piece);
        if (piece.last) {
          auto& history = disk_.histories[group];
          history.checkpoint = making_.extract(group).mapped();
          std::erase_if(history.log, [&](const auto& messages) { return messages.last() <= piece.position.index; });
        }
      },
      std::move(done));
}

// ---------------------------------------------------------------- reading, in its turn

void DiskStore::open(const std::string& group, std::function<void(Result<Contents>)> done) {
  enqueue([] {},
          [this, group, done = std::move(done)](const Result<void>&) {
            const auto& history = disk_.histories[group];
            Contents contents;
            contents.kept = history.kept;
            contents.checkpoint = checkpoint_of(history);
            done(contents);
          });
}

void DiskStore::kept(const std::string& group, std::function<void(Result<Contents>)> done) {
  enqueue([] {},
          [this, group, done = std::move(done)](const Result<void>&) { done(Contents{.kept = disk_.histories[group].kept}); });
}

void DiskStore::common(const std::string& group, std::vector<HistoryPosition> positions,
                       std::function<void(Result<std::vector<HistoryPosition>>)> done) {
  enqueue([] {},
          [this, group, positions = std::move(positions), done = std::move(done)](const Result<void>&) {
            auto found = positions;
            std::erase_if(found, [&](const auto& position) { return !lies_on(current(group), position); });
            done(found);
          });
}

void DiskStore::read(const std::string& group, const Cursor& from, std::uint64_t end, std::size_t size,
                     std::function<void(Result<Chunk>)> done) {
  enqueue([] {},
          [this, group, from, end, size, done = std::move(done)](const Result<void>&) {
            const auto& history = current(group);
            Chunk chunk{{}, from, false};
            if (!from.log) {
              for (const auto& piece : history.checkpoint) {
                chunk.parts += encode(piece);
              }
              chunk.next = {true, checkpoint_of(history).index};
              return done(chunk);
            }
            chunk.end = true;
            for (const auto& messages : history.log) {
              if (messages.first.index > from.at && messages.last() <= end) {
                if (chunk.parts.size() >= size) {
                  chunk.end = false;
                  break;
                }
                chunk.parts += encode(messages);
                chunk.next.at = messages.last();
              }
            }
            done(chunk);
          });
}

}  // namespace vsync::sim
