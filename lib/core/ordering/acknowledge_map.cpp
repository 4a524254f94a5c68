#include "core/ordering/acknowledge_map.h"

#include <algorithm>

namespace vsync::core {

AcknowledgeMap::AcknowledgeMap(std::size_t members)
    : rows_(members, KnowledgeVector(members)), columns_(members, Column{0, members}) {}

std::size_t AcknowledgeMap::holders(Rank sender, Seq count) const {
  return static_cast<std::size_t>(
      std::count_if(rows_.begin(), rows_.end(), [&](const KnowledgeVector& row) { return row[sender] >= count; }));
}

bool AcknowledgeMap::raise(Rank member, Rank sender, Seq count) {
  Column& column = columns_[sender];
  const bool was_lowest = rows_[member][sender] == column.stable;
  if (!rows_[member].raise(sender, count) || !was_lowest || --column.lowest_at > 0) {
    return false;
  }
  search_minimum(sender);
  return true;
}

void AcknowledgeMap::search_minimum(Rank sender) {
  Column& column = columns_[sender];
  column = {rows_.front()[sender], 0};
  for (const KnowledgeVector& row : rows_) {
    if (row[sender] < column.stable) {
      column = {row[sender], 0};
    }
    if (row[sender] == column.stable) {
      ++column.lowest_at;
    }
  }
}

}  // namespace vsync::core
