// Commands that change who is a member. They return when the view that shows it is installed.
#include "command.h"

namespace vsync::ctl {
namespace {

class Join final : public Command {
 public:
  Join() : Command("join", "the local daemon joins the cluster of these members") {}
  void declare(CLI::App& app) override { app.add_option("HOST[:PORT]", peers_, "members to join through")->required(); }

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    *request.mutable_cluster_join()->mutable_peers() = {peers_.begin(), peers_.end()};
    return context.ask(request).map([&](const pb::Reply&) {
      context.show.done("joined");
      return Exit::done;
    });
  }

 private:
  std::vector<std::string> peers_;
};

class Leave final : public Command {
 public:
  Leave() : Command("leave", "the local daemon leaves its cluster in good order") {}

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_cluster_leave();
    return context.ask(request).map([&](const pb::Reply&) {
      context.show.done("left");
      return Exit::done;
    });
  }
};

class Evict final : public Command {
 public:
  Evict() : Command("evict", "removes a member from the cluster") {}
  void declare(CLI::App& app) override {
    app.add_option("MEMBER", member_, "node id or name")->required();
    app.add_option("--why", why_, "reason for the logs");
  }

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_evict()->set_member(member_);
    request.mutable_evict()->set_why(why_);
    return context.ask(request).map([&](const pb::Reply&) {
      context.show.done("evicted " + member_);
      return Exit::done;
    });
  }

 private:
  std::string member_;
  std::string why_;
};

}  // namespace

void add_cluster_commands(Commands& commands) {
  commands.push_back(std::make_unique<Join>());
  commands.push_back(std::make_unique<Leave>());
  commands.push_back(std::make_unique<Evict>());
}

}  // namespace vsync::ctl
