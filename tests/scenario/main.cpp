// vsync_scenario FILE... [--rewrite]: plays scenario files and compares the trace. Exit status: 0 as expected, 1 not, 2 usage.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "scenario/script.h"
#include "sim/mutants.h"

namespace {

using namespace vsync;

/// The first line that differs, with its neighbours.
void show_difference(const std::string& expected, const std::string& actual) {
  std::istringstream want(expected);
  std::istringstream got(actual);
  std::string a;
  std::string b;
  for (int line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(want, a));
    const bool more_b = static_cast<bool>(std::getline(got, b));
    if (!more_a && !more_b) {
      return;
    }
    if (more_a != more_b || a != b) {
      std::printf("  trace line %d\n    expected: %s\n    happened: %s\n", line, more_a ? a.c_str() : "(end)",
                  more_b ? b.c_str() : "(end)");
      return;
    }
  }
}

bool rewrite_file(const std::string& path, const scenario::Scenario& scenario, const std::string& trace) {
  std::ofstream out(path);
  out << scenario.head << "---\n" << trace;
  return static_cast<bool>(out);
}

bool play(const std::string& path, bool rewrite, bool golden) {
  std::ifstream in(path);
  const auto scenario = in ? scenario::parse(in) : Result<scenario::Scenario>(fail("cannot be read"));
  if (!scenario) {
    std::printf("FAILED %s: %s\n", path.c_str(), scenario.error().message.c_str());
    return false;
  }
  const auto outcome = scenario::play(*scenario);
  bool good = outcome.problems.empty() && outcome.report.clean();
  const bool same = !golden || outcome.trace == scenario->expected;
  std::printf("%s %s\n", good && (same || rewrite) ? "ok    " : "FAILED", path.c_str());
  for (const auto& problem : outcome.problems) {
    std::printf("  %s\n", problem.c_str());
  }
  for (const auto& [property, found] : outcome.report.found()) {
    std::printf("  %s: %s (%zu)\n", property.c_str(), found.texts.front().c_str(), found.count);
  }
  if (!same && rewrite) {
    good = good && rewrite_file(path, *scenario, outcome.trace);
  } else if (!same) {
    show_difference(scenario->expected, outcome.trace);
    good = false;
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> files;
  bool rewrite = false;
  bool no_golden = false;
  std::string mutant;
  CLI::App app{"Plays scenario files against the protocol core."};
  app.add_option("file", files, "scenario files")->required();
  app.add_flag("--rewrite", rewrite, "put the trace that happens into the files; read the difference");
  app.add_flag("--no-golden", no_golden, "judge by expectations and checkers only");
  app.add_option("--mutant", mutant, "plant this fault (only in vsync_scenario_mutants)");
  CLI11_PARSE(app, argc, argv);
  if (!mutant.empty() && !sim::plant(mutant)) {
    std::fprintf(stderr, "vsync_scenario: no such mutant here: %s\n", mutant.c_str());
    return 2;
  }
  bool good = true;
  for (const auto& file : files) {
    good = play(file, rewrite, !no_golden) && good;
  }
  return good ? 0 : 1;
}
