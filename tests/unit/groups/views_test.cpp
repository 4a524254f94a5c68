// G1-G5: group views.
#include "cluster.h"

using namespace vsync::core;

namespace {

std::vector<std::string> clients(const std::vector<GroupMember>& members) {
  std::vector<std::string> text;
  for (const auto& member : members) {
    text.push_back(std::to_string(member.pid.node) + ":" + std::to_string(member.client));
  }
  return text;
}

GroupViewPtr last_view(Cluster& cluster, NodeId node) {
  return all<GroupViewInstalled>(cluster[node].effects).back().group_view;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("G1, G5: joins and leaves make equal group views everywhere") {
  const bool total_only = GENERATE(false, true);
  Cluster cluster(3);
  cluster[1].join(1, "g", 1, total_only);
  cluster.settle();
  cluster[2].join(1, "g", 2, total_only);
  cluster.settle();
  cluster[2].join(2, "g", 3, total_only);
  cluster.settle();
  cluster[1].leave(1, "g", 4);
  cluster.settle();

  const auto views = all<GroupViewInstalled>(cluster[1].effects);
  REQUIRE(views.size() == 4);
  for (const NodeId node : {2u, 3u}) {
    const auto others = all<GroupViewInstalled>(cluster[node].effects);
    REQUIRE(others.size() == views.size());
    for (std::size_t i = 0; i < views.size(); ++i) {
      CHECK(*views[i].group_view == *others[i].group_view);
    }
    CHECK(cluster[node].groups.table_hash() == cluster[1].groups.table_hash());
  }
  const auto& second = *views[1].group_view;
  CHECK(clients(second.members) == Names{"1:1", "2:1"});
  CHECK(clients(second.joined) == Names{"2:1"});
  CHECK(clients(second.transitional) == Names{"1:1"});
  CHECK(second.members[1].name == "c1");
  CHECK(second.policy.total_only == total_only);
  const auto& last = *views[3].group_view;
  CHECK(clients(last.members) == Names{"2:1", "2:2"});
  CHECK(last.number == 4);
  CHECK(last.token == ((cluster.view().id() << 32U) | 4));
  REQUIRE(last.left.size() == 1);
  CHECK(last.left[0].member.client == 1);
  CHECK(last.left[0].reason == LeaveReason::left);
}

TEST_CASE("G1: a group ends with its last member and is another one afterwards") {
  Cluster cluster(2);
  cluster[1].join(1, "g");
  cluster.settle();
  const auto first = last_view(cluster, 1);
  cluster[1].leave(1, "g");
  cluster.settle();
  CHECK(last_view(cluster, 2)->members.empty());
  CHECK(cluster[2].groups.views().empty());
  cluster[2].join(5, "g", 1, true);
  cluster.settle();
  const auto again = last_view(cluster, 1);
  CHECK(again->group > first->group);
  CHECK(again->number == 1);
  CHECK(again->token > first->token);
  CHECK(again->policy.total_only);
}

TEST_CASE("answers to joins and leaves follow their group view") {
  Cluster cluster(2);
  cluster[1].join(1, "g", 7);
  cluster.settle();
  auto effects = cluster[1].take();
  REQUIRE(effects.size() == 2);
  const auto& view = std::get<GroupViewInstalled>(effects[0]);
  const auto& done = std::get<RequestDone>(effects[1]);
  CHECK(done.client == 1);
  CHECK(done.request == 7);
  CHECK(done.group_view == view.group_view);

  cluster[1].leave(1, "g", 8);
  cluster.settle();
  effects = cluster[1].take();
  CHECK(only<RequestDone>(effects).request == 8);
  CHECK(only<RequestDone>(effects).group_view == nullptr);
}

TEST_CASE("G4: the view waits for GFLUSHED of every daemon with members") {
  Cluster cluster(3);
  cluster[1].join(1, "g");
  cluster.settle();
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[1].take();

  cluster[3].join(1, "g", 3);
  cluster.bind_one(cluster[3]);
  cluster[1].send(1, "g", Service::fifo, {"before"});
  cluster.bind_one(cluster[1]);  // not delivered the join yet: still the old view
  cluster.deliver_all(cluster[1]);
  cluster[1].send(1, "g", Service::fifo, {"after"});
  REQUIRE(cluster.bind_one(cluster[1]));   // GFLUSHED goes first
  CHECK_FALSE(cluster[1].groups.ready());  // and then nothing of the group
  CHECK_FALSE(cluster[1].groups.idle());
  cluster.deliver_all(cluster[1]);
  CHECK(all<GroupViewInstalled>(cluster[1].effects).empty());
  CHECK_FALSE(cluster[3].groups.ready());  // it has no members: nothing to flush
  cluster.deliver_all(cluster[2]);
  REQUIRE(cluster.bind_one(cluster[2]));  // the other GFLUSHED
  cluster.deliver_all(cluster[1]);
  CHECK(clients(last_view(cluster, 1)->members) == Names{"1:1", "2:1", "3:1"});
  CHECK(cluster[1].groups.ready());

  cluster.settle();
  const auto messages = all<DeliverMessages>(cluster[1].effects);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].token < messages[1].token);
  CHECK(messages[1].position == 1);
  const auto at_joiner = only<DeliverMessages>(cluster[3].effects);
  CHECK(at_joiner.body == body_of({"after"}));
}

TEST_CASE("G4: changes delivered during a flush join it; another group goes on") {
  Cluster cluster(3);
  cluster[1].join(1, "g");
  cluster[1].join(2, "other");
  cluster.settle();
  cluster[1].take();
  cluster[2].join(1, "g");
  cluster[3].join(1, "g");
  cluster.bind_one(cluster[2]);
  cluster.bind_one(cluster[3]);
  cluster.deliver_all(cluster[1]);
  cluster[1].send(1, "g", Service::fifo, {"held"});
  cluster[1].send(2, "other", Service::fifo, {"free"});
  cluster.settle();
  const auto view = only<GroupViewInstalled>(cluster[1].effects).group_view;
  CHECK(clients(view->members) == Names{"1:1", "2:1", "3:1"});
  CHECK(all<DeliverMessages>(cluster[1].effects).size() == 2);
}

TEST_CASE("G4: fifo messages that overtake the last GFLUSHED belong to the next view") {
  Cluster cluster(4);
  cluster[1].join(1, "g");
  cluster.settle();
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[3].join(1, "g");  // the change
  cluster.bind_one(cluster[3]);
  for (const NodeId node : {1u, 2u, 3u}) {
    cluster.deliver_all(cluster[node]);
  }
  cluster.bind_one(cluster[1]);
  cluster.deliver_all(cluster[2]);
  cluster.bind_one(cluster[2]);
  cluster.deliver_all(cluster[1]);  // 1 and 3 are in the next view
  cluster.deliver_all(cluster[3]);
  cluster[1].send(1, "g", Service::fifo, {"old member"});
  cluster[3].send(1, "g", Service::fifo, {"new member"});
  cluster.bind_all();
  cluster[2].take();
  for (const NodeId sender : {1u, 3u}) {
    REQUIRE(cluster.overtake(cluster[2], pid(sender)));  // its own GFLUSHED is not delivered yet
  }
  CHECK(cluster[2].effects.empty());
  cluster.settle();
  const auto effects = cluster[2].take();
  const auto messages = all<DeliverMessages>(effects);
  REQUIRE(messages.size() == 2);
  const auto view = only<GroupViewInstalled>(effects).group_view;
  for (const auto& message : messages) {
    CHECK(message.token == view->token);
    CHECK(message.position == 1);
  }
  CHECK(cluster[4].groups.table_hash() == cluster[2].groups.table_hash());
}

TEST_CASE("G4: a daemon view completes a pending flush") {
  Cluster cluster(3);
  cluster[1].join(1, "g");
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[3].join(1, "g", 9);
  cluster.bind_one(cluster[3]);
  for (const NodeId node : {1u, 2u, 3u}) {
    cluster.deliver_all(cluster[node]);
    cluster[node].take();
  }
  cluster.change_view({2});
  for (const NodeId node : {1u, 3u}) {
    const auto view = only<GroupViewInstalled>(cluster[node].effects).group_view;
    CHECK(clients(view->members) == Names{"1:1", "3:1"});
    CHECK(view->view == cluster.view().id());
    CHECK(view->token >> 32U == cluster.view().id());
    CHECK_FALSE(cluster[node].groups.ready());  // no GFLUSHED of the old view
  }
  CHECK(only<RequestDone>(cluster[3].effects).request == 9);
  CHECK(cluster[1].groups.table_hash() == cluster[3].groups.table_hash());
}

TEST_CASE("G2: clients of daemons that are gone leave in every group at the install, and only there a view is installed") {
  const auto reason = GENERATE(LeaveReason::crashed, LeaveReason::silent, LeaveReason::left);
  Cluster cluster(3);
  cluster[1].join(1, "a");
  cluster[2].join(1, "a");
  cluster[3].join(1, "b", 1, true);
  cluster[2].join(2, "b", 1, true);
  cluster[1].join(2, "c");
  cluster[2].join(3, "d");
  cluster.settle();
  cluster[1].take();
  cluster[3].take();
  cluster.change_view({2}, SIZE_MAX, reason);
  const auto views = all<GroupViewInstalled>(cluster[1].effects);
  REQUIRE(views.size() == 3);
  for (const auto& installed : views) {
    const auto& view = installed.group_view;
    CHECK(view->name != "c");
    REQUIRE(view->left.size() == 1);
    CHECK(view->left[0].member.pid == pid(2));
    CHECK(view->left[0].reason == reason);
    CHECK(view->members.size() == (view->name == "d" ? 0 : 1));
  }
  CHECK(all<GroupViewInstalled>(cluster[3].effects).size() == 3);
  CHECK(cluster[1].groups.views().size() == 3);
}

TEST_CASE("G2: a client's death leaves its groups after what it had sent") {
  Cluster cluster(2);
  for (const NodeId node : {1u, 2u}) {
    cluster[node].join(1, "g");
    cluster[node].join(1, "h", 2);
    cluster.settle();
  }
  cluster[1].send(1, "g", Service::total, {"last words"});
  cluster[1].groups.client_gone(1, cluster[1].effects);
  cluster[1].take();
  cluster[2].take();
  cluster.settle();
  CHECK(all<SendOutcome>(cluster[1].effects).empty());  // no more replies
  const auto& effects = cluster[2].effects;
  CHECK(std::holds_alternative<DeliverMessages>(effects.front()));
  const auto views = all<GroupViewInstalled>(effects);
  REQUIRE(views.size() == 2);
  for (const auto& installed : views) {
    const auto& view = installed.group_view;
    CHECK(clients(view->members) == Names{"2:1"});
    CHECK(view->left.at(0).reason == LeaveReason::crashed);
  }
  CHECK(cluster[1].groups.idle());
}

TEST_CASE("G2: a client that dies while its join is in flight leaves again") {
  Cluster cluster(2);
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[1].join(1, "g");
  cluster.bind_one(cluster[1]);
  cluster[1].groups.client_gone(1, cluster[1].effects);
  cluster[1].take();
  cluster.settle();
  CHECK(all<RequestDone>(cluster[1].effects).empty());
  CHECK(clients(last_view(cluster, 2)->members) == Names{"2:1"});
  CHECK(cluster[1].groups.idle());
}

TEST_CASE("C4: the token rises through views, empty times and cold starts") {
  Cluster cluster(2);
  std::uint64_t token = 0;
  const auto check = [&](NodeId node) {
    cluster.settle();
    const auto view = last_view(cluster, node);
    CHECK(view->token > token);
    token = view->token;
    return view;
  };
  for (int i = 0; i < 3; ++i) {
    cluster[1].join(1, "g");
    check(1);
    cluster[1].leave(1, "g");
    check(1);
    cluster.change_view({});
  }
  cluster[1].join(1, "g");
  const auto group = check(1)->group;
  cluster.change_view({});
  cluster.change_view({1, 2});  // nobody is left
  cluster.add_daemon(3);
  cluster.change_view({}, SIZE_MAX, LeaveReason::crashed, true);
  cluster[3].join(1, "g");
  const auto again = check(3);
  CHECK(again->cold);
  CHECK(again->group > group);
  cluster[3].join(2, "g");
  CHECK_FALSE(check(3)->cold);
}

TEST_CASE("J6: a joiner has the same table; its queued requests follow") {
  Cluster cluster(2);
  cluster[1].join(1, "g");
  cluster[1].send(1, "g", Service::total, {"one", "two"});
  cluster.settle();
  cluster.add_daemon(3);
  cluster[3].join(1, "g", 5);
  cluster[3].send(1, "g", Service::fifo, {"hello"}, 6);  // behind the join
  CHECK(cluster[3].effects.empty());
  cluster.change_view({});
  CHECK(all<GroupViewInstalled>(cluster[3].effects).empty());
  CHECK(cluster[3].groups.save_table() == cluster[1].groups.save_table());
  CHECK(cluster[3].groups.views().at(0)->members == cluster[1].groups.views().at(0)->members);
  cluster[1].take();
  cluster[1].send(1, "g", Service::total, {"three"});
  cluster.bind_one(cluster[1]);
  cluster.settle();
  CHECK(all<DeliverMessages>(cluster[1].effects).at(0).position == 3);  // the group view is still the same
  CHECK(only<RequestDone>(cluster[3].effects).request == 5);
  CHECK(only<SendOutcome>(cluster[3].effects).outcome == Outcome::delivered);
}

TEST_CASE("G1: ordered runs that make no sense are ignored by all alike") {
  struct Row {
    RunKind kind;
    GroupId group;
    ClientId client;
    std::string body;
  };
  const std::string join(encode(JoinBody{"new", "m", {}}).view());
  const auto row = GENERATE_COPY(values<Row>({
      {RunKind::group_join, 0, 9, ""},
      {RunKind::group_join, 0, 9, join + "x"},
      {RunKind::group_join, 0, 9, join.substr(0, join.size() - 1)},
      {RunKind::group_join, 0, 9, "\x02" + join.substr(1)},
      {RunKind::group_join, 0, 9, std::string(encode(JoinBody{"", "m", {}}).view())},
      {RunKind::group_join, 0, 9, std::string(encode(JoinBody{"a\nb", "m", {}}).view())},
      {RunKind::group_join, 0, 9, std::string(encode(JoinBody{"a", "\xff", {}}).view())},
      {RunKind::group_join, 0, 0, join},
      {RunKind::group_join, 0, 1, std::string(encode(JoinBody{"g", "again", {}}).view())},
      {RunKind::group_leave, 1, 2, std::string(1, '\0')},
      {RunKind::group_leave, 7, 1, std::string(1, '\0')},
      {RunKind::group_leave, 1, 1, "\x05"},
      {RunKind::group_leave, 1, 1, ""},
      {RunKind::group_flushed, 1, 0, ""},
      {RunKind::group_flushed, 7, 0, ""},
      {RunKind::group_synced, 1, 0, std::string(encode(HistoryPosition{1, 1}).view())},
      {RunKind::group_synced, 7, 0, std::string(encode(HistoryPosition{1, 1}).view())},
      {RunKind::group_kept, 1, 0, std::string(encode(KeptHistory{}).view())},
      {RunKind::group_kept, 7, 0, std::string(encode(KeptHistory{}).view())},
  }));
  Cluster cluster(2);
  cluster[1].join(1, "g");
  cluster.settle();
  const auto before = cluster[2].groups.save_table();
  cluster[2].take();
  Run run;
  run.kind = row.kind;
  run.group = row.group;
  run.client = row.client;
  run.body = vsync::Slice::copy_of(row.body);
  cluster[2].groups.deliver(pid(1), std::make_shared<Run>(run), cluster[2].effects);
  CHECK(cluster[2].groups.save_table() == before);
  CHECK(cluster[2].groups.ignored() == 1);
  CHECK(cluster[2].effects.empty());
}
