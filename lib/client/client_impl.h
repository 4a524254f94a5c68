// The machinery of vsync::Client.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "client/frame_socket.h"
#include "client/outbox.h"
#include "client/state_giver.h"
#include "vsync/client.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync {

class Client::Impl {
 public:
  using Clock = std::chrono::steady_clock;
  using Timeout = std::optional<Milliseconds>;
  using Nanoseconds = std::chrono::nanoseconds;

  Impl(Handler& handler, Options options);
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl();

  Expected<Done> connect(Clock::time_point deadline);
  Expected<GroupView> join(std::string_view group, JoinOptions options, Clock::time_point deadline);
  void set_offer(std::string_view group, std::uint64_t offer);
  Expected<Done> leave(std::string_view group, Clock::time_point deadline);
  Expected<Ticket> try_post(std::string_view group, std::string_view message, const SendOptions& options);
  Expected<Ticket> post(std::string_view group, std::string_view message, const SendOptions& options, const Timeout& timeout);
  Expected<Sent> send(std::string_view group, std::string_view message, const SendOptions& options, const Timeout& timeout);
  Expected<Replies> request(std::string_view group, std::string_view message, const RequestOptions& options,
                            const Timeout& timeout);
  Expected<Done> reply(const GroupMember& asker, std::uint64_t request, std::string_view message, bool text);
  Expected<Done> flush(Clock::time_point deadline);
  Expected<Done> watch(Clock::time_point deadline);
  Expected<DaemonStatus> status(Clock::time_point deadline);
  Expected<Done> poll(Nanoseconds timeout);
  Expected<Done> run();
  void stop() { stopped_ = true; }

  [[nodiscard]] Clock::time_point deadline(const Timeout& timeout) const {
    return Clock::now() + timeout.value_or(options_.timeout);
  }
  [[nodiscard]] BootClock::time_point lease_until(std::string_view group) const;
  [[nodiscard]] const Outbox& outbox() const { return outbox_; }
  [[nodiscard]] Credit credit() const;
  /// Whoever has it may wait there, so from now on it tells that there is something to write.
  [[nodiscard]] int native_handle();
  [[nodiscard]] bool connected() const { return connected_; }

 private:
  /// A group the application wants to be in.
  struct Group {
    JoinOptions options;
    bool joined = false;
    std::uint64_t request = 0;  ///< a join without reply yet, 0 = none
    std::uint64_t join = 0;     ///< the last join's id
    std::string refused;        ///< code that was told
    std::uint64_t entered = 0;  ///< token of the view that it brought; leases told before are of an earlier stay
    BootClock::time_point lease_until{};
  };

  /// C6. It begins with the first send.
  struct Session {
    std::uint64_t id = 0;       ///< 0: there is none, or the daemon has none to give
    std::uint64_t request = 0;  ///< without reply yet
    bool opening = false;       ///< sends wait for it
  };

  template <typename Predicate>
  Expected<Done> wait(Predicate done, Clock::time_point deadline);
  Expected<control::v1::Reply> ask(control::v1::Request& request, Clock::time_point deadline);
  /// Waits for the answer to a request that was sent on this connection.
  Expected<control::v1::Reply> answer_to(std::uint64_t id, Clock::time_point deadline);
  static Failure waits_in_callback();
  std::uint64_t new_request() { return ++last_request_; }

  // ---- connection
  void attempt();
  void lose(const std::string& why);
  void retry_later();
  void retry();
  void send_join(const std::string& name, Group& group, FrameSocket& way);
  void send_session();
  void end_doubts(const control::v1::SessionReply& session);
  void session_refused(const std::string& code);
  /// Where sends go, and all that must not overtake them: they wait for the session (C6).
  FrameSocket& sink() { return session_.opening ? held_ : socket_; }
  void work(std::span<const epoll_event> events);
  static void fill(control::v1::JoinRequest& join, const std::string& name, const JoinOptions& options);
  void write();
  void read();
  void watch_output();

  // ---- what comes
  void handle(const control::v1::Reply& reply);
  void handle_hello(const control::v1::HelloReply& hello);
  void handle_error(std::uint64_t id, const control::v1::Error& error);
  void tell_refused(const std::string& name, Group& group, const control::v1::Error& error);
  void handle_event(const control::v1::Event& event);
  void handle_join(const control::v1::Reply& reply);
  void handle_view(const control::v1::GroupView& view);
  void handle_cluster(const control::v1::Event& event);
  void handle_lease(const control::v1::LeaseEvent& lease);
  void handle_messages(const control::v1::MessageBatch& batch);
  void handle_state_request(const control::v1::StateRequest& asked);
  void handle_state(const control::v1::StateEvent& state);
  void handle_excluded(const control::v1::ExcludedEvent& excluded);
  void handle_gap(const control::v1::GapEvent& gap);
  /// Is there room for a message that costs so much?
  [[nodiscard]] bool room_for(std::size_t cost) const;
  void tell_writable();
  void answered(const control::v1::Reply& reply);
  void sent(const Sent& sent);
  template <typename Call>
  void call_back(Call call);

  Handler& handler_;
  Options options_;
  int epoll_ = -1;  ///< of socket and timer: the one handle for event loops
  int timer_ = -1;
  FrameSocket socket_;
  FrameSocket held_;  ///< not connected: what waits for the session, in order
  Session session_;
  bool sent_before_ = false;
  Outbox outbox_;
  StateGiver states_{[this] { return new_request(); }};
  std::map<std::string, Group, std::less<>> groups_;
  std::map<std::uint64_t, std::optional<control::v1::Reply>> asked_;  ///< by calls that wait
  std::uint64_t last_request_ = std::uint64_t{1} << 63U;              ///< above all tickets
  std::uint64_t connection_ = 0;                                      ///< number of the connection; what is asked dies with it
  bool connected_ = false;                                            ///< the daemon said hello
  bool attempted_ = false;
  bool watching_ = false;  ///< the cluster
  bool watching_output_ = false;
  bool in_event_loop_ = false;  ///< of the application
  bool in_callback_ = false;
  bool stopped_ = false;
  std::size_t max_message_ = 0;   ///< as the daemon says
  Credit most_;                   ///< without outcome, of our options and the daemon's limits
  std::size_t refused_cost_ = 0;  ///< of what would block; 0 = nothing
  Milliseconds pause_{0};
  std::string lost_why_ = "not connected yet";
  std::string closing_why_;
  Ticket awaited_ = 0;                      ///< by send()
  std::optional<Sent> fate_;                ///< of the awaited one
  control::v1::Reply reply_;                ///< reused
  GroupMember sender_;                      ///< reused
  std::vector<std::string_view> messages_;  ///< reused
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace vsync
