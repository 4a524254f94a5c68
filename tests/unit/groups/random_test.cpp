// Seeded random runs: whatever happens, tables are equal at all daemons and members that go on together saw the same.
#include <algorithm>
#include <set>

#include "base/rng.h"
#include "cluster.h"

using namespace vsync::core;

namespace {

struct Random {
  Cluster cluster;
  vsync::Rng rng;
  RequestId request = 0;
  std::map<std::pair<NodeId, RequestId>, int> owed;             // answers by request
  std::map<std::pair<NodeId, RequestId>, std::uint32_t> batch;  // sends that a refusal of this request would end
  std::map<std::string, std::uint64_t> token;                   // newest, by group name
  std::map<std::pair<NodeId, std::string>, std::uint64_t> last_token;
  NodeId newest = 4;

  using Place = std::tuple<std::uint64_t, bool, Pid, std::uint64_t>;      // token, total, sender of others, position
  std::map<Place, std::string> content;                                   // equal at all members
  std::map<NodeId, std::map<std::uint64_t, std::set<std::string>>> seen;  // in each group view

  static Limits limits() {
    Limits limits;
    limits.max_run_bytes = 64;
    limits.client_queue_bytes = 2000;
    return limits;
  }

  explicit Random(std::uint64_t seed) : cluster(4, limits()), rng(seed) {}

  std::string group() { return std::string(1, static_cast<char>('a' + rng.below(3))); }
  Daemon* somebody() {
    auto it = cluster.daemons().begin();
    std::advance(it, static_cast<std::ptrdiff_t>(rng.below(cluster.daemons().size())));
    return it->second->alive ? it->second.get() : nullptr;
  }

  void client_step(Daemon& daemon) {
    const auto client = static_cast<ClientId>(1 + rng.below(2));
    const auto name = group();
    const auto count = rng.below(4) + 1;
    ++request;
    batch[{daemon.id.node, request}] = 1;
    if (rng.chance(0.2)) {
      daemon.join(client, name, request, name == "c");
      owed[{daemon.id.node, request}] = 1;
    } else if (rng.chance(0.1)) {
      daemon.leave(client, name, request);
      owed[{daemon.id.node, request}] = 1;
    } else {
      std::vector<std::string> messages;
      for (std::uint64_t i = 0; i < count; ++i) {
        owed[{daemon.id.node, request + i}] = 1;
        messages.push_back(std::to_string(daemon.id.node) + "/" + std::to_string(request + i) +
                           std::string(rng.below(5) == 0 ? 150 : 3, '.'));
      }
      batch[{daemon.id.node, request}] = static_cast<std::uint32_t>(count);
      daemon.send(client, name, static_cast<Service>(rng.below(3)), messages, request, rng.chance(0.1) ? token[name] : 0);
      request += count - 1;
    }
  }

  void answered(NodeId node, RequestId first, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      INFO("request " << first + i << " of " << node);
      CHECK(--owed[{node, first + i}] == 0);
    }
  }

  void check(Daemon& daemon) {
    const auto node = daemon.id.node;
    for (const auto& effect : daemon.take()) {
      if (const auto* view = std::get_if<GroupViewInstalled>(&effect)) {
        const auto& group_view = *view->group_view;
        auto& newest_token = last_token[{node, group_view.name}];
        CHECK(group_view.token > newest_token);
        newest_token = token[group_view.name] = group_view.token;
        if (std::any_of(group_view.members.begin(), group_view.members.end(), [&](auto& m) { return m.pid == daemon.id; })) {
          seen[node][group_view.token];
        }
      } else if (const auto* message = std::get_if<DeliverMessages>(&effect)) {
        const bool total = message->service == Service::total;
        const std::string bytes = to_string(message->sender) + std::string(message->body.view());
        const Place place{message->token, total, total ? Pid{} : message->sender, message->position};
        CHECK(content.emplace(place, bytes).first->second == bytes);
        CHECK(seen[node][message->token].insert(bytes).second);  // never twice
      } else if (const auto* outcome = std::get_if<SendOutcome>(&effect)) {
        answered(node, outcome->request, outcome->count);
      } else if (const auto* done = std::get_if<RequestDone>(&effect)) {
        answered(node, done->request, 1);
      } else if (const auto* no = std::get_if<RequestRefused>(&effect)) {
        answered(node, no->request, batch[{node, no->request}]);
      }
    }
  }
  void step() {
    if (rng.chance(0.01)) {
      view_change();
    } else if (auto* daemon = somebody(); daemon != nullptr) {
      const auto what = rng.below(10);
      if (what < 3) {
        client_step(*daemon);
      } else if (what < 5) {
        cluster.bind_one(*daemon);
      } else if (what < 8) {
        cluster.deliver_one(*daemon);
      } else if (auto* sender = somebody(); sender != nullptr) {
        cluster.overtake(*daemon, sender->id);
      }
      check(*daemon);
    }
  }

  void view_change() {
    std::set<NodeId> alive;
    for (const auto& [node, daemon] : cluster.daemons()) {
      if (daemon->alive) {
        alive.insert(node);
      }
    }
    if (alive.size() < 4) {
      cluster.add_daemon(++newest);
    }
    auto victim = alive.begin();
    std::advance(victim, static_cast<std::ptrdiff_t>(rng.below(alive.size())));
    const auto cut = rng.below(100);
    if (alive.size() > 1 && rng.chance(0.7)) {
      std::erase_if(owed, [&](const auto& entry) { return entry.first.first == *victim; });
      seen.erase(*victim);
      cluster.change_view({*victim}, cut);
    } else {
      cluster.change_view({}, cut);
    }
    equal();
  }

  void settle() {
    cluster.settle();
    equal();
  }

  /// After an install, and when all is quiet.
  void equal() {
    std::optional<std::uint64_t> hash;
    for (auto& [node, daemon] : cluster.daemons()) {
      check(*daemon);
      if (daemon->alive) {
        hash = hash.value_or(daemon->groups.table_hash());
        CHECK(daemon->groups.table_hash() == *hash);
        for (const auto& view : daemon->groups.views()) {
          for (const auto& member : view->members) {
            CHECK(cluster.view().contains(member.pid));  // S3
          }
        }
      }
    }
    same_sets();
  }

  /// D5 for groups: daemons with members in a group view that all go on from it delivered the same in it.
  void same_sets() {
    std::map<std::uint64_t, const std::set<std::string>*> sets;
    for (const auto& [node, views] : seen) {
      for (const auto& [at, messages] : views) {
        const auto [it, first] = sets.emplace(at, &messages);
        CHECK(*it->second == messages);
      }
    }
  }
};

}  // namespace

TEST_CASE("random runs: equal tables, equal views, equal messages, one answer each") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    INFO("seed " << seed);
    Random run(seed);
    for (int i = 0; i < 600; ++i) {
      run.step();
    }
    run.settle();
    for (const auto& [who, count] : run.owed) {
      INFO("request " << who.second << " of " << who.first);
      CHECK(count == 0);
    }
    for (auto& [node, daemon] : run.cluster.daemons()) {
      CHECK((!daemon->alive || daemon->groups.idle()));
    }
  }
}
