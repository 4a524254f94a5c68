// A disk for tests: the real store in a fresh directory that goes away with the test.
#pragma once

#include <sqlite3.h>
#include <stdlib.h>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "durable/sqlite_store.h"
#include "unit/io/run_until.h"

namespace vsync::durable {

inline Messages message(std::uint64_t era, std::uint64_t index, const std::string& text) {
  Messages messages;
  messages.first = {era, index};
  messages.sender = {1, 1, 0};
  messages.body = Slice::take(Writer().put(std::string_view(text)).take());
  return messages;
}

inline KeptHistory history(std::uint64_t era, std::uint64_t index) {
  return {{era, index}, 5, {1, 2, 3}};
}

/// Its group is "g".
class Disk {
 public:
  Disk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "vsync_durable.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
    restart();
  }
  ~Disk() {
    store.reset();
    std::filesystem::remove_all(path);
  }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void stop() { store.reset(); }
  /// As after a crash: what is asked for and not committed is gone.
  void restart() {
    stop();
    store = std::make_unique<SqliteStore>((path / "groups").string(), io.get_executor());
  }

  /// Its answer.
  template <typename T, typename Ask>
  Result<T> ask(Ask ask) {
    std::optional<Result<T>> answer;
    ask([&answer](Result<T> done) { answer = std::move(done); });
    REQUIRE(io::run_until(io, [&] { return answer.has_value(); }));
    return std::move(*answer);
  }
  Result<Contents> open() {
    return ask<Contents>([this](auto done) { store->open("g", done); });
  }
  Result<Contents> kept() {
    return ask<Contents>([this](auto done) { store->kept("g", done); });
  }
  Result<Contents> verify() {
    return ask<Contents>([this](auto done) { store->verify("g", done); });
  }
  Result<void> append(std::uint64_t era, std::uint64_t index, const std::string& text = "hello") {
    return ask<void>([&](auto done) { store->append("g", message(era, index, text), done); });
  }
  Result<void> commit(const KeptHistory& kept) {
    return ask<void>([&](auto done) { store->commit("g", kept, done); });
  }
  Result<void> checkpoint(const HistoryPosition& position, const std::string& state) {
    const auto half = state.size() / 2;
    store->checkpoint("g", {position, 0, false, Slice::copy_of(state.substr(0, half))}, nullptr);
    const CheckpointPiece last{position, half, true, Slice::copy_of(state.substr(half))};
    return ask<void>([&](auto done) { store->checkpoint("g", last, done); });
  }
  /// Everything that is there: of the checkpoint its bytes, of the messages era.index.
  std::string all(const std::string& group = "g") {
    std::string found;
    Cursor cursor;
    for (bool end = false; !end;) {
      auto chunk = ask<Chunk>([&](auto done) { store->read(group, cursor, 1000, 1, done); });
      REQUIRE(chunk);
      PartReader parts;
      parts.add(chunk->parts);
      for (auto part = parts.next(); part && *part; part = parts.next()) {
        if (const auto* piece = std::get_if<CheckpointPiece>(&**part)) {
          found += piece->bytes.view();
        } else {
          const auto& first = std::get<Messages>(**part).first;
          found += ' ' + std::to_string(first.era) + '.' + std::to_string(first.index);
        }
      }
      cursor = chunk->next;
      end = chunk->end;
    }
    return found;
  }

  /// A history of five messages in era 5.
  void fill() {
    REQUIRE(open());
    store->stage("g", true);
    REQUIRE(commit(history(5, 0)));
    for (std::uint64_t index = 1; index <= 5; ++index) {
      REQUIRE(append(5, index));
    }
  }
  [[nodiscard]] std::vector<std::filesystem::path> files(const std::string& extension) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(path / "groups")) {
      if (entry.path().extension() == extension) {
        found.push_back(entry.path());
      }
    }
    return found;
  }
  /// Of this process, for what is in the directory.
  [[nodiscard]] std::size_t descriptors() const {
    std::size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the one that reads this directory
      found += std::filesystem::read_symlink(entry, gone).string().starts_with(path.string()) ? 1U : 0U;
    }
    return found;
  }
  /// Behind the store's back.
  void damage(const std::string& sql) {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(files(".db").at(0).c_str(), &database) == SQLITE_OK);
    CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    CHECK(sqlite3_changes(database) > 0);
    sqlite3_close(database);
  }

  std::filesystem::path path;
  asio::io_context io;
  std::unique_ptr<SqliteStore> store;
};

}  // namespace vsync::durable
