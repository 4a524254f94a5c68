// The core's model in the words of the control protocol.
#pragma once

#include "core/model/effect.h"
#include "core/model/status.h"
#include "io/control_codec.h"
#include "io/control_server.h"

namespace vsync::io {

void fill(pb::GroupMember& out, const core::GroupMember& member);
void fill(pb::GroupView& out, const core::GroupView& view);
/// `previous` names those who left; may be null.
void fill(pb::ViewEvent& out, const core::ViewInstalled& installed, const core::View* previous, const core::Pid& self);
void fill(pb::LeaseEvent& out, const core::LeaseGranted& lease, const core::GroupView& view);
void fill(pb::StableEvent& out, const core::StableReached& stable, const core::GroupView& view);
void fill(pb::RequestResult& out, const core::RequestAnswered& answer);
void fill(pb::LeaderEvent& out, const core::View& view, const core::Pid& self);
void fill(pb::Status& out, const core::NodeStatus& status, const NodeInfo& info, const NamedCounters& shell);
void fill(pb::Checkpoint& out, const KeptGroup& kept);
void fill(pb::Diagnosis& out, const Diagnosis& diagnosis);
/// Everything but the body. The sender's name is looked up in the group view.
void fill(pb::MessageBatch& out, const core::DeliverMessages& delivery, const core::GroupView& view);

}  // namespace vsync::io
