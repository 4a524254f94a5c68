// Several Ordering objects joined by FIFO links whose frames move only when a test says so.
#pragma once

#include <deque>
#include <map>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "core/ordering/ordering.h"

namespace vsync::test {

using namespace vsync::core;  // NOLINT(google-build-using-namespace): tests speak the vocabulary of the core

enum class Only { everything, data, acks };

/// Members are called A, B, C, … in rank order; a message is called by its sender and number: "B2".
class Cluster {
 public:
  using Aggregate = std::vector<AckAggregate::Statement>;
  using Frame = std::variant<RunPtr, std::vector<RankCount>, Aggregate>;

  explicit Cluster(std::size_t members, bool relay = false, const Limits& limits = {}) : relay_(relay) {
    for (Rank p = 0; p < members; ++p) {
      nodes_.emplace_back(limits);
      nodes_.back().install(members, p);
    }
    got_.resize(members);
  }

  static Rank rank(char name) { return static_cast<Rank>(name - 'A'); }
  static std::string name(Rank sender, Seq seq) { return static_cast<char>('A' + sender) + std::to_string(seq); }
  Ordering& operator[](char name) { return nodes_[rank(name)]; }
  std::string names() const { return std::string("ABCDEFGH").substr(0, nodes_.size()); }

  static Run run(Service service, std::uint32_t count = 1, const std::string& body = "x") {
    Run made;
    made.service = service;
    made.count = count;
    made.body = Slice::copy_of(body);
    return made;
  }

  /// Binds runs at a member and puts them on its links.
  std::vector<RunPtr> send(char member, std::vector<Run> runs) {
    const auto bound = (*this)[member].bind(std::move(runs));
    for (const RunPtr& each : bound) {
      multicast(rank(member), each);
    }
    turn(rank(member));
    return bound;
  }
  RunPtr send(char member, Service service, std::uint32_t count = 1) { return send(member, {run(service, count)}).front(); }

  /// Moves frames on the listed links ("AB BA": from A to B and back) until nothing moves; `only` stops at the first other frame.
  void move(const std::string& links, Only only = Only::everything) {
    for (bool moved = true; moved;) {
      moved = false;
      std::istringstream words(links);
      for (std::string link; words >> link;) {
        while (move_one(rank(link[0]), rank(link[1]), only)) {
          moved = true;
        }
      }
    }
  }

  /// Moves everything among the named members.
  void all(const std::string& among) {
    std::string links;
    for (const char a : among) {
      for (const char b : among) {
        links += a == b ? std::string() : std::string{a, b, ' '};
      }
    }
    move(links);
  }
  void all() { all(names()); }

  void drop(const std::string& links) {
    std::istringstream words(links);
    for (std::string link; words >> link;) {
      links_[{rank(link[0]), rank(link[1])}].clear();
    }
  }

  bool move_one(Rank from, Rank to, Only only = Only::everything) {
    auto& link = links_[{from, to}];
    if (link.empty() || (only == Only::data && link.front().index() != 0) || (only == Only::acks && link.front().index() == 0)) {
      return false;
    }
    const Frame frame = std::move(link.front());
    link.pop_front();
    take(from, to, frame);
    turn(to);
    return true;
  }

  /// What a member delivered so far, in order: "A1 B1 B2".
  std::string got(char member) const { return got_[rank(member)]; }

  /// V4-V10 among `survivors`: wedge, union cut, forwarding, close. Returns the cut.
  Counts change(const std::string& survivors) {
    Counts cut(nodes_.size());
    for (const char p : survivors) {
      (*this)[p].wedge();
      for (Rank q = 0; q < cut.size(); ++q) {
        cut[q] = std::max(cut[q], (*this)[p].held()[q]);
      }
    }
    for (const char p : survivors) {
      for (Rank q = 0; q < cut.size(); ++q) {
        forward(p, q, cut[q], survivors);
      }
    }
    for (const char p : survivors) {
      closed[p] = (*this)[p].cut_is_sane(cut) ? close(p, cut) : Counts();
    }
    return cut;
  }

  std::map<char, Counts> closed;  ///< by change(): the closed cut of each survivor; empty: the cut was not sane

 private:
  void multicast(Rank from, const Frame& frame) {
    for (Rank to = 0; to < nodes_.size(); ++to) {
      if (to != from) {
        links_[{from, to}].push_back(frame);
      }
    }
  }

  void take(Rank from, Rank to, const Frame& frame) {
    Ordering& node = nodes_[to];
    if (const auto* data = std::get_if<RunPtr>(&frame)) {
      receipts.push_back(node.receive(from, *data));
    } else if (const auto* ack = std::get_if<std::vector<RankCount>>(&frame)) {
      node.acknowledge(from, *ack);
    } else {
      for (const auto& statement : std::get<Aggregate>(frame)) {
        node.acknowledge(statement.rank, statement.counts);
      }
    }
  }

  /// The end of a step: deliver, then acknowledge.
  void turn(Rank p) {
    std::vector<Delivery> out;
    nodes_[p].deliver(out);
    note(p, out);
    const auto ack = nodes_[p].take_due_ack();
    if (ack && !relay_) {
      multicast(p, *ack);
    } else if (ack && p != 0) {
      links_[{p, 0}].push_back(*ack);
    }
    if (relay_ && p == 0) {
      if (auto aggregate = nodes_[0].take_due_aggregate(); !aggregate.empty()) {
        multicast(0, aggregate);
      }
    }
  }

  void note(Rank p, const std::vector<Delivery>& out) {
    for (const Delivery& delivery : out) {
      for (Seq seq = delivery.run->first; seq <= delivery.run->last(); ++seq) {
        got_[p] += (got_[p].empty() ? "" : " ") + name(delivery.sender, seq);
      }
    }
  }

  void forward(char receiver, Rank sender, Seq upto, const std::string& survivors) {
    Ordering& node = (*this)[receiver];
    for (const char holder : survivors) {
      if (node.held()[sender] < upto && (*this)[holder].held()[sender] == upto) {
        for (const RunPtr& each : (*this)[holder].range(sender, node.held()[sender] + 1, upto)) {
          node.forward(sender, each);
        }
      }
    }
  }

  Counts close(char member, const Counts& cut) {
    std::vector<Delivery> out;
    Counts result = (*this)[member].close(cut, out);
    note(rank(member), out);
    return result;
  }

  bool relay_;
  std::vector<Ordering> nodes_;
  std::map<std::pair<Rank, Rank>, std::deque<Frame>> links_;
  std::vector<std::string> got_;

 public:
  std::vector<Receipt> receipts;  ///< of all DATA moved so far
};

}  // namespace vsync::test
