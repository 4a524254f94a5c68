// An application that keeps a state replicated by the messages of its group: what it is, how it is given and taken (T1, T2).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/effect.h"
#include "core/model/input.h"

namespace vsync::sim {

/// The state is a digest of all messages since the group began: the order of totals counts, of the others only the set.
class Replica {
 public:
  [[nodiscard]] bool has_state() const { return has_; }
  [[nodiscard]] std::uint64_t hash() const;
  [[nodiscard]] core::GroupId group() const { return group_; }

  void enter(core::GroupId group) { group_ = group; }
  bool durable = false;
  void apply(const core::DeliverMessages& messages);
  /// K1: of a durable group, its messages by their ids. Not empty: what is wrong with them.
  std::string apply(const core::DeliverMessages& messages, const std::vector<std::uint64_t>& ids);
  [[nodiscard]] const std::vector<std::uint64_t>& ids() const { return ids_; }
  /// Not empty: what is wrong with the piece.
  std::string arrive(const core::StateArrived& piece);

  // ---- as a donor
  /// A snapshot of `size` bytes at least.
  void give(const core::StateRequested& asked, std::size_t size);
  /// The next piece; nullopt: nothing may be sent now.
  std::optional<core::ClientState> next_piece(core::ClientId client, core::RequestId request, std::size_t size);
  /// False: the request was no piece of this state.
  bool answered(core::RequestId request, bool refused);

 private:
  struct Giving {
    core::StateRequested asked;
    std::string bytes;
    std::size_t at = 0;
    bool ended = false;
    std::map<core::RequestId, std::size_t> unanswered;
  };

  core::GroupId group_ = 0;
  bool has_ = false;
  std::uint64_t totals_ = 0;
  std::uint64_t others_ = 0;
  std::vector<std::uint64_t> ids_;
  std::uint64_t token_ = 0;  ///< of the transfer under way
  std::string arriving_;
  std::optional<Giving> giving_;
};

}  // namespace vsync::sim
