// What one member is known to hold: a row of the acknowledgement matrix A (protocol.md section 4).
#pragma once

#include <optional>
#include <vector>

#include "core/model/types.h"

namespace vsync::core {

/// A count per sender that only grows: knowledge is never taken back.
class KnowledgeVector {
 public:
  explicit KnowledgeVector(std::size_t members) : counts_(members) {}

  [[nodiscard]] Seq operator[](Rank sender) const { return counts_[sender]; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

  /// Elementwise maximum. True if this was news.
  bool raise(Rank sender, Seq count) {
    const bool news = count > counts_[sender];
    if (news) {
      counts_[sender] = count;
    }
    return news;
  }

 private:
  Counts counts_;
};

/// Remembers what of one member's knowledge was stated before, so that a statement carries only what grew since.
class StatedKnowledge {
 public:
  explicit StatedKnowledge(std::size_t members) : stated_(members) {}

  /// The entries of `owner`'s knowledge that grew since the last call. R2: the owner's own count goes with every statement but
  /// makes none due, for its DATA states it already.
  std::optional<std::vector<RankCount>> take(const KnowledgeVector& knowledge, Rank owner) {
    std::vector<RankCount> news;
    for (Rank sender = 0; sender < stated_.size(); ++sender) {
      if (sender != owner && knowledge[sender] > stated_[sender]) {
        stated_[sender] = knowledge[sender];
        news.push_back({sender, knowledge[sender]});
      }
    }
    if (news.empty()) {
      return std::nullopt;
    }
    news.push_back({owner, knowledge[owner]});
    return news;
  }

 private:
  Counts stated_;
};

}  // namespace vsync::core
