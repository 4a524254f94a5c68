// K1 to K3 under random schedules: the table of groups, with daemons and disks around it that crash, are lost, and are founded
// anew.
//
// One table stands for all, since it is a function of the order. Everything else is as loose as the daemons may be: what a
// daemon binds is delivered later or not at all, disks write what was delivered some time, and clusters end as a whole.
#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/rng.h"
#include "core/groups/group_table.h"

namespace vsync::core {
namespace {

using Log = std::vector<std::uint64_t>;  // messages by index - 1

struct Disk {
  KeptHistory kept;
  Log log;
};

/// A node with at most one member of the group.
struct Node {
  Disk disk;
  std::uint64_t incarnation = 0;
  bool up = false;
  bool lost_before = false;
  std::deque<std::function<void()>> bound;  // not delivered yet
  std::optional<ClientId> member;           // from its join being bound to its leave being bound
  bool joining = false;                     // what it said of its disk has come to nothing yet
  bool follows = false;                     // the disk gets what is delivered
  std::uint64_t arrived = 0;                // the transfer of which it has said so
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : rng_(seed), disks_(static_cast<std::uint32_t>(1 + rng_.below(5))) {
    crashes_ = 0.1 + 0.2 * static_cast<double>(rng_.below(4));
    // With more nodes than disks no disk is lost, and no table: a blank disk would look like a lost one, and so many of them
    // would begin the group anew while its disks are away. No rule can tell (K3, *beginning*).
    strangers_ = rng_.chance(0.3) ? 1 + rng_.below(2) : 0;
    losses_ = strangers_ > 0 ? 0 : disks_ - majority_of(disks_);
    for (NodeId node = 1; node <= disks_ + strangers_; ++node) {
      nodes_[node];
    }
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      step();
    }
    calm_ = true;
    for (auto& [node, state] : nodes_) {
      start(node);
    }
    for (int round = 0; round < 100; ++round) {
      for (auto& [node, state] : nodes_) {
        join(node);
        promise(node);
        tell(node);
        arrive(node);
        write(node, true);
        while (!state.bound.empty()) {
          deliver(node);
        }
      }
    }
    const auto* group = table_.find("g");
    REQUIRE(group != nullptr);
    REQUIRE(group->state.exists());
    CHECK(group->history.durable().index == content_.size());
  }

  [[nodiscard]] std::size_t eras() const { return eras_.empty() ? 0 : eras_.rbegin()->second.size(); }
  [[nodiscard]] std::size_t durable() const { return durable_.size(); }

 private:
  // ---- what may happen next

  void step() {
    const NodeId node = 1 + static_cast<NodeId>(rng_.below(nodes_.size()));
    switch (rng_.below(14)) {
      case 0:
        return start(node);
      case 1:
        return rng_.chance(crashes_) ? crash(node) : join(node);
      case 2:
        return rng_.chance(0.2) ? leave(node) : join(node);
      case 3:
        return strangers_ == 0 && rng_.chance(0.1) ? end_cluster() : start(node);
      case 4:
        return rng_.chance(0.4) ? lose_disk(node) : promise(node);
      case 5:
        return rng_.chance(0.1) ? refuse(node) : promise(node);
      case 6:
        return tell(node);
      case 7:
        return arrive(node);
      case 8:
        return write(node, rng_.chance(0.5));
      case 9:
        return send();
      default:
        return deliver(node);
    }
  }

  void start(NodeId node) {
    auto& state = nodes_[node];
    if (!state.up) {
      state.up = true;
      ++state.incarnation;
      state.follows = false;
      state.arrived = 0;
      install(false);
    }
  }

  /// Some of what it had bound was sent before.
  void crash(NodeId node) {
    auto& state = nodes_[node];
    while (!state.bound.empty() && rng_.chance(0.5)) {
      deliver(node);
    }
    halt(state);
    install(false);
  }

  /// A total failure: then a cold start, or a cluster that is founded anew.
  void end_cluster() {
    for (auto& [node, state] : nodes_) {
      halt(state);
    }
    if (rng_.chance(0.5)) {
      install(true);
    } else {
      table_ = GroupTable{};
      view_ = 0;
      ++cluster_;
      install(false);
    }
  }

  void lose_disk(NodeId node) {
    auto& state = nodes_[node];
    if (!state.up && (state.lost_before || losses_ > 0)) {
      losses_ -= state.lost_before ? 0 : 1;
      state.lost_before = true;
      state.disk = {};
    }
  }

  /// A join says what the disk has, and has promised, when it is bound; and one does so after the other.
  void join(NodeId node) {
    auto& state = nodes_[node];
    if (!state.up || state.member || state.joining) {
      return;
    }
    state.joining = true;
    state.member = ++last_client_;
    bind(node, [this, node, pid = pid(node), client = *state.member, kept = state.disk.kept] {
      JoinBody body{"g", "member", {.total_only = true, .disks = disks_}};
      body.state.wanted = true;
      body.state.kept = kept;
      if (const auto change = table_.join(pid, client, body); !change.refused.empty()) {
        nodes_[node].member.reset();
        nodes_[node].joining = false;
      }
    });
  }

  void leave(NodeId node) {
    auto& state = nodes_[node];
    if (!state.up || !state.member) {
      return;
    }
    bind(node, [this, node, pid = pid(node), client = *state.member] {
      if (const auto* group = table_.find("g"); group != nullptr) {
        table_.leave(pid, client, group->id, LeaveReason::left);
      }
      nodes_[node].follows = nodes_[node].joining = false;
    });
    state.member.reset();
  }

  void promise(NodeId node) {
    const auto* group = table_.find("g");
    if (group == nullptr || group->history.proposed() == 0 || !is(node, group->state.waiting(false))) {
      return;
    }
    const auto era = group->history.proposed();
    auto& promised = nodes_[node].disk.kept.promised;
    promised = std::max(promised, era);
    if (!fails()) {
      say(node, {era, 0});
    }
  }

  void tell(NodeId node) {
    const auto* group = table_.find("g");
    if (group != nullptr && nodes_[node].up && group->history.asks(pid(node))) {
      bind(node, [this, id = group->id, pid = pid(node), kept = nodes_[node].disk.kept] { table_.told(pid, id, kept); });
    }
  }

  void refuse(NodeId node) {
    const auto* group = table_.find("g");
    const auto& member = nodes_[node].member;
    if (group != nullptr && nodes_[node].up && member && group->state.active() &&
        group->state.donor() == ClientRef{pid(node), *member}) {
      news(node, *group, StateNews::refused);
    }
  }

  void arrive(NodeId node) {
    const auto* group = table_.find("g");
    if (group != nullptr && is(node, group->state.waiting(true)) && nodes_[node].arrived != group->state.boundary()) {
      nodes_[node].arrived = group->state.boundary();
      news(node, *group, StateNews::arrived);
    }
  }

  /// What has arrived is committed when all know it; from then on the disk follows.
  void news(NodeId node, const Group& group, StateNews news) {
    bind(node, [this, node, pid = pid(node), client = *nodes_[node].member, id = group.id, token = group.state.boundary(), news] {
      const auto* now = table_.find(id);
      const bool arrives = now != nullptr && now->state.boundary() == token && now->state.joiners().contains({pid, client});
      table_.state_news(pid, client, id, {news, token});
      if (!arrives || news != StateNews::arrived) {
        return;
      }
      if (fails()) {
        crash(node);  // before it has committed it
      } else {
        auto& disk = nodes_[node].disk;
        const auto promised = disk.kept.promised;
        disk.kept = now->history.now();
        disk.kept.promised = promised;
        disk.kept.position.index = boundary_size_;
        disk.log.assign(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(boundary_size_));
        nodes_[node].follows = true;
        nodes_[node].joining = false;
        say(node, disk.kept.position);
      }
    });
  }

  void write(NodeId node, bool all) {
    if (!nodes_[node].up || !nodes_[node].follows) {
      return;
    }
    auto& disk = nodes_[node].disk;
    const auto end = all ? content_.size() : std::min(disk.log.size() + 1, content_.size());
    disk.log.assign(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(end));
    disk.kept.position.index = end;
    if (!fails()) {
      say(node, disk.kept.position);
    }
  }

  void send() {
    if (const auto* group = table_.find("g"); group != nullptr && group->state.exists()) {
      const auto place = table_.count(group->id, 1);
      content_.push_back(++last_message_);
      CHECK(place == HistoryPosition{group->history.now().position.era, content_.size()});
    }
  }

  void deliver(NodeId node) {
    auto& bound = nodes_[node].bound;
    if (!bound.empty()) {
      const auto run = std::move(bound.front());
      bound.pop_front();
      run();
      judge();
    }
  }

  // ---- how

  /// Something does not come to its end, now and then.
  [[nodiscard]] bool fails() { return !calm_ && rng_.chance(0.1); }

  [[nodiscard]] Pid pid(NodeId node) { return {node, nodes_[node].incarnation, 0}; }

  [[nodiscard]] bool is(NodeId node, const std::set<ClientRef>& members) {
    const auto& state = nodes_[node];
    return state.up && state.member && members.contains({pid(node), *state.member});
  }

  void bind(NodeId node, std::function<void()> run) { nodes_[node].bound.push_back(std::move(run)); }

  void say(NodeId node, const HistoryPosition& position) {
    const auto* group = table_.find("g");
    if (group != nullptr) {
      bind(node, [this, id = group->id, pid = pid(node), position] { table_.synced(pid, id, position); });
    }
  }

  static void halt(Node& state) {
    state.up = state.follows = state.joining = false;
    state.bound.clear();
    state.member.reset();
  }

  void install(bool cold) {
    View view;
    view.uuid = {cluster_, 1};
    view.ref.epoch = ++view_;
    view.cold = cold;
    for (auto& [node, state] : nodes_) {
      if (state.up) {
        view.members.push_back({pid(node), 0, {}, {}});
      }
    }
    table_.install(view);
    judge();
  }

  // ---- what must hold

  void judge() {
    const auto* group = table_.find("g");
    for (auto& [node, state] : nodes_) {  // dismissed, or refused
      const bool known = group != nullptr && state.member && group->has({pid(node), *state.member});
      state.follows = state.follows && known;
      if (state.up && state.member && !known && state.bound.empty()) {
        state.member.reset();
        state.joining = false;
      }
    }
    if (group == nullptr) {
      era_ = 0;
      return;
    }
    auto bytes = table_.save();
    const auto copy = GroupTable::load(bytes);
    REQUIRE(copy);
    CHECK(copy->save() == bytes);
    const auto now = group->history.now().position;
    if (group->state.boundary() != 0 && (now.era != era_.value_or(0)) && group->state.exists()) {
      begins(*group);
      era_ = now.era;
    }
    if (group->state.boundary() != boundary_) {
      boundary_ = group->state.boundary();
      boundary_size_ = content_.size();
    }
    const auto safe = group->history.durable().index;
    if (safe > durable_.size()) {
      REQUIRE(safe <= content_.size());
      durable_.assign(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(safe));
    }
  }

  /// An era: larger than all before it, of whatever cluster, and with everything that was durable.
  void begins(const Group& group) {
    const auto& now = group.history.now();
    const auto& donor = group.state.donor();
    auto& eras = eras_[now.origin];
    CHECK((eras.empty() || now.position.era > *eras.rbegin()));
    eras.insert(now.position.era);
    const auto& log = nodes_[donor.pid.node].disk.log;
    REQUIRE(log.size() >= now.position.index);
    content_.assign(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(now.position.index));
    REQUIRE(content_.size() >= durable_.size());
    CHECK(std::equal(durable_.begin(), durable_.end(), content_.begin()));
  }

  Rng rng_;
  bool calm_ = false;  // from now on
  std::uint32_t disks_;
  double crashes_ = 0;  // how often
  std::size_t strangers_ = 0;
  std::size_t losses_ = 0;  // disks that may still be lost
  std::map<NodeId, Node> nodes_;
  GroupTable table_;
  std::uint64_t cluster_ = 1;
  ViewId view_ = 0;
  ClientId last_client_ = 0;
  std::uint64_t last_message_ = 0;
  Log content_;                                            // of the group, as delivered
  Log durable_;                                            // what was ever called durable
  std::map<std::uint64_t, std::set<std::uint64_t>> eras_;  // that began, by the origin of their history
  std::optional<std::uint64_t> era_;
  std::uint64_t boundary_ = 0;
  std::size_t boundary_size_ = 0;
};

}  // namespace

TEST_CASE("K1 to K3 under random schedules: eras rise for ever, nothing durable is lost, and the group comes back") {
  std::size_t eras = 0;
  std::size_t durable = 0;
  constexpr std::uint64_t kSchedules = 250;
  for (std::uint64_t seed = 1; seed <= kSchedules; ++seed) {
    INFO("seed " << seed);
    Schedule schedule(seed);
    schedule.run(600);
    eras += schedule.eras();
    durable += schedule.durable();
  }
  CHECK(eras > kSchedules);  // that the schedules come to something
  CHECK(durable > kSchedules);
}

}  // namespace vsync::core
