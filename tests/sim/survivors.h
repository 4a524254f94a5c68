// Clients that outlive their connections (C6): they send, lose the daemon, come back under their session, and ask what became of
// it.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "sim/world.h"

namespace vsync::sim {

/// One on each machine. What it learns about sends of earlier connections is recorded, for the checkers to judge.
class Survivors {
 public:
  /// `message`: makes the body of one message of some size, and tells its id.
  using Message = std::function<std::pair<Slice, std::uint64_t>(std::size_t size)>;

  Survivors(World& world, core::ClientId& last_client, Message message)
      : world_(world), last_client_(last_client), message_(std::move(message)) {}

  /// Does something at this machine, whose daemon runs: mostly it sends.
  void act(HostId host);
  /// With a connection of its own, opens the session of this machine.
  void open(HostId host);
  /// A message of `size` bytes to the group `any`; in a session that is open.
  void send(HostId host, core::Service service, std::size_t size);
  void disconnect(HostId host);
  void effect(HostId host, const core::Effect& effect);
  void process_ended(HostId host, bool crashed);

 private:
  struct Sent {
    core::Pid pid;
    core::ClientId client = 0;
    std::uint64_t id = 0;  ///< in the message
  };
  struct Survivor {
    core::ClientId client = 0;  ///< the connection, 0 = none
    bool asked = false;         ///< for the session, without reply yet
    bool open = false;
    bool member = false;
    std::uint64_t next = 1;                   ///< number of the next send
    std::map<std::uint64_t, Sent> unsettled;  ///< by number
  };

  void send_anything(HostId host, const Survivor& self);
  void opened(HostId host, Survivor& self, const core::SessionFates& fates);

  World& world_;
  core::ClientId& last_client_;
  Message message_;
  std::map<HostId, Survivor> survivors_;
  core::RequestId last_request_ = core::RequestId{1} << 40U;  ///< above all numbers
};

}  // namespace vsync::sim
