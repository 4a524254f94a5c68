// What may be without outcome: of the client's own options, and of the daemon's limits.
#include <algorithm>

#include "client/client_impl.h"

namespace vsync {

bool Client::Impl::room_for(std::size_t cost) const {
  const Credit left = credit();
  return outbox_.empty() || (cost <= left.bytes && left.messages > 0);
}

Credit Client::Impl::credit() const {
  const auto left = [](std::size_t most, std::size_t used) { return most - std::min(most, used); };
  return {left(most_.bytes, outbox_.unanswered_bytes()), left(most_.messages, outbox_.unanswered_messages())};
}

}  // namespace vsync
