#include "client/client_impl.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "client/convert.h"

namespace vsync {

namespace pb = control::v1;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kFirstPause{50};
constexpr std::chrono::hours kLongestWait{24};
constexpr int kReadsPerTurn = 16;
constexpr std::size_t kKeep = std::size_t{4} << 20U;  // bytes of a frame whose memory is kept for the next

/// Waits with the clock's precision, or with that of milliseconds where the kernel is older than 5.11.
int wait_for_events(int epoll, std::span<epoll_event> events, std::chrono::nanoseconds timeout) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{seconds.count(), (timeout - seconds).count()};
  const int ready = ::epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()), &limit, nullptr);
  if (ready >= 0 || errno != ENOSYS) {
    return ready;
  }
  const auto left = std::chrono::ceil<milliseconds>(timeout).count();
  return ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), static_cast<int>(left));
}

/// These change nothing, so they may overtake what waits for the session.
bool only_asks(const pb::Request& request) {
  return request.has_status() || request.has_watch();
}

}  // namespace

Failure Client::Impl::waits_in_callback() {
  return {"in_callback", "a callback may not wait: use try_post, or do it after the callback"};
}

Client::Impl::Impl(Handler& handler, Options options)
    : handler_(handler),
      options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      outbox_(options_.batch) {
  if (options_.socket.empty()) {
    options_.socket = default_socket();
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = timer_;
  if (epoll_ < 0 || timer_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event) != 0) {
    // Out of descriptors at construction: the one case without an object to return a failure from.
    throw std::system_error(errno, std::generic_category(), "vsync::Client");
  }
}

Client::Impl::~Impl() {
  socket_.close();
  ::close(timer_);
  ::close(epoll_);
}

// ---- connection

void Client::Impl::attempt() {
  attempted_ = true;
  if (auto why = socket_.connect(options_.socket)) {
    lost_why_ = "cannot connect to '" + options_.socket + "': " + *why + "; is vsyncd running?";
    retry_later();
    return;
  }
  ++connection_;
  closing_why_.clear();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = socket_.fd();
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_.fd(), &event);
  watching_output_ = false;
  pb::Request request;
  request.set_id(new_request());
  request.mutable_hello()->set_client(options_.name);
  request.mutable_hello()->set_versions(1);
  socket_.append(request);
  if (watching_) {
    pb::Request watch;
    watch.set_id(new_request());
    watch.mutable_watch();
    socket_.append(watch);
  }
  if (session_.id != 0) {
    send_session();
  }
  for (auto& [name, group] : groups_) {
    send_join(name, group, socket_);  // in front of all that the application sends on this connection
  }
}

void Client::Impl::lose(const std::string& why) {
  const bool held = session_.opening;
  const auto fates = outbox_.abandon(held ? 0 : socket_.written_total(), session_.id != 0);
  session_.request = 0;
  held_.close();
  socket_.close();
  states_.connection_lost();
  const bool was_connected = std::exchange(connected_, false);
  lost_why_ = closing_why_.empty() ? why : closing_why_;
  std::vector<std::string> left;
  for (auto& [name, group] : groups_) {
    group.request = 0;
    if (std::exchange(group.joined, false)) {
      left.push_back(name);
    }
  }
  if (options_.reconnect) {
    retry_later();
  }
  if (!options_.reconnect || !options_.rejoin) {
    groups_.clear();
  }
  for (const Sent& fate : fates) {
    sent(fate);
  }
  for (const std::string& name : left) {
    call_back([&] { handler_.on_excluded(name, lost_why_); });
  }
  if (was_connected) {
    call_back([&] { handler_.on_connection(false, lost_why_); });
  }
}

void Client::Impl::retry_later() {
  pause_ = std::min(std::max(kFirstPause, 2 * pause_), options_.longest_pause);
  // Half of it is chance: many clients of one daemon must not come at once.
  std::uniform_int_distribution<milliseconds::rep> chance(pause_.count() / 2, pause_.count());
  const auto pause = std::max<milliseconds::rep>(chance(random_), 1);
  itimerspec at{};
  at.it_value.tv_sec = pause / 1000;
  at.it_value.tv_nsec = pause % 1000 * 1'000'000;
  ::timerfd_settime(timer_, 0, &at, nullptr);
}

void Client::Impl::retry() {
  std::uint64_t expired = 0;
  if (::read(timer_, &expired, sizeof expired) != sizeof expired) {
    return;
  }
  if (socket_.fd() < 0) {
    if (options_.reconnect) {
      attempt();
    }
    return;
  }
  if (session_.opening && session_.request == 0) {
    send_session();
  }
  for (auto& [name, group] : groups_) {
    if (!group.joined && group.request == 0) {
      send_join(name, group, socket_);
    }
  }
}

void Client::Impl::write() {
  if (socket_.fd() >= 0) {
    outbox_.close_batch(sink());
    // A lost connection shows at the next read, after what the daemon still had to say.
    static_cast<void>(socket_.write());
    watch_output();
  }
}

void Client::Impl::watch_output() {
  const bool wanted = socket_.unwritten() > 0 || outbox_.has_open_batch();
  if (socket_.fd() >= 0 && wanted != watching_output_) {
    watching_output_ = wanted;
    epoll_event event{};
    event.events = EPOLLIN | (wanted ? EPOLLOUT : 0U);
    event.data.fd = socket_.fd();
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, socket_.fd(), &event);
  }
}

void Client::Impl::read() {
  const std::uint64_t connection = connection_;
  for (int i = 0; i < kReadsPerTurn && socket_.fd() >= 0 && connection == connection_; ++i) {
    const auto progress = socket_.read();
    if (progress == FrameSocket::Progress::blocked) {
      return;
    }
    if (progress == FrameSocket::Progress::lost) {
      lose("the daemon closed the connection");
      return;
    }
    while (const auto frame = socket_.next_frame()) {
      if (!reply_.ParseFromArray(frame->data(), static_cast<int>(frame->size()))) {
        lose("the daemon sent what is no reply");
        return;
      }
      handle(reply_);
      if (frame->size() > kKeep) {
        reply_ = {};
      }
      if (socket_.fd() < 0) {
        return;
      }
    }
    if (socket_.broken()) {
      lose("the daemon sent what is no frame");
    } else if (!socket_.more()) {
      return;
    }
  }
}

void Client::Impl::work(std::span<const epoll_event> events) {
  for (const epoll_event& event : events) {
    if (event.data.fd == timer_) {
      retry();
    } else if (event.data.fd == socket_.fd()) {
      read();
    }
  }
  write();
}

Expected<Done> Client::Impl::poll(Nanoseconds timeout) {
  if (in_callback_) {
    return waits_in_callback();
  }
  if (!attempted_) {
    attempt();
  }
  if (socket_.fd() < 0 && !options_.reconnect) {
    return Failure{connection_ == 0 ? "unreachable" : "disconnected", lost_why_};
  }
  write();
  epoll_event events[2];
  const int ready = wait_for_events(epoll_, events, std::clamp<Nanoseconds>(timeout, Nanoseconds(0), kLongestWait));
  if (ready > 0) {
    work({events, static_cast<std::size_t>(ready)});
  }
  return Done{};
}

Expected<Done> Client::Impl::run() {
  stopped_ = false;
  while (!stopped_) {
    if (auto polled = poll(milliseconds(1000)); !polled) {
      return polled;
    }
  }
  return Done{};
}

// ---- calls that wait

template <typename Predicate>
Expected<Done> Client::Impl::wait(Predicate done, Clock::time_point deadline) {
  if (in_callback_) {
    return waits_in_callback();
  }
  while (!done()) {
    const auto left = deadline - Clock::now();
    if (left.count() <= 0) {
      const bool there = socket_.fd() >= 0;  // somebody listens, but has not said hello perhaps
      return Failure{there ? "timeout" : "unreachable", there ? "no answer in time" : lost_why_};
    }
    if (auto polled = poll(left); !polled) {
      return polled;
    }
  }
  return Done{};
}

Expected<Done> Client::Impl::connect(Clock::time_point deadline) {
  return wait([&] { return connected_; }, deadline);
}

Expected<pb::Reply> Client::Impl::ask(pb::Request& request, Clock::time_point deadline) {
  if (auto there = connect(deadline); !there) {
    return there.failure();
  }
  request.set_id(new_request());
  outbox_.close_batch(sink());
  (only_asks(request) ? socket_ : sink()).append(request);
  return answer_to(request.id(), deadline);
}

Expected<pb::Reply> Client::Impl::answer_to(std::uint64_t id, Clock::time_point deadline) {
  const std::uint64_t connection = connection_;
  const auto reply = asked_.emplace(id, std::nullopt).first;
  auto waited = wait([&] { return reply->second || connection != connection_ || socket_.fd() < 0; }, deadline);
  const std::optional<pb::Reply> answer = std::move(reply->second);
  asked_.erase(reply);
  if (answer && answer->has_error()) {
    return Failure{answer->error().code(), answer->error().message()};
  }
  if (answer) {
    return *answer;
  }
  return waited ? Failure{"disconnected", lost_why_} : waited.failure();
}

Expected<Done> Client::Impl::watch(Clock::time_point deadline) {
  pb::Request request;
  request.mutable_watch();
  auto reply = ask(request, deadline);
  return reply ? Expected<Done>(Done{}) : reply.failure();
}

Expected<DaemonStatus> Client::Impl::status(Clock::time_point deadline) {
  pb::Request request;
  request.mutable_status();
  auto reply = ask(request, deadline);
  return reply ? Expected<DaemonStatus>(to_status(reply->status())) : reply.failure();
}

// ---- sends

Expected<Ticket> Client::Impl::try_post(std::string_view group, std::string_view message, const SendOptions& options) {
  if (!connected_) {
    return Failure{"disconnected", lost_why_};
  }
  if (message.size() > max_message_) {
    return Failure{"too_large",
                   "a message of " + std::to_string(message.size()) + " bytes; the daemon takes " + std::to_string(max_message_)};
  }
  if (!room_for(Outbox::cost(message))) {
    refused_cost_ = Outbox::cost(message);
    return Failure{"would_block", std::to_string(outbox_.unanswered_bytes()) + " bytes wait for their outcome"};
  }
  if (!std::exchange(sent_before_, true) && options_.reconnect && options_.session) {
    std::random_device random;
    session_.id = std::uint64_t{random()} << 32U | random() | 1U;
    send_session();
  }
  const Ticket ticket = outbox_.add(sink(), group, message, options);
  if (in_event_loop_) {
    watch_output();
  }
  return ticket;
}

void Client::Impl::tell_writable() {
  if (connected_ && refused_cost_ > 0 && room_for(refused_cost_)) {
    refused_cost_ = 0;
    call_back([&] { handler_.on_writable(); });
  }
}

int Client::Impl::native_handle() {
  in_event_loop_ = true;
  if (!attempted_) {
    attempt();
  }
  watch_output();
  return epoll_;
}

Expected<Ticket> Client::Impl::post(std::string_view group, std::string_view message, const SendOptions& options,
                                    const Timeout& timeout) {
  std::optional<Clock::time_point> deadline;  // looking at the clock is a good part of what a small message costs
  for (;;) {
    auto ticket = try_post(group, message, options);
    if (ticket) {
      if (socket_.unwritten() > 0) {
        static_cast<void>(socket_.write());  // a full batch leaves at once
      }
      return ticket;
    }
    const std::string& code = ticket.failure().code;
    if (in_callback_ || (code != "would_block" && code != "disconnected")) {
      return ticket;
    }
    refused_cost_ = 0;  // we wait here
    const auto room = [&] { return connected_ && room_for(Outbox::cost(message)); };
    if (!deadline) {
      deadline = this->deadline(timeout);
    }
    if (auto waited = wait(room, *deadline); !waited) {
      return waited.failure();
    }
  }
}

Expected<Sent> Client::Impl::send(std::string_view group, std::string_view message, const SendOptions& options,
                                  const Timeout& timeout) {
  if (in_callback_) {
    return waits_in_callback();
  }
  const auto deadline = this->deadline(timeout);
  auto ticket = post(group, message, options, timeout);
  if (!ticket) {
    return ticket.failure();
  }
  awaited_ = *ticket;
  fate_.reset();
  auto waited = wait([&] { return fate_.has_value(); }, deadline);
  awaited_ = 0;
  return fate_ ? Expected<Sent>(*std::exchange(fate_, std::nullopt)) : waited.failure();
}

Expected<Done> Client::Impl::flush(Clock::time_point deadline) {
  return wait([&] { return outbox_.empty(); }, deadline);
}

// ---- what comes

template <typename Call>
void Client::Impl::call_back(Call call) {
  in_callback_ = true;
  struct Reset {
    bool& flag;
    ~Reset() { flag = false; }
  } reset{in_callback_};  // callbacks may throw through poll()
  call();
}

void Client::Impl::sent(const Sent& fate) {
  if (awaited_ >= fate.first && awaited_ < fate.first + fate.count) {
    const std::uint64_t offset = awaited_ - fate.first;
    fate_ = fate;
    fate_->first = awaited_;
    fate_->count = 1;
    fate_->position += fate.position == 0 ? 0 : offset;
    fate_->index += fate.index == 0 ? 0 : offset;
  }
  if (fate.count > 0) {
    call_back([&] { handler_.on_sent(fate); });
  }
  tell_writable();
}

void Client::Impl::handle(const pb::Reply& reply) {
  switch (reply.kind_case()) {
    case pb::Reply::kEvent:
      return handle_event(reply.event());
    case pb::Reply::kSendBatch: {
      const pb::SendBatchReply& batch = reply.send_batch();
      const std::uint64_t count = outbox_.settle(reply.id(), batch.count());
      return sent({reply.id(), count, to_fate(batch.outcome()), batch.view(), batch.position(), batch.code(), batch.index(),
                   batch.durable()});
    }
    case pb::Reply::kHello:
      return handle_hello(reply.hello());
    case pb::Reply::kSession:
      return end_doubts(reply.session());
    case pb::Reply::kState:
      call_back([&] { states_.answered(socket_, reply.id(), false); });  // it reads on from the application's source
      return;
    case pb::Reply::kError:
      handle_error(reply.id(), reply.error());
      return answered(reply);
    case pb::Reply::kJoin:
      handle_join(reply);
      return answered(reply);
    case pb::Reply::kWatch:
      watching_ = true;  // the views of all groups follow at once
      return answered(reply);
    case pb::Reply::kStatus:
    case pb::Reply::kLeave:
    case pb::Reply::kSend:
    case pb::Reply::kRequest:
    case pb::Reply::kReply:
    case pb::Reply::kClusterJoin:
    case pb::Reply::kClusterLeave:
    case pb::Reply::kEvict:
    case pb::Reply::kLogLevel:
    case pb::Reply::kReload:
    case pb::Reply::kColdStart:
    case pb::Reply::kDiagnose:
    case pb::Reply::kCheckpoint:
    case pb::Reply::KIND_NOT_SET:  // a newer daemon's
      return answered(reply);
  }
}

void Client::Impl::answered(const pb::Reply& reply) {
  if (const auto asked = asked_.find(reply.id()); asked != asked_.end()) {
    asked->second = reply;
  }
}

void Client::Impl::handle_hello(const pb::HelloReply& hello) {
  max_message_ = hello.max_message();
  // A daemon of before says nothing.
  const auto most = [](std::uint64_t told) { return told == 0 ? std::numeric_limits<std::size_t>::max() : std::size_t{told}; };
  most_ = {std::min(options_.max_unanswered, most(hello.max_unanswered())), most(hello.max_unanswered_messages())};
  connected_ = true;
  pause_ = milliseconds(0);
  call_back([&] { handler_.on_connection(true, {}); });
  tell_writable();  // there may be nothing left whose outcome would tell it
}

void Client::Impl::handle_error(std::uint64_t id, const pb::Error& error) {
  if (id < std::uint64_t{1} << 63U) {
    for (const Sent& fate : outbox_.refuse(id, error.code())) {
      sent(fate);
    }
    return;
  }
  if (states_.answered(socket_, id, true)) {
    return;
  }
  if (id == session_.request) {
    return session_refused(error.code());
  }
  const auto joining =
      std::find_if(groups_.begin(), groups_.end(), [&](const auto& entry) { return entry.second.request == id; });
  if (joining != groups_.end()) {
    joining->second.request = 0;
    if (!asked_.contains(id)) {
      retry_later();  // joins of our own go on
      tell_refused(joining->first, joining->second, error);
    }
  }
}

/// A join of our own was refused: told when it is not just that the daemon is no member now, and not at every attempt.
void Client::Impl::tell_refused(const std::string& name, Group& group, const pb::Error& error) {
  static constexpr std::array<std::string_view, 3> kPassing{"excluded", "not_member", "shutting_down"};
  const bool passing = std::ranges::find(kPassing, error.code()) != kPassing.end();
  if (!passing && std::exchange(group.refused, error.code()) != error.code()) {
    const std::string why = error.code() + ": " + error.message();
    call_back([&] { handler_.on_excluded(name, why); });
  }
}

void Client::Impl::handle_event(const pb::Event& event) {
  switch (event.kind_case()) {
    case pb::Event::kMessageBatch:
      return handle_messages(event.message_batch());
    case pb::Event::kLease:
      return handle_lease(event.lease());
    case pb::Event::kStable:
      return call_back([&] { handler_.on_stable(to_stable(event.stable())); });
    case pb::Event::kGroupView:
      return handle_view(event.group_view());
    case pb::Event::kStateRequest:
      return handle_state_request(event.state_request());
    case pb::Event::kState:
      return handle_state(event.state());
    case pb::Event::kExcluded:
      return handle_excluded(event.excluded());
    case pb::Event::kClosing:
      closing_why_ = event.closing().why();
      return;
    case pb::Event::kView:
    case pb::Event::kSuspect:
    case pb::Event::kQuorum:
      return handle_cluster(event);
    case pb::Event::kGap:
      return handle_gap(event.gap());
    case pb::Event::kRestored: {
      const pb::RestoredEvent& restored = event.restored();
      return call_back([&] { handler_.on_restored({restored.group(), restored.checkpoint(), restored.index()}); });
    }
    case pb::Event::kDurable:
      return call_back([&] { handler_.on_durable(event.durable().group(), event.durable().index()); });
    case pb::Event::kLeader:  // the view tells
    case pb::Event::kMemberSlow:
    case pb::Event::kClientSlow:
    case pb::Event::kGroupHeld:
    case pb::Event::kCredit:
    case pb::Event::kMessage:  // JSON only
    case pb::Event::KIND_NOT_SET:
      return;
  }
}

void Client::Impl::handle_join(const pb::Reply& reply) {
  for (auto& [name, group] : groups_) {
    if (group.join == reply.id()) {
      group.entered = reply.join().view().token();
    }
  }
}

void Client::Impl::handle_view(const pb::GroupView& view) {
  if (const auto group = groups_.find(view.group()); group != groups_.end()) {
    group->second.joined = true;
    group->second.request = 0;
    group->second.refused.clear();
    pause_ = milliseconds(0);
  } else if (watching_) {
    const GroupView other = to_view(view);
    return call_back([&] { handler_.on_other_view(other); });
  }
  const GroupView made = to_view(view);
  call_back([&] { handler_.on_view(made); });
}

void Client::Impl::handle_cluster(const pb::Event& event) {
  if (event.has_view()) {
    const ClusterView view = to_cluster_view(event.view());
    call_back([&] { handler_.on_cluster_view(view); });
  } else if (event.has_suspect()) {
    const Suspicion suspicion = to_suspicion(event.suspect());
    call_back([&] { handler_.on_suspicion(suspicion); });
  } else {
    call_back([&] { handler_.on_quorum(event.quorum().has()); });
  }
}

/// A lease that was on its way when this client asked to leave was given up before it came.
void Client::Impl::handle_lease(const pb::LeaseEvent& event) {
  const auto group = groups_.find(event.group());
  if (group == groups_.end() || group->second.entered == 0 || event.token() < group->second.entered) {
    return;
  }
  const auto microseconds = [](std::uint64_t count) { return BootClock::duration(static_cast<BootClock::rep>(count)); };
  const Lease lease{event.group(), event.token(), BootClock::time_point(microseconds(event.until_us())),
                    microseconds(event.length_us())};
  group->second.lease_until = lease.until;
  call_back([&] { handler_.on_lease(lease); });
}

BootClock::time_point Client::Impl::lease_until(std::string_view name) const {
  const auto group = groups_.find(name);
  return group == groups_.end() ? BootClock::time_point() : group->second.lease_until;
}

void Client::Impl::handle_messages(const pb::MessageBatch& batch) {
  if (!split_body(batch.body(), batch.count(), messages_)) {
    lose("the daemon sent a broken batch");
    return;
  }
  sender_ = to_member(batch.sender());
  if (batch.request() != 0) {
    const Request request{
        batch.group(), sender_,          batch.request(), batch.view(),
        batch.token(), batch.position(), batch.text(),    messages_.empty() ? std::string_view() : messages_.front(),
        batch.index()};
    call_back([&] { handler_.on_request(request); });
    return;
  }
  const Delivery delivery{batch.group(), sender_,   batch.view(),   batch.token(), batch.position(), to_service(batch.service()),
                          batch.text(),  messages_, batch.direct(), batch.index()};
  call_back([&] { handler_.on_messages(delivery); });
}

void Client::Impl::handle_state_request(const pb::StateRequest& asked) {
  call_back([&] { states_.begin(socket_, asked, handler_.on_state_request(asked.group())); });
}

void Client::Impl::handle_state(const pb::StateEvent& state) {
  const StatePiece piece{state.group(), state.token(), state.offset(), state.payload(),
                         state.last(),  state.cold(),  state.index()};
  call_back([&] { handler_.on_state(piece); });
}

/// Our daemon has us leave the group: the join waits for that by itself.
void Client::Impl::handle_gap(const pb::GapEvent& event) {
  const Gap gap{event.group(), event.view(), event.token(), to_service(event.service()), event.position(), event.missed()};
  if (const auto group = groups_.find(gap.group); group != groups_.end()) {
    group->second.joined = false;
    if (options_.rejoin) {
      send_join(group->first, group->second, socket_);
    } else {
      groups_.erase(group);
    }
  }
  call_back([&] { handler_.on_gap(gap); });
}

void Client::Impl::handle_excluded(const pb::ExcludedEvent& excluded) {
  if (const auto group = groups_.find(excluded.group()); group != groups_.end()) {
    group->second.joined = false;
    if (options_.rejoin) {
      retry_later();
    } else {
      groups_.erase(group);
    }
  }
  call_back([&] { handler_.on_excluded(excluded.group(), excluded.why()); });
}

}  // namespace vsync
