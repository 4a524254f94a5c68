#include "engine/durable_groups.h"

#include <algorithm>
#include <utility>

namespace vsync::engine {

namespace {
constexpr std::chrono::seconds kLook{1};  // checkpoints by time are due in seconds

io::KeptGroup kept(const durable::SqliteStore::Stored& stored) {
  const auto& disk = stored.contents;
  return {stored.group,   disk.kept, disk.checkpoint, disk.kept.position, disk.checkpoint_bytes,
          disk.log_bytes, false,     false,           stored.problem};
}
}  // namespace

DurableGroups::DurableGroups(asio::io_context& io, std::string directory, const durable::KeeperLimits& limits, Shell& shell)
    : shell_(shell), store_(std::move(directory), io.get_executor()), keeper_(store_, *this, limits), timer_(io) {
  look_at_the_time();
}

void DurableGroups::look_at_the_time() {
  timer_.expires_after(kLook);
  timer_.async_wait([this](const asio::error_code& error) {
    if (!error) {
      keeper_.tick();
      look_at_the_time();
    }
  });
}

void DurableGroups::status(std::function<void(std::vector<io::KeptGroup>)> done) {
  store_.list([this, done = std::move(done)](const std::vector<durable::SqliteStore::Stored>& stored) {
    std::vector<io::KeptGroup> groups;
    for (const auto& group : keeper_.status()) {
      groups.push_back(kept({group.group, group.contents, {}}));
      groups.back().synced = group.synced;
      groups.back().follows = group.follows;
      groups.back().in_progress = group.checkpointing;
    }
    for (const auto& group : stored) {  // no member has joined here since the start
      if (!keeper_.knows(group.group)) {
        groups.push_back(kept(group));
      }
    }
    std::ranges::sort(groups, {}, &io::KeptGroup::group);
    done(std::move(groups));
  });
}

void DurableGroups::verify(const std::string& group, std::function<void(Result<durable::Contents>)> done) {
  store_.verify(group, std::move(done));
}

}  // namespace vsync::engine
