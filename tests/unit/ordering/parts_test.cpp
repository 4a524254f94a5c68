// The named parts of the ordering module, each alone.
#include <catch2/catch.hpp>

#include "base/rng.h"
#include "core/ordering/acknowledge_map.h"
#include "core/ordering/lamport_clock.h"
#include "core/ordering/stable_queue.h"
#include "core/ordering/stream.h"

using namespace vsync;
using namespace vsync::core;

namespace {

RunPtr make_run(Seq first, std::uint32_t count, Stamp stamp, std::vector<RankCount> deps = {}) {
  Run run;
  run.first = first;
  run.count = count;
  run.stamp = stamp;
  run.service = Service::causal;
  run.deps = std::move(deps);
  run.body = Slice::copy_of("body");
  return std::make_shared<const Run>(std::move(run));
}

}  // namespace

TEST_CASE("the Lamport clock is later than everything seen") {
  LamportClock clock;
  CHECK(clock.now() == 0);
  CHECK(clock.tick() == 1);
  clock.observe(7);
  CHECK(clock.now() == 8);
  clock.observe(3);
  CHECK(clock.now() == 9);
  CHECK(clock.tick() == 10);
}

TEST_CASE("knowledge only grows") {
  KnowledgeVector knowledge(2);
  CHECK(knowledge.raise(1, 5));
  CHECK_FALSE(knowledge.raise(1, 5));
  CHECK_FALSE(knowledge.raise(1, 4));
  CHECK(knowledge.counts() == Counts{0, 5});
}

TEST_CASE("a statement carries what grew and always the owner's count") {
  KnowledgeVector knowledge(3);
  StatedKnowledge stated(3);
  knowledge.raise(0, 4);
  CHECK_FALSE(stated.take(knowledge, 0));  // DATA said it
  knowledge.raise(2, 1);
  CHECK(stated.take(knowledge, 0) == std::vector<RankCount>{{2, 1}, {0, 4}});
  CHECK_FALSE(stated.take(knowledge, 0));
  knowledge.raise(1, 9);
  CHECK(stated.take(knowledge, 0) == std::vector<RankCount>{{1, 9}, {0, 4}});
}

TEST_CASE("the acknowledge map keeps the column minima") {
  constexpr std::size_t kMembers = 4;
  AcknowledgeMap map(kMembers);
  Rng rng(GENERATE(1U, 2U, 3U));
  for (int step = 0; step < 500; ++step) {
    const auto member = static_cast<Rank>(rng.below(kMembers));
    const auto sender = static_cast<Rank>(rng.below(kMembers));
    const Seq before = map.stable(sender);
    const bool rose = map.raise(member, sender, rng.below(20) + static_cast<Seq>(step) / 20);
    Seq minimum = map.of(0)[sender];
    for (Rank j = 1; j < kMembers; ++j) {
      minimum = std::min(minimum, map.of(j)[sender]);
    }
    REQUIRE(map.stable(sender) == minimum);
    REQUIRE(rose == (minimum > before));
    REQUIRE(map.holders(sender, minimum) == kMembers);
    REQUIRE(map.holders(sender, minimum + 1) < kMembers);
  }
}

TEST_CASE("keys order by stamp, then rank, then number") {
  CHECK(Key{1, 5, 9} < Key{2, 0, 1});
  CHECK(Key{1, 0, 9} < Key{1, 1, 1});
  CHECK(Key{1, 1, 1} < Key{1, 1, 2});
}

TEST_CASE("the stable queue releases its head when nothing smaller is unstable") {
  StableQueue queue(3);
  CHECK_FALSE(queue.head());
  const RunPtr early = make_run(1, 1, 3);
  const RunPtr late = make_run(1, 1, 4);
  queue.update(1, late.get(), late.get());
  queue.update(2, early.get(), early.get());
  CHECK(queue.head() == Rank{2});
  CHECK_FALSE(queue.stable_up_to(2));
  queue.update(2, early.get(), nullptr);
  CHECK(queue.stable_up_to(2));
  CHECK_FALSE(queue.stable_up_to(1));
  queue.update(2, nullptr, early.get());  // delivered and yet unstable: it still holds back the next
  queue.update(1, late.get(), nullptr);
  CHECK(queue.head() == Rank{1});
  CHECK(queue.first_unstable() == Rank{2});
  CHECK_FALSE(queue.stable_up_to(1));
  queue.update(2, nullptr, nullptr);
  CHECK(queue.stable_up_to(1));
}

TEST_CASE("a stream moves its marks independently and lets go of what is settled") {
  Stream stream;
  stream.append(make_run(1, 2, 1, {{1, 3}}));
  stream.append(make_run(3, 1, 1));
  CHECK(stream.bytes() == 8);
  CHECK(stream.last_stamp() == 1);
  CHECK_FALSE(stream.dependencies_met({0, 2}));
  CHECK(stream.dependencies_met({0, 3}));
  stream.mark_stable(1);
  CHECK(stream.unstable()->first == 1);  // a run is stable as a whole
  stream.mark_stable(2);
  CHECK(stream.unstable()->first == 3);
  CHECK(stream.settle_oldest({0, 3}) == nullptr);  // not delivered
  CHECK(stream.deliver_next()->first == 1);
  CHECK(stream.undelivered()->first == 3);
  CHECK(stream.settle_oldest({0, 2}) == nullptr);  // its dependency is not settled
  CHECK(stream.settle_oldest({0, 3})->first == 1);
  CHECK(stream.settle_oldest({9, 9}) == nullptr);  // not delivered, not stable
  CHECK(stream.bytes() == 4);
  stream.append(make_run(4, 5, 2));
  CHECK(stream.position_after(0) == 0);
  CHECK(stream.position_after(3) == 1);
  CHECK(stream.position_after(7) == 1);
  CHECK(stream.position_after(8) == 2);
  CHECK(stream.at(2) == nullptr);
}
