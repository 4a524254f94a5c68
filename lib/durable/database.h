// One group's history in an SQLite database. Blocks; used by the store's thread alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "durable/store.h"

struct sqlite3;
struct sqlite3_stmt;

namespace vsync::durable {

/// Tables:
///   meta(key, value)             format, group, kept: what the disk has, with a checksum
///   checkpoint(made, offset, part, sum)   pieces; made = 1: of a newer one that is not complete; `offset` is twice that of the
///                                piece, and 1 more if it is the last
///   log(last, part, sum)         messages as they were delivered, by the index of the last of them
/// `part` is durable::bytes_of() it, `sum` its CRC-32C. The journal is a write-ahead log, synced at each commit.
class Database {
 public:
  /// Opens or makes it. An error, and damaged: it is no database, or the disk has changed it, or its journal. An error alone: the
  /// disk or the system does not let us, or it is of another group or another version of vsyncd and not ours to touch.
  static Result<std::unique_ptr<Database>> open(const std::string& path, const std::string& group, bool& damaged);
  /// One that is there, of whichever group, to look at it: nothing is changed. damaged: as with open(), and if it was never
  /// complete; but the journal is not checked.
  static Result<std::unique_ptr<Database>> look(const std::string& path, bool& damaged);
  static Result<std::unique_ptr<Database>> look(const std::string& path) {
    bool damaged = false;
    return look(path, damaged);
  }
  /// What is on the disk, as far as it is committed, whether or not it is open here: that one has pages in memory. The journal is
  /// checked too.
  static Result<Contents> verify(const std::string& path);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// Reads everything, so that nothing is offered that is not there. An error: it is damaged, unless it is unusable().
  Result<Contents> check();
  /// The last error was none of the database but of the disk or the system.
  [[nodiscard]] bool unusable() const;
  Result<std::string> group();
  /// As check() finds it, in a moment: nothing is checked.
  Result<Contents> summary();
  /// The position as of the last commit(); more messages may have been appended since.
  Result<KeptHistory> kept();

  Result<void> begin();  ///< a transaction, unless one is open
  Result<void> sync();   ///< ends it, unless it is staged
  Result<void> append(const Messages& messages);
  Result<void> promise(std::uint64_t era);
  Result<void> stage(bool wipe);
  [[nodiscard]] bool staged() const { return staged_; }
  Result<void> put(const CheckpointPiece& piece, bool made);
  Result<void> commit(const KeptHistory& kept);
  Result<void> rollback();
  /// Whose giver is gone.
  Result<void> drop_made();
  Result<void> replace_checkpoint(const CheckpointPiece& last);
  Result<std::vector<HistoryPosition>> common(const std::vector<HistoryPosition>& positions);
  Result<Chunk> read(const Cursor& from, std::uint64_t end, std::size_t size);

 private:
  class Statement;

  explicit Database(sqlite3* handle);
  [[nodiscard]] tl::unexpected<Error> error(const std::string& what) const;
  Result<void> execute(const char* sql);
  static Result<std::unique_ptr<Database>> open_file(const std::string& path, int flags);
  Result<void> prepare(const std::string& group);
  Result<bool> has_format();
  Result<void> set_kept(const KeptHistory& kept);
  Result<HistoryPosition> checkpoint_position();

  sqlite3* handle_;
  std::unique_ptr<Statement> append_;
  bool not_ours_ = false;  ///< it is of another version of vsyncd, or of another group: not damaged, and not to be touched
  bool open_ = false;      ///< a transaction
  bool staged_ = false;    ///< it ends with commit() or rollback()
};

}  // namespace vsync::durable
