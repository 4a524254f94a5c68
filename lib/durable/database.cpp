#include "durable/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/codec.h"
#include "base/crc.h"
#include "durable/wal.h"

namespace vsync::durable {

namespace {

constexpr int kFormat = 2;
constexpr const char* kTables =
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS checkpoint(made INTEGER, offset INTEGER, part BLOB NOT NULL, sum INTEGER NOT NULL,"
    " PRIMARY KEY(made, offset));"
    "CREATE TABLE IF NOT EXISTS log(last INTEGER PRIMARY KEY, part BLOB NOT NULL, sum INTEGER NOT NULL);";

Result<void> check_journal(const std::string& database) {
  const auto path = database + "-wal";
  return log_is_damaged(path) ? fail("the journal was changed by the disk: " + path) : Result<void>{};
}

}  // namespace

/// A prepared statement, with its parameters from left to right: bytes must stay until it has run.
class Database::Statement {
 public:
  Statement(const Database& database, const char* sql, unsigned flags = 0) : database_(database) {
    ok_ = sqlite3_prepare_v3(database.handle_, sql, -1, flags, &statement_, nullptr) == SQLITE_OK;
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  Statement& bind(std::uint64_t value) {
    ok_ = ok_ && sqlite3_bind_int64(statement_, ++bound_, static_cast<sqlite3_int64>(value)) == SQLITE_OK;
    return *this;
  }
  Statement& bind(std::string_view blob) {
    ok_ = ok_ && sqlite3_bind_blob64(statement_, ++bound_, blob.data(), blob.size(), SQLITE_STATIC) == SQLITE_OK;
    return *this;
  }
  /// The next row; false: there is none.
  Result<bool> row() {
    const int result = ok_ ? sqlite3_step(statement_) : SQLITE_ERROR;
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
      return database_.error("use");
    }
    return result == SQLITE_ROW;
  }
  Result<void> run() {
    auto done = row();
    return done ? Result<void>{} : tl::unexpected(done.error());
  }
  /// For other values.
  void reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
    bound_ = 0;
    ok_ = statement_ != nullptr;
  }
  [[nodiscard]] std::uint64_t number(int column) const {
    return static_cast<std::uint64_t>(sqlite3_column_int64(statement_, column));
  }
  [[nodiscard]] std::string_view blob(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return {bytes == nullptr ? "" : bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }
  /// The bytes of a part in this column, with its checksum in the next.
  [[nodiscard]] Result<std::string_view> bytes(int column) const {
    const auto found = blob(column);
    return crc32c(found) == number(column + 1) ? Result<std::string_view>(found)
                                               : fail("a checksum is wrong: the disk has changed what was written");
  }
  [[nodiscard]] Result<Part> part(int column) const {
    const auto found = bytes(column);
    return found ? decode(*found) : tl::unexpected(found.error());
  }

 private:
  const Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  bool ok_ = false;
};

// ---------------------------------------------------------------- opening

tl::unexpected<Error> Database::error(const std::string& what) const {
  return fail("cannot " + what + " " + sqlite3_db_filename(handle_, nullptr) + ": " + sqlite3_errmsg(handle_));
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path, const std::string& group, bool& damaged) {
  const auto journal = check_journal(path);  // before SQLite cuts off what does not fit
  damaged = !journal;
  if (damaged) {
    return tl::unexpected(journal.error());
  }
  auto database = open_file(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  if (auto prepared = database ? (*database)->prepare(group) : Result<void>{}; !prepared) {
    damaged = !(*database)->not_ours_ && !(*database)->unusable();
    return tl::unexpected(prepared.error());
  }
  return database;
}

Result<std::unique_ptr<Database>> Database::look(const std::string& path, bool& damaged) {
  damaged = false;
  auto database = open_file(path, SQLITE_OPEN_READWRITE);  // a journal cannot be read without
  if (database) {
    sqlite3_db_config((*database)->handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    if (auto known = (*database)->has_format(); !known || !*known) {
      damaged = !(*database)->not_ours_ && !(*database)->unusable();
      return known ? fail(path + " is not complete") : tl::unexpected(known.error());
    }
  }
  return database;
}

Result<Contents> Database::verify(const std::string& path) {
  if (auto journal = check_journal(path); !journal) {
    return tl::unexpected(journal.error());
  }
  auto database = look(path);
  return database ? (*database)->check() : tl::unexpected(database.error());
}

Result<std::unique_ptr<Database>> Database::open_file(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(handle));
  if (result != SQLITE_OK) {
    return fail("cannot open " + path + ": " + sqlite3_errmsg(handle));
  }
  return database;
}

Database::Database(sqlite3* handle) : handle_(handle) {}

Database::~Database() {
  append_.reset();  // or the database stays open
  sqlite3_close(handle_);
}

bool Database::unusable() const {
  const int code = sqlite3_errcode(handle_) & 0xff;
  return code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE && code != SQLITE_CORRUPT && code != SQLITE_NOTADB &&
         code != SQLITE_ERROR;
}

Result<void> Database::execute(const char* sql) {
  return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK ? Result<void>{} : error("use");
}

Result<void> Database::prepare(const std::string& group) {
  for (const auto* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_checkpoint(TRUNCATE)", kTables}) {
    if (auto done = execute(sql); !done) {
      return done;
    }
  }
  auto known = has_format();
  if (!known) {
    return tl::unexpected(known.error());
  }
  if (*known) {
    const auto name = this->group();
    not_ours_ = name && *name != group;
    return name && !not_ours_ ? Result<void>{} : fail(not_ours_ ? "the file is of group " + *name : "it is of no group");
  }
  return Statement(*this, "INSERT INTO meta VALUES('format',?),('group',?)").bind(kFormat).bind(group).run();
}

Result<bool> Database::has_format() {
  Statement format(*this, "SELECT value FROM meta WHERE key='format'");
  auto known = format.row();
  not_ours_ = known && *known && format.number(0) != kFormat;
  return !not_ours_ ? known
                    : fail(std::string(sqlite3_db_filename(handle_, nullptr)) + " was written by another version of vsyncd");
}

Result<std::string> Database::group() {
  Statement name(*this, "SELECT value FROM meta WHERE key='group'");
  auto row = name.row();
  return row && *row ? Result<std::string>(name.blob(0)) : fail("it is of no group");
}

Result<Contents> Database::summary() {
  auto known = kept();
  auto checkpoint = checkpoint_position();
  Statement sizes(*this,
                  "SELECT (SELECT max(last) FROM log), (SELECT total(length(part)-?) FROM log),"
                  " (SELECT total(length(part)-?) FROM checkpoint WHERE made=0)");
  auto row = sizes.bind(bytes_of(Messages{}).size()).bind(bytes_of(CheckpointPiece{}).size()).row();
  if (!known || !checkpoint || !row) {
    return tl::unexpected(!known ? known.error() : !checkpoint ? checkpoint.error() : row.error());
  }
  Contents contents;
  contents.kept = *known;
  contents.kept.position.index = std::max({known->position.index, checkpoint->index, sizes.number(0)});
  contents.checkpoint = *checkpoint;
  contents.log_bytes = sizes.number(1);
  contents.checkpoint_bytes = sizes.number(2);
  return contents;
}

Result<KeptHistory> Database::kept() {
  Statement statement(*this, "SELECT value FROM meta WHERE key='kept'");
  auto row = statement.row();
  if (!row) {
    return tl::unexpected(row.error());
  }
  if (!*row) {
    return KeptHistory{};
  }
  const auto bytes = statement.blob(0);
  Reader sum(bytes.substr(0, 4));
  auto part = bytes.size() > 4 && sum.value<std::uint32_t>() == crc32c(bytes.substr(4))
                  ? decode(bytes.substr(4))
                  : Result<Part>(fail("a checksum is wrong"));
  const auto* header = part ? std::get_if<Header>(&*part) : nullptr;
  if (header == nullptr) {
    return fail("what the disk has of the group is damaged");
  }
  return header->end;
}

Result<void> Database::set_kept(const KeptHistory& kept) {
  const auto part = bytes_of(Header{kept});
  const auto value = Writer().put(crc32c(part)).raw(part).take();
  return Statement(*this, "INSERT OR REPLACE INTO meta VALUES('kept',?)").bind(value).run();
}

Result<HistoryPosition> Database::checkpoint_position() {
  Statement statement(*this, "SELECT part, sum FROM checkpoint WHERE made=0 ORDER BY offset LIMIT 1");
  auto row = statement.row();
  if (!row || !*row) {
    return row ? Result<HistoryPosition>(HistoryPosition{}) : tl::unexpected(row.error());
  }
  auto part = statement.part(0);
  const auto* piece = part ? std::get_if<CheckpointPiece>(&*part) : nullptr;
  return piece != nullptr ? Result<HistoryPosition>(piece->position) : fail("the checkpoint is damaged");
}

Result<Contents> Database::check() {
  Contents contents;
  auto known = kept();
  if (!known) {
    return tl::unexpected(known.error());
  }
  contents.kept = *known;
  bool ended = false;
  Cursor cursor;
  std::uint64_t last = 0;
  for (bool end = false; !end;) {
    auto chunk = read(cursor, std::numeric_limits<std::int64_t>::max(), std::size_t{1} << 20U);
    if (!chunk) {
      return tl::unexpected(chunk.error());
    }
    cursor = chunk->next;
    end = chunk->end;
    PartReader parts;
    parts.add(chunk->parts);
    auto part = parts.next();
    for (; part && *part; part = parts.next()) {
      if (const auto* piece = std::get_if<CheckpointPiece>(&**part)) {
        if (piece->offset != contents.checkpoint_bytes || ended) {
          return fail("a piece of the checkpoint is missing");
        }
        ended = piece->last;
        contents.checkpoint = piece->position;
        contents.checkpoint_bytes += piece->bytes.size();
        last = piece->position.index;
      } else if (const auto* messages = std::get_if<Messages>(&**part)) {
        if (messages->first.index != last + 1) {
          return fail("message " + std::to_string(last + 1) + " is missing");
        }
        last = messages->last();
        contents.log_bytes += messages->body.size();
      }
    }
    if (!part) {
      return tl::unexpected(part.error());
    }
  }
  if (!ended && contents.checkpoint.era != 0) {
    return fail("the checkpoint has no end");
  }
  contents.kept.position.index = std::max(contents.kept.position.index, last);
  return contents.kept.position.index == last ? Result<Contents>(contents) : fail("its last messages are missing");
}

// ---------------------------------------------------------------- writing

Result<void> Database::begin() {
  if (std::exchange(open_, true)) {
    return {};
  }
  return execute("BEGIN IMMEDIATE");
}

Result<void> Database::sync() {
  if (staged_ || !std::exchange(open_, false)) {
    return {};
  }
  return execute("COMMIT");
}

Result<void> Database::append(const Messages& messages) {
  const auto part = bytes_of(messages);
  if (!append_) {
    append_ = std::make_unique<Statement>(*this, "INSERT INTO log VALUES(?,?,?)", SQLITE_PREPARE_PERSISTENT);
  }
  auto done = append_->bind(messages.last()).bind(part).bind(crc32c(part)).run();
  append_->reset();
  return done;
}

Result<void> Database::promise(std::uint64_t era) {
  auto known = kept();
  if (!known) {
    return tl::unexpected(known.error());
  }
  known->promised = std::max(known->promised, era);
  return set_kept(*known);
}

Result<void> Database::stage(bool wipe) {
  auto done = sync();
  done = done ? begin() : done;
  staged_ = true;
  return done && wipe ? execute("DELETE FROM checkpoint; DELETE FROM log; DELETE FROM meta WHERE key='kept'") : done;
}

Result<void> Database::put(const CheckpointPiece& piece, bool made) {
  const auto part = bytes_of(piece);
  if (piece.offset == 0) {
    if (auto done = Statement(*this, "DELETE FROM checkpoint WHERE made=?").bind(made ? 1 : 0).run(); !done) {
      return done;
    }
  }
  // The last piece may be empty, and then begins where the one before it ended.
  return Statement(*this, "INSERT INTO checkpoint VALUES(?,?,?,?)")
      .bind(made ? 1 : 0)
      .bind(2 * piece.offset + (piece.last ? 1 : 0))
      .bind(part)
      .bind(crc32c(part))
      .run();
}

Result<void> Database::commit(const KeptHistory& kept) {
  staged_ = false;
  auto done = set_kept(kept);
  return done ? Statement(*this, "DELETE FROM log WHERE last>?").bind(kept.position.index).run() : done;
}

Result<void> Database::rollback() {
  if (!std::exchange(staged_, false)) {
    return {};
  }
  open_ = false;
  return execute("ROLLBACK");
}

Result<void> Database::drop_made() {
  return execute("DELETE FROM checkpoint WHERE made=1");
}

Result<void> Database::replace_checkpoint(const CheckpointPiece& last) {
  auto done = execute("DELETE FROM checkpoint WHERE made=0; UPDATE checkpoint SET made=0");
  return done ? Statement(*this, "DELETE FROM log WHERE last<=?").bind(last.position.index).run() : done;
}

// ---------------------------------------------------------------- reading

Result<std::vector<HistoryPosition>> Database::common(const std::vector<HistoryPosition>& positions) {
  std::vector<HistoryPosition> found;
  auto checkpoint = checkpoint_position();
  if (!checkpoint) {
    return tl::unexpected(checkpoint.error());
  }
  for (const auto& position : positions) {
    Statement statement(*this, "SELECT part, sum FROM log WHERE last=?");
    auto row = statement.bind(position.index).row();
    if (!row) {
      return tl::unexpected(row.error());
    }
    auto part = *row ? statement.part(0) : Result<Part>(Header{});
    const auto* messages = part ? std::get_if<Messages>(&*part) : nullptr;
    if ((messages != nullptr && messages->first.era == position.era) || (position.era != 0 && position == *checkpoint)) {
      found.push_back(position);
    }
  }
  return found;
}

Result<Chunk> Database::read(const Cursor& from, std::uint64_t end, std::size_t size) {
  Chunk chunk{{}, from, false};
  const char* sql = from.log ? "SELECT last, part, sum FROM log WHERE last>? AND last<=? ORDER BY last"
                             : "SELECT offset, part, sum FROM checkpoint WHERE made=0 AND offset>=? AND offset<? ORDER BY offset";
  Statement statement(*this, sql);
  statement.bind(from.at).bind(from.log ? end : std::numeric_limits<std::int64_t>::max());
  while (true) {
    auto row = statement.row();
    if (!row) {
      return tl::unexpected(row.error());
    }
    if (!*row) {
      break;
    }
    const auto part = statement.bytes(1);
    if (!part) {
      return tl::unexpected(part.error());
    }
    chunk.parts += Writer().put(static_cast<std::uint32_t>(part->size())).take();
    chunk.parts += *part;
    chunk.next.at = statement.number(0) + (from.log ? 0 : 1);
    if (chunk.parts.size() >= size) {
      return chunk;
    }
  }
  if (from.log) {
    chunk.end = true;
    return chunk;
  }
  auto checkpoint = checkpoint_position();
  if (!checkpoint) {
    return tl::unexpected(checkpoint.error());
  }
  chunk.next = {true, checkpoint->index};
  return chunk;
}

}  // namespace vsync::durable
