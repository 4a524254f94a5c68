// Members and views by node number, for short tests: node n has pid n.1 and vote epoch 70 + n unless a test says otherwise.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/model/view.h"

namespace vsync::test {

using namespace vsync::core;  // NOLINT(google-build-using-namespace): tests speak the vocabulary of the core

inline Pid pid(NodeId node, std::uint64_t incarnation = 1) {
  return {node, incarnation, 0};
}

inline Member member(NodeId node, std::uint64_t incarnation = 1) {
  return {pid(node, incarnation), 70 + node, "n" + std::to_string(node), {"127.0.0.1", 1, 2}};
}

/// View `id` of these nodes, in this order of seniority; they all come from the view before it with everything up to `cut`.
inline View view_of(ViewId id, const std::vector<NodeId>& nodes, const Counts& cut = {}) {
  View view;
  view.uuid = {1, 2};
  view.ref.epoch = id;
  Origin origin{{id - 1, 0, {}}, Origin::kPrimary | Origin::kPartitionable, {}, cut};
  for (const NodeId node : nodes) {
    view.members.push_back(member(node));
    view.voters.push_back({node, 70 + node, 1});
    view.history[node] = 1;
    origin.survivors.push_back(pid(node));
  }
  view.tiebreak = nodes.front();
  view.origins = {origin};
  return view;
}

inline ViewPtr shared(View view) {
  return std::make_shared<const View>(std::move(view));
}

}  // namespace vsync::test
