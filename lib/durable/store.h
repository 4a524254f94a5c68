// The disk of a node as durable groups use it: for each group a checkpoint and the messages since then.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "durable/history.h"

namespace vsync::durable {

/// What the disk has of one group.
struct Contents {
  KeptHistory kept = {};
  HistoryPosition checkpoint = {};  ///< era 0: there is none
  std::uint64_t checkpoint_bytes = 0;
  std::uint64_t log_bytes = 0;  ///< of the messages since then
  std::string damage = {};      ///< why what was there was set aside; empty: it was not
};

/// Where a reader of a history is.
struct Cursor {
  bool log = false;      ///< in the messages; else in the checkpoint
  std::uint64_t at = 0;  ///< index of the last message read, offset in the checkpoint
};

struct Chunk {
  std::string parts;  ///< encoded
  Cursor next;
  bool end = false;
};

/// All calls return at once. What they ask for is done in their order, group by group, and `done` is called later, on the thread
/// that called, with what has become of it. After a write error nothing is written any more.
class Store {
 public:
  using Done = std::function<void(const Result<void>&)>;

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  /// Reads and checks all there is. A damaged history is set aside: the disk is blank then, and `done` says so.
  virtual void open(const std::string& group, std::function<void(Result<Contents>)> done) = 0;

  /// What is there of a group that need not be open, without the messages since the last commit: blank if it is not there, and
  /// if it is damaged (Contents::damage). An error: it could not be read now, and may well be there.
  virtual void kept(const std::string& group, std::function<void(Result<Contents>)> done) = 0;

  /// Adds messages; durable when `done` comes.
  virtual void append(const std::string& group, Messages messages, Done done) = 0;

  /// K1: of a group that is open and not staged. On the disk when `done` comes.
  virtual void promise(const std::string& group, std::uint64_t era, Done done) = 0;

  // ---- another history, or more of the same: all of it or nothing, at the commit
  /// wipe: what is there goes.
  virtual void stage(const std::string& group, bool wipe) = 0;
  /// `done`: more may be put; nothing is durable before the commit.
  virtual void put(const std::string& group, CheckpointPiece piece, Done done) = 0;
  virtual void put(const std::string& group, Messages messages, Done done) = 0;
  /// From now on it is this; messages behind its end are cut off.
  virtual void commit(const std::string& group, const KeptHistory& kept, Done done) = 0;
  virtual void rollback(const std::string& group) = 0;

  // ---- a newer checkpoint, beside what is appended meanwhile
  /// Offset 0 begins. The last piece replaces the old checkpoint, and drops the messages that are in the new one.
  virtual void checkpoint(const std::string& group, CheckpointPiece piece, Done done) = 0;

  // ---- reading
  /// Of these positions, which lie on the history that is kept here?
  virtual void common(const std::string& group, std::vector<HistoryPosition> positions,
                      std::function<void(Result<std::vector<HistoryPosition>>)> done) = 0;
  /// About `size` bytes from there on, not beyond index `end`.
  virtual void read(const std::string& group, const Cursor& from, std::uint64_t end, std::size_t size,
                    std::function<void(Result<Chunk>)> done) = 0;
};

}  // namespace vsync::durable
