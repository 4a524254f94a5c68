// A command of vsyncctl. Each file commands_*.cpp holds one group of them; main.cpp has the table.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "daemon.h"
#include "outcome.h"
#include "renderer.h"

namespace vsync::ctl {

/// What every command gets.
struct Context {
  std::string socket;
  Milliseconds timeout{5000};
  Renderer& show;

  /// Connects, asks one thing, and gives the reply.
  [[nodiscard]] Outcome<pb::Reply> ask(pb::Request& request) const;
  [[nodiscard]] Outcome<pb::Status> status() const;
};

class Command {
 public:
  Command(std::string name, std::string help) : name_(std::move(name)), help_(std::move(help)) {}
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& help() const { return help_; }
  /// Declares its arguments; they are kept in the command.
  virtual void declare(CLI::App&) {}
  virtual Outcome<Exit> run(const Context& context) = 0;

 private:
  std::string name_;
  std::string help_;
};

using Commands = std::vector<std::unique_ptr<Command>>;

void add_status_commands(Commands& commands);     ///< status, members, view, leader, groups, group
void add_cluster_commands(Commands& commands);    ///< join, leave, evict
void add_stream_commands(Commands& commands);     ///< watch, listen
void add_send_command(Commands& commands);        ///< send
void add_request_command(Commands& commands);     ///< request
void add_bench_command(Commands& commands);       ///< bench
void add_doctor_command(Commands& commands);      ///< doctor
void add_run_commands(Commands& commands);        ///< run, lock
void add_checkpoint_command(Commands& commands);  ///< checkpoint
void add_operation_commands(Commands& commands);  ///< log-level, reload, version

/// "5s", "300ms", "2min"; a bare number is seconds. Returns what is wrong with it, or nothing.
[[nodiscard]] std::string parse_duration(const std::string& text, Milliseconds& duration);

}  // namespace vsync::ctl
