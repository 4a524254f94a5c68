// V6, V7: from promises to the successor view, its cut and the forwarding plan.
#include <catch2/catch.hpp>

#include <algorithm>
#include <sstream>

#include "core/membership/choose.h"
#include "unit/membership/people.h"

namespace vsync::test {
namespace {

/// One ballot over view 5, written in words of nodes:
///   promises "1=5,0 2=3,1! 4=-"   node 1 holds 5 and 0 messages; node 2 is leaving; node 4 answers without holdings
///   broken   "1-2"                these two have no link
struct Ballots {
  View view;
  std::map<Pid, Promise> promises;
  Config config;
  std::set<Pid> doomed;
  std::vector<Member> joiners;
  std::map<Pid, Departure> causes;
  bool cold = false;

  Ballots(const std::vector<NodeId>& nodes, const std::string& text, const std::string& broken = "") : view(view_of(5, nodes)) {
    config.self = member(nodes.front());
    std::istringstream words(text);
    for (std::string word; words >> word;) {
      Promise promise;
      promise.view = 5;
      promise.reach.assign(nodes.size(), true);
      const auto equals = word.find('=');
      const auto node = static_cast<NodeId>(std::stoul(word.substr(0, equals)));
      promise.vote_epoch = 70 + node;
      promise.leaving = word.back() == '!';
      std::string counts = word.substr(equals + 1, word.size() - equals - 1 - (promise.leaving ? 1 : 0));
      if (counts != "-") {
        std::replace(counts.begin(), counts.end(), ',', ' ');
        std::istringstream numbers(counts);
        promise.held.emplace();
        for (Seq held = 0; numbers >> held;) {
          promise.held->push_back(held);
        }
      }
      promises[pid(node)] = promise;
    }
    std::istringstream edges(broken);
    char dash = 0;
    for (NodeId a = 0, b = 0; edges >> a >> dash >> b;) {
      cut_link(a, b);
      cut_link(b, a);
    }
  }

  void cut_link(NodeId from, NodeId to) { promises[pid(from)].reach[*view.rank_of(pid(to))] = false; }
  void accepted(NodeId node, Ballot ballot, const ViewPtr& value) { promises[pid(node)].accepted = AcceptedValue{ballot, value}; }
  Choice choose() const { return choose_successor({view, promises, doomed, joiners, causes, {}, cold, config}); }
};

std::string nodes_of(const std::vector<Pid>& pids) {
  std::string text;
  for (const auto& each : pids) {
    text += (text.empty() ? "" : ",") + std::to_string(each.node);
  }
  return text;
}

std::string text_of(const Counts& counts) {
  std::string text;
  for (const Seq count : counts) {
    text += (text.empty() ? "" : ",") + std::to_string(count);
  }
  return text;
}

/// "1[4-5]:3>2": messages 4 and 5 of node 1 go from node 3 to node 2.
std::string text_of(const View& view, const std::vector<PlanEntry>& plan) {
  std::ostringstream text;
  const auto node = [&](Rank rank) { return view.members[rank].pid.node; };
  for (const auto& entry : plan) {
    text << (text.tellp() > 0 ? " " : "") << node(entry.sender) << "[" << entry.lo << "-" << entry.hi
         << "]:" << node(entry.holder) << ">" << node(entry.receiver);
  }
  return text.str();
}

std::string departures(const View& view) {
  std::string text;
  for (const auto& each : view.left) {
    text += (text.empty() ? "" : " ") + std::to_string(each.pid.node) + ":" + std::string(to_string(each.reason));
  }
  return text;
}

std::string voters(const std::vector<Voter>& voters) {
  std::string text;
  for (const auto& voter : voters) {
    text += (text.empty() ? "" : " ") + std::to_string(voter.node) + "/" + std::to_string(voter.vote_epoch) + "x" +
            std::to_string(voter.weight);
  }
  return text;
}

std::vector<Member> members(const std::vector<NodeId>& nodes) {
  std::vector<Member> list;
  for (const NodeId node : nodes) {
    list.push_back(member(node));
  }
  return list;
}

TEST_CASE("V6: survivors, cut, members and departures") {
  struct Row {
    const char* what;
    const char* promises;
    const char* broken;
    std::vector<NodeId> doomed;
    const char* members;
    const char* survivors;
    const char* cut;
    const char* left;
  };
  const Row rows[] = {
      {"all go on", "1=0,0,0 2=0,0,0 3=0,0,0", "", {}, "1,2,3", "1,2,3", "0,0,0", ""},
      {"the cut is the most that any survivor holds", "1=5,0,2 2=3,1,2 3=4,0,4", "", {}, "1,2,3", "1,2,3", "5,1,4", ""},
      {"who did not promise is no survivor, its messages are", "1=0,0,2 2=0,0,3", "", {}, "1,2", "1,2", "0,0,3", "3:silent"},
      {"holdings of those who do not go on count for nothing",
       "1=1,0,0 2=2,0,0 3=9,9,9",
       "",
       {3},
       "1,2",
       "1,2",
       "2,0,0",
       "3:unreachable"},
      {"a voter without holdings is no survivor", "1=1,0,0 2=- 3=0,0,0", "", {}, "1,3", "1,3", "1,0,0", "2:silent"},
      {"a doomed member never survives, not even the leader",
       "1=9,0,0 2=1,0,0 3=2,0,0",
       "",
       {1},
       "2,3",
       "2,3",
       "2,0,0",
       "1:unreachable"},
      {"two that do not reach each other: the higher rank goes",
       "1=0,0,0 2=0,1,0 3=0,0,1",
       "2-3",
       {},
       "1,2",
       "1,2",
       "0,1,0",
       "3:unreachable"},
      {"the one with the fewest links goes, even the leader",
       "1=1,0,0 2=0,0,0 3=0,0,0",
       "1-2 1-3",
       {},
       "2,3",
       "2,3",
       "0,0,0",
       "1:unreachable"},
      {"nobody reaches anybody: the most senior remains",
       "1=0,0,0 2=0,0,0 3=0,0,0",
       "1-2 1-3 2-3",
       {},
       "1",
       "1",
       "0,0,0",
       "2:unreachable 3:unreachable"},
      {"a leaver is a survivor and no member", "1=0,0,0 2=0,7,0! 3=0,0,0", "", {}, "1,3", "1,2,3", "0,7,0", "2:left"},
      {"the leader leaves: rank 1 leads", "1=7,0,0! 2=0,0,0 3=0,0,0", "", {}, "2,3", "1,2,3", "7,0,0", "1:left"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Ballots ballots({1, 2, 3}, row.promises, row.broken);
    for (const NodeId node : row.doomed) {
      ballots.doomed.insert(pid(node));
    }
    const auto choice = ballots.choose();
    REQUIRE(choice.value);
    CHECK_FALSE(choice.adopted);
    CHECK_FALSE(choice.shutdown);
    const auto& origin = choice.value->origins.front();
    CHECK(choice.value->id() == 6);
    CHECK(node_list(*choice.value) == row.members);
    CHECK(nodes_of(origin.survivors) == row.survivors);
    CHECK(text_of(origin.cut) == row.cut);
    CHECK(departures(*choice.value) == row.left);
    CHECK(choice.value->tiebreak == choice.value->leader().node);
  }
}

TEST_CASE("V6: no holder answered: blocked, neither a view nor a shutdown") {
  const auto choice = Ballots({1, 2, 3}, "1=- 2=-").choose();
  CHECK_FALSE(choice.value);
  CHECK_FALSE(choice.shutdown);
  CHECK_FALSE(choice.adopted);
}

TEST_CASE("J9: all survivors leave: a shutdown, no view, and no joiner changes that") {
  Ballots ballots({1, 2}, "1=1,0! 2=1,0!");
  ballots.joiners = members({4});
  const auto choice = ballots.choose();
  CHECK_FALSE(choice.value);
  CHECK(choice.shutdown);
}

TEST_CASE("V6, V16: an accepted value of the highest ballot is adopted verbatim, though its members are gone") {
  const auto low = shared(view_of(6, {1, 2}, {0, 0, 0}));
  const auto high = shared(view_of(6, {2, 3}, {0, 1, 0}));
  Ballots ballots({1, 2, 3}, "1=9,9,9 2=0,0,0 3=-");
  ballots.doomed = {pid(3)};
  ballots.joiners = members({4});
  ballots.accepted(1, {2, 1}, low);
  ballots.accepted(3, {2, 3}, high);  // by a voter without holdings: it counts as much
  const auto choice = ballots.choose();
  CHECK(choice.adopted);
  CHECK(choice.value == high);
  CHECK(choice.plan.empty());

  ballots.cold = true;
  CHECK(ballots.choose().value == high);
}

TEST_CASE("V6, J9: an accepted value goes before a shutdown") {
  const auto value = shared(view_of(6, {1}));
  Ballots ballots({1, 2}, "1=0,0! 2=0,0!");
  ballots.accepted(2, {1, 1}, value);
  const auto choice = ballots.choose();
  CHECK_FALSE(choice.shutdown);
  CHECK(choice.value == value);
}

TEST_CASE("V6: why members went is said in the view") {
  Ballots ballots({1, 2, 3, 4}, "1=0,0,0,0 4=0,0,0,0!");
  const Departure crashed{pid(3), LeaveReason::crashed, Evidence::hard, pid(2), std::chrono::milliseconds(30)};
  ballots.causes[pid(3)] = crashed;
  ballots.causes[pid(4)] = {pid(4), LeaveReason::silent, Evidence::soft, pid(1), {}};
  const auto choice = ballots.choose();
  REQUIRE(choice.value->left.size() == 3);
  const auto& silent = choice.value->left[0];
  CHECK(silent.pid == pid(2));
  CHECK(silent.reason == LeaveReason::silent);
  CHECK(silent.evidence == Evidence::soft);
  CHECK(silent.reporter == pid(1));
  CHECK(choice.value->left[1] == crashed);
  CHECK(choice.value->left[2].reason == LeaveReason::left);
}

// ---------------------------------------------------------------- V7

TEST_CASE("V7: the plan") {
  struct Row {
    const char* what;
    const char* promises;
    const char* plan;
  };
  const Row rows[] = {
      {"nobody misses anything", "1=2,2,2 2=2,2,2 3=2,2,2", ""},
      {"the sender forwards its own messages", "1=5,0,0 2=3,0,0 3=5,0,0", "1[4-5]:1>2"},
      {"a dead sender's messages come from a holder", "2=0,0,0 3=4,0,0", "1[1-4]:3>2"},
      {"exactly what is missing, to each what it misses", "1=5,1,0 2=3,1,0 3=0,0,0", "1[4-5]:1>2 1[1-5]:1>3 2[1-1]:2>3"},
      {"both ways", "1=2,0,0 2=0,3,0 3=2,3,0", "2[1-3]:2>1 1[1-2]:1>2"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    const Ballots ballots({1, 2, 3}, row.promises);
    CHECK(text_of(ballots.view, ballots.choose().plan) == row.plan);
  }
}

TEST_CASE("V7: the load is spread over the holders") {
  // Node 1 is dead; 2 and 3 hold all of its messages, 4 and 5 none.
  const Ballots ballots({1, 2, 3, 4, 5}, "2=8,0,0,0,0 3=8,0,0,0,0 4=0,0,0,0,0 5=0,0,0,0,0");
  CHECK(text_of(ballots.view, ballots.choose().plan) == "1[1-8]:2>4 1[1-8]:3>5");
}

TEST_CASE("V7: the plan covers exactly what is missing and only from those who have it, whatever is held") {
  for (unsigned code = 0; code < 4 * 4 * 4 * 4 * 4 * 4; ++code) {  // two senders, three survivors, 0..3 messages each
    Ballots ballots({1, 2, 3}, "1=0,0,0 2=0,0,0 3=0,0,0");
    unsigned rest = code;
    for (auto& [survivor, promise] : ballots.promises) {
      (*promise.held)[0] = rest % 4;
      (*promise.held)[1] = rest / 4 % 4;
      rest /= 16;
    }
    const auto choice = ballots.choose();
    const auto& cut = choice.value->origins.front().cut;
    std::map<std::pair<Rank, Rank>, Seq> have;  // (survivor, sender)
    for (Rank survivor = 0; survivor < 3; ++survivor) {
      for (Rank sender = 0; sender < 3; ++sender) {
        have[{survivor, sender}] = (*ballots.promises[pid(survivor + 1)].held)[sender];
      }
    }
    for (const auto& entry : choice.plan) {
      const auto held_by_holder = (*ballots.promises[pid(entry.holder + 1)].held)[entry.sender];
      auto& held_by_receiver = have[{entry.receiver, entry.sender}];
      if (entry.lo != held_by_receiver + 1 || entry.hi != cut[entry.sender] || held_by_holder < entry.hi ||
          entry.holder == entry.receiver) {
        FAIL("code " << code << ": " << text_of(ballots.view, choice.plan));
      }
      held_by_receiver = entry.hi;
    }
    for (const auto& [who, count] : have) {
      if (count != cut[who.second]) {
        FAIL("code " << code << " leaves something out: " << text_of(ballots.view, choice.plan));
      }
    }
  }
}

// ---------------------------------------------------------------- joiners and voters

TEST_CASE("J4: joiners are ordered by node, follow the survivors, and are not more than those") {
  struct Row {
    const char* what;
    const char* promises;
    std::vector<NodeId> joiners;
    const char* members;
  };
  const Row rows[] = {
      {"one survivor admits one", "1=0,0 2=0,0!", {9, 7, 8}, "1,7"},
      {"two admit two", "1=0,0 2=0,0", {9, 7, 8}, "1,2,7,8"},
      {"fewer than may", "1=0,0 2=0,0", {9}, "1,2,9"},
      {"a lower node does not lead", "1=0,0 2=0,0", {0}, "1,2,0"},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    Ballots ballots({1, 2}, row.promises);
    ballots.joiners = members(row.joiners);
    const auto value = ballots.choose().value;
    CHECK(node_list(*value) == row.members);
    REQUIRE(value->origins.size() == 2);
    CHECK(value->origins[1].base.epoch == 0);
    CHECK(value->origins[1].survivors == value->joined);
    CHECK(value->joined.size() + value->origins[0].survivors.size() - value->left.size() == value->members.size());
  }
}

TEST_CASE("J4: static voters set no limit to joiners, the size of a view does") {
  Ballots ballots({1, 2}, "1=0,0 2=0,0");
  ballots.view.policy = QuorumPolicy::fixed;
  ballots.joiners = members({3, 4, 5, 6});
  CHECK(node_list(*ballots.choose().value) == "1,2,3,4,5,6");
  ballots.config.limits.max_members = 5;
  CHECK(node_list(*ballots.choose().value) == "1,2,3,4,5");
  ballots.config.limits.max_members = 2;
  CHECK(node_list(*ballots.choose().value) == "1,2");
}

TEST_CASE("J3: an incarnation is admitted once; the view remembers the highest of each node") {
  Ballots ballots({1, 2}, "1=0,0 2=0,0");
  ballots.view.history = {{1, 1}, {2, 1}, {3, 4}};
  ballots.joiners = {member(3, 4)};
  CHECK(node_list(*ballots.choose().value) == "1,2");
  CHECK(ballots.choose().value->origins.size() == 1);
  ballots.joiners = {member(3, 5)};
  const auto value = ballots.choose().value;
  CHECK(node_list(*value) == "1,2,3");
  CHECK(value->history == std::map<NodeId, std::uint64_t>{{1, 1}, {2, 1}, {3, 5}});
}

TEST_CASE("J2, J3: a member's next incarnation replaces it in one change") {
  Ballots ballots({1, 2}, "1=0,0");
  ballots.doomed = {pid(2)};
  ballots.joiners = {member(2, 2)};
  const auto value = ballots.choose().value;
  REQUIRE(value->members.size() == 2);
  CHECK(value->members[1].pid == pid(2, 2));
  REQUIRE(value->left.size() == 1);
  CHECK(value->left[0].pid == pid(2, 1));
}

TEST_CASE("Q1: dynamic voters are the members with one vote each") {
  Ballots ballots({1, 2, 3}, "2=0,0,0 3=0,0,0");
  ballots.joiners = members({4});
  const auto value = ballots.choose().value;
  CHECK(voters(value->voters) == "2/72x1 3/73x1 4/74x1");
  CHECK(value->tiebreak == 2);
}

TEST_CASE("Q1: static voters enter with their first membership and never leave") {
  Config config;
  config.quorum = QuorumPolicy::fixed;
  config.static_voters = {{1, 0, 2}, {2, 0, 1}, {3, 0, 1}};
  const auto founding = voters_of(nullptr, members({1}), config);
  CHECK(voters(founding) == "1/71x2");  // so that one node alone can found the cluster

  View view = view_of(5, {1});
  view.policy = QuorumPolicy::fixed;
  view.voters = founding;
  const auto grown = voters_of(&view, members({1, 9, 3}), config);
  CHECK(voters(grown) == "1/71x2 3/73x1");  // 9 is not configured

  view.voters = grown;
  CHECK(voters(voters_of(&view, members({1}), config)) == "1/71x2 3/73x1");  // 3 is gone and still counts

  auto wiped = member(3, 2);
  wiped.vote_epoch = 99;
  CHECK(voters(voters_of(&view, {member(1), wiped}, config)) == "1/71x2 3/99x1");
}

TEST_CASE("Q1: the tie-break of static voters stays what it was") {
  Ballots ballots({2, 3}, "2=0,0 3=0,0");
  ballots.view.policy = QuorumPolicy::fixed;
  ballots.view.tiebreak = 7;
  CHECK(ballots.choose().value->tiebreak == 7);
}

TEST_CASE("B2: a cold successor has the promisers' new incarnations in the old order and brings no state") {
  Ballots ballots({3, 1, 2}, "");
  ballots.cold = true;
  ballots.joiners = {member(1, 2), member(2, 2), member(3, 2), member(9, 1)};
  ballots.promises[pid(3, 2)] = {};
  const auto choice = ballots.choose();
  REQUIRE(choice.value);
  const auto& value = *choice.value;
  CHECK(node_list(value) == "3,1,2,9");
  CHECK(value.id() == 6);
  CHECK(value.cold);
  CHECK(value.starts_empty());
  CHECK(choice.plan.empty());
  CHECK(value.joined.size() == 4);
  CHECK(value.left.size() == 3);  // all the old incarnations
  CHECK(value.history.at(3) == 2);
  CHECK(value.tiebreak == 3);
}

Member witness(NodeId node, std::uint64_t incarnation = 1) {
  auto made = member(node, incarnation);
  made.witness = true;
  return made;
}

TEST_CASE("B4: a witness votes, and is in no other part of the view") {
  Ballots ballots({1, 2}, "1=3,0 2=2,0");
  ballots.joiners = {witness(3)};
  const auto value = ballots.choose().value;
  REQUIRE(value);
  CHECK(value->summary() == "6 <1,2> witness 3");
  CHECK(value->voters.size() == 3);
  CHECK(value->joined.empty());
  CHECK(value->origins.size() == 1);
  CHECK(value->history.at(3) == 1);
}

TEST_CASE("B4: a witness stays without a promise, and goes for a cause, by leaving, or for its next incarnation") {
  Ballots ballots({1, 2}, "1=0,0 2=0,0");
  ballots.view.witnesses = {witness(3)};
  ballots.view.history[3] = 1;
  CHECK(ballots.choose().value->summary() == "6 <1,2> witness 3");

  auto suspected = ballots;
  suspected.causes[pid(3)] = {pid(3), LeaveReason::silent, Evidence::soft, pid(1), {}};
  CHECK(suspected.choose().value->summary() == "6 <1,2>");
  CHECK(suspected.choose().value->left.front().pid == pid(3));
  CHECK(suspected.choose().value->voters.size() == 2);

  auto leaving = ballots;
  leaving.promises[pid(3)].leaving = true;
  CHECK(leaving.choose().value->summary() == "6 <1,2>");
  CHECK(leaving.choose().value->left.front().reason == LeaveReason::left);

  auto restarted = ballots;
  restarted.joiners = {witness(3, 2)};
  CHECK(restarted.choose().value->find_witness(pid(3, 2)) != nullptr);
  CHECK(restarted.choose().value->find_witness(pid(3)) == nullptr);

  auto member_now = ballots;
  member_now.joiners = {member(3, 2)};
  CHECK(member_now.choose().value->summary() == "6 <1,2,3>");
}

TEST_CASE("B4, J4: witnesses count among the joiners") {
  Ballots ballots({1}, "1=0");
  ballots.joiners = {member(2), witness(3)};
  CHECK(ballots.choose().value->summary() == "6 <1,2>");
  ballots.joiners = {witness(3), member(4)};
  CHECK(ballots.choose().value->summary() == "6 <1> witness 3");
}

TEST_CASE("B4: a cold view needs a member; a witness that lived on keeps its place") {
  Ballots ballots({1, 2}, "");
  ballots.view.witnesses = {witness(3)};
  ballots.view.history[3] = 1;
  ballots.cold = true;
  ballots.joiners = {witness(3)};
  CHECK_FALSE(ballots.choose().value);
  ballots.joiners = {witness(3), member(1, 2)};
  CHECK(ballots.choose().value->summary() == "6 <1> witness 3");
  ballots.causes[pid(3)] = {pid(3), LeaveReason::crashed, Evidence::hard, pid(1), {}};
  CHECK(ballots.choose().value->summary() == "6 <1>");
}

TEST_CASE("I3: a view names a node once: neither beside a member that stays, nor two joiners") {
  Ballots ballots({1, 2}, "1=0,0 2=0,0");
  ballots.joiners = {member(2, 2), member(3)};  // another installation of 2, which was silent for a while and is back
  CHECK(ballots.choose().value->summary() == "6 <1,2,3>");
  CHECK(ballots.choose().value->contains(pid(2)));
  ballots.joiners = {witness(2, 2)};
  CHECK(ballots.choose().value->summary() == "6 <1,2>");

  ballots.joiners = {member(3, 7), member(3, 5)};
  CHECK(ballots.choose().value->summary() == "6 <1,2,3>");
  CHECK(ballots.choose().value->contains(pid(3, 7)));
  ballots.cold = true;
  CHECK(ballots.choose().value->summary() == "6 <3>");
}

TEST_CASE("of two joiners with one name one is admitted") {
  Ballots ballots({1, 2}, "1=0,0 2=0,0");
  ballots.joiners = {member(3), member(4)};
  ballots.joiners[1].name = ballots.joiners[0].name;
  CHECK(ballots.choose().value->summary() == "6 <1,2,3>");
}

TEST_CASE("B2: nobody who may be admitted: no cold view") {
  Ballots ballots({1}, "");
  ballots.cold = true;
  ballots.joiners = {member(1, 1)};  // named before (J3)
  CHECK_FALSE(ballots.choose().value);
}

// ---------------------------------------------------------------- reach

TEST_CASE("V6: a clique of those who reach each other") {
  using Reach = std::map<Rank, std::vector<bool>>;
  struct Row {
    const char* what;
    std::vector<Rank> ranks;
    Reach reach;
    std::vector<Rank> clique;
  };
  const Row rows[] = {
      {"one is a clique", {0}, {}, {0}},
      {"two that reach each other", {0, 1}, {{0, {true, true}}, {1, {true, true}}}, {0, 1}},
      {"one-way is no link", {0, 1}, {{0, {true, true}}, {1, {false, true}}}, {0}},
      {"nothing known of a member: no links", {0, 1}, {{0, {true, true}}}, {0}},
      {"a short bitmap reaches nobody beyond it",
       {0, 1, 2},
       {{0, {true, true, true}}, {1, {true, true}}, {2, {true, true, true}}},
       {0, 1}},
      {"two halves: the senior one",
       {0, 1, 2, 3},
       {{0, {true, true, false, false}},
        {1, {true, true, false, false}},
        {2, {false, false, true, true}},
        {3, {false, false, true, true}}},
       {0, 1}},
      {"a chain of three keeps its senior half",
       {0, 1, 2},
       {{0, {true, true, false}}, {1, {true, true, true}}, {2, {false, true, true}}},
       {0, 1}},
      {"only the listed ranks count", {1, 2}, {{1, {false, true, true}}, {2, {false, true, true}}}, {1, 2}},
  };
  for (const auto& row : rows) {
    INFO(row.what);
    CHECK(reach_clique(row.ranks, row.reach) == row.clique);
  }
}

TEST_CASE("V6: whatever the links, the result is a clique and not empty") {
  for (unsigned edges = 0; edges < 1U << 10U; ++edges) {  // all graphs of five nodes
    std::map<Rank, std::vector<bool>> reach;
    for (Rank rank = 0; rank < 5; ++rank) {
      reach[rank].assign(5, true);
    }
    unsigned edge = 0;
    for (Rank a = 0; a < 5; ++a) {
      for (Rank b = a + 1; b < 5; ++b, ++edge) {
        reach[a][b] = reach[b][a] = (edges >> edge & 1U) != 0;
      }
    }
    const auto clique = reach_clique({0, 1, 2, 3, 4}, reach);
    bool sound = !clique.empty() && std::is_sorted(clique.begin(), clique.end());
    for (const Rank a : clique) {
      for (const Rank b : clique) {
        sound = sound && reach[a][b];
      }
    }
    if (!sound) {
      FAIL("graph " << edges);
    }
  }
}

}  // namespace
}  // namespace vsync::test
