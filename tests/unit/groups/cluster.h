// Several Groups fed by a stand-in for the ordering module: one stream per daemon, one order of all runs.
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/hash.h"
#include "core/groups/groups.h"

namespace vsync::core {

inline Slice body_of(const std::vector<std::string>& messages) {
  Writer writer;
  for (const auto& message : messages) {
    writer.put(std::string_view(message));
  }
  return Slice::take(writer.take());
}

inline Pid pid(NodeId node) {
  return {node, 1, 0};
}

/// Everything of type T, in order.
template <typename T>
std::vector<T> all(const Effects& effects) {
  std::vector<T> found;
  for (const auto& effect : effects) {
    if (const auto* it = std::get_if<T>(&effect)) {
      found.push_back(*it);
    }
  }
  return found;
}

/// The one effect of type T.
template <typename T>
T only(const Effects& effects) {
  const auto found = all<T>(effects);
  REQUIRE(found.size() == 1);
  return found.front();
}

struct Daemon {
  Pid id;
  Groups groups;
  Effects effects;
  std::map<Pid, std::size_t> delivered;  // runs of each stream, in this view
  bool alive = true;

  Effects take() { return std::exchange(effects, {}); }

  void join(ClientId client, const std::string& group, RequestId request = 1, bool total_only = false) {
    groups.request(ClientJoin{client, request, group, "c" + std::to_string(client), {.total_only = total_only}}, effects);
  }
  void leave(ClientId client, const std::string& group, RequestId request = 1) {
    groups.request(ClientLeave{client, request, group}, effects);
  }
  void send(ClientId client, const std::string& group, Service service, const std::vector<std::string>& messages,
            RequestId request = 10, std::uint64_t in_view = 0, bool text = false) {
    const auto count = static_cast<std::uint32_t>(messages.size());
    groups.request(ClientSend{client, request, group, service, text, count, in_view, body_of(messages)}, effects);
  }
};

/// Binding order is the key order. A daemon may deliver the rest of the order step by step, or non-totals of a stream early.
class Cluster {
 public:
  explicit Cluster(std::size_t daemons, Limits limits = {}, bool trace = false) : limits_(limits), trace_(trace) {
    for (NodeId node = 1; node <= daemons; ++node) {
      add_daemon(node);
    }
    change_view({});
  }

  Daemon& operator[](NodeId node) { return *daemons_.at(node); }
  [[nodiscard]] const View& view() const { return view_; }
  auto& daemons() { return daemons_; }

  void add_daemon(NodeId node) {
    daemons_[node] = std::make_unique<Daemon>(Daemon{pid(node), Groups(pid(node), limits_, trace_), {}, {}, true});
  }

  /// Binds one thing; false: nothing to bind.
  bool bind_one(Daemon& daemon) {
    if (!daemon.groups.ready()) {
      return false;
    }
    auto runs = daemon.groups.next(daemon.effects);
    std::vector<RunPtr> bound;
    auto& stream = streams_[daemon.id];
    for (auto& run : runs) {
      run.first = stream.empty() ? 1 : order_[stream.back()].run->last() + 1;
      run.stamp = order_.size() + 1;
      bound.push_back(std::make_shared<Run>(std::move(run)));
      stream.push_back(order_.size());
      order_.push_back({daemon.id, bound.back()});
    }
    daemon.groups.bound(bound, view_.id(), *view_.rank_of(daemon.id), {}, daemon.effects);
    return true;
  }

  /// Delivers the first undelivered run of the order; false: there is none.
  bool deliver_one(Daemon& daemon) { return deliver_first(daemon, order_.size()); }

  /// R3: delivers the next run of `sender` although the order is not there yet; false: it is a total, or there is none.
  bool overtake(Daemon& daemon, const Pid& sender) {
    const auto at = daemon.delivered[sender];
    const auto& stream = streams_[sender];
    if (at >= stream.size() || order_[stream[at]].run->service == Service::total) {
      return false;
    }
    deliver(daemon, stream[at]);
    return true;
  }

  void bind_all() {
    for (auto& [node, daemon] : daemons_) {
      while (daemon->alive && bind_one(*daemon)) {
      }
    }
  }

  void deliver_all(Daemon& daemon) {
    while (deliver_one(daemon)) {
    }
  }

  /// Until nobody has anything to do; then everything is stable.
  void settle() {
    for (bool more = true; more;) {
      bind_all();
      more = false;
      for (auto& [node, daemon] : daemons_) {
        while (daemon->alive && deliver_one(*daemon)) {
          more = true;
        }
      }
    }
    for (auto& [node, daemon] : daemons_) {
      const auto& stream = streams_[daemon->id];
      if (daemon->alive && !stream.empty()) {
        daemon->groups.stable(order_[stream.back()].run->last(), daemon->effects);
      }
    }
  }

  /// The number of the last message in a stream.
  [[nodiscard]] Seq last_of(const Pid& sender) const { return order_[streams_.at(sender).back()].run->last(); }

  /// The next view, without `excluded`. Of theirs, what is not in the first `cut` runs of the order and was delivered by no
  /// survivor is lost. Joiners are the daemons that were added since.
  void change_view(std::initializer_list<NodeId> excluded, std::size_t cut = SIZE_MAX, LeaveReason reason = LeaveReason::crashed,
                   bool cold = false) {
    View next;
    next.ref.epoch = view_.ref.epoch + 1;
    next.cold = cold;
    for (const auto node : excluded) {
      daemons_.at(node)->alive = false;
      next.left.push_back({pid(node), reason, Evidence::hard, {}, {}});
    }
    cut = std::max(cut, must_cut());
    for (auto& [node, daemon] : daemons_) {
      if (daemon->alive) {
        next.members.push_back({daemon->id, 0, std::to_string(node), {}});
      }
    }
    drop_lost(cut);
    for (auto& [node, daemon] : daemons_) {
      if (daemon->alive && view_.contains(daemon->id)) {
        deliver_all(*daemon);
      }
    }
    install(next);
  }

 private:
  struct Entry {
    Pid sender;
    RunPtr run;
  };

  void deliver(Daemon& daemon, std::size_t index) {
    ++daemon.delivered[order_[index].sender];
    daemon.groups.deliver(order_[index].sender, order_[index].run, daemon.effects);
  }

  bool done(const Daemon& daemon, std::size_t index) const {
    const auto it = daemon.delivered.find(order_[index].sender);
    const auto& stream = streams_.at(order_[index].sender);
    return it != daemon.delivered.end() && it->second > 0 && stream[it->second - 1] >= index;
  }

  bool deliver_first(Daemon& daemon, std::size_t end) {
    auto& from = first_[daemon.id];
    for (; from < end; ++from) {
      if (!done(daemon, from)) {
        deliver(daemon, from);
        return true;
      }
    }
    return false;
  }

  /// L4, L6: totals delivered by anybody, and everything before them, are in every cut.
  std::size_t must_cut() const {
    std::size_t cut = 0;
    for (const auto& [node, daemon] : daemons_) {
      for (std::size_t i = cut; i < order_.size(); ++i) {
        if (order_[i].run->service == Service::total && done(*daemon, i)) {
          cut = i + 1;
        }
      }
    }
    return cut;
  }

  void drop_lost(std::size_t cut) {
    std::vector<Entry> kept;
    std::map<Pid, std::vector<std::size_t>> streams;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      bool keep = i < cut;
      for (const auto& [node, daemon] : daemons_) {
        keep = keep || (daemon->alive && (daemon->id == order_[i].sender || done(*daemon, i)));
      }
      if (keep) {
        streams[order_[i].sender].push_back(kept.size());
        kept.push_back(order_[i]);
      }
    }
    order_ = std::move(kept);
    streams_ = std::move(streams);
    first_.clear();
  }

  void install(const View& next) {
    std::string table;
    for (auto& [node, daemon] : daemons_) {
      if (daemon->alive && view_.contains(daemon->id)) {
        daemon->groups.install(next, daemon->effects);
        table = daemon->groups.save_table();
      }
    }
    for (auto& [node, daemon] : daemons_) {
      if (daemon->alive && !view_.contains(daemon->id)) {
        if (!table.empty()) {
          REQUIRE(daemon->groups.load_table(table));
        }
        daemon->groups.install(next, daemon->effects);
      }
      daemon->delivered.clear();
    }
    order_.clear();
    streams_.clear();
    first_.clear();
    view_ = next;
  }

  Limits limits_;
  bool trace_;
  View view_;
  std::map<NodeId, std::unique_ptr<Daemon>> daemons_;
  std::vector<Entry> order_;                         // all runs of the view
  std::map<Pid, std::vector<std::size_t>> streams_;  // the same by sender, as indexes
  std::map<Pid, std::size_t> first_;                 // nothing before is undelivered, by daemon
};

/// Carries the frames of state transfers until none is under way.
inline void carry(Cluster& cluster) {
  for (bool more = true; more;) {
    more = false;
    for (auto& [node, daemon] : cluster.daemons()) {
      for (const auto& sent : all<SendFrame>(daemon->effects)) {
        auto& receiver = cluster[sent.to.node];
        more = true;
        if (const auto* piece = std::get_if<StatePiece>(sent.frame.get())) {
          receiver.groups.transfers().received(daemon->id, *piece, receiver.effects);
        } else {
          receiver.groups.transfers().received(daemon->id, std::get<StateAck>(*sent.frame), receiver.effects);
        }
      }
      std::erase_if(daemon->effects, [](const Effect& effect) { return std::holds_alternative<SendFrame>(effect); });
    }
  }
}

}  // namespace vsync::core
