// K1 to K3: the history of a durable group by itself.
#include "core/groups/group_history.h"

#include <catch2/catch.hpp>

namespace vsync::core {
namespace {

constexpr std::uint64_t kName = 8;  // of a new history

Pid pid(NodeId node, std::uint64_t incarnation = 1) {
  return {node, incarnation, 0};
}

KeptHistory kept(HistoryPosition position, std::uint64_t promised = 0) {
  return {position, 7, {1, 2, 3}, promised};
}

KeptHistory blank(std::uint64_t promised = 0) {
  return {{}, 0, {}, promised};
}

/// Begins from the newest of them, with the promises of the first two.
void begin(GroupHistory& history, std::uint64_t token, const std::vector<DiskOffer>& offers) {
  const auto winner = history.newest(offers, 3);
  REQUIRE(winner);
  history.learn(offers[0].second);
  CHECK_FALSE(history.may_begin(token, offers, *winner));
  CHECK(history.promised(offers[0].first.node, history.proposed()));
  CHECK_FALSE(history.is_promised());
  CHECK(history.promised(offers[1].first.node, history.proposed()));
  CHECK(history.is_promised());
  REQUIRE(history.may_begin(token, offers, *winner));
  history.begin(kName, offers, *winner, 3);
}

}  // namespace

TEST_CASE("K1 an era begins when a majority of the keepers has promised it") {
  const std::vector<DiskOffer> offers{{pid(1), kept({9, 3})}, {pid(2), kept({9, 4})}};
  GroupHistory history;
  history.learn(offers[0].second);
  CHECK_FALSE(history.may_begin(12, offers, 1));
  const auto era = history.proposed();
  CHECK(era == 12);
  CHECK(history.promised(1, era));
  CHECK_FALSE(history.promised(1, era));      // twice
  CHECK_FALSE(history.promised(4, era));      // no keeper
  CHECK_FALSE(history.promised(2, era - 1));  // another era
  CHECK_FALSE(history.may_begin(13, offers, 1));
  CHECK(history.proposed() == era);
  CHECK_FALSE(history.is_promised());
  CHECK(history.promised(2, era));
  CHECK(history.may_begin(14, offers, 1));
  history.begin(kName, offers, 1, 3);
  CHECK(history.now().position == HistoryPosition{era, 4});
  CHECK(history.now().origin == 7);
  CHECK(history.proposed() == 0);
}

TEST_CASE("K1 an era is larger than all that began or were promised") {
  GroupHistory history;
  std::vector<DiskOffer> offers{{pid(1), kept({90, 3})}, {pid(2), kept({80, 4}, 100)}};
  history.learn(offers[0].second);
  CHECK_FALSE(history.may_begin(5, offers, 0));
  CHECK(history.proposed() == 101);
  CHECK(history.promised(1, 101));
  offers.push_back({pid(3), blank(101)});  // in another cluster: what was promised for ours is void
  CHECK_FALSE(history.may_begin(6, offers, 0));
  CHECK(history.proposed() == 102);
  CHECK_FALSE(history.promised(1, 101));
  CHECK(history.promised(2, 102));
  CHECK_FALSE(history.is_promised());
  CHECK(history.promised(3, 102));
  REQUIRE(history.may_begin(7, offers, 0));
  history.begin(kName, offers, 0, 3);
  CHECK(history.now().position == HistoryPosition{102, 3});

  const std::vector<DiskOffer> lost{
      {pid(1), blank()}, {pid(2), blank()}, {pid(3), blank()}};  // all of them: there is nothing to lose
  REQUIRE(history.newest(lost, 3) == 0);
  REQUIRE(history.may_begin(8, lost, 0));
  history.begin(kName, lost, 0, 3);
  CHECK(history.now().position == HistoryPosition{103, 0});
  CHECK(history.now().origin == kName);
}

TEST_CASE("K1 who comes again after it was asked for an era makes it no larger, another that has promised as much does") {
  GroupHistory history;
  std::vector<DiskOffer> offers{{pid(1), kept({9, 3})}, {pid(2), kept({9, 4})}};
  history.learn(offers[0].second);
  CHECK_FALSE(history.may_begin(12, offers, 1));
  offers[1].second.promised = 12;
  if (GENERATE(true, false)) {  // in the table of a joiner, too
    Writer bytes;
    history.save(bytes);
    const auto saved = bytes.take();
    Reader in(saved);
    history = GroupHistory::load(in);
    CHECK(history.sound());
  }
  CHECK_FALSE(history.may_begin(13, offers, 1));
  CHECK(history.proposed() == 12);
  SECTION("a daemon that was not asked") {
    offers.push_back({pid(3), kept({9, 3}, 12)});
  }
  SECTION("the same node in another life") {
    history.prune({pid(1), pid(2, 2)});
    offers[1].first = pid(2, 2);
  }
  SECTION("the same daemon, when the larger one is asked for") {
    offers[1].second.promised = 20;
    CHECK_FALSE(history.may_begin(14, offers, 1));
    CHECK(history.proposed() == 21);
    offers[1].second.promised = 22;
  }
  const auto before = history.proposed();
  CHECK_FALSE(history.may_begin(15, offers, 1));
  CHECK(history.proposed() > before);
}

TEST_CASE("K2 what a disk has said counts for the era in which it said so") {
  GroupHistory history;
  begin(history, 10, {{pid(1), kept({9, 3})}, {pid(2), kept({9, 4})}});
  CHECK(history.count(3) == HistoryPosition{10, 5});
  CHECK(history.synced(1, {10, 7}));
  CHECK(history.offer(1, kept({10, 4})).position == HistoryPosition{10, 7});
  CHECK(history.offer(1, kept({9, 3})).position == HistoryPosition{9, 3});  // another disk
  CHECK(history.offer(2, kept({10, 4})).position == HistoryPosition{10, 4});

  begin(history, 20, {{pid(2), kept({10, 4})}, {pid(3), kept({10, 4})}});
  CHECK(history.offer(1, kept({20, 4})).position == HistoryPosition{20, 4});
  history.count(3);
  CHECK(history.synced(2, {20, 7}));
  CHECK(history.durable() == HistoryPosition{20, 0});
}

TEST_CASE("K3 whom a group waits for that nobody has the state of") {
  const std::set<Pid> daemons{pid(1), pid(2), pid(3), pid(4)};
  GroupHistory history;
  SECTION("a new one: so many more disks, of whatever nodes, then all answers") {
    std::vector<DiskOffer> offers{{pid(1), blank()}};
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::disks, 2, {}});
    offers.push_back({pid(1), blank()});  // another member there
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::disks, 2, {}});
    offers.push_back({pid(2), blank()});
    offers.push_back({pid(3), blank()});
    CHECK_FALSE(history.begins_blank_or_asks(daemons));
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::answers, 4, {1, 2, 3, 4}});
    CHECK(history.told(pid(2), blank()));
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::answers, 3, {1, 3, 4}});
  }
  SECTION("a known one: a majority of its disks, or all if they are lost, then promises") {
    history.learn(kept({9, 3}));
    std::vector<DiskOffer> offers{{pid(1), blank()}};
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::disks, 2, {2, 3}});
    offers.push_back({pid(2), kept({9, 3})});
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::disks, 1, {3}});
    offers[0].second = kept({9, 4});
    CHECK(history.awaited(offers, 3, daemons) == StateWait{});
    CHECK_FALSE(history.may_begin(12, offers, 0));
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::promises, 2, {1, 2, 3}});
    CHECK(history.promised(2, 12));
    CHECK(history.awaited(offers, 3, daemons) == StateWait{Awaited::promises, 1, {1, 3}});
    CHECK(history.promised(1, 12));
    CHECK(history.awaited(offers, 3, daemons) == StateWait{});
  }
}

}  // namespace vsync::core
