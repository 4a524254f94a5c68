// Durable groups, as their clients ask for them (K1 to K3).
#include "io/control_model.h"
#include "io/control_session.h"

namespace vsync::io {

void ControlSession::checkpoint(const pb::Request& request) {
  const auto& group = request.checkpoint().group();
  switch (request.checkpoint().action()) {
    case pb::CheckpointRequest::LIST:
      return home_.handler().list_checkpoints(id_, expect({pb::Request::kCheckpoint, request.id()}), group);
    case pb::CheckpointRequest::VERIFY:
      return home_.handler().verify_checkpoint(id_, expect({pb::Request::kCheckpoint, request.id()}), group);
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

void ControlSession::checkpoints(core::RequestId request, const std::string& group, const std::vector<KeptGroup>& kept) {
  const auto pending = take_unanswered(request);
  if (!pending) {
    return;
  }
  pb::Reply reply;
  reply.set_id(pending->id);
  reply.mutable_checkpoint();
  for (const auto& known : kept) {
    if (group.empty() || group == known.group) {
      fill(*reply.mutable_checkpoint()->add_checkpoints(), known);
    }
  }
  if (!group.empty() && reply.checkpoint().checkpoints().empty()) {
    return error(reply.id(), "not_kept", "the disk here has nothing of a durable group " + group);
  }
  connection_->send(reply);
}

}  // namespace vsync::io
