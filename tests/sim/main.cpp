// vsync_sim: runs random seeds for a while, or one seed with a readable trace. Exit status: 0 clean, 1 a violation was found, 2
// usage.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <string>

#include "core/model/mutant.h"
#include "sim/mutants.h"
#include "sim/run.h"

namespace {

using namespace vsync;

struct Options {
  std::uint64_t seed = 0;
  bool has_seed = false;
  std::size_t nodes = 0;
  double seconds = 10;
  std::size_t runs = 0;
  double length = 0;
  std::string profile = "mixed";
  std::string mutant;
  bool trace = false;
  bool frames = false;
  bool keep_going = false;
};

class Summary {
 public:
  void add(const sim::RunResult& result) {
    ++runs_;
    ++ends_[result.end];
    simulated_ += result.simulated;
    views_ += result.views;
    cold_ += result.cold_views;
    deliveries_ += result.deliveries;
    durable_ += result.durable;
    restored_ += result.restored;
    sum(faults_, result.faults);
    sum(steps_, result.steps_taken);
    sum(refusals_, result.refusals);
  }

  void print(std::uint64_t first_seed, std::uint64_t last_seed) const {
    std::printf("seeds %llu..%llu: %zu runs, %.0f s simulated, %llu views (%llu cold), %llu messages delivered\n",
                static_cast<unsigned long long>(first_seed), static_cast<unsigned long long>(last_seed), runs_,
                static_cast<double>(simulated_.count()) / 1e9, static_cast<unsigned long long>(views_),
                static_cast<unsigned long long>(cold_), static_cast<unsigned long long>(deliveries_));
    std::printf("durable groups: %llu messages called durable, %llu members restored\n",
                static_cast<unsigned long long>(durable_), static_cast<unsigned long long>(restored_));
    std::printf("ends: converged %zu, state lost %zu, votes lost %zu, failed %zu\n", count(sim::RunEnd::converged),
                count(sim::RunEnd::state_lost), count(sim::RunEnd::votes_lost), count(sim::RunEnd::stuck));
    print("faults", faults_);
    print("protocol steps", steps_);
    print("refused inputs", refusals_);
  }

 private:
  using Counts = std::map<std::string, std::uint64_t>;
  static void sum(Counts& total, const Counts& part) {
    for (const auto& [name, number] : part) {
      total[name] += number;
    }
  }
  static void print(const char* title, const Counts& counts) {
    std::printf("%s:", title);
    for (const auto& [name, number] : counts) {
      std::printf(" %s %llu,", name.c_str(), static_cast<unsigned long long>(number));
    }
    std::printf("\n");
  }
  [[nodiscard]] std::size_t count(sim::RunEnd end) const {
    const auto it = ends_.find(end);
    return it == ends_.end() ? 0 : it->second;
  }

  std::size_t runs_ = 0;
  std::map<sim::RunEnd, std::size_t> ends_;
  core::Duration simulated_{};
  std::uint64_t views_ = 0, cold_ = 0, deliveries_ = 0, durable_ = 0, restored_ = 0;
  Counts faults_, steps_, refusals_;
};

std::string replay_command(const Options& options, std::uint64_t seed) {
  auto text = "vsync_sim --seed " + std::to_string(seed) + " --profile " + options.profile;
  if (options.nodes != 0) {
    text += " --nodes " + std::to_string(options.nodes);
  }
  if (options.length > 0) {
    text += " --length " + std::to_string(options.length);
  }
  if (!options.mutant.empty()) {
    text += " --mutant " + options.mutant;
  }
  return text + " --trace";
}

void print_violations(const Options& options, std::uint64_t seed, const check::Report& report) {
  std::printf("FAILED seed %llu\n", static_cast<unsigned long long>(seed));
  for (const auto& [property, found] : report.found()) {
    for (const auto& text : found.texts) {
      std::printf("  %s: %s\n", property.c_str(), text.c_str());
    }
    if (found.count > found.texts.size()) {
      std::printf("  %s: %zu in all\n", property.c_str(), found.count);
    }
  }
  std::printf("  replay: %s\n", replay_command(options, seed).c_str());
  std::fflush(stdout);
}

int search(const Options& options) {
  const auto profile = sim::profile_named(options.profile);
  Summary summary;
  const auto begin = std::chrono::steady_clock::now();
  const auto first = options.has_seed ? options.seed : std::random_device{}();
  auto seed = first;
  std::size_t failed = 0;
  std::printf("first seed %llu, profile %s\n", static_cast<unsigned long long>(first), options.profile.c_str());
  std::fflush(stdout);
  const auto enough = [&](std::size_t runs) {
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    return options.runs != 0 ? runs >= options.runs : spent.count() >= options.seconds;
  };
  for (std::size_t runs = 0; !enough(runs) && (failed == 0 || options.keep_going); ++runs, ++seed) {
    sim::RunOptions run{.seed = seed, .nodes = options.nodes, .profile = *profile, .narrate = {}};
    run.chaos = core::Duration(static_cast<std::int64_t>(options.length * 1e9));
    run.narrate_frames = options.frames;
    if (options.trace) {
      run.narrate = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
    }
    const auto result = sim::run(run);
    summary.add(result);
    if (!result.report.clean()) {
      ++failed;
      print_violations(options, seed, result.report);
    }
  }
  summary.print(first, seed - 1);
  std::printf("violating runs: %zu\n", failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Simulates clusters of vsyncd with virtual time and seeded faults, and checks every promise of the protocol."};
  auto* seed = app.add_option("--seed", options.seed, "replay this seed (with --runs: start from it)");
  app.add_option("--nodes", options.nodes, "machines, 0 = drawn")->check(CLI::Range(0, 16));
  app.add_option("--seconds", options.seconds, "how long to try fresh seeds");
  app.add_option("--runs", options.runs, "how many seeds to try, instead of --seconds");
  app.add_option("--length", options.length, "seconds of virtual time with faults, 0 = drawn");
  app.add_option("--profile", options.profile, "which faults")
      ->check(CLI::IsMember({"mixed", "crash", "calm", "network", "joins", "witness"}));
  app.add_option("--mutant", options.mutant, "plant this fault (only in vsync_sim_mutants)");
  bool list = false;
  app.add_flag("--list-mutants", list, "name them, each with the rule it breaks");
  app.add_flag("--trace", options.trace, "tell what happens");
  app.add_flag("--frames", options.frames, "with --trace: every frame too");
  app.add_flag("--keep-going", options.keep_going, "do not stop at the first failing seed");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const auto& mutant : vsync::sim::mutant_names()) {
      if (mutant.mutant != vsync::core::Mutant::none) {
        std::printf("%s\t%s\n", mutant.name.c_str(), mutant.rule.c_str());
      }
    }
    return 0;
  }
  options.has_seed = seed->count() > 0;
  if (options.has_seed && options.runs == 0 && app.get_option("--seconds")->count() == 0) {
    options.runs = 1;
  }
  if (!options.mutant.empty() && !vsync::sim::plant(options.mutant)) {
    std::fprintf(stderr, "vsync_sim: no such mutant here: %s\n", options.mutant.c_str());
    return 2;
  }
  return search(options);
}
