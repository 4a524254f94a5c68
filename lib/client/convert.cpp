#include "client/convert.h"

namespace vsync {

namespace pb = control::v1;

GroupMember to_member(const pb::GroupMember& member) {
  return {member.node(), member.incarnation(), member.client(), member.name()};
}

GroupView to_view(const pb::GroupView& view) {
  GroupView made;
  made.group = view.group();
  made.view = view.view();
  made.number = view.number();
  made.token = view.token();
  for (const auto& member : view.members()) {
    made.members.push_back(to_member(member));
  }
  for (const auto& member : view.joined()) {
    made.joined.push_back(to_member(member));
  }
  for (const auto& departure : view.left()) {
    made.left.push_back({to_member(departure.member()), departure.reason()});
  }
  for (const auto& member : view.transitional()) {
    made.transitional.push_back(to_member(member));
  }
  for (const auto& member : view.without_state()) {
    made.without_state.push_back(to_member(member));
  }
  made.primary = view.primary();
  made.cold = view.cold();
  made.total_only = view.total_only();
  return made;
}

ClusterView to_cluster_view(const pb::ViewEvent& view) {
  ClusterView made;
  made.view = view.view();
  for (const auto& member : view.members()) {
    made.members.push_back({member.node(), member.incarnation(), member.name(), member.address()});
  }
  made.joined = {view.joined().begin(), view.joined().end()};
  for (const auto& left : view.left()) {
    made.left.push_back({left.node(), left.name(), left.reason()});
  }
  made.cold = view.cold();
  return made;
}

Stable to_stable(const pb::StableEvent& stable) {
  Stable made{stable.group(), stable.number(), stable.token(), stable.position(), {}};
  for (const auto& other : stable.others()) {
    made.others.push_back({other.node(), other.incarnation(), other.position()});
  }
  return made;
}

Suspicion to_suspicion(const pb::SuspectEvent& suspect) {
  return {suspect.node(), suspect.name(), suspect.evidence(), suspect.why(), std::chrono::microseconds(suspect.silence_us())};
}

DaemonStatus to_status(const pb::Status& status) {
  return {status.node(),   status.name(),      status.state(),      status.view(),
          status.leader(), status.is_leader(), status.has_quorum(), status.version()};
}

Service to_service(pb::Service service) {
  return service == pb::FIFO ? Service::fifo : service == pb::CAUSAL ? Service::causal : Service::total;
}

void fill(pb::GroupMember& out, const GroupMember& member) {
  out.set_node(member.node);
  out.set_incarnation(member.incarnation);
  out.set_client(member.client);
  out.set_name(member.name);
}

Fate to_fate(std::string_view outcome) {
  return outcome == "delivered" ? Fate::delivered : outcome == "not_delivered" ? Fate::not_delivered : Fate::unknown;
}

Fate to_fate(pb::Outcome outcome) {
  return outcome == pb::DELIVERED ? Fate::delivered : outcome == pb::NOT_DELIVERED ? Fate::not_delivered : Fate::unknown;
}

bool split_body(std::string_view body, std::uint32_t count, std::vector<std::string_view>& messages) {
  messages.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    if (body.size() < 4) {
      return false;
    }
    std::size_t size = 0;
    for (unsigned byte = 0; byte < 4; ++byte) {
      size |= static_cast<std::size_t>(static_cast<unsigned char>(body[byte])) << 8U * byte;
    }
    if (size > body.size() - 4) {
      return false;
    }
    messages.push_back(body.substr(4, size));
    body.remove_prefix(4 + size);
  }
  return body.empty();
}

}  // namespace vsync
