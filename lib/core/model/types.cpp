#include "core/model/types.h"

#include <array>
#include <cstdio>

namespace vsync::core {

namespace {
template <typename Enum, std::size_t N>
std::string_view name_of(Enum value, const std::array<std::string_view, N>& names) {
  const auto index = static_cast<std::size_t>(value);
  return index < N ? names[index] : "?";
}
}  // namespace

std::string_view to_string(Service service) {
  return name_of(service, std::array<std::string_view, 3>{"fifo", "causal", "total"});
}
std::string_view to_string(Evidence evidence) {
  return name_of(evidence, std::array<std::string_view, 5>{"none", "link", "soft", "firm", "hard"});
}
std::string_view to_string(LeaveReason reason) {
  return name_of(reason, std::array<std::string_view, 9>{"left", "crashed", "silent", "evicted", "replaced", "unreachable",
                                                         "no_state", "slow", "not_a_keeper"});
}
std::string_view to_string(Role role) {
  return name_of(role, std::array<std::string_view, 6>{"out", "joining", "member", "wedged", "left", "witness"});
}
std::string_view to_string(Outcome outcome) {
  return name_of(outcome, std::array<std::string_view, 3>{"delivered", "not_delivered", "unknown"});
}
std::string_view to_string(QuorumPolicy policy) {
  return name_of(policy, std::array<std::string_view, 2>{"dynamic", "static"});
}
std::string_view to_string(RunKind kind) {
  return name_of(kind, std::array<std::string_view, 9>{"data", "group_join", "group_leave", "group_flushed", "group_state",
                                                       "group_hold", "session", "group_synced", "group_kept"});
}
std::string_view to_string(Awaited what) {
  return name_of(what, std::array<std::string_view, 5>{"nobody", "members", "disks", "answers", "promises"});
}

std::string to_string(const Pid& pid) {
  return std::to_string(pid.node) + "." + std::to_string(pid.incarnation);
}
std::string to_string(const Ballot& ballot) {
  return std::to_string(ballot.round) + "/" + std::to_string(ballot.node);
}

std::string to_string(const Uuid& uuid) {
  std::array<char, 33> text{};
  std::snprintf(text.data(), text.size(), "%016llx%016llx", static_cast<unsigned long long>(uuid.high),
                static_cast<unsigned long long>(uuid.low));
  return text.data();
}

}  // namespace vsync::core
