#include "base/histogram.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

using vsync::Histogram;

TEST_CASE("histogram: an empty histogram tells zeros") {
  const Histogram histogram;
  CHECK(histogram.count() == 0);
  CHECK(histogram.percentile(0.5) == 0);
  CHECK(histogram.mean() == 0);
  CHECK(histogram.at_most(1000) == 0);
}

TEST_CASE("histogram: small values are exact") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 10; ++value) {
    histogram.add(value);
  }
  CHECK(histogram.count() == 10);
  CHECK(histogram.percentile(0) == 1);
  CHECK(histogram.percentile(0.5) == 5);
  CHECK(histogram.percentile(0.91) == 10);
  CHECK(histogram.percentile(1) == 10);
  CHECK(histogram.mean() == 5);
  CHECK(histogram.at_most(3) == 3);
}

TEST_CASE("histogram: percentiles of large values are right within a bucket, and never above the maximum") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100'000; ++value) {
    histogram.add(value * 1000);
  }
  for (const double part : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = part * 100'000'000;
    CHECK(static_cast<double>(histogram.percentile(part)) >= exact);
    CHECK(static_cast<double>(histogram.percentile(part)) <= exact * 1.016);
  }
  CHECK(histogram.percentile(1) == 100'000'000);
  CHECK(histogram.max() == 100'000'000);
}

TEST_CASE("histogram: the largest value has a bucket") {
  Histogram histogram;
  histogram.add(std::numeric_limits<std::uint64_t>::max());
  CHECK(histogram.percentile(0.5) == std::numeric_limits<std::uint64_t>::max());
  CHECK(histogram.at_most(std::numeric_limits<std::uint64_t>::max()) == 1);
}
