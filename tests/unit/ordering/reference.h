// The rules of sections 7, 8 and V10 in their most naive form, to compare Ordering with: everything is kept, everything is
// searched, dependencies are whole vectors that never travel.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "core/ordering/stable_queue.h"

namespace vsync::test {

using namespace vsync::core;  // NOLINT(google-build-using-namespace): tests speak the vocabulary of the core

/// Dependency vectors of all runs of the view, by sender and first number; shared by all members.
using Truth = std::map<std::pair<Rank, Seq>, Counts>;
using Item = std::pair<Rank, RunPtr>;

class Reference {
 public:
  Reference(std::size_t members, Rank self, Truth& truth)
      : n_(members), self_(self), truth_(&truth), held(n_), delivered(n_), matrix_(n_, Counts(n_)), log_(n_) {}

  void bound(const RunPtr& run) {
    Counts dep(n_);
    for (Rank q = 0; q < n_; ++q) {
      const bool named = run->service == Service::causal || (run->service == Service::total && delivered[q] > stable(q));
      dep[q] = named ? delivered[q] : 0;
    }
    (*truth_)[{self_, run->first}] = dep;
    store(self_, run);
    matrix_[self_] = held;
  }

  void received(Rank sender, const RunPtr& run) {
    store(sender, run);
    matrix_[self_] = held;
    matrix_[sender][sender] = std::max(matrix_[sender][sender], run->last());
  }

  void forwarded(Rank sender, const RunPtr& run) { store(sender, run); }

  void acknowledged(Rank from, const std::vector<RankCount>& counts) {
    for (const RankCount& entry : counts) {
      matrix_[from][entry.rank] = std::max(matrix_[from][entry.rank], from == self_ ? 0 : entry.count);
    }
  }

  /// R3, R4, R5.
  std::vector<Item> deliver() {
    std::vector<Item> out;
    for (bool again = true; again;) {
      again = false;
      for (Rank q = 0; q < n_; ++q) {
        for (RunPtr run = next(q); run && unordered_ready(q, *run); run = next(q)) {
          out.push_back(take(q, run));
          again = true;
        }
      }
      if (again) {
        continue;  // R5: exhaustively first
      }
      if (const auto total = total_ready()) {
        out.push_back(take(total->first, total->second));
        again = true;
      }
    }
    return out;
  }

  /// V10 from D, or C3 from nothing.
  Counts closure(Counts closed, const Counts& cut, std::vector<Item>& out) const {
    std::vector<std::pair<Key, RunPtr>> rest;
    for (Rank q = 0; q < n_; ++q) {
      for (const RunPtr& run : log_[q]) {
        if (run->first > closed[q] && run->last() <= cut[q]) {
          rest.emplace_back(key(q, *run), run);
        }
      }
    }
    std::sort(rest.begin(), rest.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [k, run] : rest) {
      if (closed[k.rank] + 1 == run->first && (run->service == Service::fifo || covered(k.rank, *run, closed))) {
        closed[k.rank] = run->last();
        out.emplace_back(k.rank, run);
      }
    }
    return closed;
  }

  [[nodiscard]] Seq stable(Rank q) const {
    Seq least = matrix_[0][q];
    for (const Counts& row : matrix_) {
      least = std::min(least, row[q]);
    }
    return least;
  }

 private:
  static Key key(Rank q, const Run& run) { return {run.stamp, q, run.first}; }

  void store(Rank sender, const RunPtr& run) {
    log_[sender].push_back(run);
    held[sender] = run->last();
  }

  [[nodiscard]] RunPtr next(Rank q) const {
    for (const RunPtr& run : log_[q]) {
      if (run->first == delivered[q] + 1) {
        return run;
      }
    }
    return nullptr;
  }

  [[nodiscard]] bool covered(Rank q, const Run& run, const Counts& by) const {
    const Counts& dep = truth_->at({q, run.first});
    return std::equal(dep.begin(), dep.end(), by.begin(), std::less_equal<>());
  }

  [[nodiscard]] bool unordered_ready(Rank q, const Run& run) const {
    return run.service == Service::fifo || (run.service == Service::causal && covered(q, run, delivered));
  }

  [[nodiscard]] std::optional<Item> total_ready() const {
    std::optional<Item> least;
    for (Rank q = 0; q < n_; ++q) {
      const RunPtr run = next(q);
      if (run && (!least || key(q, *run) < key(least->first, *least->second))) {
        least = Item(q, run);
      }
    }
    if (!least || least->second->service != Service::total) {
      return std::nullopt;
    }
    for (Rank q = 0; q < n_; ++q) {
      if (held[q] < matrix_[q][q]) {
        return std::nullopt;
      }
      for (const RunPtr& run : log_[q]) {
        if (key(q, *run) <= key(least->first, *least->second) && run->last() > stable(q)) {
          return std::nullopt;
        }
      }
    }
    return least;
  }

  Item take(Rank q, const RunPtr& run) {
    delivered[q] = run->last();
    return {q, run};
  }

  std::size_t n_;
  Rank self_;
  Truth* truth_;

 public:
  Counts held;
  Counts delivered;

 private:
  std::vector<Counts> matrix_;
  std::vector<std::vector<RunPtr>> log_;
};

}  // namespace vsync::test
