// One Membership with a scripted world: links, holdings and the disk do what the test says, and nothing else happens.
#pragma once

#include <catch2/catch.hpp>

#include <deque>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "core/membership/membership.h"
#include "unit/membership/people.h"

namespace vsync::test {

/// Records what membership does. Frames to itself wait in `loopback`.
class World final : public MembershipHost {
 public:
  struct Sent {
    Pid to;
    FramePtr frame;
  };

  Pid self;
  std::set<Pid> links;
  std::map<Pid, Duration> silent;  ///< for how long; others were just heard
  Counts holds;
  std::string own_table = "table of this daemon";
  bool damaged_table = false;

  std::deque<Sent> sent;
  std::deque<FramePtr> loopback;
  std::vector<std::pair<std::uint64_t, AcceptorRecord>> persisted;
  std::vector<Member> wanted;
  bool seeking = false;
  std::vector<std::string> events;  ///< "wedge", "close 5 [1,2]", "install 6 from 5", …
  Effects effects;

  void send(const Pid& to, FramePtr frame) override {
    if (to == self) {
      loopback.push_back(std::move(frame));
    } else if (links.contains(to)) {
      sent.push_back({to, std::move(frame)});
    }
  }
  void want_links(std::vector<Member> peers, bool seek) override {
    wanted = std::move(peers);
    seeking = seek;
  }
  [[nodiscard]] bool linked(const Pid& peer) const override { return peer == self || links.contains(peer); }
  [[nodiscard]] bool reachable(const Pid& peer) const override { return linked(peer); }
  [[nodiscard]] Duration silence(const Pid& peer) const override {
    const auto it = silent.find(peer);
    return it == silent.end() ? Duration{} : it->second;
  }
  [[nodiscard]] std::uint32_t health() const override { return 1; }
  void persist(std::uint64_t token, AcceptorRecord record) override { persisted.emplace_back(token, std::move(record)); }
  void wedge() override { events.emplace_back("wedge"); }
  [[nodiscard]] const Counts& held() const override { return holds; }
  [[nodiscard]] bool has_all(const Counts& cut) const override {
    return std::equal(cut.begin(), cut.end(), holds.begin(), holds.end(), std::less_equal<>());
  }
  [[nodiscard]] std::vector<RunPtr> range(Rank, Seq lo, Seq hi) const override {
    std::vector<RunPtr> runs;
    for (Seq seq = lo; seq <= hi; ++seq) {
      runs.push_back(run(seq));
    }
    return runs;
  }
  bool forward(Rank sender, const RunPtr& run) override {
    if (run->first != holds[sender] + 1) {
      return run->first <= holds[sender];
    }
    holds[sender] = run->last();
    return true;
  }
  void close_view(const View& base, const Counts& cut) override {
    events.push_back("close " + std::to_string(base.id()) + " " + text(cut));
  }
  void install(const ViewPtr& view, const ViewPtr& base) override {
    events.push_back("install " + std::to_string(view->id()) + (base ? " from " + std::to_string(base->id()) : ""));
    holds.assign(view->members.size(), 0);
  }
  [[nodiscard]] const std::string& table() const override { return own_table; }
  [[nodiscard]] std::uint64_t table_hash() const override { return own_table.size(); }
  bool load_table(std::string_view bytes) override {
    own_table = bytes;
    return !damaged_table;
  }
  void excluded(const ViewPtr& by, const std::optional<Counts>& cut) override {
    events.push_back("excluded" + (by ? " by " + std::to_string(by->id()) : "") + (cut ? " " + text(*cut) : ""));
  }
  void witness(const ViewPtr& view) override { events.push_back("witness " + std::to_string(view->id())); }
  void left(const View& view) override { events.push_back("left " + std::to_string(view.id())); }
  void finished(ViewId view) override { events.push_back("finished " + std::to_string(view)); }
  void refused(RejectReason reason, NodeId node, std::uint64_t incarnation) override {
    events.push_back("refused " + std::to_string(static_cast<int>(reason)) + " " + std::to_string(node) + " " +
                     std::to_string(incarnation));
  }
  void emit(Effect effect) override { effects.push_back(std::move(effect)); }
  void step_taken(std::string_view name, std::uint64_t) override { steps.emplace(name); }

  std::set<std::string, std::less<>> steps;

  static RunPtr run(Seq seq) {
    Run made;
    made.first = seq;
    return std::make_shared<const Run>(std::move(made));
  }
  static std::string text(const Counts& counts) {
    std::string text;
    for (const Seq count : counts) {
      text += (text.empty() ? "[" : ",") + std::to_string(count);
    }
    return text + "]";
  }
};

/// One daemon. Records become durable when the test says so (`persist()`), or at once (`durable`).
class Daemon {
 public:
  explicit Daemon(NodeId node, Config settings = {}) : config_(std::move(settings)) {
    if (config_.self.pid.node == 0) {
      config_.self = member(node);
    }
    world.self = config_.self.pid;
    membership_.emplace(config_, world);
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  World world;
  bool durable = true;
  Time now{std::chrono::seconds(1)};

  Membership& operator*() { return *membership_; }
  Membership* operator->() { return &*membership_; }
  const Config& config() const { return config_; }

  /// Makes it a member of `view` by the way of a joiner, linked to all others.
  void join(View view) {
    if (view.members.size() == 1) {
      view.origins.clear();  // there is nobody to get a table from
    }
    membership_->join(now);
    for (const auto& other : view.members) {
      if (other.pid != world.self) {
        open(other.pid, Role::member, view.id());
      }
    }
    const bool was_durable = std::exchange(durable, true);
    receive(first_other(view), Install{shared(view)});
    if (view.members.size() > 1) {
      receive(first_other(view), Table{view.id(), 1, 0, 1, Slice::copy_of("t")});
    }
    durable = was_durable;
    REQUIRE(membership_->role() == Role::member);
    forget();
  }

  void receive(const Pid& from, const Frame& frame) {
    membership_->frame(from, frame, now);
    settle();
  }
  void receive(NodeId from, const Frame& frame) { receive(pid(from), frame); }

  void open(const Pid& peer, Role role = Role::member, ViewId decided = 0, Uuid uuid = {1, 2}, std::uint64_t vote_epoch = 0) {
    Hello hello;
    hello.pid = peer;
    hello.uuid = uuid;
    hello.vote_epoch = vote_epoch != 0 ? vote_epoch : 70 + peer.node;
    hello.role = role;
    hello.decided = decided;
    hello.name = "n" + std::to_string(peer.node);
    world.links.insert(peer);
    membership_->link_opened(hello, now);
    settle();
  }
  void close(NodeId peer) {
    world.links.erase(pid(peer));
    membership_->link_closed(pid(peer), now);
    settle();
  }
  void suspect(NodeId peer, Evidence evidence) {
    membership_->suspicion(pid(peer), evidence, std::chrono::milliseconds(1), now);
    settle();
  }
  void start() {
    membership_->start(now);
    settle();
  }
  void wait(Duration time) {
    now += time;
    membership_->tick(now);
    settle();
  }
  /// Everything given to the disk so far is durable.
  void persist() {
    if (!world.persisted.empty()) {
      const auto token = world.persisted.back().first;
      world.persisted.clear();
      membership_->persisted(token, now);
    }
    settle();
  }
  /// Handles frames to itself and, when `durable`, the disk.
  void settle() {
    for (bool moved = true; moved;) {
      moved = false;
      while (!world.loopback.empty()) {
        const auto frame = std::move(world.loopback.front());
        world.loopback.pop_front();
        membership_->frame(world.self, *frame, now);
        moved = true;
      }
      if (durable && !world.persisted.empty()) {
        persist();
        moved = true;
      }
    }
  }

  /// What was sent since the last call, as "PREPARE>2 PREPARE>3".
  std::string sent() {
    std::string text;
    for (const auto& each : world.sent) {
      text += (text.empty() ? "" : " ") + std::string(frame_name(*each.frame)) + ">" + std::to_string(each.to.node);
    }
    world.sent.clear();
    return text;
  }
  /// The last frame of this kind that was sent and not asked for; fails if there is none.
  template <typename Body>
  Body last() {
    for (auto it = world.sent.rbegin(); it != world.sent.rend(); ++it) {
      if (const auto* body = std::get_if<Body>(it->frame.get())) {
        return *body;
      }
    }
    FAIL("no such frame was sent");
    return {};
  }
  template <typename Body>
  std::size_t count() const {
    return static_cast<std::size_t>(std::count_if(
        world.sent.begin(), world.sent.end(), [](const World::Sent& each) { return std::holds_alternative<Body>(*each.frame); }));
  }
  /// "wedge; close 5 [1,2]; …" since the last call.
  std::string events() {
    std::string text;
    for (const auto& each : std::exchange(world.events, {})) {
      text += (text.empty() ? "" : "; ") + each;
    }
    return text;
  }
  void forget() {
    world.sent.clear();
    world.events.clear();
    world.effects.clear();
    world.steps.clear();
  }
  template <typename Body>
  bool emitted() const {
    return std::any_of(world.effects.begin(), world.effects.end(),
                       [](const Effect& effect) { return std::holds_alternative<Body>(effect); });
  }

 private:
  Pid first_other(const View& view) const {
    for (const auto& other : view.members) {
      if (other.pid != world.self) {
        return other.pid;
      }
    }
    return pid(99);
  }

  Config config_;
  std::optional<Membership> membership_;
};

/// A PROMISE of member `node` of `view`, who holds `held` and reaches everybody.
inline Promise promise(const View& view, Ballot ballot, NodeId node, const Counts& held) {
  return {view.id(), ballot, 70 + node, std::nullopt, held, std::vector<bool>(view.members.size(), true), false};
}

inline Join join_of(const Member& joiner) {
  return {joiner, {1, 2}, 0, 1};
}

}  // namespace vsync::test
