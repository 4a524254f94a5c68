#include "core/membership/acceptor.h"

#include <utility>

namespace vsync::core {

Acceptor::Acceptor(AcceptorRecord restored, std::size_t kept_views) : record_(std::move(restored)), kept_views_(kept_views) {
  for (const auto& view : {record_.previous, record_.decided}) {
    if (view) {
      kept_[view->id()] = view;
    }
  }
}

bool Acceptor::promise(const Ballot& ballot) {
  if (ballot < record_.promised) {
    return false;
  }
  record_.promised = ballot;
  return true;
}

bool Acceptor::accept(const Ballot& ballot, const ViewPtr& value) {
  if (!promise(ballot)) {
    return false;
  }
  record_.accepted = AcceptedValue{ballot, value};
  return true;
}

bool Acceptor::decide(const ViewPtr& view) {
  if (view->id() <= decided_id()) {
    return false;
  }
  record_ = AcceptorRecord{view, record_.decided, Ballot{}, std::nullopt};
  kept_[view->id()] = view;
  while (kept_.size() > kept_views_) {
    kept_.erase(kept_.begin());
  }
  return true;
}

ViewPtr Acceptor::kept(ViewId id) const {
  const auto it = kept_.find(id);
  return it == kept_.end() ? nullptr : it->second;
}

}  // namespace vsync::core
