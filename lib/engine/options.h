// What an engine is told at its start; daemon/options.h makes it from flags, environment and file.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model/config.h"
#include "engine/busy_poll.h"
#include "engine/event_log.h"
#include "engine/logs.h"
#include "io/control_server.h"
#include "io/discovery.h"
#include "io/transport.h"

namespace vsync::engine {

/// Deaths that the scenario tests order in advance.
struct Faults {
  std::optional<std::chrono::milliseconds> crash_after;  ///< since the start
  std::string crash_on;                                  ///< name of a frame: die instead of sending it, empty = never
  std::uint32_t crash_on_nth = 1;                        ///< the n-th frame of that name; those before it are sent
  /// Once this node leads a view of so many members: it evicts the last of them, and dies when its ACCEPT was sent to two of
  /// them, the successor not among these. 0 = never.
  std::size_t crash_in_change_of = 0;
};

struct EventLogOptions {
  std::string path;  ///< "-" = standard output
  EventLog::Format format = EventLog::Format::json;
};

struct Options {
  std::string version;
  std::string name;
  core::NodeId node = 0;    ///< 0 = as stored, else assigned at join (1 for a founder)
  core::Address advertise;  ///< where others reach us; port 0 = as bound
  std::string state_dir;
  io::TransportOptions transport;
  io::DiscoveryOptions discovery;
  io::ControlOptions control;
  core::Limits limits;
  core::QuorumPolicy quorum = core::QuorumPolicy::dynamic;
  std::vector<core::Voter> static_voters;
  core::NodeId highest_configured_node = 0;  ///< lines of the hosts file: ids given at a join are above
  core::ColdStart cold_start = core::ColdStart::wait_all;
  bool bootstrap = false;
  bool witness = false;         ///< B4: a voter that is no member
  bool found_if_alone = false;  ///< first line of the hosts file
  BusyPollOptions busy_poll;
  std::uint64_t durable_limit = std::uint64_t{256} << 20U;  ///< KeeperLimits::log_bytes
  std::size_t durable_groups = 1024;                        ///< KeeperLimits::groups
  std::vector<EventLogOptions> event_logs;
  Faults faults;
};

/// What can change while the daemon runs.
struct Reloaded {
  std::vector<LogLevel> log_levels;
  std::vector<io::HostPort> seeds;
  io::ReloadReport report;
};

/// Reads the settings anew. An error leaves everything as it is.
class SettingsSource {
 public:
  SettingsSource() = default;
  SettingsSource(const SettingsSource&) = delete;
  SettingsSource& operator=(const SettingsSource&) = delete;
  virtual ~SettingsSource() = default;
  virtual Result<Reloaded> reload() = 0;
  /// What reload() would report; nothing changes.
  [[nodiscard]] virtual Result<io::ReloadReport> check() const = 0;
};

}  // namespace vsync::engine
