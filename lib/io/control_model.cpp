#include "io/control_model.h"

#include <algorithm>
#include <chrono>

#include "base/utf8.h"

namespace vsync::io {
namespace {

std::uint64_t microseconds(core::Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

std::string text(const core::Address& address) {
  const bool bare_v6 = address.host.find(':') != std::string::npos;
  return (bare_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string text(std::string_view name) {
  return std::string(name);
}

std::string name_of(const core::View* view, const core::Pid& pid) {
  const core::Member* member = view == nullptr ? nullptr : view->find_named(pid);
  return member == nullptr ? "" : member->name;
}

void fill_member(pb::Member& out, const core::Member& member, core::Rank rank, bool self) {
  out.set_node(member.pid.node);
  out.set_incarnation(member.pid.incarnation);
  out.set_name(member.name);
  out.set_address(text(member.address));
  out.set_rank(rank);
  out.set_state(self ? "self" : "alive");
  out.set_suspicion(text(to_string(core::Evidence::none)));
}

void fill_member(pb::Member& out, const core::MemberStatus& status) {
  fill_member(out, status.member, status.rank, status.self);
  if (!status.self && status.suspicion != core::Evidence::none) {
    out.set_state("suspected");
  }
  out.set_suspicion(text(to_string(status.suspicion)));
  out.set_heartbeat_age_us(microseconds(status.heartbeat_age));
  out.set_rtt_us(microseconds(status.round_trip));
  out.set_linked(status.linked);
  out.set_received(status.received);
  out.set_stable(status.stable);
}

void fill_counters(google::protobuf::Map<std::string, google::protobuf::uint64>& out, const core::Counters& counters) {
  const std::pair<const char*, std::uint64_t> named[] = {
      {"installs", counters.installs},
      {"ballots", counters.ballots},
      {"adopted", counters.adopted},
      {"late_flush", counters.late_flush},
      {"forwarded", counters.forwarded},
      {"holder_losses", counters.holder_losses},
      {"trimmed", counters.trimmed},
      {"acks_sent", counters.acks_sent},
      {"acks_received", counters.acks_received},
      {"window_stalls", counters.window_stalls},
      {"refused_frames", counters.refused_frames},
      {"links_resumed", counters.links_resumed},
      {"suspicions", counters.suspicions},
      {"refuted", counters.refuted},
  };
  for (const auto& [name, value] : named) {
    out[name] = value;
  }
  for (const core::Service service : {core::Service::fifo, core::Service::causal, core::Service::total}) {
    const auto index = static_cast<std::size_t>(service);
    out["sent_" + text(to_string(service))] = counters.sent[index];
    out["delivered_" + text(to_string(service))] = counters.delivered[index];
  }
}

void fill(pb::StateWait& out, const core::StateWait& wait) {
  out.set_what(text(to_string(wait.what)));
  out.set_more(wait.more);
  for (const auto node : wait.of) {
    out.add_of(node);
  }
}

}  // namespace

void fill(pb::GroupMember& out, const core::GroupMember& member) {
  out.set_node(member.pid.node);
  out.set_incarnation(member.pid.incarnation);
  out.set_client(member.client);
  out.set_name(member.name);
}

void fill(pb::GroupView& out, const core::GroupView& view) {
  out.set_group(view.name);
  out.set_view(view.view);
  out.set_number(view.number);
  for (const auto& member : view.members) {
    fill(*out.add_members(), member);
  }
  for (const auto& member : view.joined) {
    fill(*out.add_joined(), member);
  }
  for (const auto& departure : view.left) {
    auto& left = *out.add_left();
    fill(*left.mutable_member(), departure.member);
    left.set_reason(text(to_string(departure.reason)));
  }
  if (!view.members.empty()) {
    fill(*out.mutable_leader(), view.members.front());
  }
  for (const auto& member : view.transitional) {
    fill(*out.add_transitional(), member);
  }
  out.set_primary(view.primary);
  out.set_token(view.token);
  out.set_cold(view.cold);
  out.set_total_only(view.policy.total_only);
  for (const auto& member : view.without_state) {
    fill(*out.add_without_state(), member);
  }
}

void fill(pb::ViewEvent& out, const core::ViewInstalled& installed, const core::View* previous, const core::Pid& self) {
  const core::View& view = *installed.view;
  out.set_view(view.id());
  for (core::Rank rank = 0; rank < view.members.size(); ++rank) {
    fill_member(*out.add_members(), view.members[rank], rank, view.members[rank].pid == self);
  }
  for (const auto& witness : view.witnesses) {
    fill_member(*out.add_witnesses(), witness, 0, witness.pid == self);
  }
  out.set_leader(view.leader().node);
  for (const auto& pid : view.joined) {
    out.add_joined(pid.node);
  }
  for (const auto& departure : view.left) {
    auto& left = *out.add_left();
    left.set_node(departure.pid.node);
    left.set_incarnation(departure.pid.incarnation);
    left.set_name(name_of(previous, departure.pid));
    left.set_reason(text(to_string(departure.reason)));
    left.set_evidence(text(to_string(departure.evidence)));
    left.set_reporter(departure.reporter.node);
    left.set_silence_us(microseconds(departure.silence));
  }
  for (const auto& pid : installed.transitional) {
    out.add_transitional(pid.node);
  }
  out.set_primary(view.primary);
  out.set_cold(view.cold);
}

void fill(pb::LeaseEvent& out, const core::LeaseGranted& lease, const core::GroupView& view) {
  out.set_group(view.name);
  out.set_token(lease.token);
  out.set_until_us(microseconds(lease.until));  // rounds down: never too long
  out.set_length_us(microseconds(lease.length));
}

void fill(pb::LeaderEvent& out, const core::View& view, const core::Pid& self) {
  out.set_node(view.leader().node);
  out.set_name(view.members.front().name);
  out.set_view(view.id());
  out.set_self(view.leader() == self);
}

void fill(pb::Status& out, const core::NodeStatus& status, const NodeInfo& info, const NamedCounters& shell) {
  out.set_node(status.self.pid.node);
  out.set_name(status.self.name);
  out.set_incarnation(status.self.pid.incarnation);
  out.set_state(text(to_string(status.role)));
  if (!status.uuid.none()) {
    out.set_cluster(to_string(status.uuid));
  }
  core::QuorumPolicy policy = info.quorum;
  if (status.view) {
    const core::View& view = *status.view;
    out.set_view(view.id());
    out.set_leader(view.leader().node);
    out.set_leader_name(view.members.front().name);
    out.set_is_leader(view.leader() == status.self.pid);
    out.set_cold(view.cold);
    policy = view.policy;
  }
  out.set_has_quorum(status.has_quorum);
  out.set_tolerates(static_cast<std::uint32_t>(status.tolerates));
  out.set_quorum_policy(text(to_string(policy)));
  for (const auto& member : status.members) {
    fill_member(*out.add_members(), member);
  }
  for (const auto& witness : status.witnesses) {
    fill_member(*out.add_witnesses(), witness);
  }
  for (const auto& group : status.groups) {
    fill(*out.add_groups(), *group);
    if (const auto lease = status.leases.find(group->group); lease != status.leases.end()) {
      out.mutable_groups()->rbegin()->set_lease_until_us(microseconds(lease->second));
    }
    if (const auto wait = status.state_waits.find(group->group); wait != status.state_waits.end()) {
      fill(*out.mutable_groups()->rbegin()->mutable_state_wait(), wait->second);
    }
  }
  out.set_leader_lease_until_us(microseconds(status.leader_lease));
  out.set_clock(status.clock);
  out.set_send_queue(status.send_queue);
  out.set_unstable_bytes(status.unstable_bytes);
  out.set_blocker(status.blocker);
  out.set_health(status.health);
  out.set_version(info.version);
  fill_counters(*out.mutable_counters(), status.counters);
  for (const auto& [name, value] : shell) {
    (*out.mutable_counters())[name] = value;
  }
}

void fill(pb::Diagnosis& out, const Diagnosis& diagnosis) {
  const auto fill_place = [](pb::Place& place, const HostPort& address) {
    place.set_host(address.host);
    place.set_port(address.port);
  };
  fill_place(*out.mutable_listen(), diagnosis.listen);
  fill_place(*out.mutable_advertise(), diagnosis.advertise);
  for (const auto& peer : diagnosis.peers) {
    fill_place(*out.add_peers(), peer);
  }
  out.set_heartbeat_port(diagnosis.heartbeat_port);
  out.set_state_dir(diagnosis.state_dir);
  if (diagnosis.state_free_bytes) {
    out.set_state_free_bytes(*diagnosis.state_free_bytes);
  } else {
    out.set_state_error(diagnosis.state_free_bytes.error().message);
  }
  out.set_open_files(diagnosis.open_files);
  out.set_file_limit(diagnosis.file_limit);
  out.set_suspect_after_us(microseconds(diagnosis.suspect_after));
  if (!diagnosis.settings) {
    out.set_settings_error(diagnosis.settings.error().message);
    return;
  }
  for (const auto* names : {&diagnosis.settings->applied, &diagnosis.settings->needs_restart}) {
    out.mutable_settings_changed()->Add(names->begin(), names->end());
  }
}

void fill(pb::Checkpoint& out, const KeptGroup& kept) {
  out.set_group(kept.group);
  out.set_index(kept.kept.position.index);
  out.set_era(kept.kept.position.era);
  out.set_checkpoint(kept.checkpoint.index);
  out.set_checkpoint_bytes(kept.checkpoint_bytes);
  out.set_log_bytes(kept.log_bytes);
  out.set_synced(kept.synced.index);
  *out.mutable_keepers() = {kept.kept.keepers.begin(), kept.kept.keepers.end()};
  out.set_follows(kept.follows);
  out.set_in_progress(kept.in_progress);
  out.set_problem(kept.problem);
}

void fill(pb::MessageBatch& out, const core::DeliverMessages& delivery, const core::GroupView& view) {
  out.set_group(view.name);
  const auto sender = std::find_if(view.members.begin(), view.members.end(), [&](const core::GroupMember& member) {
    return member.client == delivery.client && member.pid == delivery.sender;
  });
  if (sender != view.members.end()) {
    fill(*out.mutable_sender(), *sender);
  } else {
    fill(*out.mutable_sender(), core::GroupMember{delivery.sender, delivery.client, {}});
  }
  out.set_view(delivery.view);
  out.set_position(delivery.position);
  out.set_service(to_proto(delivery.service));
  out.set_count(delivery.count);
  out.set_text(delivery.text);
  out.set_token(delivery.token);
  out.set_direct(delivery.direct != 0);
  out.set_request(delivery.request);
  out.set_index(delivery.history.index);
}

void fill(pb::StableEvent& out, const core::StableReached& stable, const core::GroupView& view) {
  out.set_group(view.name);
  out.set_number(view.number);
  out.set_token(stable.token);
  out.set_position(stable.position);
  for (const auto& [sender, position] : stable.others) {
    auto& other = *out.add_others();
    other.set_node(sender.node);
    other.set_incarnation(sender.incarnation);
    other.set_position(position);
  }
}

void fill(pb::RequestResult& out, const core::RequestAnswered& answer) {
  out.set_outcome(text(to_string(answer.outcome)));
  out.set_view(answer.view);
  out.set_position(answer.position);
  out.set_code(text(answer.code));
  out.set_complete(answer.complete);
  for (const auto& reply : answer.replies) {
    auto& replied = *out.add_replies();
    fill(*replied.mutable_member(), reply.member);
    if (reply.text && valid_utf8(reply.body.view())) {  // a peer's word is not enough for JSON
      replied.set_text(text(reply.body.view()));
    } else {
      replied.set_payload(text(reply.body.view()));
    }
  }
  for (const auto& missing : answer.missing) {
    auto& member = *out.add_missing();
    fill(*member.mutable_member(), missing.member);
    member.set_reason(text(missing.reason));
  }
}

}  // namespace vsync::io
