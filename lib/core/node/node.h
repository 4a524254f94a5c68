// The daemon as a pure machine: one input in, an ordered list of effects out (protocol.md section 3, rule 0).
#pragma once

#include <memory>

#include "core/model/effect.h"
#include "core/model/input.h"
#include "core/model/status.h"

namespace vsync::core {

/// One incarnation of a daemon. step() never blocks, reads no clock, and is never re-entered from an effect. Not thread-safe.
class Node {
 public:
  explicit Node(Config config);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Call once, before any step.
  void start(Time now, Effects& effects);
  /// Handles one input; appends effects, to be executed in order. After all readable input was passed in, pass EndOfTurn.
  void step(Time now, Input input, Effects& effects);
  /// The one timer: pass Tick at this time (kNever: none needed).
  [[nodiscard]] Time next_deadline() const;

  /// What the transport sends as the first frame of each connection. Changes with role and view.
  [[nodiscard]] Hello hello() const;
  [[nodiscard]] NodeStatus status(Time now) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vsync::core
