// What the local daemon's disk has of durable groups.
#include "command.h"

namespace vsync::ctl {
namespace {

class Checkpoint final : public Command {
 public:
  Checkpoint() : Command("checkpoint", "durable groups on the local disk: list, show, verify or force a checkpoint") {}
  void declare(CLI::App& app) override {
    app.add_option("ACTION", action_, "list, show, verify or force")
        ->required()
        ->check(CLI::IsMember({"list", "show", "verify", "force"}));
    app.add_option("GROUP", group_, "the group; not for list");
  }

  Outcome<Exit> run(const Context& context) override {
    if (group_.empty() != (action_ == "list")) {
      return problem(Exit::usage, action_ == "list" ? "list takes no group; show does" : action_ + " takes the name of a group");
    }
    pb::Request request;
    auto& asked = *request.mutable_checkpoint();
    asked.set_group(group_);
    asked.set_action(action_ == "verify"  ? pb::CheckpointRequest::VERIFY
                     : action_ == "force" ? pb::CheckpointRequest::FORCE
                                          : pb::CheckpointRequest::LIST);
    return context.ask(request).map([&](const pb::Reply& reply) {
      if (asked.action() == pb::CheckpointRequest::LIST) {
        context.show.checkpoints(reply.checkpoint(), action_ == "show");
      } else {
        context.show.done(action_ == "verify" ? "the disk has all of " + group_ + " undamaged"
                                              : "a member of " + group_ + " is asked for a checkpoint");
      }
      return Exit::done;
    });
  }

 private:
  std::string action_;
  std::string group_;
};

}  // namespace

void add_checkpoint_command(Commands& commands) {
  commands.push_back(std::make_unique<Checkpoint>());
}

}  // namespace vsync::ctl
