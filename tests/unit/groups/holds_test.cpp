// G10: who waits for a group that is held, and who does not.
#include "unit/groups/cluster.h"

namespace vsync::core {
namespace {

constexpr ClientId kSlow = 1;
constexpr ClientId kSender = 2;

Limits small_limits() {
  Limits limits;
  limits.max_run_bytes = 100;
  return limits;
}

/// Daemon 1 has a member of `g` that can hold it, and a member of `other`, which has one at daemon 2 too.
struct Story {
  Cluster cluster{2, small_limits()};
  GroupId group = 0;

  Story() {
    cluster[1].join(kSlow, "g", 1, true);
    cluster[1].join(kSender, "other", 1, true);
    cluster.settle();
    cluster[2].join(3, "other", 1, true);
    cluster.settle();
    group = cluster[1].groups.views().front()->group;
    REQUIRE(cluster[1].groups.views().front()->name == "g");
    take();
  }
  void take() {
    cluster[1].take();
    cluster[2].take();
  }
  void hold(bool held, ClientId client = kSlow) {
    cluster[1].groups.request(ClientHold{client, group, held});
    cluster.settle();
  }
  void die(ClientId client) { cluster[1].groups.client_gone(client, cluster[1].effects); }
  [[nodiscard]] bool has_begun() {
    return cluster[2].groups.table_hash() != Hasher{}.add(cluster[2].groups.save_table()).value();
  }
};

}  // namespace

TEST_CASE("G10: who is gone leaves its groups, and its session, while another group is held") {
  constexpr SessionId kSession = 77;
  Story story;
  auto& cluster = story.cluster;
  cluster[1].groups.request(ClientSession{kSender, 5, kSession}, cluster[1].effects);
  story.hold(true);
  story.take();
  const auto say = [&](const std::string& group, std::uint64_t number) {
    ClientSend send{kSender, number, group, Service::total, false, 1, 0, body_of({group}), nullptr, number};
    cluster[1].groups.request(std::move(send), cluster[1].effects);
  };
  say("other", 1);
  say("g", 2);
  say("other", 3);
  story.die(kSender);
  cluster.settle();
  const auto effects = cluster[2].take();
  CHECK(only<DeliverMessages>(effects).group != story.group);  // what came before, and nothing from there on
  CHECK(only<GroupViewInstalled>(effects).group_view->left.at(0).reason == LeaveReason::crashed);
  CHECK(cluster[1].groups.idle());

  cluster[2].groups.request(ClientSession{9, 4, kSession}, cluster[2].effects);
  cluster.settle();
  CHECK(only<SessionOpened>(cluster[2].take()).fates == SessionFates{true, 0, {{1, 1}}});
  story.hold(false);
  CHECK(all<DeliverMessages>(cluster[1].take()).size() == 1);
}

TEST_CASE("G10: what it had begun for a held group ends nowhere, and everybody forgets it") {
  Story story;
  auto& cluster = story.cluster;
  cluster[1].send(kSender, "g", Service::total, {std::string(500, 'x')});
  cluster.bind_one(cluster[1]);
  story.cluster[1].groups.request(ClientHold{kSlow, story.group, true});
  cluster.bind_one(cluster[1]);
  cluster.deliver_all(cluster[1]);
  cluster.deliver_all(cluster[2]);
  REQUIRE(story.has_begun());
  story.die(kSender);
  cluster.settle();
  CHECK_FALSE(story.has_begun());
  CHECK(cluster[1].groups.table_hash() == cluster[2].groups.table_hash());
  CHECK(cluster[1].groups.idle());
  story.hold(false);
  cluster[1].send(4, "g", Service::total, {"whole"});
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[1].take()).count == 1);
}

TEST_CASE("G10: who holds its own group and is gone has sent what it had sent") {
  Story story;
  auto& cluster = story.cluster;
  story.hold(true);
  cluster[1].send(kSlow, "g", Service::total, {"last words"});
  cluster[2].send(3, "g", Service::total, {"waits"});
  story.take();
  story.die(kSlow);
  cluster.settle();
  CHECK(only<DeliverMessages>(cluster[1].take()).client == kSlow);
  CHECK(only<SendOutcome>(cluster[2].take()).code == "no_such_group");
}

TEST_CASE("G10: who has asked to leave holds nobody, itself neither") {
  Story story;
  auto& cluster = story.cluster;
  cluster[1].join(3, "g", 1, true);
  cluster.settle();
  story.hold(true, 3);
  cluster[1].send(kSlow, "g", Service::total, {"mine"});
  cluster[1].leave(kSlow, "g", 11);
  story.hold(true);
  cluster[1].take();
  story.hold(false, 3);
  const auto effects = cluster[1].take();
  CHECK(only<DeliverMessages>(effects).client == kSlow);
  CHECK(only<RequestDone>(effects).request == 11);
}

}  // namespace vsync::core
