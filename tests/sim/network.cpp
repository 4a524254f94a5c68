#include "sim/network.h"

#include <algorithm>

#include "base/assert.h"
#include "wire/frame_codec.h"

namespace vsync::sim {

using namespace core;

namespace {

/// What the other end makes of the frame's bytes: one frame, or several of the same meaning.
std::vector<FramePtr> through_bytes(const Frame& frame) {
  std::string bytes;
  for (const auto& part : wire::encode_frame(frame).parts) {
    bytes += part.view();
  }
  std::vector<FramePtr> frames;
  for (auto rest = Slice::take(std::move(bytes)); !rest.empty();) {
    const auto size = wire::frame_size(rest.bytes());
    VSYNC_ASSERT(size && *size > 0 && *size <= rest.size(), "a frame has the length that it says");
    auto decoded = wire::decode_frame(rest.part(0, *size));
    VSYNC_ASSERT(decoded, "what was encoded can be decoded");
    frames.push_back(std::make_shared<const Frame>(std::move(*decoded)));
    rest = rest.part(*size, rest.size() - *size);
  }
  return frames;
}

}  // namespace

void Network::attach(ProcessId process, HostId host, const Pid& pid) {
  attached_[process] = Attached{.host = host, .pid = pid, .wanted = {}, .untried = {}, .dialling = {}};
}

Duration Network::latency(HostId a, HostId b) {
  const auto spread = conduct.latency_max - conduct.latency_min;
  auto delay = conduct.latency_min + Duration(rng_.below(static_cast<std::uint64_t>(spread.count()) + 1));
  for (const auto host : {a, b}) {
    if (const auto slow = slow_hosts.find(host); slow != slow_hosts.end()) {
      delay += slow->second;
    }
  }
  return delay;
}

// ---------------------------------------------------------------- dialling

void Network::want(ProcessId process, const std::vector<Member>& peers, const std::vector<HostId>& seeds) {
  auto& self = attached_.at(process);
  self.wanted.clear();
  for (const auto seed : seeds) {
    if (seed != self.host) {
      self.wanted[seed] = Pid{};
      if (!self.seeking) {
        self.untried.insert(seed);
      }
    }
  }
  for (const auto& peer : peers) {
    const auto host = static_cast<HostId>(peer.address.port);
    if (host != self.host) {
      self.wanted[host] = peer.pid;
    }
  }
  self.seeking = self.seeking || !seeds.empty();
  if (self.seeking && self.untried.empty()) {
    tried(process, self.host);
  }
  for (const auto& [host, pid] : self.wanted) {
    dial(process, host);
  }
}

bool Network::engaged(ProcessId process, HostId host) const {
  return std::any_of(links_.begin(), links_.end(), [&](const LinkPtr& link) {
    for (int i : {0, 1}) {
      const auto& mine = link->sides[i];
      const auto& other = link->sides[1 - i];
      if (mine.process == process && other.host == host && !mine.gone && (mine.open || i == 0)) {
        return true;
      }
    }
    return false;
  });
}

void Network::dial(ProcessId process, HostId host) {
  auto& self = attached_.at(process);
  if (self.dialling.contains(host)) {
    return;
  }
  if (engaged(process, host)) {
    tried(process, host);
    return;
  }
  self.dialling.insert(host);
  scheduler_.after(latency(self.host, host), [this, process, host] { dial_result(process, host); });
}

void Network::dial_result(ProcessId process, HostId host) {
  const auto it = attached_.find(process);
  if (it == attached_.end()) {
    return;
  }
  auto& self = it->second;
  const auto wanted = self.wanted.find(host);
  if (wanted == self.wanted.end() || engaged(process, host)) {
    self.dialling.erase(host);
    return;
  }
  if (!machines_.answers(host) || blocked(self.host, host) || blocked(host, self.host)) {
    tried(process, host);
    redial_later(process, host);
    return;
  }
  const auto target = machines_.process_on(host);
  if (!target) {
    if (wanted->second != Pid{}) {
      machines_.input(process, PeerGone{wanted->second, Evidence::firm, "connection refused"});
    }
    tried(process, host);
    redial_later(process, host);
    return;
  }
  self.dialling.erase(host);
  auto link = std::make_shared<Link>();
  link->number = ++made_;
  link->sides[0] = Side{.process = process, .host = self.host, .pid = self.pid, .inbound = {}};
  link->sides[1] = Side{.process = *target, .host = host, .pid = attached_.at(*target).pid, .inbound = {}};
  links_.push_back(link);
  enqueue(link, 1, machines_.hello(process));
}

void Network::redial_later(ProcessId process, HostId host) {
  const auto wait = conduct.redial + Duration(rng_.below(static_cast<std::uint64_t>(conduct.redial.count())));
  scheduler_.after(wait, [this, process, host] {
    if (const auto it = attached_.find(process); it != attached_.end()) {
      it->second.dialling.erase(host);
      if (it->second.wanted.contains(host)) {
        dial(process, host);
      }
    }
  });
}

void Network::tried(ProcessId process, HostId host) {
  auto& self = attached_.at(process);
  self.untried.erase(host);
  if (self.seeking && self.untried.empty() && !self.told_tried) {
    self.told_tried = true;
    machines_.input(process, SeedsTried{});
  }
}

// ---------------------------------------------------------------- connections

void Network::enqueue(const LinkPtr& link, int to, std::variant<Hello, FramePtr, Close> content) {
  auto& side = link->sides[to];
  if (side.gone) {
    return;
  }
  side.last_arrival = std::max(side.last_arrival, scheduler_.now() + latency(link->sides[0].host, link->sides[1].host));
  side.inbound.push_back({side.last_arrival, std::move(content)});
  scheduler_.at(side.last_arrival, [this, link, to] { pump(link, to); });
}

bool Network::passes(const Packet& packet, Direction direction) {
  if (blocked(direction.first, direction.second)) {
    return false;
  }
  const auto it = holds_.find(direction);
  if (it == holds_.end()) {
    return true;
  }
  auto& hold = it->second;
  const auto* frame = std::get_if<FramePtr>(&packet.content);
  if (!hold.kind.empty() && (frame == nullptr || frame_name(**frame) != hold.kind) && hold.passes == 0) {
    return true;
  }
  hold.kind.clear();  // what comes behind the first held frame is held as well
  if (hold.passes == 0) {
    return false;
  }
  --hold.passes;
  return true;
}

void Network::pump(const LinkPtr& link, int to) {
  auto& side = link->sides[to];
  const Direction direction{link->sides[1 - to].host, side.host};
  while (!side.gone && !side.inbound.empty() && side.inbound.front().arrival <= scheduler_.now()) {
    if (!passes(side.inbound.front(), direction)) {
      watch_stall(link, to);
      return;
    }
    auto packet = std::move(side.inbound.front());
    side.inbound.pop_front();
    arrive(link, to, std::move(packet));
  }
}

void Network::watch_stall(const LinkPtr& link, int to) {
  const auto& side = link->sides[to];
  if (!blocked(link->sides[1 - to].host, side.host)) {
    return;  // held by the script: it alone decides
  }
  const auto limit = side.inbound.front().arrival + conduct.tcp_timeout;
  if (limit <= scheduler_.now()) {
    break_link(link, false);
  } else {
    scheduler_.at(limit, [this, link, to] { pump(link, to); });
  }
}

void Network::arrive(const LinkPtr& link, int to, Packet packet) {
  auto& side = link->sides[to];
  if (const auto* hello = std::get_if<Hello>(&packet.content)) {
    hello_arrives(link, to, *hello);
    return;
  }
  if (const auto* close = std::get_if<Close>(&packet.content)) {
    close_side(link, to, close->clean || side.goodbye);
    return;
  }
  const auto& frame = std::get<FramePtr>(packet.content);
  if (!side.open) {
    return;
  }
  const auto& from = link->sides[1 - to];
  auto& drops = drops_[{from.host, side.host}];
  for (auto& drop : drops) {
    if (drop.count > 0 && (drop.kind == "*" || drop.kind == frame_name(*frame))) {
      --drop.count;
      machines_.saw_frame(from.pid, side.pid, *frame, "lost");
      return;
    }
  }
  machines_.saw_frame(from.pid, side.pid, *frame, "");
  if (std::holds_alternative<Goodbye>(*frame)) {
    side.goodbye = true;
  }
  machines_.input(side.process, FrameReceived{from.pid, *frame});
}

void Network::hello_arrives(const LinkPtr& link, int to, const Hello& hello) {
  auto& side = link->sides[to];
  const auto& other = link->sides[1 - to];
  for (const auto& rival : std::vector(links_)) {
    if (rival == link) {
      continue;
    }
    for (int i : {0, 1}) {
      auto& mine = rival->sides[i];
      if (mine.process != side.process || rival->sides[1 - i].pid != other.pid || mine.gone) {
        continue;
      }
      const bool pending = !mine.open && i == 0;
      if (pending && side.process < other.process) {
        link->sides[to].gone = true;  // both dialled: the connection of the older process wins
        enqueue(link, 1 - to, Close{false});
        return;
      }
      enqueue(rival, 1 - i, Close{false});
      close_side(rival, i, false);
    }
  }
  side.open = true;
  machines_.input(side.process, LinkOpened{hello});
  if (to == 1) {
    enqueue(link, 0, machines_.hello(side.process));
  }
  tried(side.process, other.host);
}

void Network::close_side(const LinkPtr& link, int index, bool clean) {
  auto& side = link->sides[index];
  auto& other = link->sides[1 - index];
  if (side.gone) {
    return;
  }
  side.gone = true;
  side.inbound.clear();
  if (index == 0 && !side.open && !other.open) {
    other.gone = true;  // the dial came to nothing
  }
  const auto it = attached_.find(side.process);
  if (it == attached_.end()) {
    return;
  }
  if (side.open) {
    side.open = false;
    machines_.input(side.process, LinkClosed{other.pid, clean});
  }
  if (it->second.wanted.contains(other.host)) {
    dial(side.process, other.host);
  }
  forget_dead_links();
}

void Network::break_link(const LinkPtr& link, bool half) {
  const int early = static_cast<int>(rng_.below(2));
  for (int index : {0, 1}) {
    auto& side = link->sides[index];
    // A prefix of what is on its way still arrives.
    const auto keep = conduct.luck ? rng_.below(side.inbound.size() + 1) : 0;
    while (side.inbound.size() > keep) {
      side.inbound.pop_back();
    }
    const auto delay = half && index != early ? conduct.tcp_timeout : Duration(rng_.below(20'000'000));
    scheduler_.after(delay, [this, link, index] { close_side(link, index, false); });
  }
}

void Network::forget_dead_links() {
  std::erase_if(links_, [](const LinkPtr& link) { return link->sides[0].gone && link->sides[1].gone; });
}

Network::LinkPtr Network::find(ProcessId process, const Pid& peer, int& side) const {
  for (const auto& link : links_) {
    for (int i : {0, 1}) {
      if (link->sides[i].process == process && link->sides[1 - i].pid == peer && link->sides[i].open) {
        side = i;
        return link;
      }
    }
  }
  return nullptr;
}

bool Network::linked(ProcessId a, ProcessId b) const {
  return std::any_of(links_.begin(), links_.end(), [&](const LinkPtr& link) {
    const auto& s = link->sides;
    return s[0].open && s[1].open && ((s[0].process == a && s[1].process == b) || (s[0].process == b && s[1].process == a));
  });
}

void Network::send(ProcessId from, const Pid& to, FramePtr frame) {
  int side = 0;
  const auto link = find(from, to, side);
  if (!link) {
    return;
  }
  if (!conduct.encode) {
    enqueue(link, 1 - side, std::move(frame));
    return;
  }
  for (auto& decoded : through_bytes(*frame)) {
    enqueue(link, 1 - side, std::move(decoded));
  }
}

void Network::send(ProcessId from, HostId to, const Datagram& datagram) {
  const auto host = attached_.at(from).host;
  if (blocked(host, to) || rng_.chance(conduct.loss)) {
    return;
  }
  const int copies = rng_.chance(conduct.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    scheduler_.after(latency(host, to), [this, host, to, datagram] {
      const auto target = machines_.process_on(to);
      if (target && !blocked(host, to)) {
        machines_.input(*target, DatagramReceived{datagram});
      }
    });
  }
}

void Network::reset(ProcessId process, const Pid& peer) {
  int side = 0;
  if (const auto link = find(process, peer, side)) {
    enqueue(link, 1 - side, Close{false});
    close_side(link, side, false);
  }
}

void Network::detach(ProcessId process, End how) {
  attached_.erase(process);
  for (const auto& link : std::vector(links_)) {
    for (int i : {0, 1}) {
      if (link->sides[i].process != process) {
        continue;
      }
      auto& peer = link->sides[1 - i];
      link->sides[i].gone = true;
      link->sides[i].inbound.clear();
      if (how == End::crashed || how == End::silent) {
        const auto keep = conduct.luck ? rng_.below(peer.inbound.size() + 1) : 0;
        while (peer.inbound.size() > keep) {
          peer.inbound.pop_back();
        }
        peer.last_arrival = peer.inbound.empty() ? scheduler_.now() : peer.inbound.back().arrival;
      }
      if (how == End::silent) {
        scheduler_.after(conduct.tcp_timeout * 2, [this, link, i] { close_side(link, 1 - i, false); });
      } else {
        enqueue(link, 1 - i, Close{how == End::closed});
      }
    }
  }
  forget_dead_links();
}

// ---------------------------------------------------------------- faults

void Network::pump_all() {
  for (const auto& link : std::vector(links_)) {
    pump(link, 0);
    pump(link, 1);
  }
}

void Network::heal() {
  blocked_.clear();
  pump_all();
}

void Network::unblock(HostId from, HostId to) {
  blocked_.erase({from, to});
  pump_all();
}

void Network::cut(HostId a, HostId b, bool half) {
  for (const auto& link : std::vector(links_)) {
    const auto& s = link->sides;
    if ((s[0].host == a && s[1].host == b) || (s[0].host == b && s[1].host == a)) {
      break_link(link, half);
    }
  }
}

std::size_t Network::release(HostId from, HostId to, std::size_t count, const std::string& stop) {
  auto& hold = holds_[{from, to}];
  std::size_t released = 0;
  for (const auto& link : std::vector(links_)) {
    for (int i : {0, 1}) {
      auto& side = link->sides[i];
      if (link->sides[1 - i].host != from || side.host != to) {
        continue;
      }
      while (!side.gone && !side.inbound.empty() && released < count) {
        const auto* frame = std::get_if<FramePtr>(&side.inbound.front().content);
        if (!stop.empty() && frame != nullptr && frame_name(**frame) == stop) {
          return released;
        }
        auto packet = std::move(side.inbound.front());
        side.inbound.pop_front();
        arrive(link, i, std::move(packet));
        ++released;
      }
    }
  }
  hold.passes = 0;
  return released;
}

std::size_t Network::drop_waiting(HostId from, HostId to) {
  std::size_t lost = 0;
  for (const auto& link : links_) {
    for (int i : {0, 1}) {
      auto& side = link->sides[i];
      if (link->sides[1 - i].host == from && side.host == to) {
        lost += std::erase_if(side.inbound, [](const Packet& p) { return std::holds_alternative<FramePtr>(p.content); });
      }
    }
  }
  return lost;
}

void Network::unhold(HostId from, HostId to) {
  holds_.erase({from, to});
  pump_all();
}

}  // namespace vsync::sim
