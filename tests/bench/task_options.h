// The options that all measuring clients have.
#pragma once

#include <CLI/CLI.hpp>

#include "tally.h"

namespace vsync::bench {

inline void add_options(CLI::App& app, Task& task) {
  app.add_option("--group", task.group, "group to join");
  app.add_option("--name", task.name, "member name; must differ from the others'");
  app.add_option("--members", task.members, "starts when the group has so many members");
  app.add_option("--send", task.send, "messages to send");
  app.add_option("--expect", task.expect, "ends after so many deliveries, from all members");
  app.add_option("--size", task.size, "bytes of a message, at least 8");
  app.add_option("--rate", task.rate, "messages per second, open loop; 0: as fast as possible");
  app.add_flag("--views", task.views, "print the time and the size of every view of the group, and nothing else");
  app.add_option("--seconds", task.seconds, "gives up after so many");
}

}  // namespace vsync::bench
