// Commands that show a part of the daemon's status.
#include <algorithm>

#include "command.h"

namespace vsync::ctl {
namespace {

/// A command that is one call of the renderer.
class Show final : public Command {
 public:
  using Part = void (Renderer::*)(const pb::Status&);
  Show(const char* name, const char* help, Part part) : Command(name, help), part_(part) {}

  Outcome<Exit> run(const Context& context) override {
    return context.status().map([&](const pb::Status& status) {
      (context.show.*part_)(status);
      return Exit::done;
    });
  }

 private:
  Part part_;
};

class Leader final : public Command {
 public:
  Leader() : Command("leader", "who leads; exits 0 only where there is a leader") {}

  Outcome<Exit> run(const Context& context) override {
    return context.status().map([&](const pb::Status& status) {
      pb::LeaderEvent leader;
      if (status.has_quorum()) {  // without quorum nobody can lead to anywhere
        leader.set_node(status.leader());
        leader.set_name(status.leader_name());
        leader.set_view(status.view());
        leader.set_self(status.is_leader());
        leader.set_lease_until_us(status.leader_lease_until_us());
      }
      context.show.leader(leader);
      return leader.node() == 0 ? Exit::failed : Exit::done;
    });
  }
};

class Group final : public Command {
 public:
  Group() : Command("group", "one group: its view and members") {}
  void declare(CLI::App& app) override { app.add_option("NAME", name_, "the group")->required(); }

  Outcome<Exit> run(const Context& context) override {
    auto status = context.status();
    if (!status) {
      return tl::unexpected(status.error());
    }
    const auto& groups = status->groups();
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.group() == name_; });
    if (found == groups.end()) {
      return problem(Exit::failed, "no group '" + name_ + "' has members\n'vsyncctl groups' lists those that have.");
    }
    context.show.group(*found);
    return Exit::done;
  }

 private:
  std::string name_;
};

}  // namespace

void add_status_commands(Commands& commands) {
  commands.push_back(std::make_unique<Show>("status", "node, cluster, view, quorum and members (default)", &Renderer::status));
  commands.push_back(std::make_unique<Show>("members", "the members of the view", &Renderer::members));
  commands.push_back(std::make_unique<Show>("view", "the view in one line", &Renderer::view));
  commands.push_back(std::make_unique<Leader>());
  commands.push_back(std::make_unique<Show>("groups", "the groups and their leaders", &Renderer::groups));
  commands.push_back(std::make_unique<Group>());
}

}  // namespace vsync::ctl
