#include "io/control_session.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "base/utf8.h"
#include "io/control_model.h"

namespace vsync::io {
namespace {

constexpr std::uint32_t kProtocol = 1;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxPeers = 64;
constexpr std::size_t kLittle = std::size_t{256} << 10U;  // waiting to be written: nearly nothing
constexpr std::chrono::milliseconds kAnswerWithin{5000};
constexpr std::size_t kCollect = std::size_t{64} << 10U;  // bytes of single sends that become one

bool is_group_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && printable_utf8(name);
}

bool is_label(std::string_view name) {
  return name.size() <= kMaxName && printable_utf8(name);
}

bool for_admins(pb::Request::KindCase kind) {
  switch (kind) {
    case pb::Request::kClusterJoin:
    case pb::Request::kClusterLeave:
    case pb::Request::kEvict:
    case pb::Request::kLogLevel:
    case pb::Request::kReload:
    case pb::Request::kColdStart:
    case pb::Request::kCheckpoint:
      return true;
    case pb::Request::kHello:
    case pb::Request::kStatus:
    case pb::Request::kWatch:
    case pb::Request::kJoin:
    case pb::Request::kLeave:
    case pb::Request::kSend:
    case pb::Request::kSendBatch:
    case pb::Request::kRequest:
    case pb::Request::kReply:
    case pb::Request::kDiagnose:
    case pb::Request::kState:
    case pb::Request::kSession:
    case pb::Request::KIND_NOT_SET:
      return false;
  }
  return true;
}

bool is_send(pb::Request::KindCase kind) {
  return kind == pb::Request::kSend || kind == pb::Request::kSendBatch || kind == pb::Request::kReply;
}

/// All groups of a send: the first one decides the position that its sender is told. Never empty.
std::vector<std::string> names_of(std::string group, const auto& more) {
  std::vector<std::string> names;
  if (!group.empty() || more.empty()) {
    names.push_back(std::move(group));
  }
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

/// Null: nothing special.
std::shared_ptr<const core::SendWish> wish_of(const std::vector<std::string>& groups, std::optional<core::ClientRef> to) {
  if (groups.size() == 1 && !to) {
    return nullptr;
  }
  auto wish = std::make_shared<core::SendWish>();
  wish->more_groups.assign(groups.begin() + 1, groups.end());
  wish->to = to;
  return wish;
}

constexpr std::string_view kGroupNameRule = "a group's name has 1 to 255 bytes of printable UTF-8";

}  // namespace

ControlSession::~ControlSession() {
  if (connection_) {
    connection_->detach();
  }
}

void ControlSession::start(asio::local::stream_protocol::socket socket) {
  connection_ = std::make_shared<ControlConnection>(std::move(socket), limits_, home_.backlog(), *this);
  if (!refusal_.empty()) {
    connection_->expire_after(std::chrono::seconds(1));
  }
  connection_->start();
}

// ---- requests

bool ControlSession::turned_away(std::uint64_t id) {
  if (!refusal_.empty()) {
    error(id, "too_many", refusal_);
    connection_->finish("too many clients");
  }
  return !refusal_.empty();
}

void ControlSession::request(pb::Request& request) {
  if (request.kind_case() != pb::Request::kSend) {
    submit_collected();  // order is kept
  }
  if (turned_away(request.id())) {
    return;
  }
  if (for_admins(request.kind_case()) && !admin_) {
    error(request.id(), "denied", "only root, the daemon's own user and members of its admin group may do this");
    return;
  }
  switch (request.kind_case()) {
    case pb::Request::kHello:
      return hello(request);
    case pb::Request::kStatus:
      return status(request);
    case pb::Request::kWatch:
      return watch(request);
    case pb::Request::kJoin:
      return join(request);
    case pb::Request::kLeave:
      return leave(request);
    case pb::Request::kSession:
      return session(request);
    case pb::Request::kSend:
      return send(request);
    case pb::Request::kState:
      return state(request);
    case pb::Request::kRequest:
      return group_request(request);
    case pb::Request::kReply:
      return group_reply(request);
    case pb::Request::kCheckpoint:
      return checkpoint(request);
    case pb::Request::kClusterJoin:
      return cluster_join(request);
    case pb::Request::kClusterLeave:
      return home_.handler().input(core::AdminLeave{id_, expect({pb::Request::kClusterLeave, request.id()})});
    case pb::Request::kEvict:
      return evict(request);
    case pb::Request::kLogLevel:
      return log_level(request);
    case pb::Request::kReload:
      return reload(request);
    case pb::Request::kColdStart:
      return home_.handler().input(core::AdminColdStart{id_, expect({pb::Request::kColdStart, request.id()})});
    case pb::Request::kDiagnose:
      return diagnose(request);
    case pb::Request::kSendBatch:  // comes as batch()
    case pb::Request::KIND_NOT_SET:
      return error(request.id(), "bad_request", "the request names nothing to do");
  }
}

void ControlSession::hello(const pb::Request& request) {
  pb::Reply reply;
  reply.set_id(request.id());
  pb::HelloReply& hello = *reply.mutable_hello();
  const NodeInfo info = home_.handler().info();
  hello.set_version(info.version);
  hello.set_protocol(kProtocol);
  hello.set_node(info.self.pid.node);
  hello.set_name(info.self.name);
  if (!info.uuid.none()) {
    hello.set_cluster(to_string(info.uuid));
  }
  hello.set_client(id_);
  const bool json = connection_->encoding() == Encoding::json;
  hello.set_max_message(max_message());
  hello.set_max_frame(json ? limits_.max_line : limits_.max_frame);
  hello.set_max_in_flight(limits_.max_in_flight);
  hello.set_max_unanswered(limits_.max_unanswered);
  hello.set_max_unanswered_messages(limits_.max_unanswered_messages);
  hello.set_client_limit(limits_.client_limit);
  hello.set_client_limit_messages(limits_.max_output_messages);
  connection_->send(reply);
  if (request.hello().credit()) {
    credit_asked_ = true;
    tell_credit();
  }
}

void ControlSession::status(const pb::Request& request) {
  pb::Reply reply;
  reply.set_id(request.id());
  home_.fill_status(*reply.mutable_status());
  connection_->send(reply);
}

void ControlSession::diagnose(const pb::Request& request) {
  pb::Reply reply;
  reply.set_id(request.id());
  fill(*reply.mutable_diagnose(), home_.handler().diagnose());
  reply.mutable_diagnose()->set_max_clients(static_cast<std::uint32_t>(limits_.max_clients));
  connection_->send(reply);
}

void ControlSession::watch(const pb::Request& request) {
  pb::Reply reply;
  reply.set_id(request.id());
  reply.mutable_watch();
  connection_->send(reply);
  if (!std::exchange(watching_, true)) {
    home_.start_watch(*this);
  }
}

void ControlSession::join(pb::Request& request) {
  pb::JoinRequest& join = *request.mutable_join();
  if (!is_group_name(join.group())) {
    return error(request.id(), "bad_request", std::string(kGroupNameRule));
  }
  if (!is_label(join.member_name())) {
    return error(request.id(), "bad_request", "a member's name has up to 255 bytes of printable UTF-8");
  }
  if (join.has_durable() && (join.durable().disks() == 0 || join.durable().disks() > core::kMaxDisks)) {
    return error(request.id(), "bad_request", "a durable group is kept on 1 to " + std::to_string(core::kMaxDisks) + " disks");
  }
  if (groups.size() + joins_.size() >= limits_.max_groups) {
    return error(request.id(), "too_many", "one connection is in at most " + std::to_string(limits_.max_groups) + " groups");
  }
  auto stay = stay_of(join);
  if (!stay) {
    return error(request.id(), "bad_request", "when_slow is DISCONNECT, BLOCK or GAP");
  }
  core::ClientJoin input;
  input.client = id_;
  input.request = expect({pb::Request::kJoin, request.id()});
  joins_.emplace(input.request, std::move(*stay));
  input.group = std::move(*join.mutable_group());
  input.member_name = std::move(*join.mutable_member_name());
  input.policy.total_only = join.total_only() || join.has_durable();
  input.lease = join.lease();
  input.state = {join.state(), join.offer(), std::max(join.replicas(), 1U)};
  input.stability = join.stability();
  if (!join.has_durable()) {
    return home_.handler().input(std::move(input));
  }
  input.policy.disks = join.durable().disks();
  home_.handler().durable_join(
      std::move(input),
      {join.durable().every_messages(), std::chrono::seconds(join.durable().every_seconds()), join.durable().at_views()});
}

void ControlSession::leave(pb::Request& request) {
  if (!is_group_name(request.leave().group())) {
    return error(request.id(), "bad_request", std::string(kGroupNameRule));
  }
  home_.handler().input(
      core::ClientLeave{id_, expect({pb::Request::kLeave, request.id()}), std::move(*request.mutable_leave()->mutable_group())});
}

void ControlSession::state(pb::Request& request) {
  pb::StatePiece& piece = *request.mutable_state();
  if (!is_group_name(piece.group())) {
    return error(request.id(), "bad_request", std::string(kGroupNameRule));
  }
  core::ClientState input{id_,
                          expect({pb::Request::kState, request.id()}),
                          std::move(*piece.mutable_group()),
                          piece.token(),
                          piece.last(),
                          piece.refuse(),
                          Slice::take(std::move(*piece.mutable_payload()))};
  home_.handler().input(std::move(input));
}

void ControlSession::written(std::size_t left) {
  release_groups();
  if (report_read_ && left <= kLittle) {
    report_read_ = false;
    home_.handler().input(core::ClientRead{id_});
  }
}

void ControlSession::cluster_join(const pb::Request& request) {
  const auto& peers = request.cluster_join().peers();
  const bool labels = std::all_of(peers.begin(), peers.end(), [](const auto& peer) { return !peer.empty() && is_label(peer); });
  if (peers.empty() || static_cast<std::size_t>(peers.size()) > kMaxPeers || !labels) {
    return error(request.id(), "bad_request",
                 "cluster_join names 1 to " + std::to_string(kMaxPeers) + " peers, each HOST or HOST:PORT");
  }
  if (const auto taken = home_.handler().cluster_join({peers.begin(), peers.end()}); !taken) {
    return error(request.id(), "bad_request", taken.error().message);
  }
  home_.handler().input(core::AdminJoin{id_, expect({pb::Request::kClusterJoin, request.id()})});
}

void ControlSession::evict(pb::Request& request) {
  pb::Evict& evict = *request.mutable_evict();
  if (evict.member().empty() || !is_label(evict.member()) || !is_label(evict.why())) {
    return error(request.id(), "bad_request", "evict names a member by node id or name, and may say why in up to 255 bytes");
  }
  core::AdminEvict input;
  input.client = id_;
  const char* const end = evict.member().data() + evict.member().size();
  const auto parsed = std::from_chars(evict.member().data(), end, input.node);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    input.node = 0;
  }
  input.name = evict.member();
  input.why = std::move(*evict.mutable_why());
  input.request = expect({pb::Request::kEvict, request.id()});
  home_.handler().input(std::move(input));
}

void ControlSession::log_level(const pb::Request& request) {
  if (const auto set = home_.handler().set_log_level(request.log_level().level(), request.log_level().subsystem()); !set) {
    return error(request.id(), "bad_request", set.error().message);
  }
  pb::Reply reply;
  reply.set_id(request.id());
  reply.mutable_log_level();
  connection_->send(reply);
}

void ControlSession::reload(const pb::Request& request) {
  auto report = home_.handler().reload();
  if (!report) {
    return error(request.id(), "failed", report.error().message);
  }
  pb::Reply reply;
  reply.set_id(request.id());
  *reply.mutable_reload()->mutable_applied() = {report->applied.begin(), report->applied.end()};
  *reply.mutable_reload()->mutable_needs_restart() = {report->needs_restart.begin(), report->needs_restart.end()};
  connection_->send(reply);
}

// ---- sends

/// JSON is for people and small programs: lines are parsed and copied as a whole.
std::size_t ControlSession::max_message() const {
  const bool json = connection_->encoding() == Encoding::json;
  return json ? std::min(limits_.max_message, limits_.max_line_message) : limits_.max_message;
}

/// Content that comes inside a parsed message. False: the client was told.
bool ControlSession::fits(const std::string& content, std::uint64_t id) {
  const auto most = std::min(limits_.max_message, limits_.max_line_message);
  if (content.size() > most) {
    error(id, "too_large",
          "a message of " + std::to_string(content.size()) + " bytes; " + std::to_string(most) + " are allowed, and " +
              std::to_string(limits_.max_message) + " in a send_batch of a binary connection");
  }
  return content.size() <= most;
}

void ControlSession::send(pb::Request& request) {
  const pb::SendRequest& send = request.send();
  const bool text = send.has_text();
  const std::string& content = text ? send.text() : send.payload();
  const auto service = to_core(send.service());
  const auto names = names_of(send.group(), send.groups());
  if (!std::ranges::all_of(names, is_group_name)) {
    return error(request.id(), "bad_request", std::string(kGroupNameRule));
  }
  if (!service) {
    return error(request.id(), "bad_request", "the service is TOTAL, FIFO or CAUSAL");
  }
  if (!fits(content, request.id()) || !take_numbers(request.id(), 1)) {
    return;
  }
  if (auto wish = wish_of(names, send.has_to() ? std::optional(to_core(send.to())) : std::nullopt)) {
    submit_collected();
    std::string body;
    append_message(body, content);
    return submit({id_, 0, names.front(), *service, text, 1, send.in_view(), Slice::take(std::move(body)), std::move(wish), 0,
                   send.durable()},
                  request.id(), pb::Request::kSend);
  }
  const bool same = collected_ && request.id() == collected_first_ + collected_->count && *service == collected_->service &&
                    text == collected_->text && send.in_view() == collected_->in_view && send.durable() == collected_->durable &&
                    names.front() == collected_->group && collected_body_.size() + content.size() <= kCollect;
  if (!same) {
    submit_collected();
    collected_ = core::ClientSend{id_, 0, names.front(), *service, text, 0, send.in_view(), {}};
    collected_->durable = send.durable();
    collected_first_ = request.id();
  }
  ++collected_->count;
  append_message(collected_body_, content);
}

void ControlSession::submit_collected() {
  if (auto send = std::exchange(collected_, std::nullopt)) {
    send->body = Slice::take(std::exchange(collected_body_, {}));
    submit(std::move(*send), collected_first_, pb::Request::kSend);
  }
}

void ControlSession::batch(BatchRequest batch) {
  submit_collected();
  if (turned_away(batch.id)) {
    return;
  }
  const auto service = to_core(batch.service);
  auto names = names_of(std::move(batch.group), batch.groups);
  if (!std::ranges::all_of(names, is_group_name)) {
    return error(batch.id, "bad_request", std::string(kGroupNameRule));
  }
  if (!service) {
    return error(batch.id, "bad_request", "the service is TOTAL, FIFO or CAUSAL");
  }
  if (auto fault = check_body(batch.body.view(), batch.count, batch.text, max_message())) {
    return error(batch.id, fault->code, std::move(fault->message));
  }
  if (!take_numbers(batch.id, batch.count)) {
    return;
  }
  auto wish = wish_of(names, batch.to);
  submit({id_, 0, std::move(names.front()), *service, batch.text, batch.count, batch.in_view, std::move(batch.body),
          std::move(wish), 0, batch.durable},
         batch.id, pb::Request::kSendBatch);
}

void ControlSession::group_request(pb::Request& request) {
  pb::GroupRequest& asked = *request.mutable_request();
  const auto wait = to_core(asked.wait());
  if (!is_group_name(asked.group()) || !wait) {
    return error(request.id(), "bad_request", wait ? std::string(kGroupNameRule) : "a request waits for ALL, MAJORITY or FIRST");
  }
  const bool text = asked.has_text();
  const std::string& content = text ? asked.text() : asked.payload();
  if (!fits(content, request.id())) {
    return;
  }
  auto wish = std::make_shared<core::SendWish>();
  wish->wait = wait;
  wish->answer_within = asked.timeout_ms() == 0 ? kAnswerWithin : std::chrono::milliseconds(asked.timeout_ms());
  if (asked.has_to()) {
    wish->to = to_core(asked.to());
  }
  std::string body;
  append_message(body, content);
  submit({id_, 0, std::move(*asked.mutable_group()), core::Service::total, text, 1, 0, Slice::take(std::move(body)),
          std::move(wish)},
         request.id(), pb::Request::kRequest);
}

void ControlSession::group_reply(pb::Request& request) {
  const pb::GroupReply& reply = request.reply();
  if (!reply.has_to() || reply.request() == 0) {
    return error(request.id(), "bad_request", "a reply names the sender and the number of the request: to, request");
  }
  const bool text = reply.has_text();
  const std::string& content = text ? reply.text() : reply.payload();
  if (!fits(content, request.id())) {
    return;
  }
  auto wish = std::make_shared<core::SendWish>();
  wish->to = to_core(reply.to());
  wish->reply_to = reply.request();
  std::string body;
  append_message(body, content);
  submit({id_, 0, {}, core::Service::fifo, text, 1, 0, Slice::take(std::move(body)), std::move(wish)}, request.id(),
         pb::Request::kReply);
}

void ControlSession::submit(core::ClientSend send, std::uint64_t id, pb::Request::KindCase kind) {
  const core::SessionId session = numbered(kind) ? session_ : 0;
  send.number = session != 0 ? id : 0;
  send.request = expect({kind, id, send.count, send.count, send.body.size(), session});
  home_.handler().input(std::move(send));
}

core::RequestId ControlSession::expect(const Pending& pending) {
  const core::RequestId request = next_request_;
  next_request_ += pending.count;
  unanswered_.emplace_hint(unanswered_.end(), request, pending);
  if (is_send(pending.kind)) {
    charge(pending.count, pending.bytes);
  }
  return request;
}

// ---- effects

/// The core may report several inputs of a client at once: their numbers follow each other.
void ControlSession::outcome(const core::SendOutcome& effect) {
  const core::RequestId end = effect.request + effect.count;
  auto found = unanswered_.upper_bound(effect.request);
  found = found == unanswered_.begin() ? found : std::prev(found);
  while (found != unanswered_.end() && found->first < end) {
    Pending& pending = found->second;
    const core::RequestId first = std::max(effect.request, found->first);
    const core::RequestId last = std::min(end, found->first + pending.count);
    const auto count = static_cast<std::uint32_t>(first < last ? last - first : 0);
    if (count == 0 || count > pending.unanswered || !is_send(pending.kind)) {
      ++found;
      continue;
    }
    core::SendOutcome part = effect;
    part.count = count;
    part.position += first - effect.request;
    part.history.index += effect.history.index == 0 ? 0 : first - effect.request;
    const auto offset = static_cast<std::uint32_t>(first - found->first);
    // C6 tells later what was delivered; what the disks have (K2) it does not know.
    if (session_ != 0 && effect.outcome == core::Outcome::unknown && effect.code != "not_durable") {
      doubts_.push_back({pending.kind, pending.id + offset, count, count, 0, pending.session});
    } else {
      answer_sends(pending, offset, part);
    }
    pending.unanswered -= count;
    credit(count, pending.unanswered == 0 ? pending.bytes : 0);
    found = pending.unanswered == 0 ? unanswered_.erase(found) : std::next(found);
  }
}

void ControlSession::answer_sends(const Pending& pending, std::uint32_t offset, const core::SendOutcome& effect) {
  const bool delivered = effect.outcome == core::Outcome::delivered;
  pb::Reply reply;
  if (pending.kind == pb::Request::kSendBatch) {
    reply.set_id(pending.id + offset);
    pb::SendBatchReply& answer = *reply.mutable_send_batch();
    answer.set_count(effect.count);
    answer.set_outcome(delivered ? pb::DELIVERED : effect.outcome == core::Outcome::unknown ? pb::UNKNOWN : pb::NOT_DELIVERED);
    answer.set_view(effect.view);
    answer.set_position(effect.position);
    answer.set_code(effect.code.data(), effect.code.size());
    answer.set_index(delivered ? effect.history.index : 0);
    answer.set_durable(effect.durable);
    connection_->send(reply);
    return;
  }
  const std::string_view word = to_string(effect.outcome);
  for (std::uint32_t i = 0; i < effect.count; ++i) {
    reply.set_id(pending.id + offset + i);
    pb::SendReply& answer = pending.kind == pb::Request::kReply ? *reply.mutable_reply() : *reply.mutable_send();
    answer.set_outcome(word.data(), word.size());
    answer.set_view(effect.view);
    answer.set_position(delivered ? effect.position + i : 0);
    answer.set_index(delivered && effect.history.index != 0 ? effect.history.index + i : 0);
    answer.set_durable(effect.durable);
    answer.set_code(effect.code.data(), effect.code.size());
    connection_->send(reply);
  }
}

/// What was asked under this number, to be answered now; nullopt: nobody waits for an answer.
std::optional<ControlSession::Pending> ControlSession::take_unanswered(core::RequestId request) {
  const auto found = unanswered_.extract(request);
  return found ? std::optional(found.mapped()) : std::nullopt;
}

void ControlSession::answered(const core::RequestAnswered& effect) {
  const auto found = unanswered_.find(effect.request);
  if (found != unanswered_.end() && found->second.kind == pb::Request::kRequest) {
    pb::Reply reply;
    reply.set_id(found->second.id);
    fill(*reply.mutable_request(), effect);
    unanswered_.erase(found);
    connection_->send(reply);
  }
}

void ControlSession::done(const core::RequestDone& effect) {
  const auto pending = take_unanswered(effect.request);
  if (!pending) {
    return;
  }
  pb::Reply reply;
  reply.set_id(pending->id);
  switch (pending->kind) {
    case pb::Request::kJoin:
      reply.mutable_join();
      if (effect.group_view) {
        fill(*reply.mutable_join()->mutable_view(), *effect.group_view);
        stays_[effect.group_view->group] = std::move(joins_[effect.request]);
      }
      joins_.erase(effect.request);
      break;
    case pb::Request::kLeave:
      reply.mutable_leave();
      break;
    case pb::Request::kState:
      reply.mutable_state();
      break;
    case pb::Request::kClusterJoin:
      reply.mutable_cluster_join();
      break;
    case pb::Request::kClusterLeave:
      reply.mutable_cluster_leave();
      break;
    case pb::Request::kEvict:
      reply.mutable_evict();
      break;
    case pb::Request::kColdStart:
      reply.mutable_cold_start();
      break;
    case pb::Request::kCheckpoint:
      reply.mutable_checkpoint();
      break;
    case pb::Request::kSend:  // sends have outcomes
    case pb::Request::kSendBatch:
    case pb::Request::kReply:
    case pb::Request::kRequest:
    case pb::Request::kSession:  // and sessions an answer of their own
    case pb::Request::kHello:    // the rest is answered at once
    case pb::Request::kStatus:
    case pb::Request::kWatch:
    case pb::Request::kLogLevel:
    case pb::Request::kReload:
    case pb::Request::kDiagnose:
    case pb::Request::KIND_NOT_SET:
      return;
  }
  connection_->send(reply);
}

void ControlSession::refused(const core::RequestRefused& effect) {
  if (const auto pending = take_unanswered(effect.request)) {
    joins_.erase(effect.request);
    if (is_send(pending->kind)) {
      credit(pending->unanswered, pending->bytes);
    }
    if (effect.request == reopening_) {
      not_reopened(effect.code);
    } else {
      refuse(*pending, effect.code, effect.message);
    }
  }
}

/// A refused batch has one error; single sends that travelled together have one each.
void ControlSession::refuse(const Pending& pending, std::string_view code, const std::string& message) {
  const std::uint32_t errors = pending.kind == pb::Request::kSend ? pending.count : 1;
  for (std::uint32_t i = 0; i < errors; ++i) {
    error(pending.id + i, code, message);
  }
}

void ControlSession::pause(bool paused) {
  paused_ = paused;
  if (!paused) {
    connection_->resume();
  }
}

void ControlSession::incarnation_over(const std::string& why, ControlServer::Joins joins) {
  for (const auto& [request, pending] : std::exchange(unanswered_, {})) {
    if (pending.kind == pb::Request::kClusterJoin && joins == ControlServer::Joins::go_on) {
      unanswered_.emplace(request, pending);
    } else if (is_send(pending.kind)) {
      // The core answers the messages of one input in order, so the rest is at the end.
      const std::uint32_t answered = pending.count - pending.unanswered;
      doubts_.push_back({pending.kind, pending.id + answered, pending.unanswered, pending.unanswered, 0, pending.session});
      if (session_ == 0) {
        settle({});
      }
    } else if (request != reopening_) {
      refuse(pending, "excluded", why);
    }
  }
  joins_.clear();
  stays_.clear();
  credit(static_cast<std::uint32_t>(in_flight_messages_), in_flight_bytes_);
  pause(false);
}

void ControlSession::error(std::uint64_t id, std::string_view code, std::string message) {
  connection_->send_error(id, code, std::move(message));
}

}  // namespace vsync::io
