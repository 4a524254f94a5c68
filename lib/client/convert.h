// The control protocol's messages as the values of <vsync/client.h>.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "vsync/client.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync {

[[nodiscard]] GroupMember to_member(const control::v1::GroupMember& member);
[[nodiscard]] GroupView to_view(const control::v1::GroupView& view);
[[nodiscard]] ClusterView to_cluster_view(const control::v1::ViewEvent& view);
[[nodiscard]] Stable to_stable(const control::v1::StableEvent& stable);
[[nodiscard]] Suspicion to_suspicion(const control::v1::SuspectEvent& suspect);
[[nodiscard]] DaemonStatus to_status(const control::v1::Status& status);
[[nodiscard]] Service to_service(control::v1::Service service);
void fill(control::v1::GroupMember& out, const GroupMember& member);
[[nodiscard]] Fate to_fate(std::string_view outcome);
[[nodiscard]] Fate to_fate(control::v1::Outcome outcome);
/// Splits a body into `count` messages, which refer to it. False: it is not what the daemon promised.
[[nodiscard]] bool split_body(std::string_view body, std::uint32_t count, std::vector<std::string_view>& messages);

}  // namespace vsync
