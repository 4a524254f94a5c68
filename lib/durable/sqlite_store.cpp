#include "durable/sqlite_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <cstdio>
#include <filesystem>
#include <set>
#include <utility>

#include "base/hash.h"
#include "base/signals.h"
#include "durable/database.h"

namespace vsync::durable {

namespace {

constexpr std::size_t kReadable = 40;  // bytes of a group's name in that of its file

/// For people to recognise, and unique.
std::string file_name(const std::string& group) {
  std::string name;
  for (const char c : group.substr(0, kReadable)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    name += plain ? c : '_';
  }
  char hash[20];
  std::snprintf(hash, sizeof(hash), "%016llx", static_cast<unsigned long long>(Hasher().add(group).value()));
  return name + "." + hash + ".db";
}

Result<void> make_durable(const std::string& directory) {
  const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = handle >= 0 && ::fsync(handle) == 0;
  ::close(handle);
  return done ? Result<void>{} : fail("cannot make " + directory + " durable");
}

/// The database and its journal, for the operator to look at.
/// The database first: without it nothing is offered, but without its journal it would be offered as it was some time ago.
void set_aside(const std::string& path) {
  std::error_code ignored;
  for (const auto* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::rename(path + suffix, path + ".damaged" + suffix, ignored);
  }
}

}  // namespace

SqliteStore::SqliteStore(std::string directory, asio::any_io_executor executor)
    : directory_(std::move(directory)), executor_(std::move(executor)) {
  without_signals([this] { worker_ = std::thread([this] { run(); }); });
}

SqliteStore::~SqliteStore() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  worker_.join();
}

void SqliteStore::enqueue(Operation operation) {
  {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(std::move(operation));
  }
  changed_.notify_one();
}

void SqliteStore::run() {
  std::unique_lock guard(mutex_);
  while (true) {
    changed_.wait(guard, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    auto batch = std::exchange(waiting_, {});
    guard.unlock();
    std::deque<std::function<void()>> completions;
    for (const auto& operation : batch) {
      if (auto completion = operation()) {
        completions.push_back(std::move(completion));
      }
    }
    if (auto synced = sync(); !synced) {
      failed_ = synced.error().message;  // completions look at it
    }
    for (auto& completion : completions) {
      completion();
    }
    guard.lock();
  }
}

template <typename T>
std::function<void()> SqliteStore::answer(std::function<void(T)> done, T value) {
  return [this, done = std::move(done), held = std::make_shared<T>(std::move(value))] {
    asio::post(executor_, [done, held] { done(std::move(*held)); });
  };
}

Result<void> SqliteStore::sync() {
  for (auto& [group, open] : databases_) {
    if (auto done = open.database->sync(); !done) {
      return done;
    }
  }
  return {};
}

void SqliteStore::write(const std::string& group, std::function<Result<void>(Database&)> change, Done done) {
  enqueue([this, group, change = std::move(change), done = std::move(done)]() -> std::function<void()> {
    if (failed_.empty()) {
      auto found = database(group);
      auto changed = found ? (*found)->begin() : tl::unexpected(found.error());
      changed = changed ? change(**found) : changed;
      failed_ = changed ? failed_ : changed.error().message;
    }
    if (!done) {
      return nullptr;
    }
    return [this, done] {
      asio::post(executor_, [done, result = failed_.empty() ? Result<void>{} : Result<void>(fail(failed_))] { done(result); });
    };
  });
}

// ---------------------------------------------------------------- opening

std::string SqliteStore::path_of(const std::string& group) const {
  return directory_ + "/" + file_name(group);
}

/// Closes who was not used for the longest time.
void SqliteStore::make_room() {
  while (databases_.size() >= kOpen) {
    auto oldest = databases_.end();
    for (auto it = databases_.begin(); it != databases_.end(); ++it) {
      const bool older = oldest == databases_.end() || it->second.used < oldest->second.used;
      oldest = older && !it->second.database->staged() ? it : oldest;
    }
    if (oldest == databases_.end()) {
      return;
    }
    close(oldest);
  }
}

/// It is synced alone then, ahead of the others.
void SqliteStore::close(std::map<std::string, Open>::iterator open) {
  if (auto synced = open->second.database->sync(); !synced) {
    failed_ = synced.error().message;
  }
  databases_.erase(open);
}

/// Opens or makes it, unless it is open. It was opened and checked before, or is not there: no damage is expected here.
Result<Database*> SqliteStore::database(const std::string& group) {
  auto found = databases_.find(group);
  if (found == databases_.end()) {
    make_room();
    bool damaged = false;
    auto opened = Database::open(path_of(group), group, damaged);
    auto durable = opened ? make_durable(directory_) : tl::unexpected(opened.error());
    if (!durable) {
      return tl::unexpected(durable.error());
    }
    found = databases_.emplace(group, Open{std::move(*opened)}).first;
  }
  found->second.used = ++uses_;
  return found->second.database.get();
}

Result<Contents> SqliteStore::open_checked(const std::string& group, bool& damaged) {
  if (const auto known = databases_.find(group); known != databases_.end()) {
    close(known);
  }
  make_room();
  auto opened = Database::open(path_of(group), group, damaged);
  auto contents = opened ? (*opened)->check() : Result<Contents>(tl::unexpected(opened.error()));
  damaged = opened ? !contents && !(*opened)->unusable() : damaged;
  auto dropped = contents ? (*opened)->drop_made() : Result<void>{};
  if (!contents || !dropped) {
    return tl::unexpected(!contents ? contents.error() : dropped.error());
  }
  databases_[group] = {std::move(*opened), ++uses_};
  return contents;
}

void SqliteStore::open(const std::string& group, std::function<void(Result<Contents>)> done) {
  enqueue([this, group, done = std::move(done)]() -> std::function<void()> {
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    const auto path = path_of(group);
    Result<Contents> contents = Contents{};
    if (std::filesystem::exists(path, error) || error) {
      bool damaged = false;
      contents = open_checked(group, damaged);
      if (damaged) {
        set_aside(path);
        contents = Contents{.damage = contents.error().message};
      }
    } else {
      set_aside(path);  // of a journal whose database was set aside before a crash
    }
    if (auto durable = make_durable(directory_); contents && !durable) {
      contents = tl::unexpected(durable.error());
    }
    return answer(done, std::move(contents));
  });
}

void SqliteStore::kept(const std::string& group, std::function<void(Result<Contents>)> done) {
  enqueue([this, group, done = std::move(done)]() -> std::function<void()> {
    auto contents = kept_now(group);
    return answer(done, std::move(contents));
  });
}

Result<Contents> SqliteStore::kept_now(const std::string& group) {
  const auto path = path_of(group);
  const auto found = databases_.find(group);
  std::unique_ptr<Database> looked_at;
  if (found == databases_.end()) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) {
      return error ? Result<Contents>(fail("cannot look at " + path + ": " + error.message())) : Contents{};
    }
    bool damaged = false;
    auto database = Database::look(path, damaged);
    if (!database) {
      return damaged ? Contents{.damage = database.error().message} : Result<Contents>(tl::unexpected(database.error()));
    }
    if (const auto name = (*database)->group(); name && *name != group) {
      return tl::unexpected(Error{path + " is of group " + *name});
    }
    looked_at = std::move(*database);
  }
  auto& database = looked_at ? *looked_at : *found->second.database;
  auto kept = database.kept();
  if (kept || database.unusable()) {
    return kept.map([](KeptHistory& history) { return Contents{.kept = std::move(history)}; });
  }
  return Contents{.damage = kept.error().message};
}

void SqliteStore::verify(const std::string& group, std::function<void(Result<Contents>)> done) {
  enqueue([this, group, done = std::move(done)]() -> std::function<void()> {
    const auto path = path_of(group);
    std::error_code error;  // then the database says why it cannot be opened
    if (!std::filesystem::exists(path, error) && !error) {
      return answer(done, Result<Contents>(fail("the disk here has nothing of it")));
    }
    const auto open = databases_.find(group);
    const auto written = open != databases_.end() ? open->second.database->sync() : Result<void>{};
    return answer(done, written ? Database::verify(path) : tl::unexpected(written.error()));
  });
}

SqliteStore::Stored SqliteStore::look(const std::string& path) {
  auto database = Database::look(path);
  auto group = database ? (*database)->group() : tl::unexpected(database.error());
  auto contents = group ? (*database)->summary() : tl::unexpected(group.error());
  return contents ? Stored{*group, *contents, {}} : Stored{path.substr(path.rfind('/') + 1), {}, contents.error().message};
}

void SqliteStore::list(std::function<void(const std::vector<Stored>&)> done) {
  enqueue([this, done = std::move(done)]() -> std::function<void()> {
    std::set<std::string> open;
    for (const auto& [group, database] : databases_) {
      open.insert(file_name(group));
    }
    std::vector<Stored> stored;
    std::error_code none;  // no directory: no groups
    for (const auto& entry : std::filesystem::directory_iterator(directory_, none)) {
      if (!open.contains(entry.path().filename().string()) && entry.path().extension() == ".db") {
        stored.push_back(look(entry.path().string()));
      }
    }
    return answer(std::function<void(std::vector<Stored>)>(done), std::move(stored));
  });
}

// ---------------------------------------------------------------- the rest

void SqliteStore::append(const std::string& group, Messages messages, Done done) {
  write(
      group, [messages = std::move(messages)](Database& database) { return database.append(messages); }, std::move(done));
}

void SqliteStore::promise(const std::string& group, std::uint64_t era, Done done) {
  write(
      group, [era](Database& database) { return database.promise(era); }, std::move(done));
}

void SqliteStore::stage(const std::string& group, bool wipe) {
  write(
      group, [wipe](Database& database) { return database.stage(wipe); }, nullptr);
}

void SqliteStore::put(const std::string& group, CheckpointPiece piece, Done done) {
  write(
      group, [piece = std::move(piece)](Database& database) { return database.put(piece, false); }, std::move(done));
}

void SqliteStore::put(const std::string& group, Messages messages, Done done) {
  append(group, std::move(messages), std::move(done));
}

void SqliteStore::commit(const std::string& group, const KeptHistory& kept, Done done) {
  write(
      group, [kept](Database& database) { return database.commit(kept); }, std::move(done));
}

void SqliteStore::rollback(const std::string& group) {
  write(
      group, [](Database& database) { return database.rollback(); }, nullptr);
}

void SqliteStore::checkpoint(const std::string& group, CheckpointPiece piece, Done done) {
  const auto change = [piece = std::move(piece)](Database& database) {
    auto put = database.put(piece, true);
    return put && piece.last ? database.replace_checkpoint(piece) : put;
  };
  write(group, change, std::move(done));
}

void SqliteStore::common(const std::string& group, std::vector<HistoryPosition> positions,
                         std::function<void(Result<std::vector<HistoryPosition>>)> done) {
  enqueue([this, group, positions = std::move(positions), done = std::move(done)]() -> std::function<void()> {
    auto opened = database(group);
    auto found = opened ? (*opened)->common(positions) : tl::unexpected(opened.error());
    return answer(done, std::move(found));
  });
}

void SqliteStore::read(const std::string& group, const Cursor& from, std::uint64_t end, std::size_t size,
                       std::function<void(Result<Chunk>)> done) {
  enqueue([this, group, from, end, size, done = std::move(done)]() -> std::function<void()> {
    auto opened = database(group);
    auto chunk = opened ? (*opened)->read(from, end, size) : tl::unexpected(opened.error());
    return answer(done, std::move(chunk));
  });
}

}  // namespace vsync::durable
