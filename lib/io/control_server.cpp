#include "io/control_server.h"

#include <unistd.h>

#include <algorithm>

#include "io/control_model.h"
#include "io/control_server_impl.h"

namespace vsync::io {
namespace {

using asio::local::stream_protocol;

constexpr std::size_t kTurnedAway = 64;  // connections above the limit that are told so; beyond that they are closed at once
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kToldEach{60};  // of clients that are turned away

}  // namespace

// ---- clients come and go

void ControlServer::Impl::accept() {
  acceptor_.async_accept([this, alive = guard()](const std::error_code& error, stream_protocol::socket socket) {
    if (alive.expired() || error == asio::error::operation_aborted) {
      return;
    }
    if (!error) {
      add(std::move(socket));
      accept();
      return;
    }
    // Out of descriptors or memory: the pending client waits until there is something again.
    retry_.expires_after(kAcceptPause);
    retry_.async_wait([this, still_alive = guard()](const std::error_code& stopped) {
      if (!stopped && !still_alive.expired()) {
        accept();
      }
    });
  });
}

void ControlServer::Impl::add(stream_protocol::socket socket) {
  const auto credentials = options_.credentials(socket.native_handle());
  if (!credentials) {
    return;
  }
  const bool admin = is_admin(*credentials);
  auto refused = refusal(credentials->uid, admin);
  if (!refused.empty()) {
    ++turned_away_;
    const auto now = std::chrono::steady_clock::now();
    if (turned_away_ == 1 || now - turned_away_told_ >= kToldEach) {
      turned_away_told_ = now;
      handler_.client_trouble("a client of user " + std::to_string(credentials->uid) + " is turned away: " + refused +
                              " (told once in " + std::to_string(kToldEach.count()) + " s)");
    }
  }
  if (sessions_.size() >= options_.limits.max_clients + options_.limits.reserved_for_admins + kTurnedAway) {
    return;
  }
  ++accepted_;
  std::error_code ignored;
  socket.non_blocking(true, ignored);  // NOLINT(bugprone-unused-return-value): writes say MSG_DONTWAIT anyway
  const core::ClientId id = new_client_id();
  auto session = std::make_unique<ControlSession>(id, *credentials, admin, std::move(refused), options_.limits, *this);
  ++clients_of_user_[credentials->uid];
  session->start(std::move(socket));
  sessions_.emplace(id, std::move(session));
}

/// Whoever steers the daemon gets in when programs have taken all the places, and no user takes them all from the others.
std::string ControlServer::Impl::refusal(std::uint32_t user, bool admin) const {
  const auto& limits = options_.limits;
  const auto own = clients_of_user_.find(user);
  if (sessions_.size() >= limits.max_clients + (admin ? limits.reserved_for_admins : 0)) {
    return "this daemon serves " + std::to_string(limits.max_clients) + " clients at a time; come again later";
  }
  if (!admin && own != clients_of_user_.end() && own->second >= limits.max_clients_of_user) {
    return "this daemon serves " + std::to_string(limits.max_clients_of_user) + " clients of one user at a time";
  }
  return {};
}

bool ControlServer::Impl::is_admin(const Credentials& credentials) const {
  const auto& groups = credentials.groups;
  return credentials.uid == 0 || credentials.uid == ::geteuid() ||
         (admin_group_ && std::find(groups.begin(), groups.end(), *admin_group_) != groups.end());
}

core::ClientId ControlServer::Impl::new_client_id() {
  do {
    ++last_client_;
  } while (last_client_ == 0 || sessions_.contains(last_client_));
  return last_client_;
}

void ControlServer::Impl::closed(ControlSession& session) {
  later(core::ClientGone{session.id()});
}

/// We may be in the middle of an effect: the core hears of it in a turn of its own, and behind what was said before.
void ControlServer::Impl::later(core::Input input) {
  if (due_.empty()) {
    asio::post(io_, [this, alive = guard()] {
      if (!alive.expired()) {
        pass_on();
      }
    });
  }
  due_.push_back(std::move(input));
}

void ControlServer::Impl::pass_on() {
  for (core::Input& input : std::exchange(due_, {})) {
    if (const auto* const gone = std::get_if<core::ClientGone>(&input)) {
      forget(gone->client);
    }
    handler_.input(std::move(input));
  }
}

void ControlServer::Impl::forget(core::ClientId id) {
  ControlSession* const session = find(id);
  for (const core::GroupId group : session->groups) {
    std::erase(groups_.at(group).members, session);
  }
  std::erase(watchers_, session);
  if (const auto own = clients_of_user_.find(session->user); --own->second == 0) {
    clients_of_user_.erase(own);
  }
  sessions_.erase(id);
}

void ControlServer::Impl::shut_down(std::string_view why) {
  std::error_code ignored;
  acceptor_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing can be done
  retry_.cancel();
  for (const auto& [id, session] : sessions_) {
    session->connection().finish(std::string(why));
  }
}

// ---- output

void ControlServer::Impl::output_queued(ControlSession& session) {
  if (!std::exchange(session.dirty, true)) {
    dirty_.push_back(session.id());
    handler_.output_queued();
  }
}

void ControlServer::Impl::end_of_turn() {
  for (std::size_t i = 0; i < dirty_.size(); ++i) {  // a flush may queue more
    if (ControlSession* const session = find(dirty_[i])) {
      session->dirty = false;
      session->connection().flush();
    }
  }
  dirty_.clear();
  bound_backlog();
}

/// Who reads as fast as it comes has no backlog now. Of the others, the one that is furthest behind pays first.
void ControlServer::Impl::bound_backlog() {
  while (backlog_.bytes > options_.limits.max_backlog) {
    const auto behind = [](const auto& entry) {
      return entry.second->connection().is_open() ? entry.second->connection().backlog() : 0;
    };
    const auto last = std::ranges::max_element(sessions_, {}, behind);
    if (last == sessions_.end() || behind(*last) == 0) {
      return;
    }
    if (last->second->relieve()) {
      continue;
    }
    last->second->connection().give_up("you do not read: more than " + std::to_string(options_.limits.max_backlog) +
                                       " bytes are waiting for all clients, and the most of them for you");
  }
}

void ControlServer::Impl::tell_watchers(const pb::Event& event) {
  Broadcast broadcast(event);
  for (ControlSession* const watcher : watchers_) {
    broadcast.to(watcher->connection());
  }
}

// ---- status and watch

void ControlServer::Impl::fill_status(pb::Status& status) {
  auto counters = handler_.counters();
  counters.emplace_back("clients_accepted", accepted_);
  counters.emplace_back("clients_turned_away", turned_away_);
  counters.emplace_back("clients_given_up", given_up_);
  counters.emplace_back("client_backlog_bytes", backlog_.bytes);
  fill(status, handler_.status(), handler_.info(), counters);
  const auto uptime = std::chrono::steady_clock::now() - started_;
  status.set_uptime_us(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(uptime).count()));
  status.set_clients(static_cast<std::uint32_t>(sessions_.size()));
  fill_slow(status);
}

void ControlServer::Impl::start_watch(ControlSession& session) {
  watchers_.push_back(&session);
  const core::NodeStatus status = handler_.status();
  const auto tell = [&](auto fill_event) {
    pb::Reply reply;
    fill_event(*reply.mutable_event());
    session.connection().send(reply);
  };
  if (status.view) {
    tell([&](pb::Event& event) { fill(*event.mutable_view(), {status.view, 0, {}}, nullptr, status.self.pid); });
  }
  tell([&](pb::Event& event) { event.mutable_quorum()->set_has(status.has_quorum); });
  if (status.view) {
    tell([&](pb::Event& event) { fill(*event.mutable_leader(), *status.view, status.self.pid); });
  }
  for (const auto& group : status.groups) {
    tell([&](pb::Event& event) { fill(*event.mutable_group_view(), *group); });
  }
  for (const auto& held : holds_.events()) {
    tell([&](pb::Event& event) { event = held; });
  }
}

void ControlServer::Impl::view_installed(const core::ViewInstalled& effect) {
  const core::Pid self = handler_.info().self.pid;
  pb::Event event;
  fill(*event.mutable_view(), effect, view_.get(), self);
  tell_watchers(event);
  const bool leader_changed = !view_ || view_->leader() != effect.view->leader();
  view_ = effect.view;
  if (leader_changed) {
    pb::Event leader;
    fill(*leader.mutable_leader(), *view_, self);
    tell_watchers(leader);
  }
}

void ControlServer::Impl::suspicion_changed(const core::SuspicionChanged& effect) {
  pb::Event event;
  pb::SuspectEvent& suspect = *event.mutable_suspect();
  suspect.set_node(effect.peer.node);
  if (const core::Member* const member = view_ ? view_->find_named(effect.peer) : nullptr) {
    suspect.set_name(member->name);
  }
  suspect.set_evidence(std::string(to_string(effect.evidence)));
  suspect.set_why(effect.why);
  const auto silence = std::chrono::duration_cast<std::chrono::microseconds>(effect.silence).count();
  suspect.set_silence_us(static_cast<std::uint64_t>(std::max<std::int64_t>(silence, 0)));
  tell_watchers(event);
}

void ControlServer::Impl::member_slow(const core::MemberSlow& effect) {
  pb::Event event;
  pb::MemberSlow& slow = *event.mutable_member_slow();
  slow.set_node(effect.peer.node);
  if (const core::Member* const member = view_ ? view_->find(effect.peer) : nullptr) {
    slow.set_name(member->name);
  }
  const auto blocked = std::chrono::duration_cast<std::chrono::microseconds>(effect.blocked).count();
  slow.set_blocked_us(static_cast<std::uint64_t>(blocked));
  tell_watchers(event);
}

// ---- groups

/// An event of a group, to a member: not if it was dropped out of it.
void ControlServer::Impl::tell(Broadcast& event, ControlSession& session, const FrameTag& tag) {
  if (session.hears(tag.group)) {
    event.to(session.connection(), tag);
  }
}

void ControlServer::Impl::group_view_installed(const core::GroupViewInstalled& effect) {
  const core::GroupView& view = *effect.group_view;
  if (!effect.audience.only.empty()) {
    catch_up(view, effect.audience.only);
    return;
  }
  const core::Pid self = handler_.info().self.pid;
  std::vector<ControlSession*> members;
  for (const core::GroupMember& member : view.members) {
    // A client that is gone stays in the view until its departure is delivered (G2).
    if (ControlSession* const session = member.pid == self ? find(member.client) : nullptr) {
      members.push_back(session);
    }
  }
  LocalGroup& local = groups_[view.group];
  for (ControlSession* const session : local.members) {
    session->groups.erase(view.group);
  }
  pb::Event event;
  fill(*event.mutable_group_view(), view);
  Broadcast broadcast(event);
  for (ControlSession* const session : members) {
    session->groups.insert(view.group);
    if (effect.audience.includes(session->id())) {
      tell(broadcast, *session, {.group = view.group});
    }
  }
  for (ControlSession* const session : local.members) {
    if (!session->groups.contains(view.group)) {
      session->left(view.group);
    }
  }
  for (ControlSession* const watcher : watchers_) {
    if (!watcher->groups.contains(view.group)) {
      broadcast.to(watcher->connection());
    }
  }
  if (members.empty()) {
    groups_.erase(view.group);
  } else {
    local = {effect.group_view, std::move(members)};
  }
}

/// T1: a view that these have missed while their state was on its way.
void ControlServer::Impl::catch_up(const core::GroupView& view, const std::vector<core::ClientId>& clients) {
  pb::Event event;
  fill(*event.mutable_group_view(), view);
  Broadcast broadcast(event);
  for (const core::ClientId client : clients) {
    if (ControlSession* const session = find(client); session != nullptr && session->groups.contains(view.group)) {
      tell(broadcast, *session, {.group = view.group, .paced = true});
      session->report_when_read();
    }
  }
}

void ControlServer::Impl::state_arrived(const core::StateArrived& effect) {
  pb::Event event;
  pb::StateEvent& state = *event.mutable_state();
  state.set_group(effect.group);
  state.set_token(effect.token);
  state.set_offset(effect.offset);
  state.set_payload(effect.body.data(), effect.body.size());
  state.set_last(effect.last);
  state.set_cold(effect.cold);
  state.set_index(effect.index);
  Broadcast broadcast(event);
  for (const core::ClientId client : effect.clients) {
    if (ControlSession* const session = find(client)) {
      if (auto tag = session->tag_in(effect.group)) {
        tag->paced = true;
        broadcast.to(session->connection(), *tag);
      }
      session->report_when_read();
    }
  }
}

void ControlServer::Impl::dismissed(const core::ClientDismissed& effect) {
  if (ControlSession* const session = find(effect.client)) {
    pb::Reply reply;
    auto& excluded = *reply.mutable_event()->mutable_excluded();
    excluded.set_group(effect.name);
    excluded.set_why(effect.reason == core::LeaveReason::not_a_keeper
                         ? "other nodes keep the group: its members with state run there"
                         : "the state of the group could not be had: nobody gave it, or it was not taken");
    excluded.set_code(std::string(core::to_string(effect.reason)));
    session->connection().send(reply);
  }
}

/// K2.
void ControlServer::Impl::durable(const core::HistoryDurable& effect) {
  const auto found = groups_.find(effect.id);
  if (found == groups_.end()) {
    return;
  }
  pb::Event event;
  event.mutable_durable()->set_group(effect.group);
  event.mutable_durable()->set_index(effect.position.index);
  Broadcast broadcast(event);
  for (ControlSession* const session : found->second.members) {
    tell(broadcast, *session, {.group = effect.id});
  }
}

void ControlServer::Impl::deliver(const core::DeliverMessages& effect) {
  const auto found = groups_.find(effect.group);
  if (found == groups_.end()) {
    return;  // all our members are gone
  }
  batch_.Clear();
  fill(batch_, effect, *found->second.view);
  std::optional<SharedFrame> json;
  std::optional<SharedFrame> binary;
  const bool paced = !effect.audience.only.empty();
  const FrameTag tag{effect.group, effect.count, effect.view, effect.token, effect.service, effect.position, paced};
  for (ControlSession* const session : found->second.members) {
    if (!effect.audience.includes(session->id()) || (effect.direct != 0 && session->id() != effect.direct)) {
      continue;
    }
    if (paced) {
      session->report_when_read();
    }
    if (session->connection().encoding() == Encoding::json) {
      session->deliver(json ? *json : json.emplace(encode_messages(batch_, effect.body)), tag);
    } else {
      session->deliver(binary ? *binary : binary.emplace(encode_batch(batch_, effect.body)), tag);
    }
  }
}

void ControlServer::Impl::lease_granted(const core::LeaseGranted& effect) {
  ControlSession* const session = find(effect.client);
  const auto group = groups_.find(effect.group);
  if (session != nullptr && group != groups_.end()) {
    pb::Event event;
    fill(*event.mutable_lease(), effect, *group->second.view);
    Broadcast broadcast(event);
    tell(broadcast, *session, {.group = effect.group});
  }
}

void ControlServer::Impl::stable_reached(const core::StableReached& effect) {
  const auto group = groups_.find(effect.group);
  if (group == groups_.end()) {
    return;
  }
  pb::Event event;
  fill(*event.mutable_stable(), effect, *group->second.view);
  Broadcast broadcast(event);
  for (const auto client : effect.clients) {
    if (ControlSession* const session = find(client)) {
      tell(broadcast, *session, {.group = effect.group});
    }
  }
}

void ControlServer::Impl::incarnation_over(std::string_view why, Joins joins) {
  for (const auto& [group, local] : std::exchange(groups_, {})) {
    pb::Event event;
    event.mutable_excluded()->set_group(local.view->name);
    event.mutable_excluded()->set_why(why.data(), why.size());
    Broadcast broadcast(event);
    for (ControlSession* const session : local.members) {
      session->groups.clear();
      broadcast.to(session->connection());
    }
  }
  pb::Event event;
  event.mutable_excluded()->set_why(why.data(), why.size());
  tell_watchers(event);
  for (const auto& [id, session] : sessions_) {
    session->incarnation_over(std::string(why), joins);
  }
  view_.reset();
  holds_.clear();
}

void ControlServer::Impl::incarnation_begins() {
  for (const auto& [id, session] : sessions_) {
    session->incarnation_begins();
  }
}

// ---- the public face

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::~ControlServer() = default;

Result<std::unique_ptr<ControlServer>> ControlServer::open(asio::io_context& io, ControlOptions options,
                                                           ControlHandler& handler) {
  std::optional<gid_t> group;
  if (!options.admin_group.empty()) {
    const auto found = find_group(options.admin_group);
    if (!found) {
      return tl::unexpected(found.error());
    }
    group = *found;
  }
  auto socket =
      options.listen_fd >= 0 ? ListenSocket::adopt(options.listen_fd) : ListenSocket::create(options.path, options.mode, group);
  if (!socket) {
    return tl::unexpected(socket.error());
  }
  return std::unique_ptr<ControlServer>(
      new ControlServer(std::make_unique<Impl>(io, std::move(options), group, std::move(*socket), handler)));
}

void ControlServer::apply(const core::MemberSlow& effect) {
  impl_->member_slow(effect);
}

void ControlServer::apply(const core::ViewInstalled& effect) {
  impl_->view_installed(effect);
}

void ControlServer::apply(const core::GroupViewInstalled& effect) {
  impl_->group_view_installed(effect);
}

void ControlServer::apply(const core::DeliverMessages& effect) {
  impl_->deliver(effect);
}

/// Who misses messages before it (G10) must not answer: it goes with them, and the departure of this member ends the request.
void ControlServer::apply(const core::StateRequested& effect) {
  ControlSession* const session = impl_->find(effect.client);
  const auto tag = session != nullptr ? session->tag_in(effect.group) : std::nullopt;
  if (tag) {
    pb::Event event;
    pb::StateRequest& request = *event.mutable_state_request();
    request.set_group(effect.group);
    request.set_token(effect.token);
    request.set_window(effect.window);
    request.set_piece_size(static_cast<std::uint32_t>(effect.piece_size));
    Broadcast(event).to(session->connection(), *tag);
  }
}

void ControlServer::apply(const core::StateArrived& effect) {
  impl_->state_arrived(effect);
}

void ControlServer::apply(const core::ClientDismissed& effect) {
  impl_->dismissed(effect);
}

void ControlServer::apply(const core::HistoryDurable& effect) {
  impl_->durable(effect);
}

void ControlServer::restored(const std::vector<core::ClientId>& clients, const std::string& group,
                             const core::HistoryPosition& checkpoint, const core::HistoryPosition& end) {
  pb::Event event;
  pb::RestoredEvent& restored = *event.mutable_restored();
  restored.set_group(group);
  restored.set_checkpoint(checkpoint.index);
  restored.set_index(end.index);
  restored.set_era(end.era);
  Broadcast broadcast(event);
  for (const core::ClientId client : clients) {
    ControlSession* const session = impl_->find(client);
    if (const auto tag = session != nullptr ? session->tag_in(group) : std::nullopt) {
      broadcast.to(session->connection(), *tag);
    }
  }
}

void ControlServer::checkpoints(core::ClientId client, core::RequestId request, const std::string& group,
                                const std::vector<KeptGroup>& kept) {
  if (ControlSession* const session = impl_->find(client)) {
    session->checkpoints(request, group, kept);
  }
}

void ControlServer::apply(const core::SendOutcome& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->outcome(effect);
  }
}

void ControlServer::apply(const core::RequestAnswered& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->answered(effect);
  }
}

void ControlServer::apply(const core::StableReached& effect) {
  impl_->stable_reached(effect);
}

void ControlServer::apply(const core::RequestDone& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->done(effect);
  }
}

void ControlServer::apply(const core::SessionOpened& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->session_opened(effect);
  }
}

void ControlServer::apply(const core::RequestRefused& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->refused(effect);
  }
}

void ControlServer::apply(const core::PauseClient& effect) {
  if (ControlSession* const session = impl_->find(effect.client)) {
    session->pause(effect.paused);
  }
}

void ControlServer::apply(const core::LeaseGranted& effect) {
  impl_->lease_granted(effect);
}

void ControlServer::apply(const core::GroupHeld& effect) {
  impl_->group_held(effect);
}

void ControlServer::apply(const core::QuorumChanged& effect) {
  pb::Event event;
  event.mutable_quorum()->set_has(effect.has);
  impl_->tell_watchers(event);
}

void ControlServer::apply(const core::SuspicionChanged& effect) {
  impl_->suspicion_changed(effect);
}

void ControlServer::apply(const core::Excluded& effect) {
  incarnation_over(effect.why);
}

void ControlServer::apply(const core::LeftCluster&) {
  incarnation_over("this daemon left the cluster");
}

void ControlServer::incarnation_over(std::string_view why, Joins joins) {
  impl_->incarnation_over(why, joins);
}

void ControlServer::incarnation_begins() {
  impl_->incarnation_begins();
}

void ControlServer::end_of_turn() {
  impl_->end_of_turn();
}

void ControlServer::shut_down(std::string_view why) {
  impl_->shut_down(why);
}

std::size_t ControlServer::clients() const {
  return impl_->clients();
}

}  // namespace vsync::io
