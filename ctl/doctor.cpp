#include "doctor.h"

#include <algorithm>

#include "phrases.h"

namespace vsync::ctl {
namespace {

constexpr std::uint64_t kLittleDisk = std::uint64_t{64} << 20U;
constexpr std::uint64_t kNoDisk = std::uint64_t{1} << 20U;

pb::Check check(const std::string& name, const char* verdict, const std::string& detail, const std::string& advice) {
  pb::Check made;
  made.set_name(name);
  made.set_verdict(verdict);
  made.set_detail(detail);
  made.set_advice(advice);
  return made;
}

std::uint64_t counter(const pb::Status& status, const std::string& name) {
  const auto found = status.counters().find(name);
  return found == status.counters().end() ? 0 : found->second;
}

std::string place(const Probe& target) {
  return target.host + ":" + std::to_string(target.port);
}

// ---------------------------------------------------------------- the checks, in the order of the report

pb::Check versions(const Findings& found) {
  const auto& daemon = found.now.version();
  return daemon == found.program_version ? passed("version", daemon)
                                         : warning("version", "vsyncd is " + daemon + ", vsyncctl " + found.program_version,
                                                   "Restart vsyncd after an upgrade: systemctl restart vsyncd.");
}

pb::Check settings(const Findings& found) {
  if (!found.daemon.settings_error().empty()) {
    return failed("settings", found.daemon.settings_error(),
                  "The daemon runs on, but would not start again: mend it and look with 'vsyncd --check-config'.");
  }
  const auto names = list(found.daemon.settings_changed(), [](const std::string& name) { return name; });
  return names.empty() ? passed("settings", "as in force")
                       : warning("settings", "changed and not in force: " + names, "'vsyncctl reload', or restart the daemon.");
}

pb::Check membership(const Findings& found) {
  const auto& status = found.now;
  if (status.state() == "member" || status.state() == "wedged" || status.state() == "witness") {
    return passed("membership", "in view " + std::to_string(status.view()) + " of " +
                                    plural(static_cast<std::uint64_t>(status.members_size()), "member") + ", led by " +
                                    status.leader_name());
  }
  if (status.state() == "joining") {
    return failed("membership", "looks for its cluster and is in no view",
                  found.daemon.peers().empty() ? "Start the other members, or name one: 'vsyncctl join HOST'."
                                               : "The checks of its peers below tell which of them answer.");
  }
  return failed("membership", "is in no cluster (" + status.state() + ")",
                "'vsyncctl join HOST' joins one; 'vsyncd --bootstrap' founds one.");
}

pb::Check quorum(const Findings& found) {
  const auto& status = found.now;
  if (!status.has_quorum()) {
    return failed("quorum", "none: no total message is delivered and no view changes here",
                  "Bring the missing members back, or mend the network between here and them.");
  }
  const auto detail = "survives " + plural(status.tolerates(), "failure") + " (" + status.quorum_policy() + ")";
  return status.tolerates() > 0 ? passed("quorum", detail) : warning("quorum", detail, "Three members survive the loss of one.");
}

void members(const Findings& found, std::vector<pb::Check>& report) {
  for (const auto& member : found.now.members()) {
    const auto name = "member " + member.name();
    const auto where = "node " + std::to_string(member.node()) + " at " + member.address();
    const auto age = std::to_string(member.heartbeat_age_us() / 1000) + " ms ago";
    if (member.state() == "self") {
      continue;
    }
    if (member.state() == "suspected") {
      report.push_back(failed(name, where + " is suspected (" + member.suspicion() + "), last heard " + age,
                              "Look at that host; if it is well, at the network between here and it."));
    } else if (!member.linked()) {
      report.push_back(failed(name, where + " has no TCP connection with this one",
                              "Its TCP port must be reachable from here, and ours from there: look for a firewall."));
    } else if (2 * member.heartbeat_age_us() > found.daemon.suspect_after_us()) {
      report.push_back(warning(name, where + " was last heard " + age,
                               "Heartbeats get lost (UDP port " + std::to_string(found.daemon.heartbeat_port()) +
                                   "), or one of the hosts is overloaded."));
    } else {
      report.push_back(passed(name, where + ", last heard " + age));
    }
  }
}

pb::Check slow(const Findings& found) {
  const bool stuck = !found.now.blocker().empty() && found.before.blocker() == found.now.blocker() &&
                     counter(found.now, "window_stalls") > counter(found.before, "window_stalls");
  return stuck ? warning("speed", "sends wait for " + found.now.blocker(),
                         "Look at the load, the disk and the network of that host.")
               : passed("speed", "nobody is waited for");
}

/// A start takes a moment; only who waits at both looks waits for somebody.
void waiting(const Findings& found, std::vector<pb::Check>& report) {
  for (const auto& group : found.now.groups()) {
    const bool still = std::ranges::any_of(
        found.before.groups(), [&](const auto& before) { return before.group() == group.group() && before.has_state_wait(); });
    if (group.has_state_wait() && still) {
      const bool comes = group.state_wait().what() == "disks" || group.state_wait().what() == "members";
      report.push_back(warning("group " + group.group(), "nobody has its state; it waits for " + awaited(group.state_wait()),
                               comes ? "Start the application there, and vsyncd where it is down."
                                     : "Look at the state directories of those hosts, and what their vsyncd logs."));
    }
  }
}

/// Where others are told to reach this daemon. Names that mean the loopback are a common trap of /etc/hosts.
pb::Check own_address(const Findings& found) {
  const auto& self = found.self;
  if (self.addresses.empty()) {
    return failed("own address", "the others reach this one at '" + place(self) + "': " + self.error,
                  "--advertise an address or a name that every member can resolve.");
  }
  const bool others_away = std::ranges::any_of(found.peers, [](const Probe& peer) {
    return std::ranges::any_of(peer.addresses, [](const auto& address) { return !is_loopback(address); });
  });
  if (std::ranges::all_of(self.addresses, is_loopback) && others_away) {
    return failed("own address", "'" + self.host + "' is " + self.addresses.front() + ", which only this host can reach",
                  "--advertise an address of this host on the network, or mend /etc/hosts.");
  }
  if (std::ranges::none_of(self.addresses, is_local)) {
    return warning("own address", "'" + self.host + "' is " + self.addresses.front() + ", which is no address of this host",
                   "That is right only behind an address translation; else mend --advertise, the hosts file or DNS.");
  }
  return passed("own address", place(self));
}

void peers(const Findings& found, std::vector<pb::Check>& report) {
  for (const auto& peer : found.peers) {
    const auto name = "peer " + place(peer);
    const bool member = std::ranges::any_of(
        found.now.members(), [&](const auto& other) { return other.address() == place(peer) && other.state() != "self"; });
    if (peer.connected) {
      report.push_back(passed(name, "reachable by TCP"));
    } else if (peer.addresses.empty()) {
      report.push_back(failed(name, peer.error, "Mend the name in DNS, in /etc/hosts, or in --peer or the hosts file."));
    } else if (member) {
      report.push_back(
          failed(name, "a member, and not reachable by TCP: " + peer.error, "Look for a firewall between here and it."));
    } else {
      report.push_back(warning(name, "not reachable by TCP: " + peer.error, "Start vsyncd there, unless it is down on purpose."));
    }
  }
}

pb::Check refused(const Findings& found) {
  const auto links = counter(found.now, "inputs_refused");
  const auto datagrams = counter(found.now, "datagrams_refused");
  const auto frames = counter(found.now, "refused_frames");
  return links + datagrams + frames == 0
             ? passed("refused input", "none")
             : warning("refused input",
                       plural(links, "connection or frame") + ", " + plural(datagrams, "datagram") + ", " +
                           plural(frames, "late frame"),
                       "The log names the senders: another cluster, another version, or a program that should not come here.");
}

pb::Check clients(const Findings& found) {
  const auto turned_away = counter(found.now, "clients_turned_away");
  const auto given_up = counter(found.now, "clients_given_up");
  const auto detail = std::to_string(found.now.clients()) + " of " + std::to_string(found.daemon.max_clients());
  if (turned_away + given_up == 0) {
    return passed("clients", detail);
  }
  return warning("clients",
                 detail + "; " + std::to_string(turned_away) + " were turned away, " + std::to_string(given_up) +
                     " disconnected because they do not read",
                 "Look for programs that leak connections, or read too slowly.");
}

pb::Check descriptors(const Findings& found) {
  const auto& daemon = found.daemon;
  const auto detail = std::to_string(daemon.open_files()) + " of " + std::to_string(daemon.file_limit()) + " in use";
  const char* const advice = "Raise LimitNOFILE of the service.";
  if (10 * daemon.open_files() > 9 * daemon.file_limit()) {
    return failed("descriptors", detail, advice);
  }
  return 2 * daemon.open_files() > daemon.file_limit() ? warning("descriptors", detail, advice) : passed("descriptors", detail);
}

pb::Check disk(const Findings& found) {
  const auto& daemon = found.daemon;
  if (!daemon.state_error().empty()) {
    return failed("state directory", daemon.state_error(), "Without it the daemon stops at the next view change.");
  }
  const auto detail = std::to_string(daemon.state_free_bytes() >> 20U) + " MiB free in " + daemon.state_dir();
  if (daemon.state_free_bytes() < kNoDisk) {
    return failed("state directory", detail, "Free some space: the daemon stops when it cannot write.");
  }
  return daemon.state_free_bytes() < kLittleDisk ? warning("state directory", detail, "Free some space.")
                                                 : passed("state directory", detail);
}

}  // namespace

pb::Check passed(const std::string& name, const std::string& detail) {
  return check(name, "ok", detail, {});
}
pb::Check warning(const std::string& name, const std::string& detail, const std::string& advice) {
  return check(name, "warning", detail, advice);
}
pb::Check failed(const std::string& name, const std::string& detail, const std::string& advice) {
  return check(name, "failed", detail, advice);
}

std::vector<pb::Check> examine(const Findings& found) {
  std::vector<pb::Check> report{versions(found), settings(found), membership(found)};
  if (found.now.view() != 0) {
    report.push_back(quorum(found));
    members(found, report);
    report.push_back(slow(found));
    waiting(found, report);
  }
  report.push_back(own_address(found));
  peers(found, report);
  for (const auto one : {refused, clients, descriptors, disk}) {
    report.push_back(one(found));
  }
  return report;
}

}  // namespace vsync::ctl
