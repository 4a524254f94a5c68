// doctor: everything that an operator would look at, judged.
#include <algorithm>
#include <chrono>

#include "command.h"
#include "doctor.h"

namespace vsync::ctl {
namespace {

constexpr Milliseconds kPatience{200};  // with a member that others wait for

class Doctor final : public Command {
 public:
  Doctor() : Command("doctor", "checks the daemon, its settings and its surroundings; says what to do") {}

  Outcome<Exit> run(const Context& context) override {
    std::vector<pb::Check> checks;
    if (auto found = look(context); found) {
      checks = examine(*found);
      checks.insert(checks.begin(), passed("socket", context.socket));
    } else {
      checks.push_back(failed("socket", found.error().message, "Nothing else can be checked without the daemon."));
    }
    pb::DoctorReport report;
    *report.mutable_checks() = {checks.begin(), checks.end()};
    report.set_ok(std::ranges::none_of(checks, [](const auto& check) { return check.verdict() == "failed"; }));
    context.show.doctor(report);
    return report.ok() ? Exit::done : Exit::failed;
  }

 private:
  static Outcome<Findings> look(const Context& context) {
    Findings found;
    found.program_version = VSYNC_VERSION;
    auto before = context.status();
    if (!before) {
      return tl::unexpected(before.error());
    }
    found.before = std::move(*before);
    pb::Request request;
    request.mutable_diagnose();
    auto diagnosis = context.ask(request);
    if (!diagnosis) {
      return tl::unexpected(diagnosis.error());
    }
    found.daemon = diagnosis->diagnose();
    probe_all(found, context.timeout);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    do {
      auto now = context.status();
      if (!now) {
        return tl::unexpected(now.error());
      }
      found.now = std::move(*now);
    } while (!found.now.blocker().empty() && found.now.blocker() == found.before.blocker() &&
             std::chrono::steady_clock::now() < until);
    return found;
  }

  static void probe_all(Findings& found, Milliseconds timeout) {
    const auto target = [](const pb::Place& place, std::uint32_t port) {
      return Probe{.host = place.host(), .port = static_cast<std::uint16_t>(port)};
    };
    std::vector<Probe> targets{target(found.daemon.advertise(), found.daemon.advertise().port())};
    for (const auto& peer : found.daemon.peers()) {
      targets.push_back(target(peer, peer.port()));
    }
    probe(targets, timeout);
    found.self = targets.front();
    found.peers.assign(targets.begin() + 1, targets.end());
  }
};

}  // namespace

void add_doctor_command(Commands& commands) {
  commands.push_back(std::make_unique<Doctor>());
}

}  // namespace vsync::ctl
