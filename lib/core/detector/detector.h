// The failure detector: who is silent, who is gone, and how sure we are (protocol.md section 9). It suspects; membership decides.
#pragma once

#include <optional>
#include <vector>

#include "core/model/effect.h"
#include "core/model/frame.h"
#include "core/model/status.h"

namespace vsync::core {

/// Watches the other members of the current view (or, while joining, nobody). All times are the caller's.
class Detector {
 public:
  Detector(const Pid& self, const Limits& limits);

  /// Watch exactly these members from now on. What is known about those watched before is kept.
  void watch(const std::vector<Member>& members, Time now);

  // ---- signs of life and of death. Changes of suspicion are SuspicionChanged effects.
  void heard(const Pid& peer, Time now, Effects& effects);                 ///< any authenticated frame (F1)
  void on_datagram(const Datagram& datagram, Time now, Effects& effects);  ///< answers PING_REQ with a datagram effect
  void link_opened(const Hello& peer, Time now, Effects& effects);  ///< a higher incarnation is HARD evidence against a lower one
  void link_closed(const Pid& peer, bool clean, Time now, Effects& effects);
  void gone(const Pid& peer, Evidence evidence, const std::string& why, Time now, Effects& effects);

  /// Sends heartbeats when due (fields other than counter, health and echo are `own`'s), asks others about silent members (F6),
  /// raises and withdraws suspicions (F2-F5). Call at next_deadline() at the latest.
  void tick(const Heartbeat& own, Time now, Effects& effects);
  [[nodiscard]] Time next_deadline() const;

  // ---- what is known
  [[nodiscard]] Evidence suspicion(const Pid& peer) const;  ///< link: cannot be reached from here though others hear it
  [[nodiscard]] Duration silence(const Pid& peer, Time now) const;
  [[nodiscard]] bool linked(const Pid& peer) const;
  /// V6 reach bit: there is a link, or it broke less than link_grace ago.
  [[nodiscard]] bool reachable(const Pid& peer, Time now) const;
  [[nodiscard]] Duration round_trip(const Pid& peer) const;  ///< smoothed, 0 = not measured
  [[nodiscard]] std::uint32_t health() const;                ///< local health multiplier 0..8 (F4)
  /// F10: members heard within T_lease = 0.7 T_host, as voters count them.
  [[nodiscard]] std::vector<Pid> heard_within_lease(Time now) const;
  [[nodiscard]] std::uint64_t suspicions() const;
  [[nodiscard]] std::uint64_t refuted() const;
};

}  // namespace vsync::core
