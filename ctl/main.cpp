// vsyncctl: shows and steers the local vsyncd. A client of the control socket and nothing else.
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <iostream>

#include "base/utf8.h"
#include "client/frame_socket.h"
#include "command.h"

namespace vsync::ctl {
namespace {

Commands all_commands() {
  Commands commands;
  add_status_commands(commands);
  add_cluster_commands(commands);
  add_stream_commands(commands);
  add_send_command(commands);
  add_request_command(commands);
  add_bench_command(commands);
  add_run_commands(commands);
  add_checkpoint_command(commands);
  add_operation_commands(commands);
  add_doctor_command(commands);
  return commands;
}

bool colour_wanted() {
  return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;  // NOLINT(concurrency-mt-unsafe): one thread
}

int report(const Outcome<Exit>& outcome) {
  if (!outcome) {
    std::cerr << "vsyncctl: " << outcome.error().message << '\n';
  }
  return static_cast<int>(outcome ? *outcome : outcome.error().exit);
}

int run(int argc, char** argv) {
  std::ios::sync_with_stdio(false);  // `send` asks how much of standard input is there
  CLI::App app("Shows and steers the vsyncd of this host.\nWithout a command it shows the status.", "vsyncctl");
  app.footer("Exit status: 0 done, 1 refused or failed, 2 usage, 3 daemon not reachable, 4 outcome unknown (time-out).");
  std::string socket = default_socket();
  std::string timeout = "5s";
  bool json = false;
  app.add_option("--socket", socket, "control socket; also $VSYNCD_SOCKET")->capture_default_str();
  app.add_option("--timeout", timeout, "how long to wait for the daemon")->capture_default_str();
  app.add_flag("--json", json, "JSON, one object per line");
  app.require_subcommand(0, 1);
  app.fallthrough();

  const Commands commands = all_commands();
  for (const auto& command : commands) {
    command->declare(*app.add_subcommand(command->name(), command->help()));
  }
  Milliseconds patience{};
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (!valid_utf8(argv[i])) {
      std::cerr << "vsyncctl: argument " << i << " is not UTF-8 text\n";
      return static_cast<int>(Exit::usage);
    }
  }
  try {
    app.parse(argc, argv);
    if (auto wrong = parse_duration(timeout, patience); !wrong.empty()) {
      throw CLI::ValidationError("--timeout", wrong);
    }
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  }
  const auto renderer = json ? make_json_renderer(std::cout) : make_text_renderer(std::cout, colour_wanted());
  const Context context{socket, patience, *renderer};
  for (const auto& command : commands) {
    if (app.got_subcommand(command->name())) {
      return report(command->run(context));
    }
  }
  return report(commands.front()->run(context));
}

}  // namespace

std::string parse_duration(const std::string& text, Milliseconds& duration) {
  struct Unit {
    std::string_view name;
    Milliseconds::rep milliseconds;
  };
  static constexpr Unit kUnits[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}};
  Milliseconds::rep number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  for (const auto& unit : kUnits) {
    if (error == std::errc() && unit.name == end && number > 0 && number <= 24 * 3'600'000 / unit.milliseconds) {
      duration = Milliseconds(number * unit.milliseconds);
      return {};
    }
  }
  return "'" + text + "' is no time: write 5s, 300ms or 2min, up to 24h";
}

Outcome<pb::Reply> Context::ask(pb::Request& request) const {
  auto daemon = Daemon::connect(socket);
  return daemon ? (*daemon)->ask(request, timeout) : tl::unexpected(daemon.error());
}

Outcome<pb::Status> Context::status() const {
  pb::Request request;
  request.mutable_status();
  return ask(request).map([](pb::Reply reply) { return std::move(*reply.mutable_status()); });
}

}  // namespace vsync::ctl

int main(int argc, char** argv) {
  return vsync::ctl::run(argc, argv);
}
