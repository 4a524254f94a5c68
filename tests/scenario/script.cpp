#include "scenario/script.h"

#include <istream>

#include "scenario/player.h"

namespace vsync::scenario {

Result<Scenario> parse(std::istream& in) {
  Scenario scenario;
  std::string line;
  bool below = false;
  while (std::getline(in, line)) {
    if (!below && line == "---") {
      below = true;
    } else if (below) {
      scenario.expected += line + "\n";
    } else {
      scenario.head += line + "\n";
      const auto end = line.find('#');
      const auto text = line.substr(0, end);
      scenario.commands.push_back(text.find_first_not_of(' ') == std::string::npos ? "" : text);
    }
  }
  if (scenario.commands.empty()) {
    return fail("no commands");
  }
  return scenario;
}

Outcome play(const Scenario& scenario) {
  Player player;
  std::vector<std::string> problems;
  for (std::size_t line = 0; line < scenario.commands.size(); ++line) {
    const auto& command = scenario.commands[line];
    if (command.empty()) {
      continue;
    }
    if (const auto problem = player.command(command); !problem.empty()) {
      problems.push_back("line " + std::to_string(line + 1) + ": " + command + ": " + problem);
      break;
    }
  }
  auto outcome = player.finish();
  outcome.problems = std::move(problems);
  return outcome;
}

}  // namespace vsync::scenario
