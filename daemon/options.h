// From settings to what the engine and the logs are told: the meaning of the settings together.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "daemon/settings.h"
#include "engine/logs.h"
#include "engine/options.h"

namespace vsync::daemon {

/// Reads the hosts file, completes defaults from other settings, and refuses settings that contradict each other. Errors name the
/// settings.
[[nodiscard]] Result<engine::Options> make_options(const Settings& settings);
[[nodiscard]] engine::LogOptions make_log_options(const Settings& settings);
/// What must hold to start, but not to check a file that is meant for another host.
[[nodiscard]] Result<void> check_startable(const engine::Options& options);

[[nodiscard]] std::chrono::microseconds start_delay(const Settings& settings);

/// SIGHUP and `vsyncctl reload`: reads everything again from the same places.
class SettingsReloader final : public engine::SettingsSource {
 public:
  SettingsReloader(std::vector<std::string> arguments, Settings current)
      : arguments_(std::move(arguments)), current_(std::move(current)) {}

  Result<engine::Reloaded> reload() override;
  [[nodiscard]] Result<io::ReloadReport> check() const override;

 private:
  std::vector<std::string> arguments_;
  Settings current_;  ///< in force
};

}  // namespace vsync::daemon
