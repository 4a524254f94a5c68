// F10: nobody acts as leader of a group while another one may, and tokens tell the later from the earlier.
#include <algorithm>
#include <map>
#include <vector>

#include "support/check/checkers.h"

namespace vsync::check {

namespace {

/// A client that believes it leads, from its first lease until the last one runs out or is given up. Whether its daemon lives
/// does not matter: it looks at the clock only.
struct Reign {
  Pid daemon;
  ClientId client = 0;
  Time from{};
  Time until{};
  std::uint64_t first_token = 0;
  std::uint64_t last_token = 0;
};

std::string name(const Reign& reign) {
  return "client " + std::to_string(reign.client) + " of " + to_string(reign.daemon) + " (" + std::to_string(reign.from.count()) +
         " to " + std::to_string(reign.until.count()) + " ns)";
}

void extend(std::vector<Reign>& reigns, const Pid& daemon, const trace::LeaseGranted& lease) {
  const bool same = !reigns.empty() && reigns.back().daemon == daemon && reigns.back().client == lease.client;
  if (!same || reigns.back().until < lease.from) {
    reigns.push_back({daemon, lease.client, lease.from, lease.until, lease.token, lease.token});
    return;
  }
  reigns.back().until = std::max(reigns.back().until, lease.until);
  reigns.back().last_token = std::max(reigns.back().last_token, lease.token);
}

}  // namespace

void leases(const History& history, Report& report) {
  std::map<std::string, std::vector<Reign>> groups;
  for (const auto& [pid, process] : history.processes()) {
    std::map<std::string, std::map<ClientId, std::vector<Reign>>> own;
    for (const auto* record : process.records) {
      if (const auto* lease = get<trace::LeaseGranted>(*record)) {
        extend(own[lease->group][lease->client], pid, *lease);
      } else if (const auto* released = get<trace::LeaseReleased>(*record)) {
        if (auto& reigns = own[released->group][released->client]; !reigns.empty()) {
          reigns.back().until = std::min(reigns.back().until, released->at);
        }
      }
    }
    for (auto& [group, clients] : own) {
      for (auto& [client, reigns] : clients) {
        groups[group].insert(groups[group].end(), reigns.begin(), reigns.end());
      }
    }
  }
  for (auto& [group, reigns] : groups) {
    std::stable_sort(reigns.begin(), reigns.end(), [](const Reign& a, const Reign& b) { return a.from < b.from; });
    const Reign* before = nullptr;  // the one that lasts longest of those that began earlier
    for (const auto& reign : reigns) {
      const bool other = before != nullptr && (before->daemon != reign.daemon || before->client != reign.client);
      if (other && reign.from < before->until) {
        report.violation("F10 lease exclusivity", group + ": " + name(reign) + " leads while " + name(*before) + " does");
      }
      if (other && reign.first_token <= before->last_token) {
        report.violation("F10 tokens of leaders", group + ": " + name(reign) + " has no larger token than " + name(*before));
      }
      before = before == nullptr || reign.until >= before->until ? &reign : before;
    }
  }
}

}  // namespace vsync::check
