// What a core is told at its start.
#pragma once

#include <algorithm>

#include <optional>
#include <string>
#include <vector>

#include "core/model/frame.h"

namespace vsync::core {

/// P1-P3 in one record: the acceptor's state in the only instance it can be in, the one that replaces `decided`.
/// Replacing the record whole makes "promised[v] may be dropped once a decided view with id > v is durable" atomic.
struct AcceptorRecord {
  ViewPtr decided;                        ///< P3: last decided view; null before the first
  ViewPtr previous;                       ///< P3: the one before
  Ballot promised;                        ///< P1, of instance decided->id()
  std::optional<AcceptedValue> accepted;  ///< P2, of the same instance
};

/// What every daemon delivers, whatever it takes from its own clients.
inline constexpr std::size_t kLargestMessage = std::size_t{64} << 20U;

/// Bounds and times (section 17). Defaults are for a LAN.
struct Limits {
  Duration heartbeat = std::chrono::milliseconds(100);
  Duration suspect_after = std::chrono::seconds(1);         ///< T_host
  Duration rto = std::chrono::milliseconds(50);             ///< repetition of unanswered control frames
  Duration flush_timeout = std::chrono::milliseconds(300);  ///< flush_to; grows with the bytes to forward
  Duration fetch_timeout = std::chrono::milliseconds(150);
  Duration join_batch = std::chrono::milliseconds(5);
  Duration link_grace = std::chrono::milliseconds(200);
  std::uint32_t link_flap_max = 10;  ///< breaks of one connection in a minute before the two do not reach each other; 0 = never
  Duration linger = std::chrono::seconds(5);
  Duration lease = std::chrono::milliseconds(700);  ///< T_lease (F10): equal in the whole cluster
  Duration slow_member = std::chrono::seconds(2);   ///< slow_ms (R8), 0 = never
  Duration relay_timeout = std::chrono::milliseconds(20);
  std::size_t window_bytes = std::size_t{4} << 20U;        ///< W_bytes, own unstable bytes
  std::size_t window_messages = 65536;                     ///< W_msgs, own unstable messages (runs make them cheap)
  std::size_t client_queue_bytes = std::size_t{1} << 20U;  ///< accepted but unbound bytes of one client before it is paused
  std::size_t max_message = kLargestMessage;               ///< larger sends of own clients are refused
  std::size_t max_run_bytes = std::size_t{128} << 10U;     ///< larger messages are cut into fragments of this size
  std::size_t state_window = std::size_t{512} << 10U;      ///< bytes of a state on its way to joiners (T1)
  std::size_t state_queue_bytes = std::size_t{64} << 20U;  ///< of messages that wait here for clients without state (T1)
  Duration state_timeout = std::chrono::seconds(30);       ///< a donor or a joiner that does nothing for so long is given up (T2)
  std::size_t max_members = 64;
  std::size_t ack_direct_max = 16;  ///< above this many members acknowledgements are relayed by the leader
  std::size_t kept_views = 16;

  /// F10: a new leader waits so long by its clock for the lease before to end by another's: clock rates differ by less than 10 %.
  [[nodiscard]] Duration lease_wait() const { return lease + lease / 7; }
  /// vc_to: how long a wedged member waits for an INSTALL before it suspects the candidate.
  [[nodiscard]] Duration view_change_timeout() const { return std::max<Duration>(4 * flush_timeout, suspect_after); }
};

struct Config {
  Member self;                    ///< pid, vote epoch, name, address. pid.node = 0: ask for an id at join
  Uuid uuid;                      ///< of the cluster this daemon belongs to; none = of none yet
  std::uint64_t config_hash = 0;  ///< over the settings that must be equal in a cluster
  Limits limits;
  QuorumPolicy quorum = QuorumPolicy::dynamic;
  std::vector<Voter> static_voters;    ///< for QuorumPolicy::fixed; vote_epoch 0 = learnt when the node first joins
  NodeId highest_configured_node = 0;  ///< ids given to joiners without one are above (lines of the hosts file)
  ColdStart cold_start = ColdStart::wait_all;
  bool bootstrap = false;       ///< found a new cluster if there is no stored state
  bool found_if_alone = false;  ///< first line of the hosts file: found unless a running cluster answers (Input seeds_tried)
  bool join = false;            ///< there are peers to join through
  bool amnesiac = false;        ///< stored state was lost or damaged: no vote, may only join
  AcceptorRecord restored;      ///< what was stored
  std::uint32_t recent_exclusions = 0;  ///< F8: exclusions in the last five minutes
  std::uint64_t seed = 0;               ///< of the core's generator
  bool trace = false;                   ///< emit trace effects for every message
};

}  // namespace vsync::core
