// Commands for the operator of one daemon.
#include "command.h"

namespace vsync::ctl {
namespace {

class LogLevel final : public Command {
 public:
  LogLevel() : Command("log-level", "changes what the daemon logs, at once") {}
  void declare(CLI::App& app) override {
    app.add_option("LEVEL", level_, "trace, debug, info, warn, error or off")->required();
    app.add_option("SUBSYSTEM", subsystem_,
                   "membership, detector, ordering, groups, transport, control or storage; all if not given");
  }

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_log_level()->set_level(level_);
    request.mutable_log_level()->set_subsystem(subsystem_);
    return context.ask(request).map([&](const pb::Reply&) {
      context.show.done("log level " + level_ + (subsystem_.empty() ? "" : " for " + subsystem_));
      return Exit::done;
    });
  }

 private:
  std::string level_;
  std::string subsystem_;
};

class Reload final : public Command {
 public:
  Reload() : Command("reload", "the daemon reads its configuration again") {}

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_reload();
    return context.ask(request).map([&](const pb::Reply& reply) {
      context.show.reloaded(reply.reload());
      return Exit::done;
    });
  }
};

class Version final : public Command {
 public:
  Version() : Command("version", "versions of this program and of the daemon") {}

  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_hello()->set_client("vsyncctl");
    const auto reply = context.ask(request);
    context.show.version(VSYNC_VERSION, reply ? reply->hello().version() : std::string());
    return Exit::done;  // its own version it always knows
  }
};

}  // namespace

void add_operation_commands(Commands& commands) {
  commands.push_back(std::make_unique<LogLevel>());
  commands.push_back(std::make_unique<Reload>());
  commands.push_back(std::make_unique<Version>());
}

}  // namespace vsync::ctl
