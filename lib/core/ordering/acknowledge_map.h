// The acknowledge map: who is known to hold what, and from it what is stable (protocol.md section 4, matrix A).
#pragma once

#include <vector>

#include "core/ordering/knowledge_vector.h"

namespace vsync::core {

/// One KnowledgeVector per member. The stable count of each sender, which is the minimum of its column, is kept up to date; it is
/// searched anew only when the last member at the minimum moves.
class AcknowledgeMap {
 public:
  explicit AcknowledgeMap(std::size_t members);

  [[nodiscard]] std::size_t members() const { return rows_.size(); }
  [[nodiscard]] const KnowledgeVector& of(Rank member) const { return rows_[member]; }
  /// How many of `sender`'s messages every member is known to hold.
  [[nodiscard]] Seq stable(Rank sender) const { return columns_[sender].stable; }
  /// How many members are known to hold `sender`'s messages up to `count`.
  [[nodiscard]] std::size_t holders(Rank sender, Seq count) const;

  /// `member` is known to hold `count` messages of `sender`. True if the stable count of `sender` rose.
  bool raise(Rank member, Rank sender, Seq count);

 private:
  struct Column {
    Seq stable = 0;           ///< minimum over all members
    std::size_t lowest_at{};  ///< number of members at the minimum
  };
  void search_minimum(Rank sender);

  std::vector<KnowledgeVector> rows_;
  std::vector<Column> columns_;
};

}  // namespace vsync::core
