#include "support/random_frames.h"

#include <algorithm>
#include <memory>

#include "base/codec.h"

namespace vsync::test {

std::string RandomFrames::text(std::size_t longest) {
  std::string text(rng_.below(longest + 1), ' ');
  for (char& c : text) {
    c = static_cast<char>('!' + rng_.below(94));
  }
  return text;
}

core::Pid RandomFrames::pid() {
  return {static_cast<core::NodeId>(number()), number(), static_cast<std::uint32_t>(number())};
}

core::Member RandomFrames::member(core::NodeId node) {
  return {{node, number(), 0}, number(), text(), address()};
}

std::vector<core::Member> RandomFrames::members() {
  std::vector<core::Member> list;
  for (core::NodeId node = 1; node <= 1 + few(); ++node) {
    list.push_back(member(node));
  }
  return list;
}

core::Counts RandomFrames::counts() {
  core::Counts counts(few());
  std::ranges::generate(counts, [this] { return number(); });
  return counts;
}

std::vector<core::RankCount> RandomFrames::rank_counts() {
  std::vector<core::RankCount> counts(few());
  std::ranges::generate(counts, [this] { return core::RankCount{rank(), number()}; });
  return counts;
}

core::ViewPtr RandomFrames::view() {
  auto view = std::make_shared<core::View>();
  view->uuid = uuid();
  view->ref.epoch = 1 + number(1000);
  view->primary = flip();
  view->cold = flip();
  view->proto = static_cast<std::uint16_t>(number());
  view->config_hash = number();
  view->members = members();
  for (const core::Member& member : view->members) {
    view->voters.push_back({member.pid.node, number(), 1 + static_cast<std::uint32_t>(number(9))});
    view->history[member.pid.node] = number();
  }
  if (flip()) {
    view->witnesses = {member(static_cast<core::NodeId>(view->members.size() + 1))};
    view->witnesses.front().witness = true;
  }
  view->policy = flip() ? core::QuorumPolicy::dynamic : core::QuorumPolicy::fixed;
  view->tiebreak = static_cast<core::NodeId>(number());
  for (std::size_t i = few(); i > 0; --i) {
    const auto scope = static_cast<std::uint8_t>(1 + number(3));
    view->origins.push_back({{number(), 0, {}}, scope, {pid(), pid()}, counts()});
    view->joined.push_back(pid());
    view->left.push_back(
        {pid(), static_cast<core::LeaveReason>(number(6)), static_cast<core::Evidence>(number(5)), pid(), duration()});
  }
  return view;
}

core::RunPtr RandomFrames::run(std::size_t longest) {
  auto run = std::make_shared<core::Run>();
  run->first = 1 + number(1000);
  run->stamp = number();
  run->group = number();
  run->client = static_cast<core::ClientId>(number());
  run->deps = rank_counts();
  constexpr auto kKinds = static_cast<unsigned>(core::kLastRunKind) + 1;
  run->kind = flip() ? core::RunKind::data : static_cast<core::RunKind>(number(kKinds));
  run->service = run->kind == core::RunKind::data ? static_cast<core::Service>(number(3)) : core::Service::total;
  run->flags = flip() ? core::Run::kText : 0;
  run->in_view = flip() ? 0 : 1 + number(1000);
  run->number = flip() ? 0 : 1 + number(1000);
  if (run->kind == core::RunKind::data && rng_.chance(0.3)) {
    run->envelope = Slice::copy_of("e" + text(100));
  }
  if (run->kind == core::RunKind::data && rng_.chance(0.3)) {
    run->flags |= core::Run::kFragment;
    run->flags |= flip() ? core::Run::kLastFragment : std::uint8_t{0};
  }
  const bool raw = run->kind != core::RunKind::data || (run->flags & core::Run::kFragment) != 0;
  run->count = raw ? 1 : 1 + static_cast<std::uint32_t>(few());
  Writer body;
  for (std::uint32_t i = 0; i < run->count; ++i) {
    const std::string message = text(longest);
    raw ? body.raw(message) : body.put(message);
  }
  run->body = Slice::take(body.take());
  return run;
}

core::AcceptorRecord RandomFrames::acceptor() {
  core::AcceptorRecord record;
  if (rng_.chance(0.9)) {
    record.decided = view();
    record.previous = flip() ? view() : nullptr;
    record.promised = ballot();
    if (flip()) {
      record.accepted = accepted();
      record.accepted->ballot = std::min(record.accepted->ballot, record.promised);
    }
  }
  return record;
}

core::Datagram RandomFrames::datagram(std::size_t kind) {
  if (kind == 0) {
    return core::Heartbeat{.pid = pid(),
                           .uuid = uuid(),
                           .decided = number(),
                           .role = static_cast<core::Role>(number(6)),
                           .counter = number(),
                           .health = static_cast<std::uint32_t>(number(9)),
                           .view = number(),
                           .delivered_totals = number(),
                           .delivery_hash = number(),
                           .echo_counter = number(),
                           .echo_delay = duration()};
  }
  if (kind == 1) {
    return core::PingRequest{.pid = pid(), .uuid = uuid(), .target = pid(), .nonce = number()};
  }
  return core::PingReply{.pid = pid(), .uuid = uuid(), .target = pid(), .nonce = number(), .heard = flip(), .age = duration()};
}

void RandomFrames::fill(core::Hello& frame) {
  frame.proto_max = static_cast<std::uint16_t>(number());
  frame.proto_min = static_cast<std::uint16_t>(number(std::uint64_t{frame.proto_max} + 1));
  frame.uuid = uuid();
  frame.pid = pid();
  frame.vote_epoch = number();
  frame.name = text();
  frame.address = address();
  frame.role = static_cast<core::Role>(number(6));
  frame.witness = flip();
  frame.decided = number();
  frame.config_hash = number();
}

void RandomFrames::fill(core::LinkUp& frame) {
  frame.received = number();
  frame.table_hash = number();
}

void RandomFrames::fill(core::Data& frame) {
  for (std::size_t i = few(); i > 0; --i) {
    frame.runs.push_back(run());
  }
}

void RandomFrames::fill(core::AckAggregate& frame) {
  for (std::size_t i = few(); i > 0; --i) {
    frame.statements.push_back({rank(), rank_counts()});
  }
}

void RandomFrames::fill(core::Suspect& frame) {
  frame.suspect = pid();
  frame.evidence = static_cast<core::Evidence>(number(5));
  frame.health = static_cast<std::uint32_t>(number());
  frame.silence = duration();
}

void RandomFrames::fill(core::Join& frame) {
  frame.joiner = member(static_cast<core::NodeId>(number()));
  frame.uuid = uuid();
  frame.config_hash = number();
  frame.proto = static_cast<std::uint16_t>(number());
}

void RandomFrames::fill(core::Reject& frame) {
  frame.joiner = pid();
  frame.reason = static_cast<core::RejectReason>(number(7));
  frame.node = static_cast<core::NodeId>(number());
  frame.incarnation = number();
}

void RandomFrames::fill(core::EvictRequest& frame) {
  frame.member = pid();
  frame.why = text();
}

void RandomFrames::fill(core::PreVote& frame) {
  for (std::size_t i = few(); i > 0; --i) {
    frame.suspects.push_back(pid());
  }
}

void RandomFrames::fill(core::Promise& frame) {
  frame.vote_epoch = number();
  if (flip()) {
    frame.accepted = accepted();
  }
  if (flip()) {
    frame.held = counts();
  }
  for (std::size_t i = few(); i > 0; --i) {
    frame.reach.push_back(flip());
  }
  frame.leaving = flip();
}

void RandomFrames::fill(core::Flush& frame) {
  frame.cut = counts();
  for (std::size_t i = few(); i > 0; --i) {
    const core::Seq lo = 1 + number(1000);
    frame.plan.push_back({rank(), lo, lo + number(1000), rank(), rank()});
  }
}

void RandomFrames::fill(core::Forward& frame) {
  frame.sender = rank();
  for (std::size_t i = few(); i > 0; --i) {
    frame.runs.push_back(run());
  }
}

void RandomFrames::fill(core::Fetch& frame) {
  frame.sender = rank();
  frame.lo = 1 + number(1000);
  frame.hi = frame.lo + number(1000);
}

void RandomFrames::fill(core::Table& frame) {
  frame.bytes = Slice::copy_of(text(10000));
  frame.offset = number(100000);
  frame.total = frame.offset + frame.bytes.size() + number(100000);
  frame.hash = number();
}

void RandomFrames::fill(core::StatePiece& frame) {
  frame.group = number();
  frame.token = number();
  frame.offset = number(1000000);
  frame.last = flip();
  frame.bytes = Slice::copy_of("s" + text(10000));
}

void RandomFrames::fill(core::StateAck& frame) {
  frame.group = number();
  frame.token = number();
  frame.taken = number();
}

void RandomFrames::fill(core::Evicted& frame) {
  frame.current = view();
  if (flip()) {
    frame.closed_cut = counts();
  }
  frame.closed_view = number();
}

// ---------------------------------------------------------------- equality by content

bool same(const core::ViewPtr& a, const core::ViewPtr& b) {
  return (a == nullptr || b == nullptr) ? a == b : *a == *b;
}

namespace {

bool same_runs(const std::vector<core::RunPtr>& a, const std::vector<core::RunPtr>& b) {
  return std::ranges::equal(a, b, [](const core::RunPtr& x, const core::RunPtr& y) { return *x == *y; });
}

bool same_value(const std::optional<core::AcceptedValue>& a, const std::optional<core::AcceptedValue>& b) {
  return a.has_value() == b.has_value() && (!a || (a->ballot == b->ballot && same(a->value, b->value)));
}

template <typename Frame>
bool equal(const Frame& a, const Frame& b) {
  return a == b;
}
bool equal(const core::Data& a, const core::Data& b) {
  return a.view == b.view && same_runs(a.runs, b.runs);
}
bool equal(const core::Forward& a, const core::Forward& b) {
  return a.view == b.view && a.ballot == b.ballot && a.sender == b.sender && same_runs(a.runs, b.runs);
}
bool equal(const core::Prepare& a, const core::Prepare& b) {
  return a.ballot == b.ballot && same(a.view, b.view);
}
bool equal(const core::Promise& a, const core::Promise& b) {
  return a.view == b.view && a.ballot == b.ballot && a.vote_epoch == b.vote_epoch && same_value(a.accepted, b.accepted) &&
         a.held == b.held && a.reach == b.reach && a.leaving == b.leaving;
}
bool equal(const core::Accept& a, const core::Accept& b) {
  return a.view == b.view && a.ballot == b.ballot && same(a.value, b.value);
}
bool equal(const core::Install& a, const core::Install& b) {
  return same(a.value, b.value);
}
bool equal(const core::Evicted& a, const core::Evicted& b) {
  return same(a.current, b.current) && a.closed_cut == b.closed_cut && a.closed_view == b.closed_view;
}

}  // namespace

bool same(const core::Frame& a, const core::Frame& b) {
  return a.index() == b.index() &&
         std::visit([&](const auto& kind) { return equal(kind, std::get<std::decay_t<decltype(kind)>>(b)); }, a);
}

bool same(const core::AcceptorRecord& a, const core::AcceptorRecord& b) {
  return same(a.decided, b.decided) && same(a.previous, b.previous) && a.promised == b.promised &&
         same_value(a.accepted, b.accepted);
}

}  // namespace vsync::test
