// Process groups over the daemon view, and the requests of local clients (protocol.md section 12).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/model/effect.h"
#include "core/model/input.h"

namespace vsync::core {

/// The group table is a deterministic function of the totals delivered (G1); beside it live the queues of local clients.
/// Knows no link and no ballot. Not thread-safe; every call is one step of the core.
class Groups {
 public:
  Groups(const Pid& self, const Limits& limits, bool trace);

  // ---- requests of local clients; answers are effects
  void request(ClientJoin join, Effects& effects);
  void request(ClientLeave leave, Effects& effects);
  void request(ClientSend send, Effects& effects);
  /// G2: its groups are left in order after what it had sent; no more replies go to it.
  void client_gone(ClientId client, Effects& effects);

  // ---- sending
  /// Is there something to bind? (Not messages of a group that is flushing, G4.)
  [[nodiscard]] bool ready() const;
  /// The next thing to bind: one run, or all fragments of one large message. They must be bound in this step. Only when ready().
  std::vector<Run> next(Effects& effects);
  /// What next() returned was bound in `view`; outcomes follow from deliveries and stability. D is for the trace.
  void bound(const std::vector<RunPtr>& runs, ViewId view, Rank rank, const Counts& delivered, Effects& effects);
  [[nodiscard]] std::size_t queued() const;  ///< client messages accepted and not yet bound
  [[nodiscard]] bool idle() const;           ///< nothing queued and no outcome owed (J7)

  // ---- what the ordering module delivers, in order
  void deliver(const Pid& sender, const RunPtr& run, Effects& effects);
  /// Own stream stable up to `seq`: outcomes of fifo and causal sends (C1).
  void stable(Seq seq, Effects& effects);

  // ---- views
  /// V11, after the closed cut was delivered: outcomes, partial fragments dropped, clients of daemons that are gone removed (G2),
  /// pending group flushes completed (G4). A group view is installed only where something changed.
  void install(const View& view, Effects& effects);
  /// A joiner takes the table of the view it joins (J6) in place of its own. False: the bytes are damaged.
  bool load_table(std::string_view bytes);
  /// The table as of now: equal bytes at all members right after an install.
  [[nodiscard]] std::string save_table() const;
  [[nodiscard]] std::uint64_t table_hash() const;
  /// V12: outcomes by C3. own_delivered: how many own messages those who go on deliver; nullopt: unknown.
  void excluded(std::optional<Seq> own_delivered, Effects& effects);

  [[nodiscard]] std::vector<GroupViewPtr> views() const;  ///< current group views, by name
};

}  // namespace vsync::core
