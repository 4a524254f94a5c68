// request: asks the members of a group and shows their replies.
#include <map>

#include "command.h"

namespace vsync::ctl {
namespace {

class Ask final : public Command {
 public:
  Ask() : Command("request", "asks the members of a group, and shows who replied and who did not") {}
  void declare(CLI::App& app) override {
    app.add_option("GROUP", group_, "the group")->required();
    app.add_option("TEXT", text_, "the question")->required();
    const std::map<std::string, pb::Wait> waits{{"all", pb::ALL}, {"majority", pb::MAJORITY}, {"first", pb::FIRST}};
    CLI::Transformer known(waits);
    known.description("");
    app.add_option("--wait", wait_, "all (default), majority or first: how many must reply")->transform(known)->type_name("WHOM");
  }

  /// The daemon ends the request at --timeout; its word needs a little longer.
  Outcome<Exit> run(const Context& context) override {
    pb::Request request;
    request.mutable_request()->set_group(group_);
    request.mutable_request()->set_text(text_);
    request.mutable_request()->set_wait(wait_);
    request.mutable_request()->set_timeout_ms(
        static_cast<std::uint32_t>(std::max<Milliseconds::rep>(context.timeout.count(), 1)));
    Context patient = context;
    patient.timeout += Milliseconds(2000);
    const auto reply = patient.ask(request);
    if (!reply) {
      return tl::unexpected(reply.error());
    }
    const auto& result = reply->request();
    context.show.replies(result);
    return result.outcome() == "unknown" ? Exit::unknown : result.complete() ? Exit::done : Exit::failed;
  }

 private:
  std::string group_;
  std::string text_;
  pb::Wait wait_ = pb::ALL;
};

}  // namespace

void add_request_command(Commands& commands) {
  commands.push_back(std::make_unique<Ask>());
}

}  // namespace vsync::ctl
