#include "wire/control_body.h"

#include "wire/frame_codec.h"
#include "wire/view_codec.h"

namespace vsync::wire {

namespace {

static_assert(static_cast<int>(core::Role::witness) == pb::WITNESS);
static_assert(static_cast<int>(core::RejectReason::name_in_use) == pb::NAME_IN_USE);

}  // namespace

// ---------------------------------------------------------------- links

void write(pb::Hello& to, const core::Hello& frame) {
  to.set_proto_min(frame.proto_min);
  to.set_proto_max(frame.proto_max);
  write(*to.mutable_uuid(), frame.uuid);
  write(*to.mutable_pid(), frame.pid);
  to.set_vote_epoch(frame.vote_epoch);
  to.set_name(frame.name);
  write(*to.mutable_address(), frame.address);
  to.set_role(static_cast<pb::Role>(frame.role));
  to.set_decided(frame.decided);
  to.set_config_hash(frame.config_hash);
  to.set_witness(frame.witness);
}

void read(const pb::Hello& from, core::Hello& frame, Check& check) {
  frame.proto_min = to_u16(from.proto_min(), check);
  frame.proto_max = to_u16(from.proto_max(), check);
  check.that(frame.proto_min <= frame.proto_max, "bad protocol versions");
  frame.uuid = read(from.uuid());
  frame.pid = read(from.pid());
  frame.vote_epoch = from.vote_epoch();
  frame.name = read_text(from.name(), check);
  frame.address = read(from.address(), check);
  frame.role = to_enum(static_cast<unsigned>(from.role()), core::Role::witness, check);
  frame.decided = from.decided();
  frame.config_hash = from.config_hash();
  frame.witness = from.witness();
}

void write(pb::Goodbye& to, const core::Goodbye& frame) {
  to.set_reason(clipped(frame.reason));
}

void read(const pb::Goodbye& from, core::Goodbye& frame, Check& check) {
  frame.reason = read_text(from.reason(), check);
}

void write(pb::LinkUp& to, const core::LinkUp& frame) {
  to.set_received(frame.received);
  to.set_table_hash(frame.table_hash);
}

void read(const pb::LinkUp& from, core::LinkUp& frame, Check& /*check*/) {
  frame.received = from.received();
  frame.table_hash = from.table_hash();
}

// ---------------------------------------------------------------- causes

void write(pb::Suspect& to, const core::Suspect& frame) {
  write(*to.mutable_suspect(), frame.suspect);
  to.set_evidence(static_cast<pb::Evidence>(frame.evidence));
  to.set_health(frame.health);
  to.set_silence_ns(from_duration(frame.silence));
}

void read(const pb::Suspect& from, core::Suspect& frame, Check& check) {
  frame.suspect = read(from.suspect());
  frame.evidence = to_enum(static_cast<unsigned>(from.evidence()), core::Evidence::hard, check);
  frame.health = from.health();
  frame.silence = to_duration(from.silence_ns(), check);
}

void write(pb::Join& to, const core::Join& frame) {
  write(*to.mutable_joiner(), frame.joiner);
  write(*to.mutable_uuid(), frame.uuid);
  to.set_config_hash(frame.config_hash);
  to.set_proto(frame.proto);
}

void read(const pb::Join& from, core::Join& frame, Check& check) {
  frame.joiner = read(from.joiner(), check);
  frame.uuid = read(from.uuid());
  frame.config_hash = from.config_hash();
  frame.proto = to_u16(from.proto(), check);
}

void write(pb::Reject& to, const core::Reject& frame) {
  write(*to.mutable_joiner(), frame.joiner);
  to.set_reason(static_cast<pb::RejectReason>(frame.reason));
  to.set_node(frame.node);
  to.set_incarnation(frame.incarnation);
}

void read(const pb::Reject& from, core::Reject& frame, Check& check) {
  frame.joiner = read(from.joiner());
  frame.reason = to_enum(static_cast<unsigned>(from.reason()), core::RejectReason::name_in_use, check);
  frame.node = from.node();
  frame.incarnation = from.incarnation();
}

void write(pb::Leave& to, const core::Leave& frame) {
  to.set_everyone(frame.everyone);
}

void read(const pb::Leave& from, core::Leave& frame, Check& /*check*/) {
  frame.everyone = from.everyone();
}

void write(pb::EvictRequest& to, const core::EvictRequest& frame) {
  write(*to.mutable_member(), frame.member);
  to.set_why(clipped(frame.why));
}

void read(const pb::EvictRequest& from, core::EvictRequest& frame, Check& check) {
  frame.member = read(from.member());
  frame.why = read_text(from.why(), check);
}

// ---------------------------------------------------------------- the instance that replaces a view

void write(pb::PreVote& to, const core::PreVote& frame) {
  for (const core::Pid& pid : frame.suspects) {
    write(*to.add_suspects(), pid);
  }
}

void read(const pb::PreVote& from, core::PreVote& frame, Check& check) {
  frame.suspects = read_pids(from.suspects(), check);
}

void write(pb::PreVoteReply& to, const core::PreVoteReply& frame) {
  to.set_yes(frame.yes);
}

void read(const pb::PreVoteReply& from, core::PreVoteReply& frame, Check& /*check*/) {
  frame.yes = from.yes();
}

void write(pb::Prepare& to, const core::Prepare& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  write(*to.mutable_view(), *frame.view);
}

void read(const pb::Prepare& from, core::Prepare& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.view = read(from.view(), check);
}

void write(pb::Promise& to, const core::Promise& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  to.set_vote_epoch(frame.vote_epoch);
  if (frame.accepted) {
    write(*to.mutable_accepted(), *frame.accepted);
  }
  if (frame.held) {
    write(*to.mutable_held(), *frame.held);
  }
  for (const bool reached : frame.reach) {
    to.add_reach(reached);
  }
  to.set_leaving(frame.leaving);
}

void read(const pb::Promise& from, core::Promise& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.vote_epoch = from.vote_epoch();
  if (from.has_accepted()) {
    frame.accepted = read(from.accepted(), check);
  }
  if (from.has_held()) {
    frame.held = read(from.held(), check);
  }
  if (check.that(from.reach_size() <= static_cast<int>(kMaxMembers), "too many elements")) {
    frame.reach.assign(from.reach().begin(), from.reach().end());
  }
  frame.leaving = from.leaving();
}

void write(pb::Nack& to, const core::Nack& frame) {
  write(*to.mutable_promised(), frame.promised);
}

void read(const pb::Nack& from, core::Nack& frame, Check& /*check*/) {
  frame.promised = read(from.promised());
}

void write(pb::Ready& to, const core::Ready& frame) {
  for (const core::Member& member : frame.members) {
    write(*to.add_members(), member);
  }
}

void read(const pb::Ready& from, core::Ready& frame, Check& check) {
  frame.members = read_members(from.members(), check);
}

void write(pb::ReadyOk& /*to*/, const core::ReadyOk& /*frame*/) {}
void read(const pb::ReadyOk& /*from*/, core::ReadyOk& /*frame*/, Check& /*check*/) {}

void write(pb::Flush& to, const core::Flush& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  write(*to.mutable_cut(), frame.cut);
  for (const core::PlanEntry& entry : frame.plan) {
    pb::PlanEntry& added = *to.add_plan();
    added.set_sender(entry.sender);
    added.set_lo(entry.lo);
    added.set_hi(entry.hi);
    added.set_holder(entry.holder);
    added.set_receiver(entry.receiver);
  }
}

void read(const pb::Flush& from, core::Flush& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.cut = read(from.cut(), check);
  // V7: at most one entry per sender and receiver.
  if (check.that(from.plan_size() <= static_cast<int>(kMaxMembers * kMaxMembers), "too many elements")) {
    for (const pb::PlanEntry& entry : from.plan()) {
      check.that(entry.lo() >= 1 && entry.lo() <= entry.hi(), "bad range");
      frame.plan.push_back({read_rank(entry.sender(), check), entry.lo(), entry.hi(), read_rank(entry.holder(), check),
                            read_rank(entry.receiver(), check)});
    }
  }
}

void write(pb::Fetch& to, const core::Fetch& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  to.set_sender(frame.sender);
  to.set_lo(frame.lo);
  to.set_hi(frame.hi);
}

void read(const pb::Fetch& from, core::Fetch& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.sender = read_rank(from.sender(), check);
  frame.lo = from.lo();
  frame.hi = from.hi();
  check.that(frame.lo >= 1 && frame.lo <= frame.hi, "bad range");
}

void write(pb::HaveAll& to, const core::HaveAll& frame) {
  write(*to.mutable_ballot(), frame.ballot);
}

void read(const pb::HaveAll& from, core::HaveAll& frame, Check& /*check*/) {
  frame.ballot = read(from.ballot());
}

void write(pb::HolderLost& to, const core::HolderLost& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  to.set_holder(frame.holder);
}

void read(const pb::HolderLost& from, core::HolderLost& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.holder = read_rank(from.holder(), check);
}

void write(pb::Accept& to, const core::Accept& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  write(*to.mutable_value(), *frame.value);
}

void read(const pb::Accept& from, core::Accept& frame, Check& check) {
  frame.ballot = read(from.ballot());
  frame.value = read(from.value(), check);
}

void write(pb::Accepted& to, const core::Accepted& frame) {
  write(*to.mutable_ballot(), frame.ballot);
  to.set_vote_epoch(frame.vote_epoch);
}

void read(const pb::Accepted& from, core::Accepted& frame, Check& /*check*/) {
  frame.ballot = read(from.ballot());
  frame.vote_epoch = from.vote_epoch();
}

// ---------------------------------------------------------------- decided views

void write(pb::Install& to, const core::Install& frame) {
  write(*to.mutable_value(), *frame.value);
}

void read(const pb::Install& from, core::Install& frame, Check& check) {
  frame.value = read(from.value(), check);
}

void write(pb::Installed& to, const core::Installed& frame) {
  to.set_table_hash(frame.table_hash);
}

void read(const pb::Installed& from, core::Installed& frame, Check& /*check*/) {
  frame.table_hash = from.table_hash();
}

void write(pb::TableRequest& /*to*/, const core::TableRequest& /*frame*/) {}
void read(const pb::TableRequest& /*from*/, core::TableRequest& /*frame*/, Check& /*check*/) {}

void write(pb::Evicted& to, const core::Evicted& frame) {
  write(*to.mutable_current(), *frame.current);
  if (frame.closed_cut) {
    write(*to.mutable_closed_cut(), *frame.closed_cut);
  }
  to.set_closed_view(frame.closed_view);
}

void read(const pb::Evicted& from, core::Evicted& frame, Check& check) {
  frame.current = read(from.current(), check);
  if (from.has_closed_cut()) {
    frame.closed_cut = read(from.closed_cut(), check);
  }
  frame.closed_view = from.closed_view();
}

void write(pb::ViewRequest& to, const core::ViewRequest& frame) {
  to.set_from(frame.from);
}

void read(const pb::ViewRequest& from, core::ViewRequest& frame, Check& /*check*/) {
  frame.from = from.from();
}

// ---------------------------------------------------------------- state transfer

void write(pb::StateAck& to, const core::StateAck& frame) {
  to.set_group(frame.group);
  to.set_token(frame.token);
  to.set_taken(frame.taken);
}

void read(const pb::StateAck& from, core::StateAck& frame, Check& /*check*/) {
  frame.group = from.group();
  frame.token = from.token();
  frame.taken = from.taken();
}

}  // namespace vsync::wire
