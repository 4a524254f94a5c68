// What the transport and the control socket tell the engine, and ask it.
#include <algorithm>
#include <asio/post.hpp>
#include <type_traits>
#include <utility>

#include "engine/engine.h"
#include "engine/metrics.h"

namespace vsync::engine {

// ---------------------------------------------------------------- transport

core::Hello Engine::hello() const {
  return node_->hello();
}

void Engine::link_opened(const core::Hello& peer) {
  log(Subsystem::transport, "link_opened", peer.pid).info("link to {} ({}) is up", core::to_string(peer.pid), peer.name);
  step(core::LinkOpened{peer});
}

void Engine::link_closed(const core::Pid& peer, bool clean, const std::string& why) {
  log(Subsystem::transport, "link_closed", peer)
      .info("link to {} is down: {}{}", core::to_string(peer), clean ? "it said goodbye: " : "", why);
  step(core::LinkClosed{peer, clean});
}

void Engine::frame(const core::Pid& from, core::Frame frame) {
  if (tracing(Subsystem::transport)) {
    log(Subsystem::transport).trace("from {}: {}", core::to_string(from), core::frame_name(frame));
  }
  traffic_ = true;
  step(core::FrameReceived{from, std::move(frame)});
}

void Engine::datagram(core::Datagram datagram) {
  step(core::DatagramReceived{std::move(datagram)});
}

void Engine::peer_gone(const core::Pid& peer, const std::string& why) {
  log(Subsystem::transport).debug("{} is gone: {}", core::to_string(peer), why);
  step(core::PeerGone{peer, core::Evidence::firm, why});
}

void Engine::seeds_tried() {
  step(core::SeedsTried{});
}

void Engine::refused(const std::string& from, const std::string& why) {
  log(Subsystem::transport).warn("refused input from {}: {} (told once)", from, why);
}

void Engine::dial_failed(const std::string& address, const std::string& why) {
  log(Subsystem::transport).warn("cannot reach {}: {} (tries on)", address, why);
}

// ---------------------------------------------------------------- discovery

std::optional<wire::Found> Engine::whereabouts() const {
  if (!view_ || terminating_ || finished_) {
    return std::nullopt;
  }
  wire::Found found{0, {}, options_.version, view_->uuid, {{self_.address.host, self_.address.port}}};
  for (const auto& member : view_->members) {
    if (member.pid != self_.pid) {
      found.places.push_back({member.address.host, member.address.port});
    }
  }
  return found;
}

void Engine::discovered(const std::vector<io::HostPort>& places) {
  std::string text;
  auto seeds = seeds_;
  for (const auto& place : places) {
    text += (text.empty() ? "" : ", ") + io::to_string(place);
    if (std::ranges::find(seeds, place) == seeds.end()) {
      seeds.push_back(place);
    }
  }
  log(Subsystem::transport).info("cluster '{}' answers on the local network: {}", options_.discovery.cluster, text);
  transport_.set_seeds(seeds);
}

void Engine::nobody_answers() {
  log(Subsystem::transport)
      .warn("no cluster '{}' answers on the local network (asks on); its members need --discover too",
            options_.discovery.cluster);
}

void Engine::refused_discovery(const std::string& from, const std::string& why) {
  refused(from, why);
}

// ---------------------------------------------------------------- control socket

void Engine::input(core::Input input) {
  if (const auto* join = std::get_if<core::AdminJoin>(&input); join != nullptr && !joining_) {
    joining_ = *join;
  }
  if (!node_ && left_ && std::holds_alternative<core::AdminJoin>(input)) {
    state_.identity.incarnation += 1;  // I2: the one that left does not come back
    storage_->save(state_.identity, [this, join = std::move(input)](const Result<void>& saved) mutable {
      if (!saved || finished_) {
        return;
      }
      if (node_) {
        step(std::move(join));  // another one was faster: this one is told so
      } else {
        start_node();
      }
    });
    return;
  }
  if (const auto* read = std::get_if<core::ClientRead>(&input)) {
    durable_->keeper().read(read->client);
  } else if (const auto* gone = std::get_if<core::ClientGone>(&input)) {
    durable_->keeper().gone(gone->client);
    return to_core(std::move(input));  // behind what the keeper has said of it
  } else if (auto* piece = std::get_if<core::ClientState>(&input); piece != nullptr && durable_->keeper().piece(*piece)) {
    return schedule_turn();
  }
  if (node_ && !finished_) {
    traffic_ = true;
    return step(std::move(input));
  }
  const std::string_view code = finished_ || terminating_ ? "shutting_down" : left_ ? "not_member" : "excluded";
  std::visit(
      [&]<typename T>(const T& request) {
        if constexpr (requires { request.request; }) {
          control_->apply(core::RequestRefused{request.client, request.request, code, "this daemon is in no cluster now"});
          schedule_turn();
        }
      },
      input);
}

// ---------------------------------------------------------------- durable groups

void Engine::durable_join(core::ClientJoin join, const io::CheckpointWish& wish) {
  if (!node_ || finished_ || options_.witness) {
    return input(std::move(join));  // refused
  }
  durable_->keeper().join(std::move(join), {wish.every_messages, wish.every, wish.at_views});
}

void Engine::list_checkpoints(core::ClientId client, core::RequestId request, const std::string& group) {
  durable_->status([this, client, request, group](const std::vector<io::KeptGroup>& groups) {
    control_->checkpoints(client, request, group, groups);
    schedule_turn();
  });
}

void Engine::verify_checkpoint(core::ClientId client, core::RequestId request, const std::string& group) {
  durable_->verify(group, [this, client, request, group](const Result<durable::Contents>& found) {
    if (found) {
      control_->apply(core::RequestDone{client, request, nullptr});
    } else {
      control_->apply(core::RequestRefused{client, request, "failed", "group " + group + ": " + found.error().message});
    }
    schedule_turn();
  });
}

void Engine::client_trouble(const std::string& what) {
  log(Subsystem::control).warn("{}", what);
}

/// Never inside a call of the keeper's.
void Engine::to_core(core::Input input) {
  asio::post(io_, [this, input = std::move(input)]() mutable { step(std::move(input)); });
}

void Engine::to_clients(core::Effect effect) {
  std::visit(
      [this]<typename T>(const T& body) {
        if constexpr (requires { control_->apply(body); }) {
          control_->apply(body);
        }
      },
      effect);
  schedule_turn();
}

void Engine::restored(const std::vector<core::ClientId>& clients, const std::string& group,
                      const core::HistoryPosition& checkpoint, const core::HistoryPosition& end) {
  log(Subsystem::groups)
      .info("group '{}' goes on here behind message {} (checkpoint {}, era {})", group, end.index, checkpoint.index, end.era);
  control_->restored(clients, group, checkpoint, end);
  schedule_turn();
}

void Engine::durable_news(const std::string& group, const std::string& what) {
  log(Subsystem::storage).warn("group '{}': {}", group, what);
}

/// What is not on the disk may not be called so, and nobody knows what is: fail-stop, as with the daemon's own records.
void Engine::durable_failed(const std::string& why) {
  to_core(core::PersistFailed{0, why});
}

core::NodeStatus Engine::status() const {
  if (node_) {
    return node_->status(now());
  }
  core::NodeStatus status;
  status.self = self_;
  status.uuid = state_.identity.uuid;
  status.role = left_ ? core::Role::left : core::Role::out;
  return status;
}

io::NodeInfo Engine::info() const {
  return {self_, state_.identity.uuid, options_.quorum, options_.version};
}

io::NamedCounters Engine::counters() const {
  return named_counters(transport_.counters(), discovery_.counters());
}

Result<void> Engine::set_log_level(std::string_view level, std::string_view subsystem) {
  auto set = logs_.set_level(level, subsystem);
  if (set) {
    log(Subsystem::control).info("log level of {} is {}", subsystem.empty() ? "everything" : subsystem, level);
  }
  return set;
}

Result<void> Engine::cluster_join(const std::vector<std::string>& peers) {
  std::vector<io::HostPort> seeds;
  for (const auto& peer : peers) {
    auto parsed = io::parse_host_port(peer, options_.transport.listen.port);
    if (!parsed) {
      return tl::unexpected(parsed.error());
    }
    if (parsed->host.empty()) {
      return fail("'" + peer + "' names no host");
    }
    seeds.push_back(std::move(*parsed));
  }
  if (seeds.empty()) {
    return fail("no peer to join through is named");
  }
  if (node_ && !pumping_ && node_->status(now()).role == core::Role::left) {
    joining_.reset();
    control_->incarnation_over("it left its cluster");  // no need to linger (J8): what we know is stored
    node_.reset();
    stay_out();
  }
  told_where_to_join_ = true;
  discovery_.rest();
  seeds_ = std::move(seeds);
  transport_.set_seeds(seeds_);
  return {};
}

LogContext Engine::log_context() const {
  if (!node_) {
    return {self_.pid.node, 0, 0, about_.event, about_.member};
  }
  return {self_.pid.node, view_ ? view_->id() : 0, node_->status(now()).clock, about_.event, about_.member};
}

}  // namespace vsync::engine
