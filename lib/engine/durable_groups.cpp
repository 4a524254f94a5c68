#include "engine/durable_groups.h"

namespace vsync::engine {

namespace {
constexpr std::chrono::seconds kLook{1};  // checkpoints by time are due in seconds
}

DurableGroups::DurableGroups(asio::io_context& io, std::string directory, Shell& shell)
    : shell_(shell), store_(std::move(directory), io.get_executor()), keeper_(store_, *this), timer_(io) {
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

std::vector<io::KeptGroup> DurableGroups::status() const {
  std::vector<io::KeptGroup> groups;
  for (const auto& group : keeper_.status()) {
    const auto& disk = group.contents;
    groups.push_back({group.group, disk.kept, disk.checkpoint, group.synced, disk.checkpoint_bytes, disk.log_bytes, group.follows,
                      group.checkpointing});
  }
  return groups;
}

void DurableGroups::verify(const std::string& group, std::function<void(Result<durable::Contents>)> done) {
  store_.verify(group, std::move(done));
}

}  // namespace vsync::engine
