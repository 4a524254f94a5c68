#include "phrases.h"

namespace vsync::ctl {

std::string plural(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string awaited(const pb::StateWait& wait) {
  std::string nodes;
  for (const auto node : wait.of()) {
    nodes += (nodes.empty() ? "" : ", ") + std::to_string(node);
  }
  if (wait.of_size() == 1) {
    nodes = "node " + nodes;
  } else if (wait.of_size() > 1) {
    nodes = (wait.more() < static_cast<std::uint32_t>(wait.of_size()) ? std::to_string(wait.more()) + " more of the nodes "
                                                                      : "the nodes ") +
            nodes;
  } else {
    nodes = plural(wait.more(), "more node");
  }
  if (wait.what() == "members") {
    return plural(wait.more(), "more member");
  }
  return wait.what() == "disks"     ? "members on " + nodes
         : wait.what() == "answers" ? "what the disks have on " + nodes
                                    : "the disks to answer on " + nodes;
}

}  // namespace vsync::ctl
