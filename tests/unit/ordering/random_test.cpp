// Random executions of one view and its end: Ordering against the naive reference, and against the promises of section 16.
#include <catch2/catch.hpp>
#include <deque>
#include <variant>

#include "base/rng.h"
#include "core/ordering/ordering.h"
#include "reference.h"

using namespace vsync;
using namespace vsync::test;

namespace {

using Statements = std::vector<AckAggregate::Statement>;
using Frame = std::variant<RunPtr, Statements>;

struct Member {
  Member(std::size_t n, Rank self, Truth& truth) : ordering(Limits{}), reference(n, self, truth) { ordering.install(n, self); }

  Ordering ordering;
  Reference reference;
  std::vector<Item> history;  ///< everything delivered
};

class Execution {
 public:
  explicit Execution(std::uint64_t seed) : rng_(seed), n_(1 + rng_.below(5)), relay_(rng_.chance(0.3)), links_(n_ * n_) {
    for (Rank p = 0; p < n_; ++p) {
      members_.emplace_back(n_, p, truth_);
    }
    const double share = rng_.chance(0.5) ? 0.4 : 0.0;
    for (std::size_t link = 0; link < links_.size(); ++link) {
      slow_.push_back(rng_.chance(share));
    }
  }

  void run() {
    const std::uint64_t steps = 50 + rng_.below(300);
    const double sends = rng_.chance(0.5) ? 0.1 : 0.3;
    for (std::uint64_t step = 0; step < steps; ++step) {
      const auto p = static_cast<Rank>(rng_.below(n_));
      if (rng_.chance(sends)) {
        send(p);
      } else if (step + 40 > steps && rng_.chance(0.05)) {
        members_[p].ordering.wedge();
      } else {
        move(rng_.below(links_.size()));
      }
    }
    change_view();
  }

 private:
  void send(Rank p) {
    if (members_[p].ordering.wedged()) {
      return;
    }
    std::vector<Run> runs(1 + rng_.below(2));
    for (Run& run : runs) {
      run.service = std::array{Service::fifo, Service::causal, Service::total}[rng_.below(3)];
      run.count = static_cast<std::uint32_t>(1 + rng_.below(3));
    }
    for (const RunPtr& run : members_[p].ordering.bind(std::move(runs))) {
      members_[p].reference.bound(run);
      multicast(p, run);
    }
    turn(p);
  }

  void multicast(Rank from, const Frame& frame) {
    for (Rank to = 0; to < n_; ++to) {
      if (to != from) {
        links_[from * n_ + to].push_back(frame);
      }
    }
  }

  void move(std::size_t link) {
    if (links_[link].empty() || (slow_[link] && !rng_.chance(0.1))) {
      return;
    }
    const auto from = static_cast<Rank>(link / n_);
    const auto to = static_cast<Rank>(link % n_);
    Member& member = members_[to];
    const Frame frame = std::move(links_[link].front());
    links_[link].pop_front();
    const bool wedged = member.ordering.wedged();
    if (const auto* run = std::get_if<RunPtr>(&frame)) {
      REQUIRE(member.ordering.receive(from, *run) == (wedged ? Receipt::duplicate : Receipt::stored));
      if (!wedged) {
        member.reference.received(from, *run);
      }
    } else {
      for (const auto& statement : std::get<Statements>(frame)) {
        member.ordering.acknowledge(statement.rank, statement.counts);
        if (!wedged) {
          member.reference.acknowledged(statement.rank, statement.counts);
        }
      }
    }
    turn(to);
  }

  void turn(Rank p) {
    Member& member = members_[p];
    std::vector<Delivery> out;
    member.ordering.deliver(out);
    same(out, member.ordering.wedged() ? std::vector<Item>() : member.reference.deliver(), p);
    if (const auto ack = member.ordering.take_due_ack()) {
      if (!relay_) {
        multicast(p, Statements{{p, *ack}});
      } else if (p != 0) {
        links_[p * n_].push_back(Statements{{p, *ack}});
      }
    }
    if (relay_ && p == 0) {
      if (auto aggregate = member.ordering.take_due_aggregate(); !aggregate.empty()) {
        multicast(0, std::move(aggregate));
      }
    }
    REQUIRE(member.ordering.held() == member.reference.held);
    for (Rank q = 0; q < n_; ++q) {
      REQUIRE(member.ordering.stable(q) == member.reference.stable(q));
      REQUIRE(member.ordering.settled(q) <= std::min(member.ordering.delivered()[q], member.ordering.stable(q)));
    }
  }

  void same(const std::vector<Delivery>& out, const std::vector<Item>& expected, Rank p) {
    REQUIRE(out.size() == expected.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      REQUIRE(out[i].sender == expected[i].first);
      REQUIRE(out[i].run->first == expected[i].second->first);
      members_[p].history.push_back(expected[i]);
    }
  }

  /// Wedge, union cut, forwarding and close among a random set of survivors; the others ask for their fates.
  void change_view() {
    std::vector<Rank> survivors;
    for (Rank p = 0; p < n_; ++p) {
      if (rng_.chance(0.6) || (survivors.empty() && p + 1 == n_)) {
        survivors.push_back(p);
      }
    }
    Counts cut(n_);
    for (const Rank p : survivors) {
      members_[p].ordering.wedge();
      for (Rank q = 0; q < n_; ++q) {
        cut[q] = std::max(cut[q], members_[p].ordering.held()[q]);
      }
    }
    for (const Rank p : survivors) {
      forward(p, cut, survivors);
    }
    std::optional<Counts> closed;
    for (const Rank p : survivors) {
      const Counts mine = close(p, cut);
      REQUIRE(mine == closed.value_or(mine));  // L5
      closed = mine;
      REQUIRE(mine[p] == members_[p].ordering.held()[p]);  // D12
    }
    check_promises(survivors, cut, *closed);
  }

  void forward(Rank p, const Counts& cut, const std::vector<Rank>& survivors) {
    Member& member = members_[p];
    for (Rank q = 0; q < n_; ++q) {
      for (const Rank holder : survivors) {
        if (member.ordering.held()[q] == cut[q] || members_[holder].ordering.held()[q] < cut[q]) {
          continue;
        }
        for (const RunPtr& run : members_[holder].ordering.range(q, member.ordering.held()[q] + 1, cut[q])) {
          REQUIRE(member.ordering.forward(q, run) == Receipt::stored);
          member.reference.forwarded(q, run);
        }
      }
    }
    REQUIRE(member.ordering.has_all(cut));
    REQUIRE(member.ordering.cut_is_sane(cut));
  }

  Counts close(Rank p, const Counts& cut) {
    Member& member = members_[p];
    std::vector<Item> expected;
    const Counts wanted = member.reference.closure(member.reference.delivered, cut, expected);
    std::vector<Delivery> out;
    const Counts closed = member.ordering.close(cut, out);
    REQUIRE(closed == wanted);
    same(out, expected, p);
    return closed;
  }

  void check_promises(const std::vector<Rank>& survivors, const Counts& cut, const Counts& closed) {
    const std::vector<Item> longest = totals(survivors.front());
    for (Rank p = 0; p < n_; ++p) {
      const Member& member = members_[p];
      const std::vector<Item> mine = totals(p);
      REQUIRE(mine.size() <= longest.size());                          // D11
      REQUIRE(std::equal(mine.begin(), mine.end(), longest.begin()));  // D10
      for (Rank q = 0; q < n_; ++q) {
        REQUIRE(member.ordering.settled(q) <= closed[q]);  // settled is a promise
      }
      if (std::find(survivors.begin(), survivors.end(), p) == survivors.end()) {
        std::vector<Item> ignored;
        REQUIRE(member.ordering.fate(cut) == member.reference.closure(Counts(n_), cut, ignored)[p]);
        REQUIRE(member.ordering.fate(cut) == closed[p]);  // C3
      }
    }
    for (const Rank p : survivors) {
      REQUIRE(members_[p].ordering.delivery_hash() == members_[survivors.front()].ordering.delivery_hash());  // R11
    }
  }

  [[nodiscard]] std::vector<Item> totals(Rank p) const {
    std::vector<Item> result;
    for (const Item& item : members_[p].history) {
      if (item.second->service == Service::total) {
        result.push_back(item);
      }
    }
    return result;
  }

  Rng rng_;
  std::size_t n_;
  bool relay_;
  Truth truth_;
  std::vector<Member> members_;
  std::vector<std::deque<Frame>> links_;
  std::vector<bool> slow_;
};

}  // namespace

TEST_CASE("random executions agree with the naive reference and keep the promises") {
  for (std::uint64_t seed = 1; seed <= 1500; ++seed) {
    INFO("seed " << seed);
    Execution(seed).run();
  }
}
