// The control socket's server; the rest of it is in control_server.cpp and control_server_slow.cpp.
#pragma once

#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/control_holds.h"
#include "io/control_server.h"
#include "io/control_session.h"
#include "io/control_socket.h"

namespace vsync::io {

/// One event for many connections, made once in each encoding that is needed.
class Broadcast {
 public:
  explicit Broadcast(const pb::Event& event) : event_(event) {}

  void to(ControlConnection& connection, const FrameTag& tag = {}) {
    if (connection.encoding() == Encoding::unknown) {
      return;  // it has asked for nothing yet
    }
    auto& frame = connection.encoding() == Encoding::json ? json_ : binary_;
    if (!frame) {
      pb::Reply reply;
      *reply.mutable_event() = event_;
      std::string bytes;
      append_reply(bytes, reply, connection.encoding());
      frame = SharedFrame{Slice::take(std::move(bytes)), {}};
    }
    connection.send(*frame, tag);
  }

 private:
  const pb::Event& event_;
  std::optional<SharedFrame> json_;
  std::optional<SharedFrame> binary_;
};

class ControlServer::Impl final : public ControlSession::Home {
 public:
  Impl(asio::io_context& io, ControlOptions options, std::optional<gid_t> admin_group, ListenSocket socket,
       ControlHandler& handler)
      : options_(std::move(options)),
        admin_group_(admin_group),
        socket_(std::move(socket)),
        handler_(handler),
        io_(io),
        backlog_(options_.limits.large_frames),
        acceptor_(io, asio::local::stream_protocol(), socket_.release()),
        hold_timer_(io),
        retry_(io) {
    accept();
  }

  void view_installed(const core::ViewInstalled& effect);
  void member_slow(const core::MemberSlow& effect);
  void group_view_installed(const core::GroupViewInstalled& effect);
  void deliver(const core::DeliverMessages& effect);
  void catch_up(const core::GroupView& view, const std::vector<core::ClientId>& clients);
  void state_arrived(const core::StateArrived& effect);
  void stable_reached(const core::StableReached& effect);
  void dismissed(const core::ClientDismissed& effect);
  void durable(const core::HistoryDurable& effect);
  void group_held(const core::GroupHeld& effect);
  void tell_watchers(const pb::Event& event);
  void lease_granted(const core::LeaseGranted& effect);
  void suspicion_changed(const core::SuspicionChanged& effect);
  void incarnation_over(std::string_view why, Joins joins);
  void incarnation_begins();
  void end_of_turn();
  void shut_down(std::string_view why);

  [[nodiscard]] ControlSession* find(core::ClientId client) {
    const auto found = sessions_.find(client);
    return found == sessions_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] std::size_t clients() const { return sessions_.size(); }

 private:
  /// A group with members here.
  struct LocalGroup {
    core::GroupViewPtr view;
    std::vector<ControlSession*> members;
  };

  // ControlSession::Home
  ControlHandler& handler() override { return handler_; }
  Backlog& backlog() override { return backlog_; }
  void fill_status(pb::Status& status) override;
  void start_watch(ControlSession& session) override;
  void output_queued(ControlSession& session) override;
  void later(core::Input input) override;
  void tell_slow(const ControlSession& session, core::GroupId group, std::string_view action) override;
  void watch_holds() override;
  void given_up(const ControlSession& session, const std::string& why) override;
  void closed(ControlSession& session) override;

  static void tell(Broadcast& event, ControlSession& session, const FrameTag& tag);
  void accept();
  void add(asio::local::stream_protocol::socket socket);
  [[nodiscard]] std::string refusal(std::uint32_t user, bool admin) const;
  void bound_backlog();
  void name_client(pb::GroupMember& out, const ControlSession& session, core::GroupId group) const;
  void fill_slow(pb::Status& status) const;
  [[nodiscard]] bool is_admin(const Credentials& credentials) const;
  [[nodiscard]] core::ClientId new_client_id();
  void pass_on();
  void forget(core::ClientId id);
  /// What waits in the event loop may outlive us.
  [[nodiscard]] std::weak_ptr<void> guard() const { return alive_; }

  ControlOptions options_;
  std::optional<gid_t> admin_group_;
  ListenSocket socket_;
  ControlHandler& handler_;
  asio::io_context& io_;
  Backlog backlog_;
  asio::local::stream_protocol::acceptor acceptor_;
  asio::steady_timer hold_timer_;
  asio::steady_timer retry_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

  std::map<core::ClientId, std::unique_ptr<ControlSession>> sessions_;
  std::map<std::uint32_t, std::size_t> clients_of_user_;  ///< sessions by user id
  std::unordered_map<core::GroupId, LocalGroup> groups_;
  std::vector<ControlSession*> watchers_;
  std::vector<core::ClientId> dirty_;
  std::vector<core::Input> due_;  ///< what the core is told in the next turn, in order
  core::ClientId last_client_ = 0;
  core::ViewPtr view_;  ///< the last one seen; for names
  GroupHolds holds_;
  bool watching_holds_ = false;
  std::uint64_t accepted_ = 0;
  std::uint64_t turned_away_ = 0;
  std::chrono::steady_clock::time_point turned_away_told_;
  std::uint64_t given_up_ = 0;  ///< that did not read
  pb::MessageBatch batch_;      ///< reused
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

}  // namespace vsync::io
