// The failure detector: who is silent, who is gone, and how sure we are (protocol.md section 9). It suspects; membership decides.
//
// What is known about a peer is kept as three separate facts, and the suspicion told to others is the strongest of them:
//   terminal  firm or hard: the process is gone. Only a new link to the same pid withdraws firm; nothing withdraws hard.
//   verdict   soft or link: it was silent for too long, and others were asked whether they hear it (F6). Any sign of life ends
//   it. link      its connection broke and did not come back within link_grace, or breaks again and again.
// Silence is judged with care for the judge: a late wake-up, a refuted suspicion and unanswered questions make it slower (F3,
// F4), and who hears less than half of the members blames itself (F5).
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/effect.h"
#include "core/model/frame.h"
#include "core/model/status.h"

namespace vsync::core {

/// Watches the other members of the current view (or, while joining, nobody). All times are the caller's.
class Detector {
 public:
  Detector(const Pid& self, const Limits& limits);

  /// Watch exactly these members from now on. What is known about those watched before is kept. Self is ignored.
  void watch(const std::vector<Member>& members, Time now);

  // ---- signs of life and of death. Changes of suspicion are SuspicionChanged effects.
  void heard(const Pid& pid, Time now, Effects& effects);                  ///< any authenticated frame (F1)
  void on_datagram(const Datagram& datagram, Time now, Effects& effects);  ///< answers PING_REQ with a datagram effect
  void link_opened(const Hello& hello, Time now,
                   Effects& effects);  ///< a higher incarnation is HARD evidence against a lower one
  void link_closed(const Pid& pid, bool clean, Time now, Effects& effects);
  void gone(const Pid& pid, Evidence evidence, const std::string& why, Time now, Effects& effects);

  /// Sends heartbeats when due (fields other than counter, health and echo are `own`'s), asks others about silent members (F6),
  /// raises and withdraws suspicions (F2-F5). Call at next_deadline() at the latest.
  void tick(const Heartbeat& own, Time now, Effects& effects);
  [[nodiscard]] Time next_deadline() const;  ///< kNever while nobody is watched

  // ---- what is known
  [[nodiscard]] Evidence suspicion(const Pid& pid) const;  ///< link: cannot be reached from here though others hear it
  [[nodiscard]] Duration silence(const Pid& pid, Time now) const;
  [[nodiscard]] bool linked(const Pid& pid) const;  ///< true for self
  /// V6 reach bit: there is a link, or it broke less than link_grace ago; it does not break all the time; and the peer is not
  /// silent here while others hear it.
  [[nodiscard]] bool reachable(const Pid& pid, Time now) const;
  [[nodiscard]] Duration round_trip(const Pid& pid) const;  ///< smoothed, 0 = not measured
  [[nodiscard]] std::uint32_t health() const;               ///< local health multiplier 0..8 (F4)
  /// F10: members heard within T_lease = 0.7 T_host, as voters count them. Self is one of them.
  [[nodiscard]] std::vector<Pid> heard_within_lease(Time now) const;
  /// When the heartbeats with this counter were made; nullopt: too long ago, or never.
  [[nodiscard]] std::optional<Time> sent_at(std::uint64_t counter) const;
  [[nodiscard]] std::uint64_t suspicions() const;
  [[nodiscard]] std::uint64_t refuted() const;

 private:
  /// F6: one round of questions about a silent member.
  struct Query {
    std::uint64_t nonce = 0;
    Time due{};              ///< the verdict falls at this time
    bool concluded = false;  ///< the verdict fell; the next round starts at `due`
    std::vector<Pid> asked;  ///< who has not answered yet
    std::uint32_t answers = 0;
    bool heard = false;  ///< somebody hears it
  };

  struct Peer {
    Member member;
    bool watched = false;
    Time heard{};       ///< last sign of life
    Time quiet_from{};  ///< the same, shifted by our own lag: silence deadlines count from here (F3)
    bool linked = false;
    Time unlinked{};            ///< since when, if not linked
    std::deque<Time> broke{};   ///< the last link_flap_max + 1 times that its connection broke
    std::uint64_t counter = 0;  ///< of its last heartbeat
    Time counter_at{};          ///< when that came
    Duration round_trip{};
    Evidence terminal = Evidence::none;  ///< none, firm or hard
    Evidence verdict = Evidence::none;   ///< none, link or soft
    Evidence reported = Evidence::none;  ///< as last told by SuspicionChanged
    std::string why;                     ///< of the strongest of terminal and verdict
    std::optional<Query> query;
  };
  using Peers = std::map<Pid, Peer>;

  [[nodiscard]] Duration limit() const;  ///< T_host x (1 + lhm)
  [[nodiscard]] const Peer* find(const Pid& pid) const;
  [[nodiscard]] std::size_t watched() const;
  [[nodiscard]] std::size_t quiet_members(Time now) const;
  [[nodiscard]] bool flapping(const Peer& peer, Time now) const;
  [[nodiscard]] Evidence evidence_of(const Peer& peer, Time now) const;

  void note_lag(Time now);
  void note_isolation(Time now);
  void note_health(std::uint32_t points, Time now);
  void send_heartbeats(const Heartbeat& own, Time now, Effects& effects);
  void judge_silence(Peer& peer, const Heartbeat& own, Time now, Effects& effects);
  void ask(Peer& peer, const Heartbeat& own, Time now, Effects& effects);
  void conclude(Peer& peer, Time now);
  void report(Peer& peer, Time now, Effects& effects);
  void mark_replaced(Peer& peer, std::uint64_t vote_epoch, Time now, Effects& effects);
  [[nodiscard]] Time next_event(const Peer& peer, Time now) const;

  void on(const Heartbeat& heartbeat, Time now, Effects& effects);
  void on(const PingRequest& request, Time now, Effects& effects);
  void on(const PingReply& reply, Time now, Effects& effects);

  Pid self_;
  Duration heartbeat_;
  Duration suspect_after_;
  Duration link_grace_;
  std::size_t link_flap_max_;
  Duration quiet_after_;  ///< F5: silence that makes us doubt ourselves
  Duration answer_wait_;  ///< how long before the deadline others are asked
  Peers peers_;           ///< the watched, and others that have a link
  Time wake_ = kNever;    ///< what next_deadline() said
  Time next_heartbeat_{};
  std::uint64_t counter_ = 0;
  std::array<Time, 32> sent_at_{};  ///< of the last heartbeat rounds, by counter
  std::uint64_t nonce_ = 0;
  bool isolated_ = false;  ///< F5
  Time no_soft_until_{};   ///< F3
  std::uint32_t health_ = 0;
  Time clean_since_{};
  std::uint64_t suspicions_ = 0;
  std::uint64_t refuted_ = 0;
};

}  // namespace vsync::core
