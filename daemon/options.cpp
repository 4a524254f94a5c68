#include "daemon/options.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/ip/address.hpp>
#include <optional>
#include <random>

#include "daemon/hosts_file.h"
#include "daemon/values.h"
#include "io/local_networks.h"
#include "io/systemd.h"

namespace vsync::daemon {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint16_t kPort = 7475;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

/// The addresses of this host that others can use.
std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  for (const auto& network : io::local_networks()) {
    if (!network.loopback) {
      found.push_back(network.address.to_string());
    }
  }
  return found;
}

/// Loopback when there is no other.
std::string first_address() {
  const auto addresses = own_addresses();
  return addresses.empty() ? "127.0.0.1" : addresses.front();
}

// Every text was checked when it was read: the parsers cannot fail below.
microseconds duration_of(const Settings& settings, std::string_view name) {
  return *parse_duration(settings.text(name));
}
std::uint64_t number_of(const Settings& settings, std::string_view name) {
  return settings.text(name).empty() ? 0 : *parse_number(settings.text(name), 0, 0xffffffff);
}
io::HostPort address_of(const std::string& text) {
  return *io::parse_host_port(text, kPort);
}

/// T_host and hb (protocol.md section 17).
Result<void> set_times(core::Limits& limits, const Settings& settings) {
  const auto suspect = duration_of(settings, "suspect-after");
  auto heartbeat = duration_of(settings, "heartbeat-interval");
  if (suspect < milliseconds(200) || suspect > seconds(60)) {
    return fail("suspect-after: '" + settings.text("suspect-after") + "' is not within 200ms and 60s");
  }
  if (!settings.given("heartbeat-interval")) {
    heartbeat = std::min(heartbeat, suspect / 5);
  }
  if (heartbeat < milliseconds(1) || suspect < 2 * heartbeat) {
    return fail("suspect-after (" + settings.text("suspect-after") + ") must be at least twice heartbeat-interval (" +
                settings.text("heartbeat-interval") + "), and that at least 1ms");
  }
  auto lease = duration_of(settings, "lease");
  if (!settings.given("lease")) {
    lease = std::max<microseconds>(lease, 3 * heartbeat);  // it is renewed by heartbeats
  }
  if (lease < 3 * heartbeat || lease > minutes(10)) {
    return fail("lease: '" + settings.text("lease") + "' is not within 3 times heartbeat-interval and 10min");
  }
  limits.lease = lease;
  limits.heartbeat = heartbeat;
  limits.suspect_after = suspect;
  limits.link_grace = std::min<core::Duration>(milliseconds(200), suspect / 4);
  return {};
}

/// Our place in the hosts file: id, founder, peers, where others reach us.
Result<void> apply_hosts(engine::Options& options, const Settings& settings) {
  const auto& path = settings.text("hosts");
  const auto hosts = read_hosts(path, options.transport.listen.port);
  if (!hosts) {
    return tl::unexpected(hosts.error());
  }
  OwnNames own{options.node, options.name, host_name(), {}};
  for (const auto& address : {options.transport.listen, io::HostPort{options.advertise.host, options.advertise.port}}) {
    if (!address.host.empty()) {
      own.addresses.push_back(address);
    }
  }
  if (options.transport.listen.host.empty()) {
    for (const auto& address : own_addresses()) {
      own.interfaces.push_back({address, options.transport.listen.port});
    }
  }
  const auto line = find_own_line(*hosts, own, path);
  if (!line) {
    return tl::unexpected(line.error());
  }
  options.node = static_cast<core::NodeId>(*line + 1);
  options.found_if_alone = *line == 0;
  options.highest_configured_node = static_cast<core::NodeId>(hosts->size());
  if (options.bootstrap && *line != 0) {
    return fail("bootstrap contradicts hosts: the first host of '" + path + "' founds the cluster, and that is not this one");
  }
  for (std::size_t i = 0; i < hosts->size(); ++i) {
    if (i != *line) {
      options.transport.seeds.push_back((*hosts)[i]);
    }
  }
  if (options.quorum == core::QuorumPolicy::fixed && !settings.given("voter")) {
    for (std::size_t i = 0; i < hosts->size(); ++i) {
      options.static_voters.push_back({static_cast<core::NodeId>(i + 1), 0, 1});
    }
  }
  if (options.advertise.host.empty() && options.transport.listen.host.empty()) {
    options.advertise.host = (*hosts)[*line].host;
    options.advertise.port = (*hosts)[*line].port;
  }
  if (settings.flag("crash-in-change")) {
    options.faults.crash_in_change_of = hosts->size();
  }
  return {};
}

/// B4: who only votes founds nothing, leads nothing, and must be allowed to vote.
Result<void> check_witness(const engine::Options& options, const Settings& settings) {
  if (options.bootstrap) {
    return fail("witness contradicts bootstrap: a witness has no state to found a cluster with; found it on another host");
  }
  if (options.found_if_alone) {
    return fail("witness contradicts hosts: this is the first host of '" + settings.text("hosts") +
                "', which founds the cluster; move it down");
  }
  if (settings.flag("crash-in-change")) {
    return fail("witness contradicts crash-in-change: a witness never leads");
  }
  const auto own = [&](const core::Voter& voter) { return voter.node == options.node; };
  if (options.quorum == core::QuorumPolicy::fixed && std::ranges::none_of(options.static_voters, own)) {
    return fail("witness with quorum static must be one of the voters: give its id, and name that with voter on all hosts");
  }
  return {};
}

void set_faults(engine::Faults& faults, const Settings& settings) {
  if (settings.given("crash-delay")) {
    faults.crash_after = std::chrono::duration_cast<milliseconds>(duration_of(settings, "crash-delay"));
  }
  for (const auto& text : settings.list("fault")) {
    const auto value = text.substr(text.find('=') + 1);
    if (text.starts_with("crash-after=")) {
      faults.crash_after = std::chrono::duration_cast<milliseconds>(*parse_duration(value));
    } else {
      const auto colon = value.find(':');
      faults.crash_on = value.substr(0, colon);
      faults.crash_on_nth =
          colon == std::string::npos ? 1 : static_cast<std::uint32_t>(*parse_number(value.substr(colon + 1), 1, 1000000));
    }
  }
}

core::ColdStart cold_start_of(const std::string& word) {
  return word == "quorum" ? core::ColdStart::quorum : word == "manual" ? core::ColdStart::manual : core::ColdStart::wait_all;
}

/// Each as [FORMAT:]FILE.
std::vector<engine::EventLogOptions> event_logs_of(const Settings& settings) {
  const auto usual = *parse_event_format(settings.text("event-log-format"));
  std::vector<engine::EventLogOptions> logs;
  for (const auto& text : settings.list("event-log")) {
    const auto colon = text.find(':');
    const auto format = parse_event_format(std::string_view(text).substr(0, colon));
    const bool own_format = colon != std::string::npos && format;
    logs.push_back({own_format ? text.substr(colon + 1) : text, own_format ? *format : usual});
  }
  return logs;
}

void set_control(io::ControlOptions& control, const engine::Options& options, const Settings& settings) {
  control.path = settings.text("socket");
  control.mode = *parse_mode(settings.text("socket-mode"));
  control.admin_group = settings.text("admin-group");
  control.limits.max_message = options.limits.max_message;
  control.limits.max_backlog = *parse_size(settings.text("client-backlog"));
  control.limits.max_in_flight = options.limits.client_queue_bytes;
  control.limits.max_frame = options.limits.max_message + 65536;
  control.limits.client_limit = *parse_size(settings.text("client-limit"));
  control.limits.max_output_messages = number_of(settings, "client-limit-messages");
  control.limits.large_frames = 2 * options.limits.max_message;
}

Result<void> set_discovery(engine::Options& options, const Settings& settings) {
  auto& discovery = options.discovery;
  discovery.on = settings.flag("discover");
  discovery.cluster = settings.text("cluster-name");
  discovery.port = static_cast<std::uint16_t>(number_of(settings, "discovery-port"));
  asio::error_code error;
  const auto listen = asio::ip::make_address(options.transport.listen.host, error);
  if (discovery.on && !error && listen.is_v6() && !listen.is_unspecified()) {
    return fail("discover contradicts listen: it works by IPv4 broadcasts, and '" + settings.text("listen") +
                "' is an IPv6 address");
  }
  return {};
}

void set_transport(io::TransportOptions& transport, const core::Limits& limits, const Settings& settings) {
  transport.heartbeat_port = static_cast<std::uint16_t>(number_of(settings, "heartbeat-port"));
  transport.link_grace = std::chrono::duration_cast<milliseconds>(limits.link_grace);
  transport.user_timeout = std::chrono::duration_cast<milliseconds>(4 * limits.suspect_after);
  transport.seed = std::random_device()();
  for (const auto& peer : settings.list("peer")) {
    transport.seeds.push_back(address_of(peer));
  }
}

}  // namespace

Result<engine::Options> make_options(const Settings& settings) {
  engine::Options options;
  options.name = settings.text("name");
  options.node = static_cast<core::NodeId>(number_of(settings, "id"));
  options.state_dir = settings.text("state-dir");
  options.bootstrap = settings.flag("bootstrap");
  options.witness = settings.flag("witness");
  options.quorum = settings.text("quorum") == "static" ? core::QuorumPolicy::fixed : core::QuorumPolicy::dynamic;
  options.cold_start = cold_start_of(settings.text("cold-start"));
  options.event_logs = event_logs_of(settings);
  options.limits.client_queue_bytes = *parse_size(settings.text("client-queue"));
  options.limits.link_flap_max = static_cast<std::uint32_t>(number_of(settings, "link-flap-max"));
  options.limits.max_message = *parse_size(settings.text("max-message"));
  if (auto set = set_times(options.limits, settings); !set) {
    return tl::unexpected(set.error());
  }
  if (*parse_size(settings.text("client-backlog")) < options.limits.max_message) {
    return fail("client-backlog (" + settings.text("client-backlog") + ") must hold the largest message: max-message is " +
                settings.text("max-message"));
  }
  options.durable_limit = *parse_size(settings.text("durable-limit"));
  if (options.durable_limit < options.limits.max_message) {
    return fail("durable-limit (" + settings.text("durable-limit") + ") must hold the largest message: max-message is " +
                settings.text("max-message"));
  }
  if (options.limits.max_message > core::kLargestMessage) {
    return fail("max-message: '" + settings.text("max-message") + "' is more than the 64MiB that every daemon delivers");
  }
  if (options.limits.max_message == 0 || options.limits.client_queue_bytes == 0) {
    return fail("max-message and client-queue must not be 0");
  }
  if (settings.text("busy-poll") != "auto") {
    options.busy_poll = {duration_of(settings, "busy-poll"), 1};
  }
  if (options.busy_poll.stay > seconds(1)) {
    return fail("busy-poll: '" + settings.text("busy-poll") + "' is more than 1s");
  }
  if (settings.given("voter") && options.quorum != core::QuorumPolicy::fixed) {
    return fail("voter needs quorum static");
  }
  for (const auto& voter : settings.list("voter")) {
    options.static_voters.push_back({static_cast<core::NodeId>(*parse_number(voter, 1, 0x7fffffff)), 0, 1});
  }
  options.transport.listen = address_of(settings.text("listen"));
  set_transport(options.transport, options.limits, settings);
  if (auto set = set_discovery(options, settings); !set) {
    return tl::unexpected(set.error());
  }
  if (settings.given("advertise")) {
    const auto advertise = *io::parse_host_port(settings.text("advertise"), options.transport.listen.port);
    options.advertise = {advertise.host, advertise.port, 0};
  }
  set_faults(options.faults, settings);
  if (settings.given("hosts")) {
    if (auto applied = apply_hosts(options, settings); !applied) {
      return tl::unexpected(applied.error());
    }
  } else if (settings.flag("crash-in-change")) {
    return fail("crash-in-change needs hosts: it waits for all of them");
  }
  if (const auto fits = options.witness ? check_witness(options, settings) : Result<void>{}; !fits) {
    return tl::unexpected(fits.error());
  }
  if (options.advertise.host.empty()) {
    const auto& listen = options.transport.listen.host;
    options.advertise.host = listen.empty() ? first_address() : listen;
  }
  set_control(options.control, options, settings);
  return options;
}

Result<void> check_startable(const engine::Options& options) {
  if (options.quorum == core::QuorumPolicy::fixed && options.static_voters.empty()) {
    return fail("quorum static needs to know the voters: give hosts, or voter for each of them");
  }
  return {};
}

engine::LogOptions make_log_options(const Settings& settings) {
  engine::LogOptions options;
  for (const auto& level : settings.list("log-level")) {
    options.levels.push_back(*engine::parse_log_level(level));
  }
  options.files = settings.list("log-file");
  options.journal = io::systemd::logs_to_journal();
  return options;
}

microseconds start_delay(const Settings& settings) {
  return duration_of(settings, "start-delay");
}

namespace {

/// Settings as they would be read now, and what they mean.
struct Reread {
  Settings settings;
  engine::Options options;
  io::ReloadReport report;
};

Result<Reread> reread(const std::vector<std::string>& arguments, const Settings& current) {
  auto parsed = parse_settings(arguments);
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  auto options = make_options(parsed->settings);
  if (!options) {
    return tl::unexpected(options.error());
  }
  constexpr std::array<std::string_view, 3> kAtRunTime{"log-level", "peer", "hosts"};
  Reread now{std::move(parsed->settings), std::move(*options), {}};
  for (const auto& name : current.differences(now.settings)) {
    const bool at_run_time = std::ranges::find(kAtRunTime, name) != kAtRunTime.end();
    (at_run_time ? now.report.applied : now.report.needs_restart).push_back(name);
  }
  return now;
}

}  // namespace

Result<io::ReloadReport> SettingsReloader::check() const {
  return reread(arguments_, current_).map([](const Reread& now) { return now.report; });
}

Result<engine::Reloaded> SettingsReloader::reload() {
  auto now = reread(arguments_, current_);
  if (!now) {
    return tl::unexpected(now.error());
  }
  for (const auto& name : now->report.applied) {
    current_.set(name, {now->settings.list(name), now->settings.given(name)});
  }
  return engine::Reloaded{make_log_options(now->settings).levels, now->options.transport.seeds, std::move(now->report)};
}

}  // namespace vsync::daemon
