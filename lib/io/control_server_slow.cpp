// Clients that do not read, and the groups that wait for them (G10).
#include <algorithm>
#include <functional>

#include "io/control_model.h"
#include "io/control_server_impl.h"

namespace vsync::io {

namespace {

constexpr std::chrono::milliseconds kHoldCheck{100};
constexpr std::size_t kSlowShown = 16;

}  // namespace

void ControlServer::Impl::tell_slow(const ControlSession& session, core::GroupId group, std::string_view action) {
  pb::Event event;
  pb::ClientSlow& slow = *event.mutable_client_slow();
  const Waiting waiting = session.waiting(group);
  slow.set_action(action.data(), action.size());
  slow.set_backlog_bytes(waiting.bytes);
  slow.set_backlog_messages(waiting.messages);
  if (const auto found = groups_.find(group); found != groups_.end()) {
    slow.set_group(found->second.view->name);
  }
  name_client(*slow.mutable_member(), session, group);
  tell_watchers(event);
}

/// Who does not read may never know why.
void ControlServer::Impl::given_up(const ControlSession& session, const std::string& why) {
  ++given_up_;
  handler_.client_trouble("client " + std::to_string(session.id()) + " is disconnected; it is told: " + why);
}

/// With the name that it has in this group, if any.
void ControlServer::Impl::name_client(pb::GroupMember& out, const ControlSession& session, core::GroupId group) const {
  core::GroupMember client{handler_.info().self.pid, session.id(), {}};
  if (const auto found = groups_.find(group); found != groups_.end()) {
    for (const auto& member : found->second.view->members) {
      if (member.client == client.client && member.pid == client.pid) {
        client.name = member.name;
      }
    }
  }
  fill(out, client);
}

void ControlServer::Impl::watch_holds() {
  if (std::exchange(watching_holds_, true)) {
    return;
  }
  hold_timer_.expires_after(kHoldCheck);
  hold_timer_.async_wait([this, alive = guard()](const std::error_code& stopped) {
    if (stopped || alive.expired()) {
      return;
    }
    bool holds = watching_holds_ = false;
    for (const auto& [id, session] : sessions_) {
      holds = session->check_holds(std::chrono::steady_clock::now()) || holds;
    }
    if (holds) {
      watch_holds();
    }
  });
}

void ControlServer::Impl::group_held(const core::GroupHeld& effect) {
  tell_watchers(holds_.apply(effect));
}

void ControlServer::Impl::fill_slow(pb::Status& status) const {
  std::vector<pb::ClientSlow> slow;
  for (const auto& [id, session] : sessions_) {
    if (auto behind = session->slowness()) {
      name_client(*behind->slow.mutable_member(), *session, behind->group);
      slow.push_back(std::move(behind->slow));
    }
  }
  std::ranges::sort(slow, std::greater(), &pb::ClientSlow::backlog_bytes);
  slow.resize(std::min(slow.size(), kSlowShown));
  *status.mutable_slow_clients() = {slow.begin(), slow.end()};
  holds_.fill(status);
}

}  // namespace vsync::io
