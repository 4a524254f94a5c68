// Local applications: they join and leave groups, multicast with all services and sizes, and die.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sim/replica.h"
#include "sim/survivors.h"
#include "sim/world.h"
#include "support/check/report.h"

namespace vsync::sim {

using core::StateWish;

/// How much the applications do; rates are per second of virtual time and machine.
struct Appetite {
  double requests = 50;
  double join = 0.06;  ///< shares of the requests; the rest are sends
  double leave = 0.02;
  double die = 0.005;
  double hold = 0.02;                   ///< a member does not keep up, or does again
  double large = 0.05;                  ///< of the sends: larger than a run
  double survivor = 0.15;               ///< of the requests: by a client that outlives its connections
  double batch = 0.2;                   ///< of the sends: many messages at once
  double fenced = 0.1;                  ///< of the sends: only in the group view known
  double lease = 0;                     ///< of the joins: with the wish to be told leases
  double replica = 0.6;                 ///< of the joins: want the state
  double durable = 0.25;                ///< of all: in a durable group
  double patient = 0.5;                 ///< of the sends to that: wait until the message is durable
  std::uint32_t disks = 0;              ///< of the durable group; 0 = there is none
  std::uint64_t checkpoint_every = 30;  ///< messages of the durable group
  double refuses = 0.05;                ///< of the requests for a state, and as many are never answered
  double stuck = 0.02;                  ///< of what comes with a state: the client takes nothing more for a while
  double stability = 0;                 ///< of the joins: with the wish to be told what is stable
  double several = 0;                   ///< of the sends: to several groups (G6)
  double direct = 0;                    ///< of the sends: to one member (G7)
  double request = 0;                   ///< of the sends: requests (G8)
  double reply = 1;                     ///< of the requests that a member gets
  std::size_t clients = 2;              ///< per machine
  std::size_t max_size = 2000;
};

class Workload : public Applications {
 public:
  Workload(World& world, Appetite appetite) : world_(world), appetite_(appetite) { world_.applications = this; }

  /// Goes on until stop().
  void go();
  void go(Appetite appetite) {
    appetite_ = appetite;
    go();
  }
  void stop();

  // ---- one request, also for scripts. The client comes to be when it is first used.
  struct JoinWish {
    bool total_only = false;
    bool lease = false;
    bool stability = false;
    StateWish state = {};
  };
  void join(HostId host, const std::string& name, const std::string& group, const JoinWish& wish);
  void leave(HostId host, const std::string& name, const std::string& group);
  void send(HostId host, const std::string& name, const std::string& group, core::Service service, std::uint32_t count,
            std::size_t size, bool fenced, const core::SendWish* wish = nullptr);
  void die(HostId host, const std::string& name);
  [[nodiscard]] core::ClientRef address(HostId host, const std::string& name) {
    return {world_.pid(host), client(host, name).id};
  }
  /// It does not read what its group sends, or reads again.
  void hold(HostId host, const std::string& name, const std::string& group, bool held);
  [[nodiscard]] Survivors& survivors() { return survivors_; }

  // ---- workload_durable.cpp
  void join_durable(HostId host, const std::string& name, const std::string& group, std::uint32_t disks);
  void send_durable(HostId host, const std::string& name, const std::string& group, std::uint32_t count, std::size_t size);
  void restored(HostId host, const std::vector<core::ClientId>& clients, const std::string& group,
                const core::HistoryPosition& end) override;
  [[nodiscard]] durable::CheckpointPolicy checkpoint_policy() const override {
    return {appetite_.checkpoint_every, {}, appetite_.checkpoint_every % 2 == 1};
  }

  /// Who leads a group now, asked for its lease and has none.
  [[nodiscard]] std::vector<std::string> leaders_without_lease() const;
  [[nodiscard]] std::uint64_t messages() const { return last_message_; }
  [[nodiscard]] std::uint64_t complete_requests() const { return complete_; }
  [[nodiscard]] std::uint64_t received() const { return received_; }
  [[nodiscard]] std::uint64_t durable() const { return durable_; }    ///< messages that were called so
  [[nodiscard]] std::uint64_t restored() const { return restored_; }  ///< members that went on from a disk

  void effect(HostId host, const core::Effect& effect) override;
  void process_ended(HostId host, bool crashed) override;

  /// T2, once a run has settled: no replica waits for a state that another one has.
  void judge_states(check::Report& report) const;

 private:
  struct Client {
    core::ClientId id = 0;
    core::RequestId next = 1;
    std::set<std::string> groups;
    std::set<std::string> leased;  ///< of `groups`: where it asked for its lease
    struct Joining {
      std::string group;
      bool lease = false;
      bool state = false;  ///< wanted
    };
    std::map<core::RequestId, Joining> joins;  ///< under way
    std::map<std::string, std::uint64_t> tokens;
    std::map<std::string, core::GroupId> ids;
    std::set<std::string> held;
    bool paused = false;
    bool reading = false;                     ///< a ClientRead is on its way
    std::map<std::string, Replica> replicas;  ///< by group
    struct Patient {
      std::string group;
      std::uint64_t id = 0;
    };
    std::map<core::RequestId, Patient> patient;  ///< sends that wait until they are durable
  };
  using Name = std::pair<HostId, std::string>;

  Client& client(HostId host, const std::string& name);
  Client* find(HostId host, core::ClientId id);
  void act(HostId host);
  std::string body(std::uint32_t count, std::size_t size);
  void received(HostId host, const core::DeliverMessages& messages);
  [[nodiscard]] static std::vector<std::uint64_t> ids_in(const core::DeliverMessages& messages);
  void act_durable(HostId host, const std::string& name);
  void told_durable(HostId host, const core::SendOutcome& outcome);

  // ---- workload_states.cpp
  void state_effect(HostId host, const core::Effect& effect);
  void view_of_replicas(HostId host, const core::GroupViewInstalled& effect);
  void messages_of_replicas(HostId host, const core::DeliverMessages& messages);
  void state_asked(HostId host, const core::StateRequested& asked);
  void state_arrived(HostId host, const core::StateArrived& piece);
  void give_more(HostId host, core::ClientId id, const std::string& group);
  void answered(HostId host, core::ClientId id, core::RequestId request, bool refused);
  void read_later(HostId host, core::ClientId id);
  void broken(HostId host, core::ClientId id, const std::string& why);
  // ---- G6-G9
  using Asked = std::tuple<HostId, core::ClientId, core::RequestId>;
  [[nodiscard]] std::optional<core::SendWish> draw_wish(HostId host, const std::string& group);
  void remember(HostId host, const Client& client, const core::SendWish& wish, const std::string& group, std::uint64_t first,
                std::uint32_t count);
  void judge_receipt(HostId host, const core::DeliverMessages& messages, check::Received& fact);
  void judge_outcome(HostId host, const core::SendOutcome& outcome);
  void judge_answer(HostId host, const core::RequestAnswered& answer);
  void reply(HostId host, const core::DeliverMessages& request);
  void reply(HostId host, core::ClientId client, const core::ClientRef& asker, core::RequestId request);
  [[nodiscard]] static std::uint64_t id_of(std::string_view message);
  [[nodiscard]] const core::GroupView* known_view(HostId host, const std::string& group) const;

  World& world_;
  Appetite appetite_;
  std::map<Name, Client> clients_;
  core::ClientId last_client_ = 0;
  std::uint64_t last_message_ = 0;
  std::map<std::uint64_t, std::uint64_t> fences_;        ///< message -> token of the group view that it is for
  std::map<std::uint64_t, core::ClientRef> direct_;      ///< message -> whom it is for
  std::set<std::uint64_t> several_;                      ///< messages for several groups
  std::map<Asked, std::vector<std::string>> to_groups_;  ///< sends to several groups under way, and requests
  std::map<std::tuple<core::ClientRef, core::RequestId, core::ClientRef>, std::uint64_t>
      replies_;  ///< asker, request, who replied
  std::map<std::pair<HostId, std::string>, core::GroupViewPtr> views_;
  std::uint64_t received_ = 0;
  std::uint64_t complete_ = 0;
  std::uint64_t durable_ = 0;
  std::uint64_t restored_ = 0;
  bool running_ = false;
  Survivors survivors_{world_, last_client_, [this](std::size_t size) {
                         auto bytes = Slice::take(body(1, size));
                         return std::pair(std::move(bytes), last_message_);
                       }};
};

}  // namespace vsync::sim
