// Commands that print what happens until they are interrupted.
#include "client/convert.h"
#include "command.h"
#include "json/batch.h"

namespace vsync::ctl {
namespace {

/// A batch as the single messages that JSON clients get.
void show_event(Renderer& show, const pb::Event& event) {
  if (!event.has_message_batch()) {
    show.event(event);
    return;
  }
  const pb::MessageBatch& batch = event.message_batch();
  std::vector<std::string_view> messages;
  if (!split_body(batch.body(), batch.count(), messages)) {
    return;
  }
  pb::Event single;
  for (std::uint32_t i = 0; i < batch.count(); ++i) {
    fill(*single.mutable_message(), batch, i, messages[i]);
    show.event(single);
  }
}

class Watch final : public Command {
 public:
  Watch() : Command("watch", "every event as it happens: views, suspicions, leader, quorum, groups") {}

  Outcome<Exit> run(const Context& context) override {
    const Interrupt interrupt;
    auto daemon = Daemon::connect(context.socket);
    if (!daemon) {
      return tl::unexpected(daemon.error());
    }
    pb::Request request;
    request.mutable_watch();
    if (auto reply = (*daemon)->ask(request, context.timeout); !reply) {
      return tl::unexpected(reply.error());
    }
    for (;;) {
      auto reply = (*daemon)->next(std::nullopt, &interrupt);
      if (!reply) {
        return tl::unexpected(reply.error());
      }
      if (interrupt.raised() || !*reply) {
        return Exit::done;
      }
      show_event(context.show, (*reply)->event());
    }
  }
};

class Listen final : public Command {
 public:
  Listen() : Command("listen", "joins the group and prints its views and messages") {}
  void declare(CLI::App& app) override {
    app.add_option("GROUP", group_, "the group")->required();
    app.add_option("--name", name_, "how the others see this member")->capture_default_str();
    app.add_option("--when-slow", when_slow_, "what is done when this program is not read: disconnect, block or gap")
        ->check(CLI::IsMember({"disconnect", "block", "gap"}))
        ->capture_default_str();
  }

  Outcome<Exit> run(const Context& context) override {
    const Interrupt interrupt;
    auto daemon = Daemon::connect(context.socket);
    if (!daemon) {
      return tl::unexpected(daemon.error());
    }
    joining_ = send_join(**daemon);
    for (;;) {
      auto reply = (*daemon)->next(patience(context), &interrupt);
      if (!reply) {
        return tl::unexpected(reply.error());
      }
      if (interrupt.raised()) {
        return Exit::done;
      }
      if (*reply) {
        if (auto going_on = handle(context, **reply); !going_on) {
          return tl::unexpected(going_on.error());
        }
      } else if (again_) {
        again_ = false;
        joining_ = send_join(**daemon);
      } else {
        return problem(Exit::unknown, "the view with this member was not installed in time\n'vsyncctl status' tells why.");
      }
    }
  }

 private:
  static constexpr Milliseconds kPause{500};  // before the group of an excluded daemon is joined again

  [[nodiscard]] std::optional<Milliseconds> patience(const Context& context) const {
    if (!joined_) {
      return context.timeout;
    }
    return again_ ? std::optional(kPause) : std::nullopt;
  }

  std::uint64_t send_join(Daemon& daemon) const {
    pb::Request request;
    request.mutable_join()->set_group(group_);
    request.mutable_join()->set_member_name(name_);
    request.mutable_join()->set_when_slow(when_slow_ == "gap" ? pb::GAP : when_slow_ == "block" ? pb::BLOCK : pb::DISCONNECT);
    return daemon.send(request);
  }

  Outcome<void> handle(const Context& context, const pb::Reply& reply) {
    if (reply.has_event()) {
      show_event(context.show, reply.event());
      again_ = again_ || reply.event().has_excluded() || reply.event().has_gap();
    } else if (reply.has_join()) {
      joined_ = true;
    } else if (reply.has_error() && reply.id() == joining_) {
      if (!joined_) {
        return tl::unexpected(explain(reply.error()));
      }
      again_ = true;  // after an exclusion: until the daemon is a member again
    }
    return {};
  }

  std::string group_;
  std::string name_ = "vsyncctl";
  std::string when_slow_ = "disconnect";
  std::uint64_t joining_ = 0;  ///< request
  bool joined_ = false;        ///< once
  bool again_ = false;         ///< is to be joined again
};

}  // namespace

void add_stream_commands(Commands& commands) {
  commands.push_back(std::make_unique<Watch>());
  commands.push_back(std::make_unique<Listen>());
}

}  // namespace vsync::ctl
