// What survives on the real disk, and what is noticed.
#include <sys/resource.h>

#include <csignal>

#include "unit/durable/disk.h"

namespace vsync::durable {

TEST_CASE("a history is there after a restart, without a checkpoint and with one") {
  Disk disk;
  disk.fill();
  disk.restart();
  auto contents = disk.open();
  REQUIRE(contents);
  CHECK(contents->kept == history(5, 5));
  CHECK(contents->checkpoint == HistoryPosition{});
  CHECK(contents->log_bytes > 0);
  CHECK(disk.all() == " 5.1 5.2 5.3 5.4 5.5");

  REQUIRE(disk.checkpoint({5, 4}, "the state"));
  disk.restart();
  contents = disk.open();
  REQUIRE(contents);
  CHECK(contents->kept == history(5, 5));
  CHECK(contents->checkpoint == HistoryPosition{5, 4});
  CHECK(contents->checkpoint_bytes == 9);
  CHECK(contents->damage.empty());
  CHECK(disk.all() == "the state 5.5");
}

TEST_CASE("a checkpoint counts when it is complete") {
  Disk disk;
  disk.fill();
  REQUIRE(disk.checkpoint({5, 1}, "old"));
  disk.store->checkpoint("g", {{5, 5}, 0, false, Slice::copy_of("new")}, nullptr);
  disk.restart();
  CHECK(disk.open()->checkpoint == HistoryPosition{5, 1});
  CHECK(disk.all() == "old 5.2 5.3 5.4 5.5");
  REQUIRE(disk.checkpoint({5, 2}, "newer"));  // nothing is left of the one that came to nothing
  CHECK(disk.all() == "newer 5.3 5.4 5.5");
}

TEST_CASE("another history takes the place of the old one at its commit and not before") {
  Disk disk;
  disk.fill();
  const auto replace = [&] {
    disk.store->stage("g", true);
    disk.store->put("g", CheckpointPiece{{9, 7}, 0, true, Slice::copy_of("state")}, nullptr);
    disk.store->put("g", message(9, 8, "x"), nullptr);
  };
  replace();
  disk.restart();
  CHECK(disk.open()->kept == history(5, 5));
  replace();
  disk.store->rollback("g");
  CHECK(disk.all() == " 5.1 5.2 5.3 5.4 5.5");
  replace();
  REQUIRE(disk.commit(history(9, 8)));
  disk.restart();
  CHECK(disk.open()->kept == history(9, 8));
  CHECK(disk.all() == "state 9.8");
}

TEST_CASE("a tail that is not of the group's history is cut off") {
  Disk disk;
  disk.fill();
  REQUIRE(disk.commit(history(9, 3)));  // the group began anew behind message 3
  REQUIRE(disk.append(9, 4));
  disk.restart();
  CHECK(disk.open()->kept == history(9, 4));
  CHECK(disk.all() == " 5.1 5.2 5.3 9.4");
  const std::vector<HistoryPosition> asked{{5, 3}, {5, 4}, {9, 4}, {9, 3}};
  const auto common = disk.ask<std::vector<HistoryPosition>>([&](auto done) { disk.store->common("g", asked, done); });
  CHECK(*common == std::vector<HistoryPosition>{{5, 3}, {9, 4}});
}

TEST_CASE("a store has few databases open, however many groups it has") {
  constexpr std::size_t kGroups = 3 * SqliteStore::kOpen;
  Disk disk;
  const auto name = [](std::size_t i) { return "g" + std::to_string(i); };
  const auto open = [&](std::size_t i) { return disk.ask<Contents>([&](auto done) { disk.store->open(name(i), done); }); };
  std::size_t done = 0;
  const auto count = [&](const Result<void>& result) { done += result ? 1U : 0U; };
  for (std::size_t i = 0; i < kGroups; ++i) {
    REQUIRE(open(i));
    disk.store->stage(name(i), true);
    disk.store->commit(name(i), history(5, 0), count);
  }
  for (std::uint64_t index = 1; index <= 2; ++index) {
    for (std::size_t i = 0; i < kGroups; ++i) {
      disk.store->append(name(i), message(5, index, name(i)), count);
      disk.store->checkpoint(name(i), {{5, 1}, index - 1, index == 2, Slice::copy_of(index == 1 ? "[" : "1]")}, count);
    }
  }
  REQUIRE(io::run_until(disk.io, [&] { return done == 5 * kGroups; }));
  CHECK(disk.descriptors() <= 3 * SqliteStore::kOpen);
  for (const bool restarted : {false, true}) {
    for (std::size_t i = 0; i < kGroups; ++i) {
      const auto contents = restarted ? open(i) : disk.ask<Contents>([&](auto told) { disk.store->verify(name(i), told); });
      REQUIRE(contents);
      CHECK(contents->kept == history(5, 2));
      CHECK(contents->checkpoint == HistoryPosition{5, 1});
      CHECK(contents->checkpoint_bytes == 3);
      CHECK(disk.all(name(i)) == "[1] 5.2");
    }
    disk.restart();
  }
}

TEST_CASE("what is staged stays so while other databases are opened") {
  Disk disk;
  disk.fill();
  disk.store->stage("g", true);
  disk.store->put("g", message(9, 1, "x"), nullptr);
  for (std::size_t i = 0; i < 2 * SqliteStore::kOpen; ++i) {
    const auto name = "g" + std::to_string(i);
    disk.store->stage(name, true);
    REQUIRE(disk.ask<void>([&](auto done) { disk.store->commit(name, history(5, 0), done); }));
  }
  REQUIRE(disk.commit(history(9, 1)));
  CHECK(disk.all() == " 9.1");
}

TEST_CASE("a group that nothing is written of leaves no file") {
  Disk disk;
  REQUIRE(disk.open());
  CHECK(disk.files(".db").empty());
  disk.restart();
  CHECK(disk.open()->kept.blank());
  disk.fill();
  CHECK(disk.files(".db").size() == 1);
}

TEST_CASE("verify notices what is damaged or missing, and the next start sets it aside") {
  const auto [sql, why] = GENERATE(table<std::string, std::string>({
      {"UPDATE log SET part=zeroblob(length(part)) WHERE last=5", "checksum"},
      {"UPDATE log SET sum=sum+1 WHERE last=4", "checksum"},
      {"UPDATE log SET part=x'', sum=0 WHERE last=4", "no known kind"},
      {"DELETE FROM log WHERE last=4", "message 4 is missing"},
      {"DELETE FROM checkpoint WHERE offset=0", "piece of the checkpoint is missing"},
      {"DELETE FROM checkpoint WHERE offset>0", "checkpoint has no end"},
      {"DELETE FROM checkpoint", "message 1 is missing"},
      {"UPDATE checkpoint SET part=zeroblob(length(part)) WHERE offset=0", "checksum"},
      {"UPDATE meta SET value=zeroblob(length(value)) WHERE key='kept'", "damaged"},
  }));
  Disk disk;
  disk.fill();
  REQUIRE(disk.checkpoint({5, 3}, "the state"));
  CHECK(disk.verify());
  INFO(sql);
  disk.damage(sql);
  const auto verified = disk.verify();
  REQUIRE_FALSE(verified);
  CHECK_THAT(verified.error().message, Catch::Contains(why));

  disk.restart();
  const auto contents = disk.open();
  REQUIRE(contents);
  CHECK(contents->kept.blank());
  CHECK_THAT(contents->damage, Catch::Contains(why));
  CHECK(disk.files(".damaged").size() == 1);
  disk.store->stage("g", true);
  CHECK(disk.commit(history(9, 0)));  // it can be filled again
}

TEST_CASE("messages that were cut off behind a commit are missed") {
  Disk disk;
  disk.fill();
  REQUIRE(disk.commit(history(5, 5)));
  disk.damage("DELETE FROM log WHERE last=5");
  CHECK_THAT(disk.verify().error().message, Catch::Contains("last messages are missing"));
}

TEST_CASE("what is on the disk is listed without opening it, and nothing is changed by that") {
  Disk disk;
  disk.fill();
  REQUIRE(disk.checkpoint({5, 2}, "the state"));
  const auto list = [&] { return *disk.ask<std::vector<SqliteStore::Stored>>([&](auto done) { disk.store->list(done); }); };
  CHECK(list().empty());  // it is open
  disk.restart();
  REQUIRE(list().size() == 1);
  const auto listed = list()[0];
  CHECK(listed.group == "g");
  CHECK(listed.problem.empty());
  CHECK(disk.verify());
  const auto contents = disk.open();
  CHECK(listed.contents.kept == contents->kept);
  CHECK(listed.contents.checkpoint == contents->checkpoint);
  CHECK(listed.contents.checkpoint_bytes == contents->checkpoint_bytes);
  CHECK(listed.contents.log_bytes == contents->log_bytes);
  disk.damage("UPDATE meta SET value=value+1 WHERE key='format'");
  disk.restart();
  CHECK_THAT(list()[0].problem, Catch::Contains("another version"));
}

TEST_CASE("what the disk has of a group is told without opening it") {
  Disk disk;
  CHECK(disk.kept()->kept.blank());
  CHECK_FALSE(std::filesystem::exists(disk.path / "groups"));
  disk.fill();
  CHECK(disk.kept()->kept == history(5, 0));
  disk.restart();
  CHECK(disk.kept()->kept.keepers == history(5, 0).keepers);
  CHECK(disk.kept()->kept.origin == history(5, 0).origin);
  CHECK(disk.kept()->damage.empty());
  disk.stop();
  for (const auto* extension : {".db", ".db-wal"}) {
    for (const auto& file : disk.files(extension)) {
      std::ofstream(file, std::ios::trunc) << "no database";
    }
  }
  disk.restart();
  REQUIRE(disk.kept());
  CHECK(disk.kept()->kept.blank());
  CHECK_FALSE(disk.kept()->damage.empty());
}

TEST_CASE("what cannot be read now is not said to be lost") {
  Disk disk;
  disk.fill();
  SECTION("the store is of another version") {
    disk.damage("UPDATE meta SET value=value+1 WHERE key='format'");
    disk.restart();
    REQUIRE_FALSE(disk.kept());
    CHECK_THAT(disk.kept().error().message, Catch::Contains("another version"));
    return;
  }
  SECTION("there is no descriptor for it") {
    disk.restart();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit few{3, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto now = disk.kept();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_FALSE(now);
  }
  CHECK(disk.kept()->kept == history(5, 0));
}

TEST_CASE("a file that is no database, or torn, counts as a lost disk") {
  const bool torn = GENERATE(true, false);
  Disk disk;
  disk.fill();
  disk.stop();
  const auto file = disk.files(".db").at(0);
  if (torn) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  } else {
    std::ofstream(file, std::ios::binary) << std::string(10000, 'x');
  }
  disk.restart();
  const auto contents = disk.open();
  REQUIRE(contents);
  CHECK(contents->kept.blank());
  CHECK_FALSE(contents->damage.empty());
}

TEST_CASE("a file that is not this group's, or not of this version, is refused and left as it is") {
  const auto [change, why, change_back] = GENERATE(table<std::string, std::string, std::string>({
      {"UPDATE meta SET value='h' WHERE key='group'", "is of group h", "UPDATE meta SET value='g' WHERE key='group'"},
      {"UPDATE meta SET value=value+1 WHERE key='format'", "another version", "UPDATE meta SET value=value-1 WHERE key='format'"},
  }));
  INFO(why);
  Disk disk;
  disk.fill();
  disk.damage(change);
  disk.restart();
  const auto contents = disk.open();
  REQUIRE_FALSE(contents);
  CHECK_THAT(contents.error().message, Catch::Contains(why));
  CHECK_FALSE(disk.kept());
  disk.damage(change_back);
  disk.restart();
  CHECK(disk.open()->kept == history(5, 5));
}

TEST_CASE("on a full disk nothing is called written that is not, and nothing more is written") {
  Disk disk;
  disk.fill();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{200000, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::uint64_t written = 5;
  while (written < 1000 && disk.append(5, written + 1, std::string(10000, 'x'))) {
    ++written;
  }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(written > 5);
  CHECK(written < 1000);
  CHECK_FALSE(disk.append(5, written + 1));  // there is room again, but who knows what is there
  disk.restart();
  CHECK(disk.open()->kept == history(5, written));
}

TEST_CASE("a directory that cannot be used is no damage") {
  Disk disk;
  std::ofstream(disk.path / "groups") << "a file";
  const auto contents = disk.open();
  REQUIRE_FALSE(contents);
  CHECK_THAT(contents.error().message, Catch::Contains("groups"));
}

}  // namespace vsync::durable
