// J6: the table as bytes.
#include "cluster.h"
#include "core/groups/group_table.h"

using namespace vsync::core;

namespace {

View view_of(ViewId id, std::initializer_list<NodeId> nodes) {
  View view;
  view.ref.epoch = id;
  for (const auto node : nodes) {
    view.members.push_back({pid(node), 0, "", {}});
  }
  return view;
}

/// Two groups, one of them in the middle of a flush with a join and a leave.
GroupTable busy_table() {
  GroupTable table;
  table.install(view_of(5, {1, 2, 3}));
  table.join(pid(1), 1, {"gone", "", {}});
  table.leave(pid(1), 1, 1, LeaveReason::left);
  table.join(pid(1), 1, {"total", "leader", {.total_only = true}});
  table.join(pid(2), 9, {"total", "", {}});
  const auto fifo = table.join(pid(1), 1, {"fifo", "", {}}).group;
  table.join(pid(2), 2, {"fifo", "caf\xc3\xa9", {}});
  table.flushed(pid(1), fifo);
  table.place(fifo, pid(2), Service::fifo, 3);
  table.place(fifo, pid(1), Service::total, 7);
  table.leave(pid(1), 1, fifo, LeaveReason::crashed);
  table.join(pid(3), 4, {"fifo", "late", {}});
  table.flushed(pid(2), fifo);
  REQUIRE(table.find(fifo)->flushing());
  return table;
}

}  // namespace

TEST_CASE("table: save and load, in the middle of a flush") {
  auto table = busy_table();
  auto loaded = GroupTable::load(table.save());
  REQUIRE(loaded);
  CHECK(loaded->save() == table.save());
  CHECK(loaded->view() == 5);
  CHECK(loaded->find("total")->view->members == table.find("total")->view->members);

  // Both go on alike: the flush ends, counters continue, ids are not used again.
  const auto fifo = table.find("fifo")->id;
  const auto a = table.flushed(pid(1), fifo).installed;
  const auto b = loaded->flushed(pid(1), fifo).installed;
  REQUIRE(a);
  REQUIRE(b);
  CHECK(*a == *b);
  CHECK(a->members.size() == 2);
  CHECK(table.join(pid(1), 5, {"new", "", {}}).group == loaded->join(pid(1), 5, {"new", "", {}}).group);
  CHECK(table.place(2, pid(3), Service::total, 1) == loaded->place(2, pid(3), Service::total, 1));
  CHECK(loaded->save() == table.save());
  table.install(view_of(6, {2, 3}));
  loaded->install(view_of(6, {2, 3}));
  CHECK(loaded->save() == table.save());
  CHECK(loaded->install(view_of(6, {2, 3})).empty());
}

TEST_CASE("table: an empty one") {
  const GroupTable table;
  const auto loaded = GroupTable::load(table.save());
  REQUIRE(loaded);
  CHECK(loaded->save() == table.save());
}

TEST_CASE("table: truncated and extended bytes are refused") {
  const auto bytes = busy_table().save();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(GroupTable::load(std::string_view(bytes).substr(0, size)));
  }
  CHECK_FALSE(GroupTable::load(bytes + '\0'));
}

TEST_CASE("table: garbled bytes are refused or mean another sound table") {
  const auto bytes = busy_table().save();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      auto garbled = bytes;
      garbled[at] = static_cast<char>(static_cast<unsigned char>(garbled[at]) ^ flip);
      const auto loaded = GroupTable::load(garbled);
      refused += loaded ? 0U : 1U;
      if (loaded) {
        CHECK(loaded->save() == garbled);
      }
    }
  }
  CHECK(refused > bytes.size());  // counts, names, order, flags, relations between groups and members
}

TEST_CASE("table: contradictions are refused") {
  const auto bytes = busy_table().save();
  const auto replaced = [&](std::string_view what, std::string_view by) {
    auto changed = bytes;
    const auto at = changed.find(what);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, what.size(), by);
  };
  CHECK_FALSE(GroupTable::load(replaced("total", "\xff\xff\xff\xff\xff")));
  CHECK_FALSE(GroupTable::load(replaced("leader", "lea\ner")));
  CHECK(GroupTable::load(replaced("leader", "LEADER")));
  constexpr std::size_t kView = 1;  // of the header: format, view, cold, installed, last group
  constexpr std::size_t kInstalled = 10;
  constexpr std::size_t kLastGroup = 18;
  for (const auto at : {kView, kInstalled, kLastGroup}) {
    auto changed = bytes;
    changed[at] = 1;  // older than the tokens and ids of its groups
    CHECK_FALSE(GroupTable::load(changed));
  }
}

TEST_CASE("J6: all groups together have so many members that a joiner takes the table") {
  constexpr std::size_t kGroups = 4096;
  constexpr std::size_t kEach = GroupTable::kMaxMemberships / kGroups;
  GroupTable table;
  table.install(view_of(1, {1, 2}));
  const auto join = [](GroupTable& in, NodeId node, ClientId client, const std::string& group) {
    return in.join(pid(node), client, JoinBody{group, "m", {.total_only = true}}).group != 0;
  };
  for (std::size_t i = 0; i < kGroups; ++i) {
    for (ClientId client = 1; client <= kEach; ++client) {
      REQUIRE(join(table, 1 + client % 2, client, std::to_string(i)));
    }
  }
  auto loaded = GroupTable::load(table.save());
  REQUIRE(loaded);
  for (auto* full : {&table, &*loaded}) {
    CHECK_FALSE(join(*full, 1, 99, "7"));
    full->leave(pid(1), 2, full->find("0")->id, LeaveReason::left);
    CHECK(join(*full, 1, 99, "7"));
    CHECK_FALSE(join(*full, 1, 98, "7"));
    full->install(view_of(2, {1}));
    CHECK(join(*full, 1, 98, "7"));
  }
}

TEST_CASE("table: a bound on groups") {
  GroupTable table;
  table.install(view_of(1, {1}));
  for (std::size_t i = 0; i < GroupTable::kMaxGroups; ++i) {
    REQUIRE(table.join(pid(1), 1, {"g" + std::to_string(i), "", {}}).group != 0);
  }
  const auto before = table.save();
  CHECK(table.join(pid(1), 1, {"one more", "", {}}).group == 0);
  CHECK(table.save() == before);
  CHECK(table.join(pid(1), 2, {"g7", "", {.total_only = true}}).group != 0);
}
