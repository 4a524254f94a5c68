// What each effect of the core becomes.
#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <utility>

#include "engine/engine.h"
#include "io/systemd.h"

namespace vsync::engine {
namespace {

using std::chrono::milliseconds;

constexpr core::Duration kIdentityPause = milliseconds(20);  // times the number of refusals so far
constexpr int kMostIdentities = 50;

std::string_view word(core::RejectReason reason) {
  switch (reason) {
    case core::RejectReason::incarnation_used:
      return "this incarnation was used before";
    case core::RejectReason::config:
      return "its settings differ from ours (quorum policy, voters, limits)";
    case core::RejectReason::uuid:
      return "the state directory belongs to another cluster";
    case core::RejectReason::full:
      return "the cluster is full";
    case core::RejectReason::proto:
      return "its protocol version is not ours";
    case core::RejectReason::node_in_use:
      return "another daemon has this node id";
    case core::RejectReason::assign_id:
      return "a node id is assigned";
    case core::RejectReason::name_in_use:
      return "another member has this name; give each its own with --name";
  }
  return "?";
}

std::string describe_changes(const core::View& view) {
  std::string text;
  for (const auto& pid : view.joined) {
    text += "; " + core::to_string(pid) + " joined";
  }
  for (const auto& left : view.left) {
    text += "; " + core::to_string(left.pid) + " left (" + std::string(core::to_string(left.reason)) + ")";
  }
  return text + (view.cold ? "; cold start" : "");
}

}  // namespace

// ---------------------------------------------------------------- frames, records, links

void Engine::apply(core::SendFrame& effect) {
  if (lost_by_fault(effect.to, *effect.frame)) {
    return;
  }
  check_faults(*effect.frame);
  if (tracing(Subsystem::transport)) {
    log(Subsystem::transport).trace("to {}: {}", core::to_string(effect.to), core::frame_name(*effect.frame));
  }
  transport_.send(effect.to, effect.frame);
}

void Engine::apply(core::SendDatagram& effect) {
  transport_.send(effect.to, effect.datagram);
}

void Engine::apply(core::Persist& effect) {
  state_.acceptor = effect.record;
  const auto incarnation = self_.pid.incarnation;
  storage_->save(effect.record, [this, token = effect.token, incarnation](const Result<void>& saved) {
    if (!saved) {
      log(Subsystem::storage).error("{}", saved.error().message);
    }
    if (self_.pid.incarnation != incarnation) {
      return;  // it was of an earlier one
    }
    if (saved) {
      step(core::Persisted{token});
    } else {
      step(core::PersistFailed{token, saved.error().message});
    }
  });
}

void Engine::apply(core::WantLinks& effect) {
  transport_.want(effect.peers, effect.seek);
}

void Engine::apply(core::ResetLink& effect) {
  log(Subsystem::transport).warn("resets the link to {}: {}", core::to_string(effect.peer), effect.why);
  transport_.reset(effect.peer, effect.why);
}

void Engine::apply(core::InputRefused& effect) {
  if (refusals_.first(core::to_string(effect.peer) + " " + std::string(effect.frame), std::string(effect.why))) {
    log(Subsystem::transport).warn("{} of {} refused: {}", effect.frame, core::to_string(effect.peer), effect.why);
  }
}

// ---------------------------------------------------------------- views

void Engine::apply(core::ViewInstalled& effect) {
  view_ = effect.view;
  discovery_.rest();
  identities_refused_ = 0;
  log(Subsystem::membership, "install", view_->leader())
      .info("{} view {}, leader {}{}", self_.witness ? "votes in" : "installs", view_->summary(),
            core::to_string(view_->leader()), describe_changes(*view_));
  if (state_.identity.uuid != view_->uuid) {
    state_.identity.uuid = view_->uuid;
    storage_->save(state_.identity, [this](const Result<void>& saved) {
      if (!saved) {
        step(core::PersistFailed{0, saved.error().message});
      }
    });
  }
  state_.amnesiac = false;  // it is named as a voter under its new vote epoch
  transport_.set_cluster(view_->uuid);
  control_->apply(effect);
  tell_status();
  check_faults(*view_);
}

void Engine::apply(core::GroupViewInstalled& effect) {
  if (!effect.audience.only.empty()) {
    return control_->apply(effect);  // told before; some get it later than others
  }
  log(Subsystem::groups)
      .debug("group '{}' has {} members (view {}, token {})", effect.group_view->name, effect.group_view->members.size(),
             effect.group_view->number, effect.group_view->token);
  control_->apply(effect);
  durable_->keeper().apply(effect);
}

void Engine::apply(core::QuorumChanged& effect) {
  if (effect.has) {
    log(Subsystem::membership, "quorum").info("has a quorum");
  } else if (node_->status(now()).role == core::Role::left) {
    log(Subsystem::membership, "left").info("is out of the view, and answers late questions of the others (lingers)");
  } else {
    log(Subsystem::membership, "quorum").warn("has lost contact with a quorum: totals and view changes wait");
  }
  control_->apply(effect);
  tell_status();
}

void Engine::apply(core::SuspicionChanged& effect) {
  const auto who = core::to_string(effect.peer);
  if (effect.evidence == core::Evidence::none) {
    log(Subsystem::detector, "unsuspected", effect.peer).info("no longer suspects {}", who);
  } else {
    log(Subsystem::detector, "suspected", effect.peer)
        .warn("suspects {} ({}): {}, silent for {} ms", who, core::to_string(effect.evidence), effect.why,
              std::chrono::duration_cast<milliseconds>(effect.silence).count());
  }
  control_->apply(effect);
}

void Engine::apply(core::MemberSlow& effect) {
  log(Subsystem::ordering)
      .warn("{} alone holds up our messages for {} ms", core::to_string(effect.peer),
            std::chrono::duration_cast<milliseconds>(effect.blocked).count());
  control_->apply(effect);
}

// ---------------------------------------------------------------- clients

void Engine::apply(core::DeliverMessages& effect) {
  if (tracing(Subsystem::ordering)) {
    log(Subsystem::ordering)
        .trace("delivers {} messages of {} at position {} of group {}", effect.count, core::to_string(effect.sender),
               effect.position, effect.group);
  }
  control_->apply(effect);
  durable_->keeper().apply(effect);
}

void Engine::apply(core::StateRequested& effect) {
  log(Subsystem::groups)
      .info("asks client {} for the state of group '{}' (transfer {})", effect.client, effect.group, effect.token);
  control_->apply(effect);
}

void Engine::apply(core::StateArrived& effect) {
  if (effect.history) {
    return durable_->keeper().apply(effect);
  }
  if (effect.last) {
    log(Subsystem::groups)
        .info("the state of group '{}' is here: {} bytes (transfer {}{})", effect.group, effect.offset + effect.body.size(),
              effect.token, effect.cold ? ", cold" : "");
  }
  control_->apply(effect);
}

void Engine::apply(core::ClientDismissed& effect) {
  log(Subsystem::groups)
      .warn("client {} is out of group '{}': {}", effect.client, effect.name,
            effect.reason == core::LeaveReason::not_a_keeper ? "other nodes keep it" : "it could not get its state");
  control_->apply(effect);
  durable_->keeper().dismissed(effect.client, effect.name);
}

void Engine::apply(core::SendOutcome& effect) {
  control_->apply(effect);
}
void Engine::apply(core::PauseClient& effect) {
  control_->apply(effect);
}

void Engine::apply(core::GroupHeld& effect) {
  control_->apply(effect);
}

void Engine::apply(core::LeaseGranted& effect) {
  control_->apply(effect);
}

void Engine::apply(core::RequestAnswered& effect) {
  control_->apply(effect);
}

void Engine::apply(core::StableReached& effect) {
  control_->apply(effect);
}

void Engine::answered(core::ClientId client, core::RequestId request) {
  if (joining_ && joining_->client == client && joining_->request == request) {
    joining_.reset();
  }
}

void Engine::apply(core::RequestDone& effect) {
  if (durable_->keeper().answered(effect.client, effect.request, false)) {
    return;
  }
  answered(effect.client, effect.request);
  if (effect.client != 0) {
    control_->apply(effect);
  }
}

void Engine::apply(core::RequestRefused& effect) {
  if (durable_->keeper().answered(effect.client, effect.request, true)) {
    return;
  }
  if (effect.code == "not_a_keeper" || effect.code == "other_history") {
    log(Subsystem::groups).warn("client {} is refused: {}", effect.client, effect.message);
  }
  answered(effect.client, effect.request);
  if (effect.client != 0) {
    control_->apply(effect);
  } else {
    log(Subsystem::membership).warn("{}", effect.message);
  }
}

// ---------------------------------------------------------------- ends

void Engine::apply(core::Excluded& effect) {
  log(Subsystem::membership, "excluded", self_.pid)
      .warn("is excluded: {}; comes back in {} ms", effect.why, std::chrono::duration_cast<milliseconds>(effect.backoff).count());
  joining_.reset();
  control_->apply(effect);
  if (terminating_) {
    return finish(ExitStatus::clean);  // it is out, as was wanted
  }
  auto& exclusions = state_.identity.exclusions;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  exclusions.push_back(seconds.count());
  if (exclusions.size() > 16) {
    exclusions.erase(exclusions.begin());  // more do not make the back-off longer
  }
  restart_node(effect.backoff);
}

void Engine::apply(core::IdentityRefused& effect) {
  if (terminating_) {
    return finish(ExitStatus::clean);
  }
  identities_refused_ += 1;
  const bool again = effect.reason == core::RejectReason::assign_id || effect.reason == core::RejectReason::incarnation_used;
  // I3: the id may belong to what this host was before its disk was lost, for as long as that is not known to be dead.
  const bool later = effect.reason == core::RejectReason::node_in_use || effect.reason == core::RejectReason::name_in_use;
  if ((!again && !later) || identities_refused_ > kMostIdentities) {
    log(Subsystem::membership).error("node {} may not join: {}", self_.pid.node, word(effect.reason));
    return finish(ExitStatus::failed);
  }
  if (later) {
    log(Subsystem::membership)
        .error("node {} ({}) may not join now: {}; tries again", self_.pid.node, self_.name, word(effect.reason));
    if (options_.node == 0 && effect.reason == core::RejectReason::node_in_use) {
      state_.identity.node = 0;  // it was given at a join: ask for another one
    }
    joining_.reset();
    control_->incarnation_over(std::string(word(effect.reason)));
    return restart_node(options_.limits.suspect_after);
  }
  log(Subsystem::membership).info("takes another identity: {}", word(effect.reason));
  if (effect.reason == core::RejectReason::assign_id) {
    state_.identity.node = effect.node;
  }
  state_.identity.incarnation = std::max(state_.identity.incarnation, effect.incarnation);
  control_->incarnation_over("takes another identity", io::ControlServer::Joins::go_on);
  restart_node(kIdentityPause * identities_refused_);
}

void Engine::apply(core::LeftCluster& effect) {
  log(Subsystem::membership, "left", self_.pid).info("has left the cluster");
  joining_.reset();
  control_->apply(effect);
  if (terminating_) {
    return finish(ExitStatus::clean);
  }
  node_over_ = true;
  stay_out();
}

void Engine::apply(core::Fatal& effect) {
  log(Subsystem::membership, "fatal", self_.pid).critical("must stop: {}", effect.reason);
  io::systemd::status("stopped: " + effect.reason);
  finish(ExitStatus::fatal);
}

void Engine::apply(core::Trace& effect) {
  for (const auto& event_log : event_logs_) {
    event_log->write(self_.pid, effect.event);
  }
}

// ---------------------------------------------------------------- fault points

/// crash_in_change: the successor hears nothing of the removal, so it must learn of it from the two members that do.
bool Engine::lost_by_fault(const core::Pid& to, const core::Frame& frame) const {
  return change_fault_armed_ && core::frame_name(frame) == "ACCEPT" && to == view_->members[1].pid;
}

void Engine::check_faults(const core::Frame& frame) {
  constexpr std::uint32_t kReachedInChange = 2;
  const auto& faults = options_.faults;
  const auto name = core::frame_name(frame);
  const bool ordered = !faults.crash_on.empty() && name == faults.crash_on;
  if (!ordered && !(change_fault_armed_ && name == "ACCEPT")) {
    return;
  }
  crash_frames_ += 1;
  if (crash_frames_ >= (ordered ? faults.crash_on_nth : kReachedInChange + 1)) {
    crash("a fault point at " + std::string(name));
  }
}

void Engine::check_faults(const core::View& view) {
  const auto size = options_.faults.crash_in_change_of;
  if (size == 0 || view.members.size() != size || view.leader() != self_.pid || change_fault_armed_) {
    return;
  }
  change_fault_armed_ = true;
  step(core::AdminEvict{.client = 0, .request = 0, .node = view.members.back().pid.node, .name = {}, .why = "fault point"});
}

}  // namespace vsync::engine
