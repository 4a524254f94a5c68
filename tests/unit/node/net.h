// Real nodes in one process: frames move through queues in order, disks are immediate, time moves when a test says so.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/node/node.h"

namespace vsync::test {

using namespace vsync::core;  // NOLINT(google-build-using-namespace): tests speak the vocabulary of the core
using std::chrono::milliseconds;

inline Pid pid(NodeId node, std::uint64_t incarnation = 1) {
  return {node, incarnation, 0};
}

class Net {
 public:
  /// Adds a node and starts it. The first one of a test founds, others join.
  void add(NodeId id, Config config = {}) {
    config.self = {pid(id), 70 + id, "n" + std::to_string(id), {"127.0.0.1", 1, 2}, config.self.witness};
    config.bootstrap = nodes_.empty();
    config.join = !nodes_.empty();
    config.seed = id;
    auto& box = nodes_[id];
    box.node = std::make_unique<Node>(std::move(config));
    Effects effects;
    box.node->start(now_, effects);
    carry_out(id, effects);
    run();
  }

  /// The process dies: others see their connections reset and refused.
  void kill(NodeId id) {
    nodes_.erase(id);
    for (auto& [other, box] : nodes_) {
      if (box.links.erase(id) > 0) {
        step(other, LinkClosed{pid(id), false});
        step(other, PeerGone{pid(id), Evidence::firm, "killed"});
      }
    }
    run();
  }

  /// Nothing passes between these two any more.
  void cut(NodeId a, NodeId b) {
    broken_.insert({std::min(a, b), std::max(a, b)});
    for (const auto& [from, to] : {std::pair(a, b), std::pair(b, a)}) {
      if (nodes_.at(from).links.erase(to) > 0) {
        step(from, LinkClosed{pid(to), false});
      }
    }
    run();
  }

  /// What is under way between these two is lost with their connection.
  void lose(NodeId a, NodeId b) {
    std::erase_if(wire_, [&](const Packet& p) { return (p.from == a && p.to == b) || (p.from == b && p.to == a); });
  }

  /// One input, and the end of the turn; effects are carried out.
  void step(NodeId id, Input input) {
    Effects effects;
    nodes_.at(id).node->step(now_, std::move(input), effects);
    nodes_.at(id).node->step(now_, EndOfTurn{}, effects);
    carry_out(id, effects);
  }
  void receive(NodeId to, const Pid& from, Frame frame) { step(to, FrameReceived{from, std::move(frame)}); }

  /// Moves everything until nothing moves; frames for which `hold` is true stay where they are.
  void run() {
    for (int moves = 0; moves < 100000; ++moves) {
      const auto next = std::find_if(wire_.begin(), wire_.end(), [&](const Packet& p) { return !held(p); });
      if (next == wire_.end()) {
        return;
      }
      const Packet packet = *next;
      wire_.erase(next);
      const auto to = nodes_.find(packet.to);
      if (to == nodes_.end() || (packet.from != 0 && !connected(packet.from, packet.to))) {
        continue;
      }
      step(packet.to, packet.input);
    }
    FAIL("it never comes to rest");
  }
  std::function<bool(NodeId from, NodeId to, const Frame&)> hold;
  std::set<NodeId> slow_disks;  ///< nothing becomes durable there

  /// Lets time pass, with every timer on the way.
  void wait(Duration time) {
    const Time end = now_ + time;
    for (int ticks = 0; ticks < 100000; ++ticks) {
      Time next = end;
      for (const auto& [id, box] : nodes_) {
        next = std::min(next, std::max(now_ + milliseconds(1), box.node->next_deadline()));
      }
      now_ = next;
      if (now_ >= end) {
        return;
      }
      std::vector<NodeId> due;
      for (const auto& [id, box] : nodes_) {
        if (box.node->next_deadline() <= now_) {
          due.push_back(id);
        }
      }
      for (const NodeId id : due) {
        step(id, Tick{});
      }
      run();
    }
    FAIL("time stands still");
  }

  [[nodiscard]] NodeStatus status(NodeId id) const { return nodes_.at(id).node->status(now_); }
  [[nodiscard]] std::string view(NodeId id) const {
    const auto view = status(id).view;
    return view ? view->summary() : "none";
  }

  /// Effects of one kind that a node had since forget(), in order.
  template <typename Body>
  [[nodiscard]] std::vector<Body> all(NodeId id) const {
    std::vector<Body> found;
    for (const auto& effect : nodes_.at(id).effects) {
      if (const auto* body = std::get_if<Body>(&effect)) {
        found.push_back(*body);
      }
    }
    return found;
  }
  template <typename Body>
  [[nodiscard]] Body last(NodeId id) const {
    const auto found = all<Body>(id);
    REQUIRE_FALSE(found.empty());
    return found.back();
  }
  /// "hello/total" for each message delivered, in order.
  [[nodiscard]] std::vector<std::string> delivered(NodeId id) const {
    std::vector<std::string> texts;
    for (const auto& each : all<DeliverMessages>(id)) {
      static constexpr std::size_t kLength = 4;
      texts.push_back(std::string(each.body.view().substr(kLength)) + "/" + std::string(to_string(each.service)));
    }
    return texts;
  }
  void forget() {
    for (auto& [id, box] : nodes_) {
      box.effects.clear();
    }
  }

  // ---- clients: client 1 of each node
  void join_group(NodeId id, const std::string& group) {
    step(id, ClientJoin{1, ++request_, group, "c" + std::to_string(id), {}});
    run();
  }
  RequestId send(NodeId id, const std::string& group, Service service, const std::string& text) {
    std::string body(4, '\0');
    body[0] = static_cast<char>(text.size());
    step(id, ClientSend{1, ++request_, group, service, false, 1, 0, Slice::copy_of(body + text)});
    run();
    return request_;
  }

 private:
  struct Box {
    std::unique_ptr<Node> node;
    std::set<NodeId> links;
    Effects effects;
  };
  struct Packet {
    NodeId from = 0;  ///< 0: not over a link
    NodeId to = 0;
    Input input;
  };

  [[nodiscard]] bool held(const Packet& packet) const {
    if (std::holds_alternative<Persisted>(packet.input) && slow_disks.contains(packet.to)) {
      return true;
    }
    const auto* frame = std::get_if<FrameReceived>(&packet.input);
    return hold && frame != nullptr && hold(packet.from, packet.to, frame->frame);
  }
  [[nodiscard]] bool connected(NodeId a, NodeId b) const {
    const auto box = nodes_.find(a);
    return box != nodes_.end() && box->second.links.contains(b);
  }

  void connect(NodeId a, NodeId b) {
    if (a == b || !nodes_.contains(b) || connected(a, b) || broken_.contains({std::min(a, b), std::max(a, b)})) {
      return;
    }
    nodes_.at(a).links.insert(b);
    nodes_.at(b).links.insert(a);
    const Hello of_a = nodes_.at(a).node->hello();
    const Hello of_b = nodes_.at(b).node->hello();
    step(a, LinkOpened{of_b});
    step(b, LinkOpened{of_a});
  }

  void carry_out(NodeId id, Effects& effects) {
    std::set<NodeId> dial;
    for (auto& effect : effects) {
      if (const auto* frame = std::get_if<SendFrame>(&effect)) {
        wire_.push_back({id, frame->to.node, FrameReceived{pid(id), *frame->frame}});
      } else if (const auto* datagram = std::get_if<SendDatagram>(&effect)) {
        if (connected(id, datagram->to.pid.node)) {
          wire_.push_back({0, datagram->to.pid.node, DatagramReceived{datagram->datagram}});
        }
      } else if (const auto* record = std::get_if<Persist>(&effect)) {
        wire_.push_back({0, id, Persisted{record->token}});
      } else if (const auto* links = std::get_if<WantLinks>(&effect)) {
        for (const auto& peer : links->peers) {
          dial.insert(peer.pid.node);
        }
        for (const auto& [other, box] : nodes_) {
          if (links->seek) {
            dial.insert(other);
          }
        }
      }
      nodes_.at(id).effects.push_back(std::move(effect));
    }
    for (const NodeId other : dial) {
      connect(id, other);
    }
  }

  std::map<NodeId, Box> nodes_;
  std::deque<Packet> wire_;
  std::set<std::pair<NodeId, NodeId>> broken_;
  Time now_{std::chrono::seconds(1)};
  RequestId request_ = 0;
};

/// Nodes 1, 2, 3 in one view.
inline void three(Net& net, const Config& config = {}) {
  for (const NodeId id : {1U, 2U, 3U}) {
    net.add(id, config);
    net.wait(milliseconds(300));
  }
  REQUIRE(net.view(1) == "3 <1,2,3>");
  REQUIRE(net.view(2) == "3 <1,2,3>");
  REQUIRE(net.view(3) == "3 <1,2,3>");
}

}  // namespace vsync::test
