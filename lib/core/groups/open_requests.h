// G8: requests of local clients that wait for the replies of the group's members.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/effect.h"

namespace vsync::core {

/// Who is asked is known when the request is delivered here; replies may come before that. A reply travels in the fifo stream of
/// its daemon, ahead of the leave of its client, so who is in the group no more sends none. Nothing of this goes to others.
class OpenRequests {
 public:
  static constexpr std::size_t kMaxOpen = 64;                      ///< of one client
  static constexpr std::size_t kMaxBytes = std::size_t{4} << 20U;  ///< of the replies to the open requests of one client

  [[nodiscard]] bool full(ClientId client) const;
  void open(ClientId client, RequestId request, Wait wait, Duration within);
  /// At its place in the order these members are asked. `later`: those that will get a state which it is in, and not itself.
  void delivered(ClientId client, RequestId request, const GroupView& view, std::optional<ClientRef> to,
                 const std::set<ClientRef>& later);
  /// C1: its outcome. What is not delivered has ended.
  void outcome(ClientId client, RequestId request, Outcome outcome, ViewId view, std::uint64_t position, std::string_view code,
               Effects& effects);
  void replied(const ClientRef& asker, RequestId request, const ClientRef& member, bool text, const Slice& body,
               Effects& effects);
  /// A view of a group: who is in it no more does not reply, nor who gets a state there that all earlier requests are in.
  void changed(const GroupView& view, const std::set<ClientRef>& later, Effects& effects);
  void gone(ClientId client);
  /// The incarnation is over: what was delivered ends with the replies that came, of the rest nothing is known.
  void excluded(Effects& effects);

  /// Sets the deadlines of new requests, and ends those that are over.
  void end_of_turn(Time now, Effects& effects);
  [[nodiscard]] Time next_deadline() const;

 private:
  struct Asked {
    GroupMember member;
    std::string_view gone = {};  ///< why it is not waited for, as in RequestAnswered; empty: it is
  };
  struct Reply {
    bool text = false;
    bool too_large = false;
    Slice body;
  };
  struct Open {
    Wait wait = Wait::all;
    Duration within{};
    std::optional<Time> deadline;  ///< none until the end of the turn in which it came
    GroupId group = 0;             ///< 0: not delivered here yet
    bool alone = false;            ///< G7: one member is asked
    std::vector<Asked> asked;
    std::map<ClientRef, Reply> replies;
    std::size_t bytes = 0;
    bool delivered = false;  ///< its outcome is told
    ViewId view = 0;
    std::uint64_t position = 0;
  };
  using Key = std::pair<ClientId, RequestId>;
  using Requests = std::map<Key, Open>;

  template <typename Value>
  [[nodiscard]] std::size_t sum(ClientId client, Value value) const;
  [[nodiscard]] static std::size_t wanted(const Open& open);
  [[nodiscard]] static bool over(const Open& open);
  [[nodiscard]] static bool is_asked(const Open& open, const ClientRef& member);
  static RequestAnswered result(const Key& key, const Open& open);
  Requests::iterator end(Requests::iterator at, Effects& effects);
  void end_if_over(Requests::iterator at, Effects& effects);

  Requests requests_;
};

}  // namespace vsync::core
