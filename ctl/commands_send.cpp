// send: multicasts a text or the lines of standard input and waits for their outcomes.
#include <charconv>
#include <iostream>
#include <map>

#include "base/utf8.h"
#include "command.h"
#include "vsync/client.h"

namespace vsync::ctl {
namespace {

/// What CLI11 would take for 0, or for the largest number, is refused: it must not become a send without the condition. Returns
/// what is wrong.
std::string is_token(const std::string& text) {
  std::uint64_t token = 0;
  const auto* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, token);
  return error == std::errc() && parsed == end && token != 0 ? "" : "'" + text + "' is no token of a group view";
}

/// Shows outcomes as they come and remembers the worst.
class Outcomes final : public Handler {
 public:
  explicit Outcomes(Renderer& show) : show_(show) {}

  void on_sent(const Sent& sent) override {
    pb::SendBatchReply reply;
    reply.set_count(static_cast<std::uint32_t>(sent.count));
    reply.set_outcome(sent.fate == Fate::delivered       ? pb::DELIVERED
                      : sent.fate == Fate::not_delivered ? pb::NOT_DELIVERED
                                                         : pb::UNKNOWN);
    reply.set_view(sent.view);
    reply.set_position(sent.position);
    reply.set_code(sent.code);
    show_.sent(sent.first, reply);
    unknown_ = unknown_ || sent.fate == Fate::unknown;
    failed_ = failed_ || sent.fate == Fate::not_delivered;
  }

  [[nodiscard]] Exit exit() const { return unknown_ ? Exit::unknown : failed_ ? Exit::failed : Exit::done; }

 private:
  Renderer& show_;
  bool unknown_ = false;
  bool failed_ = false;
};

class Send final : public Command {
 public:
  Send() : Command("send", "multicasts TEXT, or each line of standard input, and waits for the outcomes") {}
  void declare(CLI::App& app) override {
    app.add_option("GROUP", group_, "the group")->required();
    text_option_ = app.add_option("TEXT", text_, "one message; without it every line of standard input is one");
    const std::map<std::string, Service> services{
        {"fifo", Service::fifo}, {"causal", Service::causal}, {"total", Service::total}};
    CLI::Transformer known(services);
    known.description("");  // it would show the numbers of an enumeration of bytes as characters
    app.add_option("--service", options_.service, "fifo, causal or total (default)")->transform(known)->type_name("SERVICE");
    app.add_option("--in-view", options_.in_view, "only in the group view with this token")->type_name("TOKEN")->check(is_token);
  }

  Outcome<Exit> run(const Context& context) override {
    options_.text = true;
    if (group_.empty() || group_.size() > 255 || !printable_utf8(group_)) {
      return problem(Exit::failed, "a group's name has 1 to 255 bytes of printable UTF-8 (bad_request)");
    }
    Outcomes outcomes(context.show);
    vsync::Options options;
    options.socket = context.socket;
    options.name = "vsyncctl";
    options.reconnect = false;
    options.timeout = context.timeout;
    Client client(outcomes, options);
    if (auto there = client.connect(); !there) {
      return tl::unexpected(explain_failure(there.failure()));
    }
    if (const auto sent = send_all(client); !sent) {
      return tl::unexpected(explain_failure(sent.failure()));
    }
    return outcomes.exit();
  }

 private:
  /// Strangers may send `total` only; for the other services we are a member as long as it takes.
  Expected<Done> send_all(Client& client) {
    const bool member = options_.service != Service::total;
    if (member) {
      if (auto joined = client.join(group_); !joined) {
        return joined.failure();
      }
    }
    const auto posted = post_all(client);
    if (auto flushed = client.flush(); !flushed || !posted || !member) {
      return posted ? flushed : posted;
    }
    return client.leave(group_);
  }

  Expected<Done> post_all(Client& client) {
    if (text_option_->count() > 0) {
      return post(client, text_);
    }
    for (std::string line; std::getline(std::cin, line);) {
      if (auto posted = post(client, line); !posted) {
        return posted;
      }
      // A line that waits for the next one to be typed is sent meanwhile; a full pipe is read on at once.
      if (std::cin.rdbuf()->in_avail() == 0) {
        if (auto polled = client.poll(); !polled) {
          return polled;
        }
      }
    }
    return Done{};
  }

  Expected<Done> post(Client& client, const std::string& text) {
    ++texts_;
    if (!valid_utf8(text)) {
      return Failure{"bad_request",
                     "message " + std::to_string(texts_) + " is not UTF-8 text; those before it were sent, and no more"};
    }
    auto posted = client.post(group_, text, options_);
    return posted ? Expected<Done>(Done{}) : posted.failure();
  }

  static Problem explain_failure(const Failure& failure) {
    if (failure.code == "unreachable") {
      return {Exit::unreachable, failure.message};
    }
    if (failure.code == "timeout" || failure.code == "disconnected") {
      return {Exit::unknown, failure.message + ": the outcome of the last messages is not known\n" +
                                 (failure.code == "timeout" ? "Wait longer with --timeout, or look at " : "Look at ") +
                                 "'vsyncctl status'."};
    }
    return {Exit::failed, failure.message + " (" + failure.code + ")"};
  }

  std::string group_;
  std::string text_;
  std::uint64_t texts_ = 0;
  CLI::Option* text_option_ = nullptr;
  SendOptions options_;
};

}  // namespace

void add_send_command(Commands& commands) {
  commands.push_back(std::make_unique<Send>());
}

}  // namespace vsync::ctl
