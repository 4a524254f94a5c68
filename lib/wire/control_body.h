// Bodies of the frames without payload, as Protocol Buffers messages.
#pragma once

#include "core/model/frame.h"
#include "vsync/peer/v1/peer.pb.h"
#include "wire/check.h"

namespace vsync::wire {

namespace pb = ::vsync::peer::v1;

void write(pb::Hello& to, const core::Hello& frame);
void write(pb::Goodbye& to, const core::Goodbye& frame);
void write(pb::LinkUp& to, const core::LinkUp& frame);
void write(pb::Suspect& to, const core::Suspect& frame);
void write(pb::Join& to, const core::Join& frame);
void write(pb::Reject& to, const core::Reject& frame);
void write(pb::Leave& to, const core::Leave& frame);
void write(pb::EvictRequest& to, const core::EvictRequest& frame);
void write(pb::PreVote& to, const core::PreVote& frame);
void write(pb::PreVoteReply& to, const core::PreVoteReply& frame);
void write(pb::Prepare& to, const core::Prepare& frame);
void write(pb::Promise& to, const core::Promise& frame);
void write(pb::Nack& to, const core::Nack& frame);
void write(pb::Ready& to, const core::Ready& frame);
void write(pb::ReadyOk& to, const core::ReadyOk& frame);
void write(pb::Flush& to, const core::Flush& frame);
void write(pb::Fetch& to, const core::Fetch& frame);
void write(pb::HaveAll& to, const core::HaveAll& frame);
void write(pb::HolderLost& to, const core::HolderLost& frame);
void write(pb::Accept& to, const core::Accept& frame);
void write(pb::Accepted& to, const core::Accepted& frame);
void write(pb::Install& to, const core::Install& frame);
void write(pb::Installed& to, const core::Installed& frame);
void write(pb::TableRequest& to, const core::TableRequest& frame);
void write(pb::Evicted& to, const core::Evicted& frame);
void write(pb::ViewRequest& to, const core::ViewRequest& frame);
void write(pb::StateAck& to, const core::StateAck& frame);

// Everything but the view id, which is in the frame's header.
void read(const pb::Hello& from, core::Hello& frame, Check& check);
void read(const pb::Goodbye& from, core::Goodbye& frame, Check& check);
void read(const pb::LinkUp& from, core::LinkUp& frame, Check& check);
void read(const pb::Suspect& from, core::Suspect& frame, Check& check);
void read(const pb::Join& from, core::Join& frame, Check& check);
void read(const pb::Reject& from, core::Reject& frame, Check& check);
void read(const pb::Leave& from, core::Leave& frame, Check& check);
void read(const pb::EvictRequest& from, core::EvictRequest& frame, Check& check);
void read(const pb::PreVote& from, core::PreVote& frame, Check& check);
void read(const pb::PreVoteReply& from, core::PreVoteReply& frame, Check& check);
void read(const pb::Prepare& from, core::Prepare& frame, Check& check);
void read(const pb::Promise& from, core::Promise& frame, Check& check);
void read(const pb::Nack& from, core::Nack& frame, Check& check);
void read(const pb::Ready& from, core::Ready& frame, Check& check);
void read(const pb::ReadyOk& from, core::ReadyOk& frame, Check& check);
void read(const pb::Flush& from, core::Flush& frame, Check& check);
void read(const pb::Fetch& from, core::Fetch& frame, Check& check);
void read(const pb::HaveAll& from, core::HaveAll& frame, Check& check);
void read(const pb::HolderLost& from, core::HolderLost& frame, Check& check);
void read(const pb::Accept& from, core::Accept& frame, Check& check);
void read(const pb::Accepted& from, core::Accepted& frame, Check& check);
void read(const pb::Install& from, core::Install& frame, Check& check);
void read(const pb::Installed& from, core::Installed& frame, Check& check);
void read(const pb::TableRequest& from, core::TableRequest& frame, Check& check);
void read(const pb::Evicted& from, core::Evicted& frame, Check& check);
void read(const pb::ViewRequest& from, core::ViewRequest& frame, Check& check);
void read(const pb::StateAck& from, core::StateAck& frame, Check& check);

}  // namespace vsync::wire
