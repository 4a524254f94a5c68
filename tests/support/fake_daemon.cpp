#include "support/fake_daemon.h"

#include <algorithm>

namespace vsync::test {

FakeDaemon::FakeDaemon(io::ControlOptions options) : work_(asio::make_work_guard(io_)) {
  core::View view;
  view.uuid = {0x1111, 0x2222};
  view.ref.epoch = 5;
  view.members = {{self, 1, "alpha", {"127.0.0.1", 7475, 7475}}, {{2, 3, 0}, 1, "beta", {"127.0.0.2", 7475, 7475}}};
  view.voters = {{1, 1, 1}, {2, 1, 1}};
  state.self = view.members.front();
  state.uuid = view.uuid;
  state.role = core::Role::member;
  state.view = std::make_shared<core::View>(view);
  state.has_quorum = true;
  state.tolerates = 1;
  state.members = {{view.members[0], 0, true, true, core::Evidence::none, {}, {}, 9, 9},
                   {view.members[1], 1, false, true, core::Evidence::none, std::chrono::milliseconds(40),
                    std::chrono::microseconds(120), 7, 6}};
  auto opened = io::ControlServer::open(io_, std::move(options), *this);
  if (!opened) {
    throw std::runtime_error(opened.error().message);
  }
  server = std::move(*opened);
  thread_ = std::thread([this] {
    while (!stopping_) {
      io_.run_one();
      while (io_.poll() > 0) {
      }
      if (server) {
        server->end_of_turn();
      }
    }
  });
}

FakeDaemon::~FakeDaemon() {
  stop();
}

void FakeDaemon::stop() {
  if (thread_.joinable()) {
    run([](FakeDaemon& daemon) { daemon.server.reset(); });
    stopping_ = true;
    work_.reset();
    io_.stop();
    thread_.join();
  }
}

void FakeDaemon::input(core::Input input) {
  std::visit([this](auto&& value) { on(std::forward<decltype(value)>(value)); }, std::move(input));
}

core::GroupViewPtr FakeDaemon::install(Group& group) {
  group.view.number += 1;
  group.view.token = ++token_;
  group.position = 0;
  auto view = std::make_shared<core::GroupView>(group.view);
  group.view.joined.clear();
  group.view.left.clear();
  group.view.transitional = group.view.members;
  server->apply(core::GroupViewInstalled{view});
  return view;
}

void FakeDaemon::on(core::ClientJoin&& join) {
  inputs.push_back("join " + join.group);
  if (hold_joins) {
    held_joins_.push_back(std::move(join));
  } else {
    enter(std::move(join));
  }
}

void FakeDaemon::enter(core::ClientJoin&& join) {
  Group& group = groups_[join.group];
  const core::GroupMember member{self, join.client, join.member_name};
  if (group.view.name.empty()) {
    group.view.name = join.group;
    group.view.group = groups_.size();
    group.view.view = 5;
    group.view.policy = join.policy;
  }
  const auto& members = group.view.members;
  if (std::any_of(members.begin(), members.end(), [&](const auto& other) { return other.client == join.client; })) {
    server->apply(core::RequestRefused{join.client, join.request, "already_member", "this client is in the group already"});
    return;
  }
  group.view.members.push_back(member);
  group.view.joined = {member};
  auto view = install(group);
  const auto token = view->token;
  const bool leads = view->members.front().client == join.client;
  server->apply(core::RequestDone{join.client, join.request, std::move(view)});
  if (join.lease && leads) {
    server->apply(core::LeaseGranted{join.client, group.view.group, token, lease_until, std::chrono::seconds(700)});
  }
}

void FakeDaemon::release_joins() {
  hold_joins = false;
  for (auto& join : std::exchange(held_joins_, {})) {
    enter(std::move(join));
  }
}

void FakeDaemon::refuse_joins(std::string_view code) {
  for (const auto& join : std::exchange(held_joins_, {})) {
    server->apply(core::RequestRefused{join.client, join.request, code, "the test says so"});
  }
}

void FakeDaemon::remove(Group& group, core::ClientId client, core::LeaveReason reason) {
  auto& members = group.view.members;
  const auto found = std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.client == client; });
  if (found != members.end()) {
    group.view.left = {{*found, reason}};
    members.erase(found);
    install(group);
  }
}

void FakeDaemon::on(core::ClientLeave&& leave) {
  inputs.push_back("leave " + leave.group);
  told.push_back("leave " + std::to_string(leave.client));
  if (!groups_.contains(leave.group)) {
    server->apply(core::RequestRefused{leave.client, leave.request, "no_such_group", "there is no group '" + leave.group + "'"});
    return;
  }
  remove(groups_[leave.group], leave.client, leave.reason);
  server->apply(core::RequestDone{leave.client, leave.request, nullptr});
}

void FakeDaemon::on(core::ClientHold&& hold) {
  holds.push_back(hold);
}

void FakeDaemon::on(core::ClientGone&& client) {
  gone.push_back(client.client);
  told.push_back("gone " + std::to_string(client.client));
  for (auto& [name, group] : groups_) {
    remove(group, client.client, core::LeaveReason::crashed);
  }
}

void FakeDaemon::on(core::ClientSession&& session) {
  sessions.push_back(session);
  if (!refuse_sessions.empty()) {
    server->apply(core::RequestRefused{session.client, session.request, refuse_sessions, "no session"});
  } else if (hold_sessions) {
    held_sessions_.push_back(session);
  } else {
    server->apply(core::SessionOpened{session.client, session.request, fates});
  }
}

void FakeDaemon::release_sessions() {
  hold_sessions = false;
  for (auto& session : std::exchange(held_sessions_, {})) {
    on(std::move(session));
  }
}

/// Asks the one client that is there; its first reply ends the request.
void FakeDaemon::ask(const core::ClientSend& send) {
  const Group& group = groups_[send.group];
  asked_ = {send.client, send.request};
  core::DeliverMessages delivery{group.view.group, self,      send.client, group.view.token, 5, 1,
                                 send.service,     send.text, 1,           send.body};
  delivery.request = send.request;
  server->apply(delivery);
}

void FakeDaemon::reply(const core::ClientSend& send) {
  server->apply(core::SendOutcome{send.client, send.request, 1, core::Outcome::delivered, 5, 0, {}});
  if (send.wish->reply_to == asked_.second && send.wish->to == core::ClientRef{self, asked_.first}) {
    core::RequestAnswered answer{asked_.first, asked_.second, core::Outcome::delivered, 5, 1, {}, true, {}, {}};
    answer.replies.push_back({{self, send.client, "it"}, send.text, send.body.part(4, send.body.size() - 4)});
    answer.missing.push_back({{self, 77, "late"}, "no_reply"});
    server->apply(answer);
  }
}

void FakeDaemon::on(core::ClientSend&& send) {
  sends.push_back(send);
  const bool replies = send.wish && send.wish->reply_to != 0;
  inputs.push_back(replies ? "reply" : (send.wish && send.wish->wait ? "request " : "send ") + send.group);
  if (replies) {
    reply(send);
  } else if (send.wish && send.wish->wait && groups_.contains(send.group)) {
    ask(send);
  } else if (!groups_.contains(send.group)) {
    server->apply(core::RequestRefused{send.client, send.request, "no_such_group", "there is no group '" + send.group + "'"});
  } else if (hold_sends) {
    held_.push_back(std::move(send));
  } else {
    Group& group = groups_[send.group];
    core::DeliverMessages delivery{group.view.group,   self,         send.client, group.view.token, 5,
                                   group.position + 1, send.service, send.text,   send.count,       send.body};
    group.position += send.count;
    const std::uint64_t first = delivery.position;
    server->apply(delivery);
    core::SendOutcome outcome{send.client, send.request, send.count, core::Outcome::delivered, 5, first, {}};
    outcome.history.index = durable_index;
    outcome.durable = durable_index != 0;
    server->apply(outcome);
  }
}

void FakeDaemon::release_sends() {
  hold_sends = false;
  for (auto& send : std::exchange(held_, {})) {
    on(std::move(send));
  }
}

void FakeDaemon::on(core::AdminEvict&& evict) {
  evictions.push_back(evict);
  if (evict.node != 2 && evict.name != "beta") {
    server->apply(core::RequestRefused{evict.client, evict.request, "no_such_member", "no member is called so"});
  } else {
    server->apply(core::RequestDone{evict.client, evict.request, nullptr});
  }
}

template <typename Admin>
void FakeDaemon::on(Admin&& admin) {
  if constexpr (requires { admin.request; }) {
    server->apply(core::RequestDone{admin.client, admin.request, nullptr});
  }
}

Result<void> FakeDaemon::set_log_level(std::string_view wanted, std::string_view) {
  if (wanted == "loud") {
    return fail("there is no level 'loud'");
  }
  level = wanted;
  return {};
}

Result<void> FakeDaemon::cluster_join(const std::vector<std::string>& peers) {
  seeds = peers;
  return {};
}

void FakeDaemon::deliver(const std::string& name, const std::string& body, std::uint32_t count, bool text,
                         core::Audience audience) {
  Group& group = groups_.at(name);
  server->apply(core::DeliverMessages{group.view.group, core::Pid{2, 3, 0}, 1, group.view.token, 5, group.position + 1,
                                      core::Service::total, text, count, Slice::copy_of(body), std::move(audience)});
  group.position += count;
}

void FakeDaemon::exclude(const std::string& why) {
  groups_.clear();
  held_.clear();
  server->apply(core::Excluded{5, {}, why});
  self.incarnation += 1;
  state.self.pid = self;
}

}  // namespace vsync::test
