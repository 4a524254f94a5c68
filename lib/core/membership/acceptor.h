// The voter's half of the view change: what it has promised, accepted and learnt (protocol.md P1-P3, V4, V8).
#pragma once

#include <map>
#include <optional>

#include "core/model/config.h"
#include "core/model/view.h"

namespace vsync::core {

/// Acceptor of the one Paxos instance that replaces the last decided view. Pure state: who persists and answers is membership.
class Acceptor {
 public:
  Acceptor(AcceptorRecord restored, std::size_t kept_views);

  [[nodiscard]] const ViewPtr& decided() const { return record_.decided; }
  [[nodiscard]] ViewId decided_id() const { return record_.decided ? record_.decided->id() : 0; }
  [[nodiscard]] const Ballot& promised() const { return record_.promised; }
  [[nodiscard]] const std::optional<AcceptedValue>& accepted() const { return record_.accepted; }
  [[nodiscard]] const AcceptorRecord& record() const { return record_; }

  /// P1. False (and no change): a higher ballot is promised.
  bool promise(const Ballot& ballot);
  /// P2. Accepting implies promising.
  bool accept(const Ballot& ballot, const ViewPtr& value);
  /// P3: `view` is decided; older state is dropped with the same record. False: nothing new.
  bool decide(const ViewPtr& view);

  /// V15: a decided view that is still kept, for laggards.
  [[nodiscard]] ViewPtr kept(ViewId id) const;

 private:
  AcceptorRecord record_;
  std::map<ViewId, ViewPtr> kept_;
  std::size_t kept_views_;
};

}  // namespace vsync::core
