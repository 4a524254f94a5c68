// Q1: two disjoint sets of voters never both decide.
#include <catch2/catch.hpp>

#include "core/model/view.h"

namespace vsync::core {
namespace {

constexpr std::uint64_t kEpoch = 70;  // vote epoch of node n is kEpoch + n

/// Voters 1, 2, … with these weights.
View view_of(const std::vector<std::uint32_t>& weights, NodeId tiebreak) {
  View view;
  for (NodeId node = 1; node <= weights.size(); ++node) {
    view.voters.push_back({node, kEpoch + node, weights[node - 1]});
  }
  view.tiebreak = tiebreak;
  return view;
}

/// Bit i of `mask` stands for node i + 1.
VoterSet voters(unsigned mask) {
  VoterSet set;
  for (NodeId node = 1; mask != 0; ++node, mask >>= 1U) {
    if ((mask & 1U) != 0) {
      set.insert({node, kEpoch + node});
    }
  }
  return set;
}

/// Checks every pair of disjoint sets, and that more voters never turn a quorum into none.
void check_all_subsets(const View& view) {
  const unsigned all = (1U << view.voters.size()) - 1;
  for (unsigned set = 0; set <= all; ++set) {
    if (!quorum(view, voters(set))) {
      continue;
    }
    // Every disjoint set is inside the complement, so it suffices that the complement is none - given monotony.
    if (quorum(view, voters(all & ~set))) {
      FAIL("disjoint quorums " << set << " and " << (all & ~set) << ", tie-break " << view.tiebreak);
    }
    for (unsigned more = 1; more <= all; more <<= 1U) {
      if (!quorum(view, voters(set | more))) {
        FAIL("a quorum " << set << " is none any more with " << more);
      }
    }
  }
}

TEST_CASE("Q1: no two disjoint quorums, for all weights and tie-breaks of up to six voters") {
  for (std::size_t n = 1; n <= 6; ++n) {
    const unsigned max_weight = n <= 4 ? 3 : 2;  // 0 … max_weight each
    std::vector<std::uint32_t> weights(n, 0);
    for (bool carry = false; !carry;) {
      for (NodeId tiebreak = 0; tiebreak <= n; ++tiebreak) {  // 0: no voter breaks ties
        check_all_subsets(view_of(weights, tiebreak));
      }
      carry = true;
      for (auto& weight : weights) {
        weight = weight == max_weight ? 0 : weight + 1;
        if (weight != 0) {
          carry = false;
          break;
        }
      }
    }
  }
}

TEST_CASE("Q1: a majority decides, exactly half only with the tie-break node") {
  struct Row {
    const char* what;
    std::vector<std::uint32_t> weights;
    NodeId tiebreak;
    unsigned answered;
    bool decides;
  };
  const Row rows[] = {
      {"one of one", {1}, 1, 0b1, true},
      {"none of one", {1}, 1, 0b0, false},
      {"the tie-break node of two", {1, 1}, 1, 0b01, true},
      {"the other of two", {1, 1}, 1, 0b10, false},
      {"half without a tie-break node", {1, 1}, 0, 0b01, false},
      {"one of three, the tie-break node", {1, 1, 1}, 1, 0b001, false},
      {"two of three", {1, 1, 1}, 1, 0b110, true},
      {"half of four with the tie-break node", {1, 1, 1, 1}, 3, 0b0101, true},
      {"half of four without it", {1, 1, 1, 1}, 3, 0b1010, false},
      {"one heavy voter of three", {3, 1, 1}, 2, 0b001, true},
      {"the light ones against it", {3, 1, 1}, 2, 0b110, false},
      {"half the weight", {2, 1, 1}, 2, 0b110, true},
      {"half the weight without the tie-break node", {2, 1, 1}, 1, 0b110, false},
      {"a voter without weight adds nothing", {1, 1, 0}, 3, 0b101, true},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(quorum(view_of(row.weights, row.tiebreak), voters(row.answered)) == row.decides);
  }
}

TEST_CASE("Q1: a voter counts only with the vote epoch that the view names") {
  const View view = view_of({1, 1, 1}, 1);
  CHECK(quorum(view, {{1, kEpoch + 1}, {2, kEpoch + 2}}));
  CHECK_FALSE(quorum(view, {{1, kEpoch + 1}, {2, 99}}));                           // its disk was lost
  CHECK_FALSE(quorum(view, {{1, kEpoch + 1}, {1, 98}, {1, 99}}));                  // one voter, three lives
  CHECK_FALSE(quorum(view, {{1, kEpoch + 1}, {7, kEpoch + 7}, {8, kEpoch + 8}}));  // no voters
}

TEST_CASE("tolerated failures: as many as may fail in the worst order") {
  struct Row {
    std::vector<std::uint32_t> weights;
    NodeId tiebreak;
    std::size_t tolerated;
  };
  const Row rows[] = {{{1}, 1, 0},          {{1, 1}, 1, 0},          {{1, 1, 1}, 1, 1},
                      {{1, 1, 1, 1}, 1, 1}, {{1, 1, 1, 1, 1}, 1, 2}, {{1, 1, 1, 1, 1, 1}, 6, 2},
                      {{3, 1, 1}, 1, 0},    {{2, 1, 1, 1}, 1, 1}};
  for (const auto& row : rows) {
    INFO(row.weights.size() << " voters, tie-break " << row.tiebreak);
    CHECK(tolerated_failures(view_of(row.weights, row.tiebreak)) == row.tolerated);
  }
}

TEST_CASE("tolerated failures: whichever they are, the rest decides; one more may be too many") {
  for (unsigned code = 0; code < 3 * 3 * 3 * 3 * 3; ++code) {
    std::vector<std::uint32_t> weights;
    for (unsigned rest = code, i = 0; i < 5; ++i, rest /= 3) {
      weights.push_back(1 + rest % 3);
    }
    for (NodeId tiebreak = 1; tiebreak <= 5; ++tiebreak) {
      const View view = view_of(weights, tiebreak);
      const auto tolerated = tolerated_failures(view);
      bool one_more = true;
      for (unsigned failed = 0; failed < 32; ++failed) {
        const auto failures = static_cast<std::size_t>(__builtin_popcount(failed));
        const bool decides = quorum(view, voters(31U & ~failed));
        if (failures <= tolerated && !decides) {
          FAIL("code " << code << ": " << failed << " failed of " << tolerated << " tolerated");
        }
        one_more = one_more && (failures != tolerated + 1 || decides);
      }
      if (one_more) {
        FAIL("code " << code << ": more than " << tolerated << " are tolerated");
      }
    }
  }
}

}  // namespace
}  // namespace vsync::core
