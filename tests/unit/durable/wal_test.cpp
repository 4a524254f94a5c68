// The journal of a store that was not closed, changed or cut off.
#include "durable/wal.h"

#include <fstream>
#include <iterator>

#include "unit/durable/disk.h"

namespace vsync::durable {
namespace {

constexpr std::size_t kHeader = 32;
constexpr std::uint64_t kLast = 5;

std::string contents_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The files of five messages as a crash leaves them: nothing was closed.
struct Crashed {
  Disk disk;
  std::string database;
  std::string journal;
  std::filesystem::path path;

  Crashed() {
    disk.fill();
    path = disk.files(".db").at(0);
    database = contents_of(path);
    journal = contents_of(path.string() + "-wal");
    REQUIRE(journal.size() > kHeader);
  }
  /// What a daemon finds with this journal.
  Contents open_with(const std::string& changed) {
    disk.stop();
    std::filesystem::remove_all(path.parent_path());
    std::filesystem::create_directory(path.parent_path());
    std::ofstream(path, std::ios::binary) << database;
    std::ofstream(path.string() + "-wal", std::ios::binary) << changed;
    disk.restart();
    const auto contents = disk.open();
    REQUIRE(contents);
    return *contents;
  }
};

}  // namespace

TEST_CASE("K2 a journal that a crash cut off is not damaged: it has a beginning of what was written") {
  Crashed crashed;
  CHECK(crashed.open_with(crashed.journal).kept == history(5, kLast));
  std::uint64_t longest = 0;
  for (std::size_t size = 0; size < crashed.journal.size(); size += 1000) {
    const auto contents = crashed.open_with(crashed.journal.substr(0, size));
    CAPTURE(size);
    CHECK(contents.damage.empty());
    CHECK(contents.kept.position.index >= longest);
    longest = contents.kept.position.index;
  }
  CHECK(longest == kLast - 1);
}

TEST_CASE("K2 a byte that the disk has changed in the journal costs the last transaction, or is noticed") {
  Crashed crashed;
  std::size_t noticed = 0;
  for (std::size_t at = kHeader; at < crashed.journal.size(); at += 331) {
    auto changed = crashed.journal;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    const auto contents = crashed.open_with(changed);
    CAPTURE(at);
    CHECK((contents.damage.empty() ? contents.kept.position.index >= kLast - 1 : contents.kept.blank()));
    noticed += contents.damage.empty() ? 0U : 1U;
  }
  CHECK(noticed > 0);
}

TEST_CASE("K2 a journal is emptied when it is opened: what a crash left behind its end is not taken for later transactions") {
  Crashed crashed;
  crashed.open_with(crashed.journal.substr(0, crashed.journal.size() - 1));
  CHECK(std::filesystem::file_size(crashed.path.string() + "-wal") == 0);
}

TEST_CASE("a journal whose database was set aside is set aside too: a crash may have come between them") {
  Crashed crashed;
  auto changed = crashed.journal;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 0x10);
  crashed.open_with(crashed.journal);
  crashed.disk.stop();
  std::filesystem::remove(crashed.path);
  std::ofstream(crashed.path.string() + "-wal", std::ios::binary) << changed;
  crashed.disk.restart();
  REQUIRE(crashed.disk.open());
  crashed.disk.store->stage("g", true);
  CHECK(crashed.disk.commit(history(7, 0)));
}

TEST_CASE("verify reads what is on the disk, and not what the open database has in memory") {
  Disk disk;
  disk.fill();
  REQUIRE(disk.append(5, 6, "a marked message"));
  REQUIRE(disk.verify());
  const auto journal = disk.files(".db").at(0).string() + "-wal";
  const auto [at, why] = GENERATE(table<std::string, std::string>({{"hello", "journal was changed"}, {"a marked", "checksum"}}));
  const auto place = contents_of(journal).find(at);  // of the first transactions, and of the last one
  REQUIRE(place != std::string::npos);
  std::fstream(journal, std::ios::binary | std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(place)).put('X');
  const auto verified = disk.verify();
  REQUIRE_FALSE(verified);
  CHECK_THAT(verified.error().message, Catch::Contains(why));
}

TEST_CASE("a group of which there is nothing is not said to be undamaged") {
  Disk disk;
  const auto verified = disk.verify();
  REQUIRE_FALSE(verified);
  CHECK_THAT(verified.error().message, Catch::Contains("nothing of it"));
}

TEST_CASE("verify says that it cannot look, and does not end the daemon") {
  Disk disk;
  std::filesystem::create_directory_symlink("groups", disk.path / "groups");  // to itself
  const auto verified = disk.verify();
  REQUIRE_FALSE(verified);
  CHECK_THAT(verified.error().message, Catch::Contains("cannot open"));
}

TEST_CASE("no journal is not damaged") {
  Disk disk;
  CHECK_FALSE(log_is_damaged((disk.path / "none").string()));
  std::ofstream(disk.path / "short") << "short";
  CHECK_FALSE(log_is_damaged((disk.path / "short").string()));
  std::ofstream(disk.path / "other") << std::string(100000, 'x');
  CHECK_FALSE(log_is_damaged((disk.path / "other").string()));
}

}  // namespace vsync::durable
