// Into groups and out of them.
#include <algorithm>
#include <chrono>
#include <utility>

#include "client/client_impl.h"
#include "client/convert.h"

namespace vsync {

namespace pb = control::v1;
using std::chrono::milliseconds;

Expected<GroupView> Client::Impl::join(std::string_view group, JoinOptions options, Clock::time_point deadline) {
  if (auto there = connect(deadline); !there) {
    return there.failure();
  }
  const std::string name(group);
  const auto [entry, first] = groups_.try_emplace(name);
  Group& wanted = entry->second;
  if (wanted.joined) {
    return Failure{"already_member", "this client is in '" + name + "' already"};
  }
  if (first) {
    wanted.options = std::move(options);
  }
  if (wanted.request == 0) {
    outbox_.close_batch(sink());
    send_join(name, wanted, sink());
  }
  auto reply = answer_to(wanted.request, deadline);
  if (reply) {
    return to_view(reply->join().view());
  }
  if (reply.failure().code != "timeout") {
    groups_.erase(name);
  }
  return reply.failure();
}

void Client::Impl::set_offer(std::string_view group, std::uint64_t offer) {
  if (const auto found = groups_.find(group); found != groups_.end()) {
    found->second.options.offer = offer;
  }
}

Expected<Done> Client::Impl::leave(std::string_view group, Clock::time_point deadline) {
  if (in_callback_) {
    return waits_in_callback();
  }
  const std::string name(group);
  groups_.erase(name);
  pb::Request request;
  request.mutable_leave()->set_group(name);
  auto reply = ask(request, deadline);
  return reply ? Expected<Done>(Done{}) : reply.failure();
}

void Client::Impl::send_join(const std::string& name, Group& group, FrameSocket& way) {
  pb::Request request;
  request.set_id(group.join = group.request = new_request());
  group.entered = 0;
  fill(*request.mutable_join(), name, group.options);
  way.append(request);
}

void Client::Impl::fill(pb::JoinRequest& join, const std::string& name, const JoinOptions& options) {
  join.set_group(name);
  join.set_member_name(options.member_name);
  join.set_total_only(options.total_only);
  join.set_lease(options.lease);
  join.set_stability(options.stability);
  join.set_state(options.state);
  join.set_offer(options.offer);
  join.set_replicas(options.replicas);
  join.set_when_slow(options.when_slow == WhenSlow::block ? pb::BLOCK
                     : options.when_slow == WhenSlow::gap ? pb::GAP
                                                          : pb::DISCONNECT);
  join.set_block_ms(static_cast<std::uint32_t>(std::clamp<milliseconds::rep>(options.block_for.count(), 0, 1'000'000'000)));
  join.set_backlog_bytes(options.backlog_bytes);
  join.set_backlog_messages(options.backlog_messages);
  if (options.durable.disks > 0) {
    join.mutable_durable()->set_disks(options.durable.disks);
    join.mutable_durable()->set_every_messages(options.durable.every_messages);
    join.mutable_durable()->set_every_seconds(options.durable.every_seconds);
    join.mutable_durable()->set_at_views(options.durable.at_views);
  }
}

}  // namespace vsync
