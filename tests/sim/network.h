// A hostile network between processes: connections that are FIFO until they break, and datagrams that get lost.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "core/model/input.h"
#include "sim/scheduler.h"

namespace vsync::sim {

using HostId = core::NodeId;      ///< a machine; its address is "h<id>"
using ProcessId = std::uint32_t;  ///< one process of the run, never used again

/// How the network behaves in this run.
struct Conduct {
  Duration latency_min = std::chrono::microseconds(50);
  Duration latency_max = std::chrono::microseconds(300);
  double loss = 0;       ///< of datagrams
  double duplicate = 0;  ///< of datagrams
  Duration tcp_timeout = std::chrono::seconds(2);
  Duration redial = std::chrono::milliseconds(60);
  bool luck = true;     ///< a part of what is on its way when a connection breaks still arrives; else nothing
  bool encode = false;  ///< frames travel as bytes, as between real daemons
};

/// What the network needs from the machines.
class Machines {
 public:
  virtual ~Machines() = default;
  [[nodiscard]] virtual std::optional<ProcessId> process_on(HostId host) const = 0;  ///< the live one, none: refused
  [[nodiscard]] virtual bool answers(HostId host) const = 0;                         ///< false: powered off, silence
  [[nodiscard]] virtual core::Hello hello(ProcessId process) const = 0;
  virtual void input(ProcessId process, core::Input input) = 0;
  virtual void saw_frame(const core::Pid& from, const core::Pid& to, const core::Frame& frame, std::string_view what) = 0;
};

class Network {
 public:
  Network(Scheduler& scheduler, Rng& rng, Machines& machines) : scheduler_(scheduler), rng_(rng), machines_(machines) {}

  Conduct conduct;
  std::map<HostId, Duration> slow_hosts;              ///< extra latency from and to these
  std::map<std::string, std::uint64_t> fault_counts;  ///< by kind, for the summary

  // ---- what processes do
  void attach(ProcessId process, HostId host, const core::Pid& pid);
  enum class End { closed, crashed, drained, silent };
  /// `closed`: after a GOODBYE; `crashed`: the kernel closes its sockets, a part of what was sent arrives; `drained`: all of it;
  /// `silent`: the machine is gone, nobody is told.
  void detach(ProcessId process, End how);
  void want(ProcessId process, const std::vector<core::Member>& peers, const std::vector<HostId>& seeds);
  void send(ProcessId from, const core::Pid& to, core::FramePtr frame);
  void send(ProcessId from, HostId to, const core::Datagram& datagram);
  void reset(ProcessId process, const core::Pid& peer);

  // ---- what goes wrong
  void block(HostId from, HostId to) { blocked_.insert({from, to}); }
  void heal();
  void unblock(HostId from, HostId to);
  /// Breaks the connections between two machines; each end learns it at its own time. half: only one end does, soon.
  void cut(HostId a, HostId b, bool half);
  /// Nothing passes from one machine to the other, and nobody is told, until released.
  void hold(HostId from, HostId to) { holds_[{from, to}] = Hold{}; }
  /// As hold, but only from the first frame of this kind on.
  void hold_from(HostId from, HostId to, std::string kind) { holds_[{from, to}] = Hold{.kind = std::move(kind)}; }
  /// Lets `count` frames pass, or all that wait up to (not including) the first of `stop`.
  std::size_t release(HostId from, HostId to, std::size_t count, const std::string& stop);
  void unhold(HostId from, HostId to);
  /// Loses the next `count` frames of a kind ("*": any) without a sign.
  void drop(HostId from, HostId to, const std::string& kind, std::size_t count) { drops_[{from, to}].push_back({kind, count}); }
  std::size_t drop_waiting(HostId from, HostId to);
  [[nodiscard]] bool linked(ProcessId a, ProcessId b) const;
  void pump_all();

 private:
  struct Close {
    bool clean = false;
  };
  struct Packet {
    Time arrival{};
    std::variant<core::Hello, core::FramePtr, Close> content;
  };
  struct Side {
    ProcessId process = 0;
    HostId host = 0;
    core::Pid pid;
    bool open = false;     ///< the process was told LinkOpened and not LinkClosed
    bool gone = false;     ///< it does not take part any more
    bool goodbye = false;  ///< its GOODBYE passed
    std::deque<Packet> inbound;
    Time last_arrival{};
  };
  struct Link {
    std::uint64_t number = 0;
    Side sides[2];  ///< 0 dialled
  };
  using LinkPtr = std::shared_ptr<Link>;
  struct Hold {
    std::string kind;  ///< empty: everything
    bool closed = true;
    std::size_t passes = 0;
  };
  struct Drop {
    std::string kind;
    std::size_t count;
  };
  struct Attached {
    HostId host = 0;
    core::Pid pid;
    std::map<HostId, core::Pid> wanted;  ///< peer pid, or none for a seed
    std::set<HostId> untried;            ///< seeds not answered yet
    bool seeking = false;
    bool told_tried = false;
    std::set<HostId> dialling;  ///< an attempt or its back-off is under way
  };
  using Direction = std::pair<HostId, HostId>;

  Duration latency(HostId a, HostId b);
  [[nodiscard]] bool blocked(HostId from, HostId to) const { return blocked_.contains({from, to}); }
  void dial(ProcessId process, HostId host);
  void dial_result(ProcessId process, HostId host);
  void redial_later(ProcessId process, HostId host);
  void tried(ProcessId process, HostId host);
  void enqueue(const LinkPtr& link, int to, std::variant<core::Hello, core::FramePtr, Close> content);
  void pump(const LinkPtr& link, int side);
  bool passes(const Packet& packet, Direction direction);
  void arrive(const LinkPtr& link, int side, Packet packet);
  void hello_arrives(const LinkPtr& link, int side, const core::Hello& hello);
  void close_side(const LinkPtr& link, int side, bool clean);
  void break_link(const LinkPtr& link, bool half);
  void watch_stall(const LinkPtr& link, int side);
  LinkPtr find(ProcessId process, const core::Pid& peer, int& side) const;
  [[nodiscard]] bool engaged(ProcessId process, HostId host) const;
  void forget_dead_links();

  Scheduler& scheduler_;
  Rng& rng_;
  Machines& machines_;
  std::map<ProcessId, Attached> attached_;
  std::vector<LinkPtr> links_;
  std::uint64_t made_ = 0;
  std::set<Direction> blocked_;
  std::map<Direction, Hold> holds_;
  std::map<Direction, std::vector<Drop>> drops_;
};

}  // namespace vsync::sim
