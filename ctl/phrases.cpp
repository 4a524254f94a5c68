#include "phrases.h"

namespace vsync::ctl {

std::string plural(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string nodes(const google::protobuf::RepeatedField<google::protobuf::uint32>& ids) {
  return list(ids, [](auto id) { return std::to_string(id); });
}

std::string awaited(const pb::StateWait& wait) {
  std::string where = plural(wait.more(), "more node");
  if (wait.of_size() == 1) {
    where = "node " + nodes(wait.of());
  } else if (wait.of_size() > 1) {
    const bool some = wait.more() < static_cast<std::uint32_t>(wait.of_size());
    where = (some ? std::to_string(wait.more()) + " more of the nodes " : "the nodes ") + nodes(wait.of());
  }
  return wait.what() == "members"   ? plural(wait.more(), "more member")
         : wait.what() == "disks"   ? "members on " + where
         : wait.what() == "answers" ? "what the disks have on " + where
                                    : "the disks to answer on " + where;
}

}  // namespace vsync::ctl
