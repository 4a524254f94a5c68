// C1-C3, C5: sends, their limits and their outcomes.
#include "cluster.h"

using namespace vsync::core;
using vsync::Slice;
using vsync::Writer;

namespace {

Limits small_limits() {
  Limits limits;
  limits.max_message = 1000;
  limits.max_run_bytes = 100;
  limits.client_queue_bytes = 4000;
  return limits;
}

/// One daemon, client 1 in group "g" and client 2 in the total-only group "t".
Cluster with_groups(Limits limits = {}, bool trace = false) {
  Cluster cluster(2, limits, trace);
  cluster[1].join(1, "g");
  cluster[1].join(2, "t", 1, true);
  cluster.settle();
  cluster[1].take();
  cluster[2].take();
  return cluster;
}

std::uint64_t token_of(Cluster& cluster, const std::string& group) {
  for (const auto& view : cluster[1].groups.views()) {
    if (view->name == group) {
      return view->token;
    }
  }
  return 0;
}

std::string code_of(const Effects& effects) {
  REQUIRE(effects.size() == 1);
  return std::string(only<RequestRefused>(effects).code);
}

}  // namespace

TEST_CASE("C1: outcomes of the three services") {
  auto cluster = with_groups();
  auto& daemon = cluster[1];
  daemon.send(1, "g", Service::total, {"a", "b"}, 10);
  daemon.send(1, "g", Service::fifo, {"c"}, 20);
  daemon.send(1, "g", Service::causal, {"d", "e"}, 30);
  CHECK(daemon.groups.queued() == 5);
  cluster.bind_all();
  CHECK(daemon.groups.queued() == 0);
  CHECK(daemon.effects.empty());
  cluster.deliver_all(daemon);
  auto effects = daemon.take();
  const auto messages = all<DeliverMessages>(effects);
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].position == 1);
  CHECK(messages[1].position == 1);
  CHECK(messages[2].position == 2);
  CHECK(messages[2].count == 2);
  const auto total = only<SendOutcome>(effects);
  CHECK(total.request == 10);
  CHECK(total.count == 2);
  CHECK(total.outcome == Outcome::delivered);
  CHECK(total.position == 1);
  CHECK(total.view == cluster.view().id());
  CHECK_FALSE(daemon.groups.idle());

  daemon.groups.stable(4, daemon.effects);  // 1, 2: the joins; 3, 4: the totals
  CHECK(daemon.effects.empty());
  daemon.groups.stable(6, daemon.effects);  // 5: "c"; 6, 7: the causal run, which is stable as a whole only
  CHECK(only<SendOutcome>(daemon.take()).request == 20);
  daemon.groups.stable(7, daemon.effects);
  const auto causal = only<SendOutcome>(daemon.effects);
  CHECK(causal.request == 30);
  CHECK(causal.count == 2);
  CHECK(causal.position == 2);
  CHECK(causal.outcome == Outcome::delivered);
  CHECK(daemon.groups.idle());
}

TEST_CASE("C1: stable before it is delivered, and stable at the install") {
  auto cluster = with_groups();
  auto& daemon = cluster[1];
  daemon.send(1, "g", Service::fifo, {"early"}, 10);
  cluster.bind_all();
  daemon.groups.stable(100, daemon.effects);
  CHECK(daemon.effects.empty());
  cluster.deliver_all(daemon);
  CHECK(only<SendOutcome>(daemon.take()).request == 10);

  cluster.change_view({});
  daemon.send(1, "g", Service::fifo, {"late"}, 11);
  cluster.bind_all();
  cluster.deliver_all(daemon);
  CHECK(all<SendOutcome>(daemon.take()).empty());
  const auto sent_in = cluster.view().id();
  cluster.change_view({});
  const auto outcome = only<SendOutcome>(daemon.take());
  CHECK(outcome.request == 11);
  CHECK(outcome.view == sent_in);
  CHECK(outcome.outcome == Outcome::delivered);
}

TEST_CASE("requests that are refused at once") {
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  const auto send = [&](ClientId client, std::string group, Service service, std::uint32_t count, std::string body,
                        std::uint64_t in_view = 0, bool text = false) {
    daemon.groups.request(ClientSend{client, 1, std::move(group), service, text, count, in_view, Slice::take(std::move(body))},
                          daemon.effects);
    return code_of(daemon.take());
  };
  const auto body = [](const std::vector<std::string>& messages) { return std::string(body_of(messages).view()); };
  const auto total = Service::total;

  CHECK(send(1, "", total, 1, body({"x"})) == "bad_request");
  CHECK(send(1, "\xff", total, 1, body({"x"})) == "bad_request");
  CHECK(send(1, std::string(256, 'g'), total, 1, body({"x"})) == "bad_request");
  CHECK(send(1, "nobody", total, 1, body({"x"})) == "no_such_group");
  CHECK(send(1, "g", total, 0, "") == "bad_request");
  CHECK(send(1, "g", total, 65537, std::string(4 * 65537, '\0')) == "too_large");
  CHECK(send(1, "g", total, 1, "") == "bad_request");
  CHECK(send(1, "g", total, 2, body({"x"})) == "bad_request");
  CHECK(send(1, "g", total, 1, body({"x", "y"})) == "bad_request");
  CHECK(send(1, "g", total, 1, body({"x"}) + "\1") == "bad_request");
  CHECK(send(1, "g", total, 1, std::string("\xff\xff\xff\xff", 4)) == "too_large");
  CHECK(send(1, "g", total, 1, std::string("\x02\0\0\0x", 5)) == "bad_request");
  CHECK(send(1, "g", total, 1, body({std::string(1001, 'x')})) == "too_large");
  CHECK(send(1, "g", total, 1, body({"\xff"}), 0, true) == "bad_request");
  CHECK(send(1, "g", total, 1, body({"x"}), 1) == "wrong_view");
  CHECK(send(3, "g", Service::fifo, 1, body({"x"})) == "not_member");
  CHECK(send(3, "g", Service::causal, 1, body({"x"})) == "not_member");
  CHECK(send(2, "t", Service::fifo, 1, body({"x"})) == "total_only");

  daemon.join(1, "g");
  CHECK(code_of(daemon.take()) == "already_member");
  daemon.join(1, "bad\n");
  CHECK(code_of(daemon.take()) == "bad_request");
  daemon.groups.request(ClientJoin{1, 1, "h", "bad\n", {}}, daemon.effects);
  CHECK(code_of(daemon.take()) == "bad_request");
  daemon.leave(3, "g");
  CHECK(code_of(daemon.take()) == "not_member");
  daemon.leave(3, "");
  CHECK(code_of(daemon.take()) == "bad_request");
  CHECK(daemon.groups.idle());

  // The largest that are taken, and no text where no text is claimed.
  daemon.send(1, "g", total, {std::string(1000, 'x'), "\xff"}, 1, token_of(cluster, "g"));
  CHECK(all<RequestRefused>(daemon.effects).empty());
}

TEST_CASE("a batch of 65536 messages is taken") {
  auto cluster = with_groups();
  const auto count = GENERATE(65536U, 65537U);
  cluster[1].groups.request(ClientSend{1, 1, "g", Service::total, false, count, 0, Slice::take(std::string(4UL * count, '\0'))},
                            cluster[1].effects);
  CHECK(all<RequestRefused>(cluster[1].effects).size() == (count > 65536 ? 1 : 0));
}

TEST_CASE("G3: non-members may send totals; without local members nothing is handed out") {
  auto cluster = with_groups();
  cluster[2].send(7, "t", Service::total, {"x"}, 10);
  cluster.settle();
  const auto message = only<DeliverMessages>(cluster[1].effects);
  CHECK(message.sender == pid(2));
  CHECK(message.client == 7);
  CHECK(message.position == 1);
  CHECK(all<DeliverMessages>(cluster[2].effects).empty());
  CHECK(only<SendOutcome>(cluster[2].effects).outcome == Outcome::delivered);
}

TEST_CASE("C1: a total behind the group's last view went to nobody") {
  auto cluster = with_groups();
  cluster[1].leave(2, "t", 5);
  cluster.bind_all();
  cluster[2].send(7, "t", Service::total, {"x"}, 10);  // it has not delivered the leave
  cluster.settle();
  const auto outcome = only<SendOutcome>(cluster[2].effects);
  CHECK(outcome.outcome == Outcome::not_delivered);
  CHECK(outcome.code == "no_such_group");
}

TEST_CASE("requests of one client are done in order") {
  Cluster cluster(1);
  auto& daemon = cluster[1];
  daemon.join(1, "g", 1);
  daemon.send(1, "g", Service::fifo, {"x"}, 2);
  daemon.join(1, "g", 3);
  daemon.leave(1, "g", 4);
  daemon.send(1, "g", Service::total, {"y", "z"}, 5);
  daemon.leave(1, "g", 7);
  cluster.settle();
  const auto done = all<RequestDone>(daemon.effects);
  REQUIRE(done.size() == 2);
  CHECK(done[0].request == 1);
  CHECK(done[1].request == 4);
  const auto outcomes = all<SendOutcome>(daemon.effects);
  REQUIRE(outcomes.size() == 2);
  CHECK(outcomes[0].request == 5);  // refused in its turn, all together
  CHECK(outcomes[0].count == 2);
  CHECK(outcomes[0].outcome == Outcome::not_delivered);
  CHECK(outcomes[0].code == "no_such_group");
  CHECK(outcomes[1].request == 2);
  const auto refused = all<RequestRefused>(daemon.effects);
  REQUIRE(refused.size() == 2);
  CHECK(refused[0].code == "already_member");
  CHECK(refused[1].code == "not_member");
}

TEST_CASE("C2: a send for one group view is refused when the view changed before it was bound") {
  auto cluster = with_groups();
  const auto token = token_of(cluster, "g");
  cluster[2].join(1, "g");
  cluster.bind_all();
  cluster.deliver_all(cluster[1]);  // flushing now
  cluster[1].send(1, "g", Service::total, {"x"}, 10, token);
  cluster.settle();
  const auto outcome = only<SendOutcome>(cluster[1].effects);
  CHECK(outcome.outcome == Outcome::not_delivered);
  CHECK(outcome.code == "wrong_view");
  CHECK(cluster[1].groups.idle());

  cluster[1].take();
  cluster[1].send(1, "g", Service::total, {"x"}, 11, token_of(cluster, "g"));
  cluster.settle();
  CHECK(only<SendOutcome>(cluster[1].effects).outcome == Outcome::delivered);
}

TEST_CASE("large batches are cut at message boundaries, large messages into fragments") {
  const auto service = GENERATE(Service::total, Service::fifo);
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  cluster[2].join(1, "g");
  cluster.settle();
  daemon.take();
  cluster[2].take();
  const std::vector<std::string> messages = {
      std::string(60, 'a'), std::string(30, 'b'), std::string(96, 'c'), std::string(97, 'd'), "", std::string(250, 'e')};
  daemon.send(1, "g", service, messages, 10, 0, true);

  std::vector<std::vector<std::uint32_t>> sizes;  // of the runs of each next()
  struct Row {
    std::size_t runs, bytes;
    std::uint32_t count;
  };
  const std::vector<Row> expected = {{1, 98, 2}, {1, 100, 1}, {1, 97, 1}, {1, 4, 1}, {1, 100, 1}, {1, 100, 1}, {1, 50, 1}};
  Groups copy = daemon.groups;
  Effects ignored;
  std::size_t i = 0;
  std::uint64_t seq = 0;
  for (; copy.ready(); ++i) {
    const auto runs = copy.next(ignored);
    REQUIRE(i < expected.size());
    std::size_t bytes = 0;
    std::vector<RunPtr> bound;
    for (const auto& run : runs) {
      bytes += run.body.size();
      CHECK(run.body.size() <= 100);
      const bool fragment = i == 2 || i >= 4;
      const bool last = i == 2 || i == 6;
      CHECK(run.flags == (Run::kText | (fragment ? Run::kFragment : 0) | (last ? Run::kLastFragment : 0)));
      bound.push_back(std::make_shared<Run>(run));
      std::const_pointer_cast<Run>(bound.back())->first = ++seq;
    }
    CHECK(runs.size() == expected[i].runs);
    CHECK(bytes == expected[i].bytes);
    CHECK(runs.front().count == expected[i].count);
    copy.bound(bound, 1, 0, {}, ignored);
  }
  CHECK(i == expected.size());

  cluster.settle();
  for (const NodeId node : {1u, 2u}) {
    std::string body;
    std::uint64_t position = 1;
    for (const auto& delivered : all<DeliverMessages>(cluster[node].effects)) {
      body += delivered.body.view();
      CHECK(delivered.position == position);
      CHECK(delivered.text);
      position += delivered.count;
    }
    CHECK(body == body_of(messages).view());
  }
  RequestId request = 10;
  for (const auto& outcome : all<SendOutcome>(daemon.effects)) {
    CHECK(outcome.request == request);
    CHECK(outcome.position == request - 9);
    CHECK(outcome.outcome == Outcome::delivered);
    request += outcome.count;
  }
  CHECK(request == 16);
}

TEST_CASE("V11: the beginning of a message whose rest is lost is dropped by all alike") {
  auto cluster = with_groups(small_limits());
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[2].send(1, "g", Service::total, {std::string(300, 'x')}, 10);
  cluster.bind_all();
  cluster.deliver_one(cluster[1]);
  cluster.add_daemon(3);
  cluster.change_view({2}, 0);
  CHECK(all<DeliverMessages>(cluster[1].effects).empty());
  CHECK(cluster[1].groups.table_hash() == cluster[3].groups.table_hash());
}

TEST_CASE("V11: a large message that a view change cut in two starts anew, whole, and once") {
  auto cluster = with_groups(small_limits());
  cluster[2].join(1, "g");
  cluster.settle();
  cluster[1].take();
  cluster[2].take();
  cluster[2].send(1, "g", Service::total, {std::string(300, 'x')}, 10);
  cluster.bind_one(cluster[2]);
  cluster.deliver_all(cluster[1]);
  cluster.change_view({}, 0);
  cluster.settle();
  for (const NodeId node : {1u, 2u}) {
    CHECK(only<DeliverMessages>(cluster[node].effects).body.view() == body_of({std::string(300, 'x')}).view());
  }
  CHECK(only<SendOutcome>(cluster[2].effects).outcome == Outcome::delivered);
}

TEST_CASE("a large message does not stand in the way of other clients") {
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  daemon.send(1, "g", Service::total, {std::string(500, 'x')});
  daemon.send(1, "g", Service::total, {"after it"});
  daemon.send(2, "t", Service::total, {"small"});
  daemon.send(3, "g", Service::total, {"small too"});
  cluster.settle();
  std::vector<std::size_t> order;
  for (const auto& message : all<DeliverMessages>(daemon.effects)) {
    order.push_back(message.body.size() - 4);
  }
  CHECK(order == std::vector<std::size_t>{5, 9, 500, 8});
}

TEST_CASE("a large message ends nowhere when its group is gone before its end") {
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  daemon.send(2, "g", Service::total, {std::string(500, 'x')}, 7);
  cluster.bind_one(daemon);
  daemon.leave(1, "g");
  cluster.bind_one(daemon);
  cluster.bind_one(daemon);
  cluster.deliver_all(daemon);  // the leave starts a flush
  cluster.settle();
  CHECK(all<DeliverMessages>(daemon.effects).empty());
  const auto outcome = only<SendOutcome>(daemon.effects);
  CHECK(outcome.outcome == Outcome::not_delivered);
  CHECK(outcome.code == "no_such_group");
  CHECK(outcome.request == 7);
}

TEST_CASE("C2: a large message bound to a group view that ends before it does is delivered to nobody") {
  const auto service = GENERATE(Service::total, Service::fifo);
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  daemon.send(1, "g", service, {std::string(500, 'x')}, 7, token_of(cluster, "g"));
  cluster.bind_one(daemon);
  cluster[2].join(1, "g");
  cluster.bind_one(cluster[2]);
  cluster.deliver_all(daemon);
  cluster.settle();
  CHECK(all<DeliverMessages>(daemon.effects).empty());
  CHECK(all<DeliverMessages>(cluster[2].effects).empty());
  CHECK(only<SendOutcome>(daemon.effects).code == "wrong_view");
}

TEST_CASE("a fragmented message above what all deliver is dropped whole") {
  Reassembly fragments(1000);
  Run run;
  run.body = Slice::copy_of(std::string(600, 'x'));
  for (const auto last : {false, true}) {
    run.flags = static_cast<std::uint8_t>(Run::kFragment | (last ? Run::kLastFragment : 0));
    CHECK(!fragments.add(pid(2), run));
  }
  CHECK(fragments.add(pid(2), run)->size() == 604);
}

TEST_CASE("clients are served in turn") {
  auto cluster = with_groups();
  auto& daemon = cluster[1];
  for (int i = 0; i < 3; ++i) {
    daemon.send(1, "g", Service::total, {"from 1"});
  }
  daemon.send(2, "g", Service::total, {"from 2"});
  daemon.send(3, "g", Service::total, {"from 3"});
  cluster.settle();
  std::vector<ClientId> order;
  for (const auto& message : all<DeliverMessages>(daemon.effects)) {
    order.push_back(message.client);
  }
  CHECK(order == std::vector<ClientId>{1, 2, 3, 1, 1});
}

TEST_CASE("R7: a client with a full queue is paused, and resumed below half") {
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  int sent = 0;
  while (all<PauseClient>(daemon.effects).empty()) {
    daemon.send(1, "g", Service::total, {sent % 2 == 0 ? "" : std::string(90, 'x')});  // empty ones count too
    REQUIRE(++sent < 100);
  }
  daemon.send(1, "g", Service::total, {"one more"});
  CHECK(only<PauseClient>(daemon.effects).paused);
  CHECK(only<PauseClient>(daemon.effects).client == 1);
  daemon.take();
  int bound = 0;
  while (all<PauseClient>(daemon.effects).empty()) {
    REQUIRE(cluster.bind_one(daemon));
    ++bound;
  }
  CHECK_FALSE(only<PauseClient>(daemon.effects).paused);
  CHECK(bound * 2 >= sent);
  CHECK(bound <= sent);
}

TEST_CASE("C3: outcomes of an excluded daemon") {
  const auto known = GENERATE(std::optional<Seq>(), std::optional<Seq>(0), std::optional<Seq>(5), std::optional<Seq>(100));
  auto cluster = with_groups(small_limits(), true);
  auto& daemon = cluster[1];
  cluster.change_view({});  // seqs from 1
  daemon.take();
  daemon.send(1, "g", Service::total, {"answered"}, 9);  // seq 1
  cluster.settle();
  daemon.take();
  daemon.send(1, "g", Service::fifo, {"unstable", "x"}, 10);  // 2, 3
  cluster.bind_all();
  cluster.deliver_all(daemon);
  daemon.send(1, "g", Service::total, {"a", "b"}, 20);               // 4, 5
  daemon.send(1, "g", Service::total, {std::string(150, 'x')}, 30);  // 6, 7
  cluster.bind_all();
  daemon.join(3, "h", 40);
  cluster.bind_all();
  daemon.leave(1, "g", 41);
  cluster.bind_all();
  daemon.send(1, "g", Service::total, {"unbound"}, 50);  // behind the leave
  daemon.join(1, "i", 51);
  daemon.take();
  daemon.groups.excluded(known, daemon.effects);
  const auto expected = [&](Seq last) {
    return !known ? Outcome::unknown : last <= *known ? Outcome::delivered : Outcome::not_delivered;
  };
  const auto outcomes = all<SendOutcome>(daemon.effects);
  REQUIRE(outcomes.size() == 4);
  const std::vector<std::tuple<RequestId, std::uint32_t, Outcome>> rows = {
      {10, 2, expected(3)}, {20, 2, expected(5)}, {30, 1, expected(7)}, {50, 1, Outcome::not_delivered}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(std::tuple(outcomes[i].request, outcomes[i].count, outcomes[i].outcome) == rows[i]);
    CHECK(outcomes[i].code == (outcomes[i].outcome == Outcome::delivered ? "" : "excluded"));
  }
  std::map<RequestId, std::string> refused;
  for (const auto& refusal : all<RequestRefused>(daemon.effects)) {
    refused[refusal.request] = refusal.code;
  }
  CHECK(refused == std::map<RequestId, std::string>{{40, "excluded"}, {41, "excluded"}, {51, "excluded"}});
  CHECK(daemon.groups.idle());
  CHECK_FALSE(daemon.groups.ready());
}

TEST_CASE("an excluded daemon resumes its paused clients") {
  auto cluster = with_groups(small_limits());
  auto& daemon = cluster[1];
  while (all<PauseClient>(daemon.effects).empty()) {
    daemon.send(1, "g", Service::total, {std::string(90, 'x')});
  }
  daemon.take();
  daemon.groups.excluded(0, daemon.effects);
  CHECK_FALSE(only<PauseClient>(daemon.effects).paused);
}

TEST_CASE("trace: what the checkers need") {
  auto cluster = with_groups({}, true);
  auto& daemon = cluster[1];
  daemon.send(1, "g", Service::total, {"a", "b"}, 10);
  cluster.settle();
  std::vector<std::string> names;
  for (const auto& [event] : all<Trace>(daemon.effects)) {
    if (const auto* submit = std::get_if<trace::Submit>(&event)) {
      CHECK(submit->count == 2);
      names.emplace_back("submit");
    } else if (const auto* send = std::get_if<trace::Send>(&event)) {
      CHECK(send->request == 10);
      CHECK(send->count == 2);
      names.emplace_back("send");
    } else if (const auto* deliver = std::get_if<trace::Deliver>(&event)) {
      CHECK(deliver->content == vsync::Hasher().add(body_of({"a", "b"}).view()).value());
      CHECK(deliver->sender == pid(1));
      names.emplace_back("deliver");
    } else if (const auto* fate = std::get_if<trace::Fate>(&event)) {
      CHECK(fate->outcome == Outcome::delivered);
      CHECK(fate->first > 0);
      names.emplace_back("fate");
    }
  }
  CHECK(names == std::vector<std::string>{"submit", "send", "deliver", "fate"});
}

TEST_CASE("what is asked in the name of a client that is gone comes too late") {
  auto cluster = with_groups();
  cluster[2].join(9, "g");
  cluster.settle();
  const bool farewell_waits = GENERATE(true, false);
  cluster[1].take();
  cluster[1].groups.client_gone(1, cluster[1].effects);
  if (!farewell_waits) {
    cluster.bind_all();
  }
  cluster[1].groups.request(ClientLeave{1, 0, "g", LeaveReason::slow}, cluster[1].effects);
  if (farewell_waits) {
    cluster[1].join(1, "h");
    cluster[1].leave(1, "g");
    cluster[1].send(1, "g", Service::total, {"late"});
    cluster[1].groups.request(ClientSession{1, 7, 77}, cluster[1].effects);
    cluster[1].groups.request(ClientState{1, 8, "g", 1, true, false, {}}, cluster[1].effects);
  }
  cluster.settle();
  CHECK(all<RequestRefused>(cluster[1].effects).empty());
  CHECK(all<DeliverMessages>(cluster[2].effects).empty());
  REQUIRE(cluster[2].groups.views().size() == 2);
  CHECK(cluster[2].groups.views().front()->members.size() == 1);
  CHECK(cluster[1].groups.idle());
}
