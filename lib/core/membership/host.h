// What membership needs from the rest of the daemon: the node implements it with the detector, the ordering and the groups
// module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/config.h"
#include "core/model/effect.h"
#include "core/model/frame.h"

namespace vsync::core {

class MembershipHost {
 public:
  virtual ~MembershipHost() = default;

  // ---- links
  /// To a peer's link; to this daemon itself: handled right after the current input. Dropped if there is no link.
  virtual void send(const Pid& to, FramePtr frame) = 0;
  virtual void want_links(std::vector<Member> peers, bool seek) = 0;
  [[nodiscard]] virtual bool linked(const Pid& peer) const = 0;
  /// V6: the reach bit.
  [[nodiscard]] virtual bool reachable(const Pid& peer) const = 0;
  [[nodiscard]] virtual Duration silence(const Pid& peer) const = 0;
  [[nodiscard]] virtual std::uint32_t health() const = 0;

  // ---- stable storage
  virtual void persist(std::uint64_t token, AcceptorRecord record) = 0;

  // ---- the streams of the current view
  /// V4: from now on nothing is sent, received or delivered in this view.
  virtual void wedge() = 0;
  [[nodiscard]] virtual const Counts& held() const = 0;
  [[nodiscard]] virtual bool has_all(const Counts& cut) const = 0;
  [[nodiscard]] virtual std::vector<RunPtr> range(Rank sender, Seq lo, Seq hi) const = 0;
  /// V7. False: out of sequence.
  virtual bool forward(Rank sender, const RunPtr& run) = 0;

  // ---- views
  /// V10: delivers the rest of `base` up to the cut. Called once, before installed(), left() or nothing else of that view.
  virtual void close_view(const View& base, const Counts& cut) = 0;
  /// V11. base: the view this daemon comes from with its state; null for a joiner.
  virtual void install(const ViewPtr& view, const ViewPtr& base) = 0;
  /// B4: this daemon votes in `view` and is no member of it.
  virtual void witness(const ViewPtr& view) = 0;
  /// J6: the table as of the last install, and taking over another daemon's. False: damaged.
  [[nodiscard]] virtual const std::string& table() const = 0;
  [[nodiscard]] virtual std::uint64_t table_hash() const = 0;
  virtual bool load_table(std::string_view bytes) = 0;
  /// V12: this incarnation is over. `by`: the first view without it, when known as successor of its own; cut: of its view.
  virtual void excluded(const ViewPtr& by, const std::optional<Counts>& cut) = 0;
  /// J8: not a member any more; `finished` when it need not linger either.
  virtual void left(const View& view) = 0;
  virtual void finished(ViewId view) = 0;
  virtual void refused(RejectReason reason, NodeId node, std::uint64_t incarnation) = 0;

  // ---- replies and events
  virtual void emit(Effect effect) = 0;
  virtual void step_taken(std::string_view name, std::uint64_t amount) = 0;  ///< a counted step of the protocol
};

}  // namespace vsync::core
