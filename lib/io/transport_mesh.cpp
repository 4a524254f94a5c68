#include "io/transport_mesh.h"

#include <algorithm>

namespace vsync::io {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kYoung{1000};      // a link that may still have a crossing twin
constexpr milliseconds kWatchEvery{200};  // how exactly handshakes are bounded
constexpr milliseconds kFarewell{1000};   // for GOODBYE to be written and answered

Lane lane_of(const core::Frame& frame) {
  const bool bulk = std::holds_alternative<core::Data>(frame) || std::holds_alternative<core::Forward>(frame) ||
                    std::holds_alternative<core::Table>(frame);
  return bulk ? Lane::bulk : Lane::control;
}

}  // namespace

Link::Link(asio::ip::tcp::socket socket, const Limits& limits, BlockPool& pool, Mesh& mesh, TargetPtr dialled_target)
    : Connection(std::move(socket), limits, pool), target(std::move(dialled_target)), since(Clock::now()), mesh_(mesh) {}

void Link::on_frame(core::Frame frame) {
  mesh_.frame(*this, std::move(frame));
}
void Link::on_lost(const std::string& why, bool garbage) {
  mesh_.lost(*this, why, garbage);
}
const wire::Context& Link::context() const {
  return mesh_.context();
}

Result<void> check_hello(const core::Hello& own, const core::Hello& peer) {
  if (peer.proto_min > own.proto_max || peer.proto_max < own.proto_min) {
    return fail("protocol version not supported");
  }
  if (!own.uuid.none() && !peer.uuid.none() && own.uuid != peer.uuid) {
    return fail("wrong cluster");  // I4
  }
  if (peer.pid.node != 0 && peer.pid.node == own.pid.node) {
    return fail("claims our own node id " + std::to_string(own.pid.node));  // I3
  }
  return {};
}

Mesh::Mesh(asio::io_context& io, const TransportOptions& options, TransportHandler& handler, TransportCounters& counters)
    : io_(io),
      options_(options),
      handler_(handler),
      counters_(counters),
      watch_(io),
      dialer_(io, {options.link_grace, options.backoff_min, options.backoff_max, options.handshake}, options.seed, *this) {}

Mesh::~Mesh() {
  for (const auto& [pid, link] : links_) {
    link->abort();  // connections may be kept by their waits: nothing may call in here any more
  }
  for (const auto& link : strangers_) {
    link->abort();
  }
}

void Mesh::start() {
  const auto hello = handler_.hello();
  self_ = hello.pid;
  set_cluster(hello.uuid);
  started_ = true;
}

void Mesh::stop(const std::string& reason) {
  started_ = false;
  dialer_.stop();
  for (const auto& link : strangers_) {
    link->abort();
  }
  strangers_.clear();
  const auto goodbye = std::make_shared<wire::EncodedFrame>(wire::encode_frame(core::Goodbye{reason}, context_));
  for (const auto& [pid, link] : links_) {
    static_cast<void>(link->send(goodbye, Lane::bulk));  // after everything else
    link->finish();
    finishing_.emplace_back(link, Clock::now() + kFarewell);
  }
  links_.clear();
  dirty_.clear();
  watch_strangers();
}

bool Mesh::idle() const {
  return std::ranges::all_of(finishing_, [](const auto& entry) { return entry.first->closed(); });
}

// ---------------------------------------------------------------- connections

void Mesh::accepted(asio::ip::tcp::socket socket) {
  counters_.accepted += 1;
  auto link = std::make_shared<Link>(std::move(socket), Connection::Limits{options_.max_queue, options_.user_timeout}, pool_,
                                     *this, nullptr);
  const auto unknown = std::ranges::count_if(strangers_, [](const LinkPtr& stranger) { return !stranger->target; });
  const auto same = std::ranges::count_if(strangers_, [&](const LinkPtr& stranger) {
    return !stranger->target && stranger->remote_address() == link->remote_address();
  });
  if (static_cast<std::size_t>(unknown) >= options_.max_strangers ||
      static_cast<std::size_t>(same) >= options_.max_strangers_per_address) {
    refuse(link->remote_address().to_string(), "too many connections without HELLO");
    return link->hang_up();
  }
  strangers_.insert(link);
  watch_strangers();
  say_hello(*link);
  link->start();
}

void Mesh::dialled(asio::ip::tcp::socket socket, const TargetPtr& target) {
  counters_.dialled += 1;
  auto link = std::make_shared<Link>(std::move(socket), Connection::Limits{options_.max_queue, options_.user_timeout}, pool_,
                                     *this, target);
  strangers_.insert(link);
  watch_strangers();
  link->start();
}

void Mesh::watch_strangers() {
  if (watching_ || (strangers_.empty() && finishing_.empty())) {
    return;
  }
  watching_ = true;
  watch_.expires_after(kWatchEvery);
  watch_.async_wait([this](const asio::error_code& error) {
    if (error) {
      return;
    }
    watching_ = false;
    const auto now = Clock::now();
    const auto all = std::vector<LinkPtr>(strangers_.begin(), strangers_.end());
    for (const auto& link : all) {
      if (now - link->since >= options_.handshake && !link->ended()) {
        refuse(link->remote_address().to_string(), "no HELLO in time");
        drop(*link, "no HELLO in time");
      }
    }
    std::erase_if(finishing_, [&](const auto& entry) {
      if (now >= entry.second) {
        entry.first->abort();
      }
      return entry.first->closed();
    });
    watch_strangers();
  });
}

void Mesh::frame(Link& link, core::Frame frame) {
  if (!link.open) {
    return handshake(link, frame);
  }
  if (const auto* goodbye = std::get_if<core::Goodbye>(&frame)) {
    return close_open(links_.at(link.peer->pid), true, goodbye->reason);
  }
  if (std::holds_alternative<core::Hello>(frame)) {
    return refuse(link, "HELLO on an open link");
  }
  counters_.frames_in += 1;
  handler_.frame(link.peer->pid, std::move(frame));
}

void Mesh::lost(Link& link, const std::string& why, bool garbage) {
  if (garbage) {
    refuse(link.remote_address().to_string(), why);
  }
  if (link.open) {
    close_open(std::static_pointer_cast<Link>(link.shared_from_this()), false, why);
  } else {
    drop(link, why);
  }
}

// ---------------------------------------------------------------- handshake

void Mesh::say_hello(Link& link) {
  const auto hello = handler_.hello();
  context_.uuid_hash = wire::hash_of(hello.uuid);
  static_cast<void>(link.send(std::make_shared<wire::EncodedFrame>(wire::encode_frame(hello, context_)), Lane::control));
  link.write();
}

void Mesh::handshake(Link& link, const core::Frame& frame) {
  if (const auto* goodbye = std::get_if<core::Goodbye>(&frame)) {
    return drop(link, "the peer hung up: " + goodbye->reason);
  }
  const auto* hello = std::get_if<core::Hello>(&frame);
  if (hello == nullptr) {
    return refuse(link, "frame before HELLO");
  }
  if (!link.peer) {
    return first_hello(link, *hello);
  }
  // Only the end with the smaller pid says it twice.
  if (hello->pid != link.peer->pid || self_ < hello->pid) {
    return refuse(link, "HELLO out of turn");
  }
  open(link);
}

void Mesh::first_hello(Link& link, const core::Hello& hello) {
  if (hello.pid == self_) {
    link.peer = hello;
    return drop(link, "");  // our own address is among the peers, as in every hosts file
  }
  if (auto fits = check_hello(handler_.hello(), hello); !fits) {
    return refuse(link, fits.error().message);
  }
  link.peer = hello;
  if (link.target) {
    if (links_.contains(hello.pid)) {
      return drop(link, "");
    }
    say_hello(link);
  }
  if (!link.ended() && self_ < hello.pid) {
    choose(link);
  }
}

void Mesh::choose(Link& link) {
  const auto chosen = links_.find(link.peer->pid);
  if (chosen != links_.end() && Clock::now() - chosen->second->since < kYoung) {
    return drop(link, "");
  }
  say_hello(link);
  if (!link.ended()) {
    open(link);
  }
}

void Mesh::open(Link& link) {
  const auto self = std::static_pointer_cast<Link>(link.shared_from_this());
  const auto pid = link.peer->pid;
  if (const auto old = links_.find(pid); old != links_.end()) {
    const auto replaced = old->second;
    links_.erase(old);
    replaced->abort();
    handler_.link_closed(pid, false, "replaced by a newer connection");
  }
  strangers_.erase(self);
  link.open = true;
  link.since = Clock::now();
  links_[pid] = self;
  counters_.opened += 1;
  dialer_.link_opened(pid);
  attempt_ended(link, "");
  handler_.link_opened(*link.peer);
}

void Mesh::attempt_ended(Link& link, const std::string& why) {
  if (link.target) {
    dialer_.attempt_ended(link.target, link.peer ? std::optional(link.peer->pid) : std::nullopt, why);
  }
}

// The handshake ends without a link. `why` is empty when that is no failure.
void Mesh::drop(Link& link, const std::string& why) {
  const auto self = std::static_pointer_cast<Link>(link.shared_from_this());
  link.abort();
  strangers_.erase(self);
  attempt_ended(link, why);
}

void Mesh::refuse(Link& link, const std::string& why) {
  refuse(link.remote_address().to_string(), why);
  if (link.open) {
    close_open(links_.at(link.peer->pid), false, why);
  } else {
    drop(link, why);
  }
}

void Mesh::refuse(const std::string& from, const std::string& why) {
  counters_.refused += 1;
  if (refusals_.first(from, why)) {
    handler_.refused(from, why);
  }
}

// ---------------------------------------------------------------- open links

void Mesh::close_open(const LinkPtr& link, bool clean, const std::string& why) {
  const auto pid = link->peer->pid;
  link->abort();
  links_.erase(pid);
  counters_.lost += 1;
  handler_.link_closed(pid, clean, why);
  dialer_.link_lost(pid);
}

void Mesh::reset(const core::Pid& peer, const std::string& why) {
  if (const auto link = links_.find(peer); link != links_.end()) {
    counters_.resets += 1;
    close_open(LinkPtr(link->second), false, why);
  }
}

void Mesh::send(const core::Pid& to, const core::FramePtr& frame) {
  const auto found = links_.find(to);
  if (found == links_.end()) {
    return;
  }
  if (encoded_frame_ != frame) {
    encoded_ = std::make_shared<wire::EncodedFrame>(wire::encode_frame(*frame, context_));
    encoded_frame_ = frame;
  }
  const LinkPtr link = found->second;
  if (!link->send(encoded_, lane_of(*frame))) {
    return reset(to, "too much is waiting to be sent to it");
  }
  counters_.frames_out += 1;
  if (!link->dirty) {
    link->dirty = true;
    dirty_.push_back(link);
  }
}

void Mesh::flush() {
  encoded_frame_.reset();
  encoded_.reset();
  const auto dirty = std::exchange(dirty_, {});
  for (const auto& link : dirty) {
    link->dirty = false;
    link->write();
  }
}

// ---------------------------------------------------------------- the dialer

bool Mesh::linked(const core::Pid& pid) const {
  return pid == self_ || links_.contains(pid);
}
void Mesh::refused(const core::Pid& pid) {
  handler_.peer_gone(pid, "connection refused");
}
void Mesh::seeds_tried() {
  handler_.seeds_tried();
}

void Mesh::dial_failed(const DialTarget& target, const std::string& why) {
  handler_.dial_failed(to_string(HostPort{target.address.host, target.address.port}), why);
}

}  // namespace vsync::io
