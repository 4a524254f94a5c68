// Is this installation well? Each check is a pure function of what was asked and probed.
#pragma once

#include <string>
#include <vector>

#include "probe.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync::ctl {

namespace pb = control::v1;

/// What the checks look at.
struct Findings {
  pb::Status before;  ///< two looks, a moment apart
  pb::Status now;
  pb::Diagnosis daemon;
  std::string program_version;  ///< of vsyncctl
  Probe self;                   ///< the address that the daemon advertises
  std::vector<Probe> peers;     ///< from daemon.peers
};

[[nodiscard]] std::vector<pb::Check> examine(const Findings& findings);

[[nodiscard]] pb::Check passed(const std::string& name, const std::string& detail);
[[nodiscard]] pb::Check warning(const std::string& name, const std::string& detail, const std::string& advice);
[[nodiscard]] pb::Check failed(const std::string& name, const std::string& detail, const std::string& advice);

}  // namespace vsync::ctl
