// V4, V7, V10, V11 and C3 of protocol.md, as far as the ordering module keeps them.
#include <catch2/catch.hpp>

#include "cluster.h"

using namespace vsync;
using namespace vsync::test;

namespace {

constexpr Service kFifo = Service::fifo;
constexpr Service kCausal = Service::causal;
constexpr Service kTotal = Service::total;

}  // namespace

TEST_CASE("V4: a wedged member receives, acknowledges and delivers nothing (fifo_wedged)") {
  Cluster w(3);
  w.send('A', kFifo);
  w['B'].wedge();
  CHECK(w['B'].wedged());
  w.move("AB");
  CHECK(w.receipts == std::vector<Receipt>{Receipt::duplicate});
  CHECK(w['B'].held() == Counts{0, 0, 0});
  CHECK(w.got('B').empty());
  CHECK_FALSE(w['B'].take_due_ack());
  CHECK(w['B'].take_due_aggregate().empty());
}

TEST_CASE("V4: an acknowledgement that was due before the wedge is not sent after it") {
  Cluster w(2);
  const auto run = w.send('A', kFifo);
  w['B'].receive(0, run);
  w['B'].wedge();
  CHECK_FALSE(w['B'].take_due_ack());
}

TEST_CASE("V4: a wedged member processes no acknowledgement (total_wedged)") {
  Cluster w(3);
  w.send('B', kTotal);
  w.move("BA", Only::data);
  w.send('A', kTotal);
  w.move("AB AC");
  w['C'].wedge();
  w.move("BC");
  CHECK(w['C'].stable(0) == 0);
  CHECK(w.got('C').empty());  // B1 comes before A1 and was dropped here
}

TEST_CASE("V7: forwarded runs are stored in sequence, neither acknowledged nor delivered") {
  Cluster w(3);
  const auto one = w.send('A', kFifo, 2);
  const auto two = w.send('A', kFifo);
  CHECK(w['B'].forward(0, one) == Receipt::refused);  // not wedged
  w['B'].wedge();
  CHECK_FALSE(w['B'].has_all({3, 0, 0}));
  CHECK(w['B'].forward(0, two) == Receipt::gap);
  CHECK(w['B'].forward(0, one) == Receipt::stored);
  CHECK(w['B'].forward(0, one) == Receipt::duplicate);
  CHECK(w['B'].forward(7, two) == Receipt::refused);
  CHECK_FALSE(w['B'].has_all({3, 0, 0}));
  CHECK(w['B'].forward(0, two) == Receipt::stored);
  CHECK(w['B'].has_all({3, 0, 0}));
  CHECK_FALSE(w['B'].has_all({3, 0}));
  CHECK(w['B'].held() == Counts{3, 0, 0});
  CHECK(w['B'].full_ack()[0].count == 0);
  CHECK_FALSE(w['B'].take_due_ack());
  std::vector<Delivery> out;
  w['B'].deliver(out);
  CHECK(out.empty());
}

TEST_CASE("V7: the sole holder of a delivered fifo message can forward it (free_early)") {
  Cluster w(3);
  w.send('A', kFifo);
  w.move("AB", Only::data);
  CHECK(w.got('B') == "A1");
  CHECK(w.change("BC") == Counts{1, 0, 0});
  CHECK(w.got('B') == "A1");
  CHECK(w.got('C') == "A1");
}

TEST_CASE("V7: dependencies come with forwarded runs") {
  Cluster w(4);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  w.send('A', kCausal);
  w.send('A', kCausal);
  w.move("AC");
  CHECK(w.change("CD") == Counts{2, 0, 0, 0});  // C holds both causal messages, D nothing; B1 is lost with A and B
  CHECK(w['D'].held()[0] == 2);
  CHECK(w.got('C').empty());
  CHECK(w.got('D').empty());
  CHECK(w.closed['C'] == Counts{0, 0, 0, 0});
  CHECK(w.closed['D'] == w.closed['C']);
}

TEST_CASE("V10: a cut lies between what is delivered and what is held") {
  Cluster w(2);
  w.send('B', kFifo, 2);
  w.send('B', kTotal);
  w.send('A', kTotal);
  w.move("BA", Only::data);
  REQUIRE(w['A'].delivered() == Counts{0, 2});
  REQUIRE(w['A'].held() == Counts{1, 3});
  CHECK(w['A'].cut_is_sane({1, 3}));
  CHECK(w['A'].cut_is_sane({0, 2}));
  CHECK_FALSE(w['A'].cut_is_sane({1, 1}));
  CHECK_FALSE(w['A'].cut_is_sane({1, 4}));
  CHECK_FALSE(w['A'].cut_is_sane({1}));
  CHECK_FALSE(w['A'].cut_is_sane({1, 3, 0}));
}

TEST_CASE("V10: what is left is delivered in key order, up to the cut") {
  Cluster w(3);
  w.send('A', kTotal, 2);
  w.send('B', kTotal);
  w.move("AB", Only::data);
  w.send('B', kTotal);
  w.send('C', kTotal);
  w.send('C', kTotal);
  w.move("CA", Only::data);
  w['A'].wedge();
  std::vector<Delivery> out;
  REQUIRE(w['B'].range(1, 1, 2).size() == 2);
  w['A'].forward(1, w['B'].range(1, 1, 1).front());
  const Counts closed = w['A'].close({2, 1, 1}, out);
  CHECK(closed == Counts{2, 1, 1});
  REQUIRE(out.size() == 3);
  CHECK(out[0].sender == 0);
  CHECK(out[1].sender == 1);
  CHECK(out[2].sender == 2);
  CHECK(w['A'].delivered_totals() == 4);
  CHECK(w['A'].trimmed() == 0);
}

TEST_CASE("V10: a message without its dependency takes the rest of its stream with it (trim)") {
  Cluster w(5);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  w.send('A', kCausal, 2);
  w.send('A', kFifo);
  w.send('C', kFifo);
  w.move("AC");
  const Counts cut = w.change("CDE");
  CHECK(cut == Counts{3, 0, 1, 0, 0});
  for (const char p : std::string("CDE")) {
    CHECK(w.got(p) == "C1");
    CHECK(w.closed[p] == Counts{0, 0, 1, 0, 0});
    CHECK(w[p].trimmed() == 3);
  }
  CHECK(w['A'].fate(cut) == 0);  // C3: told NOT_DELIVERED
  w['C'].install(3, 0);
  CHECK(w['C'].trimmed() == 3);
}

TEST_CASE("V10: a total needs its dependencies too") {
  Cluster w(3);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  CHECK(w.send('A', kTotal)->deps == std::vector<RankCount>{{1, 1}});
  w.move("AC");
  CHECK(w.change("C") == Counts{1, 0, 0});
  CHECK(w.got('C').empty());
}

TEST_CASE("C3: an excluded sender knows what those who go on deliver") {
  Cluster w(3);
  w.send('A', kFifo);
  w.move("AB", Only::data);
  w.send('A', kTotal, 2);
  const Counts cut = w.change("BC");
  CHECK(w['A'].fate(cut) == 1);
  CHECK(w['A'].fate({3, 0, 0}) == 3);
  CHECK(w['A'].fate({0, 0, 0}) == 0);
}

TEST_CASE("C3: a message that all hold may still be trimmed; it is stable, not settled") {
  Cluster w(5);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  w.send('A', kCausal);
  w.move("AB AC AD AE");
  w.move("BA CA DA EA");
  REQUIRE(w.got('A') == "B1 A1");
  REQUIRE(w['A'].stable(0) == 1);
  CHECK(w['A'].settled(0) == 0);
  const Counts cut = w.change("CDE");
  CHECK(cut == Counts{1, 0, 0, 0, 0});
  CHECK(w.got('C').empty());
  CHECK(w['A'].fate(cut) == 0);
}

TEST_CASE("L4: a total delivered by anybody is inside every cut") {
  Cluster w(3);
  w.send('B', kFifo);
  w.send('A', kTotal);
  w.move("AB AC BA", Only::data);
  w.move("BC", Only::data);
  w.move("BA CA");
  CHECK(w.got('A') == "B1 A1");
  const std::string survivors = GENERATE("B", "C", "BC");
  w.change(survivors);
  for (const char p : survivors) {
    CHECK(w.got(p) == "B1 A1");
  }
}

TEST_CASE("V11: a view starts from nothing") {
  Cluster w(2);
  w.send('A', kTotal);
  w.all();
  const std::uint64_t hash = w['A'].delivery_hash();
  w.change("AB");
  w['A'].install(3, 2);
  CHECK_FALSE(w['A'].wedged());
  CHECK(w['A'].held() == Counts{0, 0, 0});
  CHECK(w['A'].delivered() == Counts{0, 0, 0});
  CHECK(w['A'].clock() == 0);
  CHECK(w['A'].stable(0) == 0);
  CHECK(w['A'].delivered_totals() == 0);
  CHECK(w['A'].delivery_hash() != hash);
  const auto bound = w['A'].bind({Cluster::run(kTotal)});
  CHECK(bound.front()->first == 1);
  CHECK(bound.front()->stamp == 1);
  CHECK(w['A'].held() == Counts{0, 0, 1});
}
