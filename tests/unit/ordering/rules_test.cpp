// R1-R11 of protocol.md, one section per rule.
#include <catch2/catch.hpp>

#include "cluster.h"

using namespace vsync;
using namespace vsync::test;

namespace {

constexpr Service kFifo = Service::fifo;
constexpr Service kCausal = Service::causal;
constexpr Service kTotal = Service::total;

RunPtr shared(Run run) {
  return std::make_shared<const Run>(std::move(run));
}

/// A run of a peer, well-formed as the first of its stream.
Run first_run() {
  Run run = Cluster::run(kTotal);
  run.first = 1;
  run.stamp = 1;
  return run;
}

}  // namespace

TEST_CASE("R1: runs are bound to consecutive numbers under rising stamps") {
  Cluster w(3);
  const auto first = w.send('A', kTotal, 3);
  CHECK(first->first == 1);
  CHECK(first->last() == 3);
  CHECK(first->stamp == 1);
  const auto second = w.send('A', kFifo);
  CHECK(second->first == 4);
  CHECK(second->stamp == 2);
  CHECK(w['A'].held() == Counts{4, 0, 0});
  CHECK(w['A'].clock() == 2);
  CHECK(w['A'].full_ack() == std::vector<RankCount>{{0, 4}, {1, 0}, {2, 0}});
}

TEST_CASE("R1: self-delivery of fifo and causal is immediate, of total it is not") {
  Cluster w(2);
  w.send('A', kFifo);
  w.send('A', kCausal);
  CHECK(w.got('A') == "A1 A2");
  w.send('A', kTotal);
  CHECK(w.got('A') == "A1 A2");
  w.all();
  CHECK(w.got('A') == "A1 A2 A3");
}

TEST_CASE("R2: a stream is received in sequence") {
  struct Row {
    const char* what;
    Receipt expected;
    void (*change)(Run&);
  };
  const auto row = GENERATE(values<Row>({
      {"next", Receipt::stored, [](Run&) {}},
      {"same stamp as the one before (R10)", Receipt::stored, [](Run& r) { r.stamp = 5; }},
      {"duplicate", Receipt::duplicate,
       [](Run& r) {
         r.first = 2;
         r.count = 2;
       }},
      {"gap", Receipt::gap, [](Run& r) { r.first = 5; }},
      {"overlap", Receipt::refused,
       [](Run& r) {
         r.first = 3;
         r.count = 2;
       }},
      {"empty", Receipt::refused, [](Run& r) { r.count = 0; }},
      {"number 0", Receipt::refused, [](Run& r) { r.first = 0; }},
      {"stamp 0", Receipt::refused, [](Run& r) { r.stamp = 0; }},
      {"stamp falls", Receipt::refused, [](Run& r) { r.stamp = 4; }},
      {"stamp out of reach", Receipt::refused, [](Run& r) { r.stamp = ~Stamp{0}; }},
      {"number out of reach", Receipt::refused, [](Run& r) { r.first = ~Seq{0}; }},
      {"group message that is not total", Receipt::refused,
       [](Run& r) {
         r.kind = RunKind::group_join;
         r.service = kFifo;
       }},
      {"group message", Receipt::stored, [](Run& r) { r.kind = RunKind::group_join; }},
      {"dependency", Receipt::stored,
       [](Run& r) {
         r.deps = {{2, 7}};
       }},
      {"dependency of a fifo message", Receipt::refused,
       [](Run& r) {
         r.service = kFifo;
         r.deps = {{2, 7}};
       }},
      {"dependency on nobody", Receipt::refused,
       [](Run& r) {
         r.deps = {{3, 1}};
       }},
      {"dependency on nothing", Receipt::refused,
       [](Run& r) {
         r.deps = {{2, 0}};
       }},
      {"dependency on the own stream", Receipt::refused,
       [](Run& r) {
         r.deps = {{1, 1}};
       }},
      {"dependency on what the receiver never sent", Receipt::refused,
       [](Run& r) {
         r.deps = {{0, 1}};
       }},
      {"dependency out of reach", Receipt::refused,
       [](Run& r) {
         r.deps = {{2, ~Seq{0}}};
       }},
      {"dependency named twice", Receipt::refused,
       [](Run& r) {
         r.deps = {{2, 1}, {2, 2}};
       }},
  }));
  INFO(row.what);
  Cluster w(3);
  Run before = first_run();
  before.count = 3;
  before.stamp = 5;
  REQUIRE(w['A'].receive(1, shared(before)) == Receipt::stored);
  Run run = first_run();
  run.first = 4;
  run.stamp = 6;
  row.change(run);
  const auto acknowledged = w['A'].full_ack();
  CHECK(w['A'].receive(1, shared(run)) == row.expected);
  CHECK(w['A'].held()[1] == (row.expected == Receipt::stored ? 4 : 3));
  CHECK((w['A'].full_ack() == acknowledged) == (row.expected != Receipt::stored));
}

TEST_CASE("R2: there are no runs of strangers or of oneself") {
  Cluster w(2);
  CHECK(w['A'].receive(2, shared(first_run())) == Receipt::refused);
  CHECK(w['A'].receive(0, shared(first_run())) == Receipt::refused);
  Ordering fresh{Limits{}};
  CHECK(fresh.receive(0, shared(first_run())) == Receipt::refused);
  CHECK_FALSE(fresh.window_open());
  CHECK_FALSE(fresh.take_due_ack());
  std::vector<Delivery> out;
  fresh.deliver(out);
  CHECK(out.empty());
}

TEST_CASE("R2: what is received is acknowledged once, with the own count") {
  Cluster w(3);
  w['A'].bind({Cluster::run(kFifo, 4)});
  CHECK_FALSE(w['A'].take_due_ack());
  w['A'].receive(1, shared(first_run()));
  CHECK(w['A'].take_due_ack() == std::vector<RankCount>{{1, 1}, {0, 4}});
  CHECK_FALSE(w['A'].take_due_ack());
  CHECK(w['A'].clock() == 2);
}

TEST_CASE("R2: DATA is its sender's own acknowledgement") {
  Cluster w(2);
  w.send('B', kTotal);
  w.move("BA");
  CHECK(w['A'].stable(1) == 1);
  CHECK(w.got('A') == "B1");
}

TEST_CASE("R2: acknowledgements that cannot be true change nothing") {
  Cluster w(2);
  w.send('A', kTotal, 2);
  const std::vector<RankCount> lies{{0, 3}, {7, 1}, {1, ~Seq{0}}};
  w['A'].acknowledge(1, lies);
  w['A'].acknowledge(9, std::vector<RankCount>{{0, 2}});
  w['A'].acknowledge(0, std::vector<RankCount>{{1, 5}});
  CHECK(w['A'].stable(0) == 0);
  w['A'].acknowledge(1, std::vector<RankCount>{{0, 2}, {1, 0}});
  CHECK(w['A'].stable(0) == 2);
  w['A'].acknowledge(1, std::vector<RankCount>{{0, 1}});  // an old statement repeated
  CHECK(w['A'].stable(0) == 2);
}

TEST_CASE("R3: fifo is delivered on receipt, but overtakes nothing of its sender (service_mix)") {
  Cluster w(3);
  w.send('A', kFifo);
  w.move("AB");
  CHECK(w.got('B') == "A1");
  w.send('A', kTotal);
  w.send('A', kFifo);
  w.move("AB AC", Only::data);
  CHECK(w.got('A') == "A1");
  CHECK(w.got('B') == "A1");
  w.all();
  for (const char p : w.names()) {
    CHECK(w.got(p) == "A1 A2 A3");
  }
}

TEST_CASE("R4: causal waits for what its sender had delivered (causal_order)") {
  Cluster w(3);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  const auto reply = w.send('A', kCausal);
  CHECK(reply->deps == std::vector<RankCount>{{1, 1}});
  w.move("AC");
  CHECK(w.got('C').empty());
  CHECK(w['C'].blocker() == Rank{1});
  w.all();
  CHECK(w.got('C') == "B1 A1");
  CHECK_FALSE(w['C'].blocker());
}

TEST_CASE("R4: a chain of causal messages is released at once") {
  Cluster w(4);
  w.send('A', kCausal);
  w.move("AB", Only::data);
  w.send('B', kCausal);
  w.move("BC", Only::data);
  w.move("AC", Only::data);
  w.send('C', kCausal);
  w.move("CD BD");
  CHECK(w['D'].held() == Counts{0, 1, 1, 0});
  CHECK(w.got('D').empty());
  w.move("AD", Only::data);
  CHECK(w.got('D') == "A1 B1 C1");
}

TEST_CASE("section 8: dependencies are sent once, and only where needed") {
  Cluster w(3);
  w.send('B', kFifo);
  w.send('C', kFifo);
  w.move("BA CA", Only::data);
  CHECK(w.send('A', kFifo)->deps.empty());
  CHECK(w.send('A', kCausal)->deps == std::vector<RankCount>{{1, 1}, {2, 1}});
  CHECK(w.send('A', kCausal)->deps.empty());
  w.send('C', kFifo);
  w.move("CA", Only::data);
  const auto bound = w.send('A', {Cluster::run(kTotal), Cluster::run(kCausal)});
  CHECK(bound[0]->deps == std::vector<RankCount>{{2, 2}});  // unstable
  CHECK(bound[1]->deps.empty());
  w.all();
  w.send('B', kFifo);
  w.all();
  CHECK(w.send('A', kTotal)->deps.empty());  // stable: the key covers it
  CHECK(w.send('A', kCausal)->deps == std::vector<RankCount>{{1, 2}});
}

TEST_CASE("R5 (a): total waits until everybody is known to hold it") {
  Cluster w(3);
  w.send('A', kTotal);
  w.move("AB", Only::data);
  w.move("BA");
  CHECK(w.got('A').empty());
  CHECK(w['A'].blocker() == Rank{2});
  w.move("AC", Only::data);
  w.move("CA");
  CHECK(w.got('A') == "A1");
  CHECK_FALSE(w['A'].blocker());
  CHECK(w.got('B').empty());  // B has not heard of C
  w.move("CB");
  CHECK(w.got('B') == "A1");
}

TEST_CASE("R5: totals are delivered in one order, by key") {
  Cluster w(3);
  w.send('C', kTotal);
  w.send('B', kTotal);
  w.send('A', kTotal, 2);
  w.send('B', kTotal);
  w.all();
  for (const char p : w.names()) {
    CHECK(w.got(p) == "A1 A2 B1 C1 B2");
  }
}

TEST_CASE("R5 (b): total waits for unstable messages of smaller key (barrier)") {
  Cluster w(5);
  w.send('B', kFifo);
  w.move("BA BE", Only::data);
  w.send('A', kTotal);
  w.move("AB AC AD AE");
  for (const char* links : {"AE", "BE", "CE", "DE"}) {
    w.move(links);
  }
  CHECK(w['E'].stable(0) == 1);
  CHECK(w.got('E') == "B1");  // B1 never reached C and D: were A1 delivered here, they would miss B1 before it
  CHECK(w['E'].blocker() == Rank{2});
  w.change("CD");
  CHECK(w.got('C').empty());  // A1 depends on B1, which is lost
  CHECK(w.got('D').empty());
}

TEST_CASE("R5 (c): a relayed acknowledgement does not overtake its sender's DATA (relay_gap)") {
  Cluster w(3, true);
  w.send('B', kTotal);
  w.move("BA", Only::data);
  w.send('A', kTotal);
  w.move("AB AC");
  w.move("CA");
  w.move("BA");
  w.move("AC");
  CHECK(w['C'].stable(0) == 1);
  CHECK(w.got('C').empty());  // B has sent something that is not here and may come first
  CHECK(w['C'].blocker() == Rank{1});
  w.all();
  for (const char p : w.names()) {
    CHECK(w.got(p) == "B1 A1");
  }
}

TEST_CASE("R6: a message is kept until it is delivered and stable everywhere") {
  Cluster w(3);
  w.send('A', kFifo);
  w.move("AB", Only::data);
  CHECK(w.got('B') == "A1");
  CHECK(w['B'].range(0, 1, 1).size() == 1);
  w.all();
  for (const char p : w.names()) {
    CHECK(w[p].range(0, 1, 1).empty());
    CHECK(w[p].settled(0) == 1);
  }
}

TEST_CASE("R6: a causal message is kept until what it depends on is settled too") {
  Cluster w(3);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  w.send('A', kCausal);
  w.move("AB AC");
  w.move("BA CA");
  CHECK(w['A'].stable(0) == 1);
  CHECK(w['A'].settled(0) == 0);  // C holds it, but may never deliver it
  CHECK(w['A'].straggler() == Rank{2});
  CHECK(w['A'].range(0, 1, 1).size() == 1);
  w.all();
  CHECK(w['A'].settled(0) == 1);
  CHECK(w['A'].range(0, 1, 1).empty());
}

TEST_CASE("R7: the window bounds own messages and bytes") {
  Limits limits;
  limits.window_bytes = 10;
  limits.window_messages = 4;
  Cluster w(2, false, limits);
  CHECK(w['A'].window_open());
  SECTION("bytes") {
    w.send('A', {Cluster::run(kTotal, 1, "123456789")});
    CHECK(w['A'].window_open());
    w.send('A', {Cluster::run(kTotal, 1, "12345"), Cluster::run(kTotal, 1, "12345")});
    CHECK(w['A'].unstable_bytes() == 19);
  }
  SECTION("messages") {
    w.send('A', kFifo, 4);
  }
  CHECK_FALSE(w['A'].window_open());
  w.all();
  CHECK(w['A'].window_open());
  CHECK(w['A'].unstable_bytes() == 0);
}

TEST_CASE("R8: the one member that keeps the window full is known") {
  Cluster w(3);
  CHECK_FALSE(w['A'].straggler());
  w.send('A', kFifo);
  CHECK_FALSE(w['A'].straggler());  // two lack it
  w.move("AB BA");
  CHECK(w['A'].straggler() == Rank{2});
  w.all();
  CHECK_FALSE(w['A'].straggler());
}

TEST_CASE("R9: a stream goes on after a break from what the receiver holds") {
  Cluster w(3);
  w.send('B', kFifo);
  w.send('B', kFifo);
  w.move("BA", Only::data);
  w.send('A', kCausal, 2);
  w.send('A', kCausal);
  w.drop("AC");
  const auto lost = w['A'].range(0, w['C'].held()[0] + 1, w['A'].held()[0]);
  REQUIRE(lost.size() == 2);
  w.move("BC", Only::data);
  for (const RunPtr& run : lost) {
    CHECK(w['C'].receive(0, run) == Receipt::stored);
    CHECK(w['C'].receive(0, run) == Receipt::duplicate);
  }
  w['A'].acknowledge(2, w['C'].full_ack());
  std::vector<Delivery> out;
  w['C'].deliver(out);
  CHECK(w['C'].delivered() == Counts{3, 2, 0});
}

TEST_CASE("R9: a range is made of whole runs") {
  Cluster w(2);
  w.send('A', kFifo, 3);
  w.send('A', kFifo, 3);
  struct Row {
    Seq lo;
    Seq hi;
    std::size_t runs;
  };
  const auto row = GENERATE(values<Row>({{1, 6, 2}, {1, 3, 1}, {3, 4, 2}, {4, 6, 1}, {7, 9, 0}, {5, 4, 0}, {0, 6, 0}}));
  INFO(row.lo << ".." << row.hi);
  if (row.lo <= row.hi) {
    CHECK(w['A'].range(0, row.lo, row.hi).size() == row.runs);
  }
  CHECK(w['A'].range(9, 1, 6).empty());
}

TEST_CASE("R10: runs of one step share a stamp and are ordered by number") {
  Cluster w(2);
  const auto bound = w.send('A', {Cluster::run(kTotal, 3), Cluster::run(kFifo, 2), Cluster::run(kTotal)});
  CHECK(bound[0]->stamp == 1);
  CHECK(bound[1]->stamp == 1);
  CHECK(bound[2]->stamp == 1);
  CHECK(bound[2]->first == 6);
  w.send('B', kTotal);
  w.all();
  CHECK(w.got('A') == "A1 A2 A3 A4 A5 A6 B1");
  CHECK(w.got('B') == w.got('A'));
}

TEST_CASE("R10: a run is acknowledged and stable as a whole") {
  Cluster w(2);
  w.send('A', kTotal, 3);
  w['A'].acknowledge(1, std::vector<RankCount>{{0, 2}, {1, 0}});
  std::vector<Delivery> out;
  w['A'].deliver(out);
  CHECK(out.empty());
  w['A'].acknowledge(1, std::vector<RankCount>{{0, 3}, {1, 0}});
  w['A'].deliver(out);
  CHECK(out.size() == 1);
}

TEST_CASE("R11: equal deliveries have equal hashes, others have not") {
  const auto hash = [](const std::string& first, const std::string& second, Service service = kTotal) {
    Cluster w(1);
    w.send('A', {Cluster::run(service, 1, first), Cluster::run(service, 1, second)});
    return std::pair(w['A'].delivered_totals(), w['A'].delivery_hash());
  };
  CHECK(hash("one", "two") == hash("one", "two"));
  CHECK(hash("one", "two") != hash("two", "one"));
  CHECK(hash("one", "two") != hash("one", "twx"));
  CHECK(hash("one", "two") != hash("one", ""));
  CHECK(hash("a", "b").first == 2);
  CHECK(hash("a", "b", kFifo).first == 0);
  CHECK(hash("a", "b", kFifo) == hash("c", "d", kCausal));

  Cluster w(3);
  w.send('C', kTotal, 5);
  w.send('B', kFifo);
  w.send('A', kTotal);
  w.all();
  CHECK(w['A'].delivered_totals() == 6);
  CHECK(w['A'].delivery_hash() == w['B'].delivery_hash());
  CHECK(w['A'].delivery_hash() == w['C'].delivery_hash());
}

TEST_CASE("a member alone delivers everything at once, by the same rules") {
  Cluster w(1);
  w.send('A', kTotal);
  w.send('A', kFifo, 2);
  w.send('A', kCausal);
  CHECK(w.got('A') == "A1 A2 A3 A4");
  CHECK(w['A'].settled(0) == 4);
  CHECK_FALSE(w['A'].take_due_ack());
  CHECK_FALSE(w['A'].blocker());
}

TEST_CASE("without faults everything is delivered (calm)") {
  const bool relay = GENERATE(false, true);
  Cluster w(4, relay);
  for (int round = 0; round < 3; ++round) {
    for (const char p : w.names()) {
      w.send(p, kTotal);
      w.send(p, kCausal, 2);
      w.send(p, kFifo);
    }
    w.move("AB CD BC");
  }
  w.all();
  for (const char p : w.names()) {
    CHECK(w[p].delivered() == Counts{12, 12, 12, 12});
    CHECK(w[p].settled(0) == 12);
  }
}

TEST_CASE("section 13: the leader states what members stated, with their own counts") {
  Cluster w(3, true);
  w['B'].bind({Cluster::run(kFifo, 2)});
  CHECK(w['A'].receive(1, w['B'].range(1, 1, 2).front()) == Receipt::stored);
  const auto first = w['A'].take_due_aggregate();
  REQUIRE(first.size() == 1);
  CHECK(first[0] == AckAggregate::Statement{0, {{1, 2}, {0, 0}}});
  w['A'].acknowledge(2, std::vector<RankCount>{{1, 2}, {2, 7}});
  const auto second = w['A'].take_due_aggregate();
  REQUIRE(second.size() == 1);
  CHECK(second[0] == AckAggregate::Statement{2, {{1, 2}, {2, 7}}});
  CHECK(w['A'].take_due_aggregate().empty());
  CHECK(w['A'].full_aggregate().size() == 3);
  CHECK(w['A'].full_aggregate()[2].counts == std::vector<RankCount>{{0, 0}, {1, 2}, {2, 7}});
}
