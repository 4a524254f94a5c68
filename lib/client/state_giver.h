// The states that this client was asked for, on their way to the daemon.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "client/frame_socket.h"
#include "vsync/client.h"
#include "vsync/control/v1/control.pb.h"

namespace vsync {

/// One state for each group at a time. Never more bytes are under way than the daemon has allowed, so that a state of any size
/// takes little memory here.
class StateGiver {
 public:
  /// `new_request` gives the ids of requests.
  explicit StateGiver(std::function<std::uint64_t()> new_request) : new_request_(std::move(new_request)) {}

  /// `source` null: refuses.
  void begin(FrameSocket& socket, const control::v1::StateRequest& asked, std::unique_ptr<StateSource> source);
  /// An answer to a piece; `refused`: the daemon wants no more. False: it is to something else.
  bool answered(FrameSocket& socket, std::uint64_t id, bool refused);
  void connection_lost() { states_.clear(); }

 private:
  struct State {
    std::uint64_t token = 0;
    std::size_t window = 0;
    std::size_t piece_size = 0;
    std::unique_ptr<StateSource> source;              ///< null: read to its end
    std::map<std::uint64_t, std::size_t> unanswered;  ///< bytes, by request
    std::size_t bytes = 0;                            ///< of these
  };
  using States = std::map<std::string, State>;

  void pump(FrameSocket& socket, const std::string& group, State& state);

  std::function<std::uint64_t()> new_request_;
  States states_;  ///< by group
};

}  // namespace vsync
