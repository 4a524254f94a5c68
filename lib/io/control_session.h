// The requests of one client: checked, permitted, passed to the core, and answered when the core's effects say so.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "io/control_connection.h"

namespace vsync::io {

/// One client. The core sees requests under numbers of ours, so whatever ids a client chooses cannot confuse anybody but itself.
class ControlSession final : public ControlConnection::User {
 public:
  /// What a session needs from the server.
  class Home {
   public:
    Home() = default;
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    virtual ControlHandler& handler() = 0;
    virtual Backlog& backlog() = 0;
    virtual void fill_status(pb::Status& status) = 0;
    virtual void start_watch(ControlSession& session) = 0;  ///< sends the present state
    virtual void output_queued(ControlSession& session) = 0;
    virtual void later(core::Input input) = 0;  ///< to the core, in a turn of its own
    /// For watchers; what waits for it is not dropped yet.
    virtual void tell_slow(const ControlSession& session, core::GroupId group, std::string_view action) = 0;
    virtual void watch_holds() = 0;                                                    ///< check_holds() is due now and then
    virtual void given_up(const ControlSession& session, const std::string& why) = 0;  ///< it does not read
    virtual void closed(ControlSession& session) = 0;

   protected:
    ~Home() = default;
  };

  /// `refusal`: why this client cannot be served; the first request is answered so and the connection closed. Empty: it can.
  ControlSession(core::ClientId id, const Credentials& who, bool admin, std::string refusal, const ControlLimits& limits,
                 Home& home)
      : user(who.uid), id_(id), admin_(admin), refusal_(std::move(refusal)), limits_(limits), home_(home) {}
  ControlSession(const ControlSession&) = delete;
  ControlSession& operator=(const ControlSession&) = delete;
  ~ControlSession();

  void start(asio::local::stream_protocol::socket socket);

  // ---- effects
  void outcome(const core::SendOutcome& effect);
  void answered(const core::RequestAnswered& effect);
  void done(const core::RequestDone& effect);
  void refused(const core::RequestRefused& effect);
  void session_opened(const core::SessionOpened& effect);
  void checkpoints(core::RequestId request, const std::string& group, const std::vector<KeptGroup>& kept);
  /// Something for which the core wants to know when it has left us (ClientRead) was queued.
  void report_when_read() { report_read_ = true; }
  void pause(bool paused);
  void incarnation_over(const std::string& why, ControlServer::Joins joins);
  void incarnation_begins();

  // ---- groups it is in
  /// Messages or a view of its group: not if it was dropped out of it.
  void deliver(const SharedFrame& frame, const FrameTag& tag);
  [[nodiscard]] bool hears(core::GroupId group) const;
  /// How a frame about the group is marked for this client. nullopt: it was dropped out of it.
  [[nodiscard]] std::optional<FrameTag> tag_in(std::string_view group) const;
  void left(core::GroupId group);
  /// Ends the connection when a group has waited for it too long. False: no group waits for it.
  bool check_holds(std::chrono::steady_clock::time_point now);
  /// Drops it out of the groups that it would rather lose than the connection. False: there are none.
  bool relieve();
  struct Behind {
    core::GroupId group = 0;  ///< in which it is furthest behind; 0: it is in none
    pb::ClientSlow slow;      ///< without who it is
  };
  [[nodiscard]] std::optional<Behind> slowness() const;
  [[nodiscard]] Waiting waiting(core::GroupId group) const { return connection_->waiting(group); }

  [[nodiscard]] core::ClientId id() const { return id_; }
  [[nodiscard]] ControlConnection& connection() { return *connection_; }
  [[nodiscard]] bool watching() const { return watching_; }

  const std::uint32_t user;        ///< id
  std::set<core::GroupId> groups;  ///< the groups it is in; kept by the server
  bool dirty = false;              ///< waits for end_of_turn(); kept by the server

 private:
  /// An unanswered request, or messages with consecutive ids. Its number at the core is the key.
  struct Pending {
    pb::Request::KindCase kind = pb::Request::KIND_NOT_SET;
    std::uint64_t id = 0;  ///< the client's, of the first message
    std::uint32_t count = 1;
    std::uint32_t unanswered = 1;
    std::size_t bytes = 0;
    core::SessionId session = 0;  ///< that is asked for, or in which the ids of a send are numbers; 0 = none
  };
  /// What it chose when it joined a group, and whether it keeps up.
  struct Stay {
    std::string group;
    pb::WhenSlow when_slow = pb::DISCONNECT;
    std::size_t bytes = 0;  ///< its mark: more must not wait for it
    std::size_t messages = 0;
    std::chrono::milliseconds block{0};
    bool held = false;  ///< the senders of the group wait for it
    std::chrono::steady_clock::time_point since{};
    bool gone = false;  ///< it has a gap: nothing more until it has left
  };
  using Unanswered = std::map<core::RequestId, Pending>;

  // ControlConnection::User
  void request(pb::Request& request) override;
  void batch(BatchRequest batch) override;
  void read_done() override { submit_collected(); }
  [[nodiscard]] bool wants_input() const override {
    return !paused_ && unanswered_.size() < limits_.max_requests && in_flight_bytes_ < limits_.max_unanswered &&
           in_flight_messages_ < limits_.max_unanswered_messages;
  }
  [[nodiscard]] bool idle() const override { return unanswered_.empty() && doubts_.empty() && groups.empty() && !watching_; }
  void output_queued() override { home_.output_queued(*this); }
  void written(std::size_t left) override;
  void given_up(const std::string& why) override { home_.given_up(*this, why); }
  void closed() override { home_.closed(*this); }

  bool turned_away(std::uint64_t id);
  void hello(const pb::Request& request);
  void status(const pb::Request& request);
  void diagnose(const pb::Request& request);
  void watch(const pb::Request& request);
  void join(pb::Request& request);
  void session(const pb::Request& request);
  void leave(pb::Request& request);
  void send(pb::Request& request);
  void state(pb::Request& request);
  void group_request(pb::Request& request);
  void group_reply(pb::Request& request);
  void cluster_join(const pb::Request& request);
  void evict(pb::Request& request);
  void checkpoint(const pb::Request& request);
  void log_level(const pb::Request& request);
  void reload(const pb::Request& request);

  [[nodiscard]] std::size_t max_message() const;
  [[nodiscard]] bool fits(const std::string& content, std::uint64_t id);
  void submit(core::ClientSend send, std::uint64_t id, pb::Request::KindCase kind);
  void submit_collected();
  core::RequestId expect(const Pending& pending);
  [[nodiscard]] std::optional<Stay> stay_of(const pb::JoinRequest& join) const;
  void release_groups();
  bool keeps_up(core::GroupId group, Stay& stay, const FrameTag& tag);
  void gap(core::GroupId group, Stay& stay, const FrameTag& next);
  void charge(std::uint32_t messages, std::size_t bytes);
  void credit(std::uint32_t messages, std::size_t bytes);
  void tell_credit();
  void error(std::uint64_t id, std::string_view code, std::string message);
  void answer_sends(const Pending& pending, std::uint32_t offset, const core::SendOutcome& effect);
  std::optional<Pending> take_unanswered(core::RequestId request);
  void refuse(const Pending& pending, std::string_view code, const std::string& message);
  [[nodiscard]] static bool numbered(pb::Request::KindCase kind);
  bool take_numbers(std::uint64_t id, std::uint32_t count);
  void settle(const core::SessionFates& fates);
  void not_reopened(std::string_view code);

  const core::ClientId id_;
  const bool admin_;
  const std::string refusal_;
  const ControlLimits& limits_;
  Home& home_;
  std::shared_ptr<ControlConnection> connection_;
  Unanswered unanswered_;
  core::RequestId next_request_ = 1;
  std::map<core::RequestId, Stay> joins_;  ///< unanswered
  std::map<core::GroupId, Stay> stays_;
  std::size_t in_flight_messages_ = 0;  ///< sends without outcome
  std::size_t in_flight_bytes_ = 0;
  std::size_t told_messages_ = 0;  ///< last credit
  std::size_t told_bytes_ = 0;
  bool credit_asked_ = false;
  // C6
  core::SessionId session_ = 0;    ///< 0 = none, or not open yet
  std::uint64_t last_number_ = 0;  ///< of its sends
  core::RequestId reopening_ = 0;  ///< our own request at the next Node, 0 = none
  std::vector<Pending> doubts_;    ///< sends that an earlier Node could not tell about, in order
  bool paused_ = false;
  bool watching_ = false;
  bool report_read_ = false;

  std::optional<core::ClientSend> collected_;  ///< single sends that travel as one
  std::uint64_t collected_first_ = 0;          ///< the client's id of the first
  std::string collected_body_;
};

}  // namespace vsync::io
