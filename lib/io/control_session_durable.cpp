// Durable groups, as their clients ask for them (K1 to K3).
#include "io/control_model.h"
#include "io/control_session.h"

namespace vsync::io {

void ControlSession::checkpoint(const pb::Request& request) {
  const auto& group = request.checkpoint().group();
  switch (request.checkpoint().action()) {
    case pb::CheckpointRequest::LIST: {
      pb::Reply reply;
      reply.set_id(request.id());
      reply.mutable_checkpoint();
      for (const auto& known : home_.handler().checkpoints()) {
        if (group.empty() || group == known.group) {
          fill(*reply.mutable_checkpoint()->add_checkpoints(), known);
        }
      }
      if (!group.empty() && reply.checkpoint().checkpoints().empty()) {
        return error(request.id(), "no_such_group", "no member of a durable group " + group + " has joined here since the start");
      }
      return connection_->send(reply);
    }
    case pb::CheckpointRequest::VERIFY:
      return home_.handler().verify_checkpoint(id_, expect(request.id(), pb::Request::kCheckpoint), group);
    case pb::CheckpointRequest::FORCE: {
      if (const auto forced = home_.handler().force_checkpoint(group); !forced) {
        return error(request.id(), "failed", forced.error().message);
      }
      pb::Reply reply;
      reply.set_id(request.id());
      reply.mutable_checkpoint();
      return connection_->send(reply);
    }
    default:
      return error(request.id(), "bad_request", "the action is LIST, VERIFY or FORCE");
  }
}

}  // namespace vsync::io
