// What a daemon does with its disk: one keeper, or two with a transfer between them, on the real store.
#include "durable/keeper.h"

#include <algorithm>

#include "unit/durable/node.h"

namespace vsync::durable {

TEST_CASE("K1 a promise is told when it is on the disk, and stays there") {
  Node node;
  const bool lost = GENERATE(true, false);
  if (!lost) {
    begin(node, 5, 0);
    transfer(node, node, history(6, 0), history(5, 0), 6);  // nobody has the state any more: it comes to nothing
  }
  node.rest();
  node.keeper->apply(core::EraProposed{"g", kGroup, 9});
  CHECK(node.count<core::EraPromised>() == 0);
  CHECK(node.wait<core::EraPromised>().era == 9);
  node.inputs.clear();
  node.restart();
  const auto offered = node.offered();
  CHECK(offered.promised == 9);
  CHECK(offered.blank() == lost);
  CHECK(offered.position == HistoryPosition{lost ? 0U : 5U, 0});
  transfer(node, node, history(9, 0), offered, 9);
  adopt(node, 9);
  node.rest();
  node.inputs.clear();
  node.restart();
  CHECK(node.offered() == KeptHistory{{9, 0}, 5, {1, 2, 3}, 9});
}

TEST_CASE("K2 a disk claims to have what it has written, and not before") {
  Node node;
  begin(node, 5, 0);
  node.rest();
  node.inputs.clear();
  node.deliver(5, 1);
  node.deliver(5, 2);
  CHECK(node.count<core::HistorySynced>() == 0);
  CHECK(node.wait<core::HistorySynced>().position == HistoryPosition{5, 1});
  CHECK(node.wait<core::HistorySynced>().position == HistoryPosition{5, 2});
  node.restart();
  CHECK(node.offered() == history(5, 2));
}

TEST_CASE("T2 a disk that lacks messages does not give the history") {
  Node node;
  begin(node, 5, 0);
  core::HistoryRequested asked{kClient, "g", 6, 1 << 20U, 100, history(5, 1), {}};
  node.keeper->apply(asked);
  CHECK(node.wait<core::ClientState>().refused);
}

TEST_CASE("T2 a disk with a newer checkpoint does not give the history: what is behind the boundary would come twice") {
  Node node;
  fill(node, 3);
  node.checkpoint("[3]");
  node.rest();
  core::HistoryRequested asked{kClient, "g", 6, 1 << 20U, 100, history(5, 2), {}};
  node.keeper->apply(asked);
  CHECK(node.wait<core::ClientState>().refused);
  asked.end = history(5, 3);
  node.keeper->apply(asked);
  CHECK_FALSE(node.wait<core::ClientState>().refused);
}

TEST_CASE("K2 what a disk has is said again when its member is there again: the daemon may have crashed before it was said") {
  Node node;
  fill(node, 1);
  node.rest();
  node.restart();
  const auto mine = node.offered();
  REQUIRE(mine == history(5, 1));
  Node donor;
  fill(donor, 1);
  donor.rest();
  node.inputs.clear();
  transfer(donor, node, mine, mine, 6);
  adopt(node, 6);
  CHECK(node.wait<core::HistorySynced>().position == HistoryPosition{5, 1});
}

TEST_CASE("K3 no client gives other disks what it likes: the history on the disk is given, by the daemon") {
  Node node;
  core::ClientState piece{kClient, 5, "g", 6, true, false, Slice::copy_of("any bytes")};
  const auto refused = [&] {
    node.told.clear();
    return node.keeper->piece(piece) && std::get<core::RequestRefused>(node.told.at(0)).code == "no_transfer";
  };
  SECTION("when it has the state") {
    begin(node, 5, 0);
    CHECK(refused());
    piece.refused = true;
    CHECK(refused());
  }
  SECTION("when the group begins with its disk") {
    core::HistoryRequested asked{kClient, "g", 6, 1 << 20U, 100, history(6, 0), {node.offered().position}};
    node.keeper->apply(asked);
    CHECK(refused());
  }
  SECTION("as before, in a group that is not durable") {
    piece.group = "another";
    CHECK_FALSE(node.keeper->piece(piece));
  }
}

TEST_CASE("K3 a daemon that cannot read its disk does not say that there is nothing: it looks again") {
  Node node;
  fill(node, 1);
  node.rest();
  node.keeper.reset();
  node.disk.damage("UPDATE meta SET value=value+1 WHERE key='format'");
  node.disk.restart();
  node.keeper = std::make_unique<Keeper>(*node.disk.store, node);
  node.inputs.clear();
  node.keeper->apply(core::HistoryAsked{"g", 99});
  static_cast<void>(node.disk.verify());  // behind it: it was looked at
  node.keeper->tick();
  static_cast<void>(node.disk.verify());
  CHECK(node.count<core::HistoryTold>() == 0);
  REQUIRE(node.reports.size() == 1);  // once, however often it looks
  CHECK_THAT(node.reports[0], Catch::Contains("another version"));
  node.disk.damage("UPDATE meta SET value=value-1 WHERE key='format'");
  node.keeper->tick();
  const auto told = node.wait<core::HistoryTold>();
  CHECK(told.kept.origin == history(5, 1).origin);
}

TEST_CASE("K3 what a member says of the disk stays true until it has come to something: joins go one by one") {
  Node node;
  node.join(11);
  CHECK(node.wait<core::ClientJoin>().client == kClient);
  node.rest();
  CHECK(node.count<core::ClientJoin>() == 0);
  node.keeper->answered(kClient, 1, true);  // refused
  CHECK(node.wait<core::ClientJoin>().client == 11);
}

TEST_CASE("a member of more groups than there are descriptors for is refused, and of as many when one is left") {
  KeeperLimits limits;
  limits.groups = 2;
  Node node(limits);
  begin(node, 5, 0);
  core::RequestId request = 1;
  const auto join = [&](const std::string& group) {
    node.inputs.clear();
    node.told.clear();
    node.keeper->join(core::ClientJoin{kClient, ++request, group, "m", {.total_only = true, .disks = 3}}, {});
    return node.told.empty() ? std::string() : std::string(std::get<core::RequestRefused>(node.told.at(0)).code);
  };
  CHECK(join("h").empty());
  CHECK(node.wait<core::ClientJoin>().group == "h");
  CHECK(join("i") == "too_many");
  CHECK_FALSE(node.keeper->knows("i"));
  CHECK(join("g").empty());  // that is one of them
  bool left = false;
  SECTION("it has not become a member") {
    node.keeper->answered(kClient, 2, true);
  }
  SECTION("it has left") {
    node.keeper->dismissed(kClient, "h");
  }
  SECTION("it is gone, and all know it") {
    constexpr ClientId kOther = 11;
    node.keeper->dismissed(kClient, "h");
    node.keeper->join(core::ClientJoin{kOther, 1, "h", "m", {.total_only = true, .disks = 3}}, {});
    node.keeper->gone(kClient);
    CHECK(join("i") == "too_many");  // the group counts on the disk until then
    core::GroupView view;
    view.left = {{{node.self(), kClient, ""}, core::LeaveReason::crashed}};
    node.install(view);
    left = true;
  }
  CHECK(join("i").empty());
  CHECK(join("g") == (left ? "too_many" : ""));  // also of one that the disk has
}

namespace {

/// Its disk was asked for what it has of the group while it could not be read; now it can.
void ask_too_early(Node& node) {
  begin(node, 5, 0);
  node.rest();
  node.disk.damage("UPDATE meta SET value=value+1 WHERE key='format'");
  node.restart();
  node.keeper->apply(core::HistoryAsked{"g", kGroup});
  REQUIRE(io::run_until(node.disk.io, [&] { return node.reports.size() == 2; }));  // of the join, and of the question
  node.disk.damage("UPDATE meta SET value=value-1 WHERE key='format'");
  node.inputs.clear();
}

}  // namespace

TEST_CASE("K3 no question is forgotten, however many come while it cannot be answered") {
  Node node;
  ask_too_early(node);
  for (core::GroupId id = 100; id < 1300; ++id) {
    node.keeper->apply(core::HistoryAsked{"a" + std::to_string(id), id});
  }
  node.keeper->tick();
  CHECK(io::run_until(node.disk.io, [&] { return node.count<core::HistoryTold>() == 1201; }));
}

TEST_CASE("K3 a disk is not looked at again for a group that has come to its end") {
  Node node;
  ask_too_early(node);
  core::GroupView view;  // without members
  node.install(view);
  node.keeper->tick();
  static_cast<void>(node.disk.verify());  // behind whatever was asked of the store
  CHECK(node.count<core::HistoryTold>() == 0);
}

TEST_CASE("of a group that came to nothing nothing is kept") {
  Node node;
  node.keeper->tick();
  CHECK(node.keeper->knows("g"));  // it is being opened
  CHECK(node.wait<core::ClientJoin>().client == kClient);
  node.keeper->tick();
  CHECK(node.keeper->knows("g"));
  SECTION("refused") {
    node.keeper->answered(kClient, 1, true);
  }
  SECTION("gone") {
    node.keeper->gone(kClient);
  }
  node.keeper->tick();
  CHECK_FALSE(node.keeper->knows("g"));
  node.join(11);
  CHECK(node.wait<core::ClientJoin>().client == 11);
}

TEST_CASE("a group that the disk has something of is known until the end") {
  Node node;
  begin(node, 5, 0);
  node.keeper->dismissed(kClient, "g");
  node.keeper->tick();
  CHECK(node.keeper->knows("g"));
}

TEST_CASE("K3 a disk restores its own client, with a checkpoint and without one") {
  Node node;
  fill(node, 3);
  CHECK(node.client.empty());  // told by the core
  const bool with_checkpoint = GENERATE(true, false);
  if (with_checkpoint) {
    node.checkpoint("[2]");  // of three messages; what is in it is its own affair
    node.deliver(5, 4);
  }
  node.rest();
  node.restart();
  begin(node, 9, with_checkpoint ? 4 : 3);
  CHECK(node.client == (with_checkpoint ? "[2] 5.4" : " 5.1 5.2 5.3"));
  CHECK(node.restored_at.back() == HistoryPosition{9, with_checkpoint ? 4U : 3U});
}

TEST_CASE("K3 the disk is changed only when all know that its member has the state") {
  Node donor;
  fill(donor, 1);
  donor.checkpoint("[1]");
  donor.deliver(5, 2);

  Node joiner;
  transfer(donor, joiner, history(5, 2), joiner.offered(), 6);
  CHECK(joiner.client == "[1] 5.2");
  joiner.restart();
  CHECK(joiner.offered().blank());
  transfer(donor, joiner, history(5, 2), {}, 7);
  adopt(joiner, 7);
  joiner.deliver(5, 3);
  joiner.rest();
  joiner.restart();
  CHECK(joiner.offered() == history(5, 3));
}

TEST_CASE("K3 two members of one node get the state one after the other") {
  constexpr ClientId kOther = 11;
  Node donor;
  fill(donor, 1);

  for (const bool first_leaves : {false, true}) {
    Node joiner;
    transfer(donor, joiner, history(5, 1), joiner.offered(), 6);
    joiner.client.clear();
    send(donor, joiner, history(5, 1), {}, 7, kOther);
    CHECK(joiner.client.empty());  // the disk is busy until all know that the first one has the state
    if (first_leaves) {
      joiner.keeper->dismissed(kClient, "g");
    } else {
      adopt(joiner, 6);
    }
    wait_restored(joiner, 2, kOther);
    CHECK(joiner.client == " 5.1");
    adopt(joiner, 7, kOther);
    CHECK(joiner.failures.empty());
    joiner.deliver(5, 2);
    joiner.rest();
    CHECK(joiner.disk.all() == " 5.1 5.2");
  }
}

TEST_CASE("K3 a member whose transfer begins anew waits for nobody") {
  Node donor;
  fill(donor, 1);
  Node joiner;
  transfer(donor, joiner, history(5, 1), joiner.offered(), 6);
  donor.deliver(5, 2);
  transfer(donor, joiner, history(5, 2), {}, 7);  // the group began anew: the first one is void
  adopt(joiner, 7);
  CHECK(joiner.failures.empty());
  joiner.rest();
  CHECK(joiner.disk.all() == " 5.1 5.2");
}

TEST_CASE("K3 a member that is gone may be called adopted before the core hears of it") {
  Node donor;
  fill(donor, 1);
  for (const bool adopted : {true, false}) {
    Node joiner;
    transfer(donor, joiner, history(5, 1), joiner.offered(), 6);
    joiner.keeper->gone(kClient);
    if (adopted) {
      adopt(joiner, 6);
      joiner.deliver(5, 2);  // until its departure is delivered the group counts on this disk
    }
    core::GroupView view;
    view.left = {{{joiner.self(), kClient, ""}, core::LeaveReason::crashed}};
    joiner.install(view);
    joiner.deliver(5, 3);
    CHECK(joiner.failures.empty());
    joiner.rest();
    CHECK(joiner.disk.all() == (adopted ? " 5.1 5.2" : ""));
  }
}

TEST_CASE("K3 what the own disk has is not sent again") {
  Node donor;
  Node joiner;
  for (auto* node : {&donor, &joiner}) {
    fill(*node, 2, std::string(1000, 'x'));
    node->rest();
  }
  donor.deliver(5, 3);
  joiner.restart();
  joiner.client.clear();
  CHECK(transfer(donor, joiner, history(5, 3), joiner.offered(), 6) < 1000);
  CHECK(joiner.client == " 5.1 5.2 5.3");
  adopt(joiner, 6);
  joiner.rest();
  CHECK(joiner.disk.all() == " 5.1 5.2 5.3");
}

TEST_CASE("K3 what comes for the disk waits for it") {
  constexpr std::uint64_t kMessages = 50;
  Node donor;
  fill(donor, kMessages, std::string(100, 'x'));
  Node joiner({.window = 1000});
  const auto offer = joiner.offered();
  send(donor, joiner, history(5, kMessages), offer, 6);
  for (std::uint64_t part = 0; part <= kMessages; ++part) {
    joiner.keeper->read(kClient);  // but what the store says is not heard
  }
  CHECK(joiner.restored_at.empty());
  CHECK_THAT(joiner.client, Catch::EndsWith(" 5.10"));  // 104 bytes each
  wait_restored(joiner, 1);
  adopt(joiner, 6);
  joiner.rest();
  CHECK(joiner.disk.verify()->kept == history(5, kMessages));
}

TEST_CASE("K3 a longer tail of an older era gives way to the group's history") {
  Node donor;
  Node joiner;
  for (auto* node : {&donor, &joiner}) {
    fill(*node, 1);
    node->rest();
  }
  joiner.deliver(5, 2);  // nobody else has it, and nobody was told that it is durable
  joiner.deliver(5, 3);
  joiner.rest();
  donor.restart();
  begin(donor, 9, 1);
  donor.deliver(9, 2);

  joiner.restart();
  joiner.client.clear();
  const auto offer = joiner.offered();
  CHECK(offer == history(5, 3));
  transfer(donor, joiner, history(9, 2), offer, 10);
  CHECK(joiner.client == " 5.1 9.2");
  adopt(joiner, 10);
  joiner.rest();
  CHECK(joiner.disk.all() == " 5.1 9.2");
  CHECK(joiner.disk.verify()->kept == history(9, 2));
}

TEST_CASE("K3 what is no history is refused, and the disk stays as it was") {
  Node node;
  fill(node, 1);
  node.rest();
  const auto bytes = GENERATE(as<std::string>(), encode(message(5, 2, "x")), std::string("\x03\x00\x00\x00xyz", 7),
                              std::string("\xff\xff\xff\xff", 4), encode(Header{history(9, 9)}),
                              encode(Header{history(9, 9)}) + encode(message(9, 3, "x")));
  node.restart();
  CHECK(node.offered() == history(5, 1));
  const auto restored = node.restored_at.size();
  core::StateArrived arrived{{kClient}, "g", 6, 0, true, false, Slice::copy_of(bytes), true};
  node.keeper->apply(arrived);
  CHECK(node.reports.size() == 1);
  CHECK(node.restored_at.size() == restored);
  const auto* told = std::get_if<core::HistoryTaken>(&node.inputs.back());
  CHECK_FALSE((told != nullptr && told->refused));  // the next may be as bad: its member is given up in time
  node.restart();
  CHECK(node.offered() == history(5, 1));
}

TEST_CASE("K3 who gets a history that does not fit because the disk has gone on since it joined leaves at once") {
  constexpr ClientId kOther = 11;
  Node node;
  fill(node, 1);
  node.join(kOther);
  CHECK(node.offered() == history(5, 1));
  const bool went_on = GENERATE(true, false);
  if (went_on) {
    node.deliver(5, 2);
  }
  const auto bytes = encode(Header{history(9, 9)}) + encode(message(9, 3, "x"));
  node.inputs.clear();
  core::StateArrived arrived{{kOther}, "g", 7, 0, true, false, Slice::copy_of(bytes), true};
  node.keeper->apply(arrived);
  REQUIRE(node.reports.size() == 1);
  CHECK((node.count<core::HistoryTaken>() > 0 && node.wait<core::HistoryTaken>().refused) == went_on);
}

TEST_CASE("who joins where the disk cannot be read is refused, until it can be") {
  Node node;
  begin(node, 5, 0);
  node.rest();
  node.inputs.clear();
  node.disk.damage("UPDATE meta SET value=value+1 WHERE key='format'");
  node.restart();
  const auto refused = [&] { return !node.told.empty() && std::holds_alternative<core::RequestRefused>(node.told.back()); };
  REQUIRE(io::run_until(node.disk.io, refused));
  CHECK(std::get<core::RequestRefused>(node.told.back()).code == "unreadable");
  REQUIRE(node.reports.size() == 1);
  CHECK_THAT(node.reports[0], Catch::Contains("another version"));
  CHECK(node.count<core::ClientJoin>() == 0);
  CHECK(node.failures.empty());  // no client stops the daemon
  node.disk.damage("UPDATE meta SET value=value-1 WHERE key='format'");
  node.join(11);
  CHECK(node.offered() == history(5, 0));
}

TEST_CASE("a group is not forgotten while the store has something of it to do, and be it of no bytes") {
  Node donor;
  fill(donor, 1);
  donor.checkpoint("");
  donor.rest();
  Node joiner;
  const auto known = joiner.offered();
  joiner.rest();
  send(donor, joiner, history(5, 1), known, 6);
  joiner.keeper->gone(kClient);
  joiner.keeper->tick();
  CHECK(joiner.keeper->knows("g"));
  REQUIRE(io::run_until(joiner.disk.io, [&] {
    joiner.keeper->tick();
    return !joiner.keeper->knows("g");
  }));
}

TEST_CASE("a damaged disk is set aside with a word to the operator, and offers nothing") {
  Node node;
  fill(node, 1);
  node.rest();
  node.disk.damage("UPDATE log SET sum=0");
  node.restart();
  CHECK(node.offered().blank());
  REQUIRE(node.reports.size() == 1);
  CHECK_THAT(node.reports[0], Catch::Contains("counts as lost"));
}

TEST_CASE("K2 senders wait for a disk that does not keep up") {
  Node node({.unwritten = 1000});
  begin(node, 5, 0);
  node.rest();
  std::uint64_t index = 0;
  while (index < 9) {
    node.deliver(5, ++index, std::string(100, 'x'));
  }
  CHECK(node.count<core::ClientHold>() == 0);
  node.deliver(5, ++index, std::string(100, 'x'));
  auto hold = node.wait<core::ClientHold>();
  CHECK(hold.client == kClient);
  CHECK(hold.group == kGroup);
  CHECK(hold.disk);
  CHECK(hold.held);
  node.deliver(5, ++index, std::string(100, 'x'));
  CHECK(node.count<core::ClientHold>() == 0);
  hold = node.wait<core::ClientHold>();
  CHECK_FALSE(hold.held);
  CHECK(hold.disk);
  node.rest();
  CHECK(node.count<core::ClientHold>() == 0);
}

TEST_CASE("checkpoints are asked for as the policy says") {
  CheckpointPolicy policy;
  SECTION("after so many messages") {
    policy.every_messages = 2;
  }
  SECTION("after so long") {
    policy.every = std::chrono::seconds(10);
  }
  SECTION("at views") {
    policy.at_views = true;
  }
  Node node;
  node.restart(policy);
  fill(node, 1);
  node.keeper->tick();
  CHECK(node.asked().empty());
  node.clock += std::chrono::seconds(10);
  core::GroupView view;
  if (policy.at_views) {
    node.install(view);
  } else if (policy.every_messages > 0) {
    node.deliver(5, 2);
  } else {
    node.keeper->tick();
  }
  REQUIRE(node.asked().size() == 1);
  CHECK(node.asked()[0].client == kClient);
}

TEST_CASE("the disk is not filled: a checkpoint is asked for at the limit, and who gives none at twice of it is dismissed") {
  Node node({.log_bytes = 1000});
  begin(node, 5, 0);
  std::uint64_t index = 0;
  while (node.asked().empty()) {
    REQUIRE(index < 20);
    node.deliver(5, ++index, std::string(100, 'x'));
  }
  CHECK(index == 10);  // 104 bytes each
  CHECK(node.reports.size() == 1);
  node.deliver(5, ++index, std::string(100, 'x'));
  CHECK(node.count<core::ClientLeave>() == 0);
  while (index < 25) {
    node.deliver(5, ++index, std::string(100, 'x'));
  }
  CHECK(node.count<core::ClientLeave>() == 0);
  node.clock += std::chrono::seconds(30);
  node.keeper->tick();
  CHECK(node.count<core::ClientLeave>() == 1);
  CHECK(std::holds_alternative<core::ClientDismissed>(node.told.back()));

  node.rest();  // the next one is asked before anything else
  node.restart();
  node.told.clear();
  begin(node, 9, index);
  CHECK(node.count<core::ClientLeave>() == 1);
  CHECK(node.asked().size() == 1);
  const bool gives = GENERATE(true, false);
  if (gives) {
    node.give("[25]");
  } else {
    core::ClientState refusal{kClient, 5, "g", node.asked().back().token, true, true, {}};
    CHECK(node.keeper->piece(refusal));
  }
  node.deliver(9, ++index);
  CHECK(node.count<core::ClientLeave>() == (gives ? 1 : 2));
}

TEST_CASE("a checkpoint drops the messages that are in it") {
  Node node({.log_bytes = 1000});
  begin(node, 5, 0);
  CHECK_FALSE(node.keeper->force("h"));
  for (std::uint64_t index = 1; index <= 100; ++index) {
    node.deliver(5, index, std::string(100, 'x'));
    if (index % 10 == 0) {
      node.give("[" + std::to_string(index) + "]");
      node.rest();
    }
  }
  node.rest();
  CHECK(node.count<core::ClientLeave>() == 0);
  CHECK(node.disk.all() == "[100]");
  CHECK(node.keeper->status().at(0).contents.checkpoint == HistoryPosition{5, 100});
}

TEST_CASE("the rest of a checkpoint that was given up is no part of the next one") {
  Node node;
  fill(node, 1);
  const auto piece = [&](std::uint64_t token, const std::string& bytes, bool last) {
    core::ClientState state{kClient, 5, "g", token, last, false, Slice::copy_of(bytes)};
    const auto before = node.told.size();
    REQUIRE(node.keeper->piece(state));
    if (node.told.size() == before) {
      return std::string();  // the disk has it to write
    }
    const auto* refused = std::get_if<core::RequestRefused>(&node.told.back());
    return refused == nullptr ? "" : std::string(refused->code);
  };
  REQUIRE(node.keeper->force("g"));
  const auto first = node.asked().back().token;
  CHECK(piece(first, "[old", false).empty());
  CHECK(piece(first, "", false) == "bad_request");
  node.clock += std::chrono::seconds(29);
  CHECK(piece(first, " old", false).empty());
  node.clock += std::chrono::seconds(29);  // each piece gives it its time anew
  REQUIRE(node.keeper->force("g"));
  CHECK(node.asked().size() == 1);
  node.clock += std::chrono::seconds(1);
  CHECK_FALSE(node.keeper->force("g"));  // the disk has not taken yet what came
  node.rest();
  REQUIRE(node.keeper->force("g"));
  REQUIRE(node.asked().size() == 2);
  CHECK(piece(first, " old]", true) == "no_transfer");
  CHECK(piece(node.asked().back().token, "[new]", true).empty());
  node.rest();
  CHECK(node.disk.all() == "[new]");
}

TEST_CASE("who gives a checkpoint waits for the disk") {
  constexpr std::size_t kWindow = 100;
  Node node({.window = kWindow});
  fill(node, 1);
  REQUIRE(node.keeper->force("g"));
  std::size_t given = 0;
  const auto give = [&](std::size_t size, bool last) {
    core::ClientState piece{kClient, 5, "g", node.asked().back().token, last, false, Slice::copy_of(std::string(size, 'x'))};
    REQUIRE(node.keeper->piece(piece));
    const auto* refusal = std::get_if<core::RequestRefused>(&node.told.back());
    given += refusal == nullptr ? size : 0;
    return refusal == nullptr ? "" : std::string(refusal->code);
  };
  CHECK(give(kWindow + 50, false).empty());  // one piece goes alone, of any size
  CHECK(give(1, false) == "too_many");
  node.rest();
  CHECK(give(60, false).empty());
  CHECK(give(40, false).empty());
  CHECK(give(1, true) == "too_many");
  node.rest();
  CHECK(give(1, true).empty());
  node.rest();
  CHECK(node.disk.all() == std::string(given, 'x'));
}

TEST_CASE("a join that is refused changes nothing of when checkpoints are made") {
  Node node;
  node.restart({.every_messages = 2});
  begin(node, 5, 0);
  node.join(11, {.every_messages = 1});
  CHECK_FALSE(node.keeper->answered(11, 1, true));
  node.deliver(5, 1);
  CHECK(node.asked().empty());
  node.deliver(5, 2);
  CHECK(node.asked().size() == 1);
}

TEST_CASE("what a disk got from another one counts for its limit") {
  Node donor;
  fill(donor, 1, std::string(1000, 'x'));
  donor.checkpoint("[state]");
  donor.deliver(5, 2, std::string(3000, 'x'));
  Node joiner;
  transfer(donor, joiner, history(5, 2), joiner.offered(), 6);
  adopt(joiner, 6);
  const auto contents = joiner.keeper->status().at(0).contents;
  CHECK(contents.log_bytes == donor.keeper->status().at(0).contents.log_bytes);
  CHECK(contents.log_bytes > 3000);
  CHECK(contents.checkpoint_bytes == 7);
}

}  // namespace vsync::durable
