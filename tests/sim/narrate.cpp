#include "sim/narrate.h"

#include <array>
#include <cstdio>
#include <type_traits>

namespace vsync::sim {

using namespace core;

namespace {

std::string pids(const std::vector<Pid>& list) {
  std::string text;
  for (const auto& pid : list) {
    text += (text.empty() ? "" : ",") + to_string(pid);
  }
  return text;
}

std::string counts(const Counts& counts) {
  std::string text;
  for (const auto count : counts) {
    text += (text.empty() ? "" : " ") + std::to_string(count);
  }
  return "[" + text + "]";
}

std::string number(std::uint64_t value) {
  return std::to_string(value);
}

std::string runs(const std::vector<RunPtr>& list) {
  std::string text;
  for (const auto& run : list) {
    text +=
        " " + number(run->first) + (run->count > 1 ? "+" + number(run->count) : "") + std::string(1, to_string(run->service)[0]);
  }
  return text;
}

std::string members(const GroupView& view) {
  std::string text;
  for (const auto& member : view.members) {
    text += (text.empty() ? "" : ",") + to_string(member.pid) + "/" + number(member.client);
  }
  return "<" + text + ">";
}

struct FrameText {
  std::string operator()(const LinkUp& f) const { return " v" + number(f.view) + " R=" + number(f.received); }
  std::string operator()(const Data& f) const { return " v" + number(f.view) + runs(f.runs); }
  std::string operator()(const Ack& f) const {
    std::string text = " v" + number(f.view);
    for (const auto& entry : f.counts) {
      text += " " + number(entry.rank) + ":" + number(entry.count);
    }
    return text;
  }
  std::string operator()(const AckAggregate& f) const { return " v" + number(f.view) + " of " + number(f.statements.size()); }
  std::string operator()(const Suspect& f) const {
    return " v" + number(f.view) + " " + to_string(f.suspect) + " " + std::string(to_string(f.evidence));
  }
  std::string operator()(const Join& f) const { return " " + to_string(f.joiner.pid); }
  std::string operator()(const Reject& f) const {
    return " " + to_string(f.joiner) + " reason " + number(static_cast<unsigned>(f.reason));
  }
  std::string operator()(const PreVote& f) const { return " v" + number(f.view) + " against " + pids(f.suspects); }
  std::string operator()(const PreVoteReply& f) const { return " v" + number(f.view) + (f.yes ? " yes" : " no"); }
  std::string operator()(const Prepare& f) const { return " v" + number(f.view->id()) + " b" + to_string(f.ballot); }
  std::string operator()(const Promise& f) const {
    return " v" + number(f.view) + " b" + to_string(f.ballot) + (f.held ? " H=" + counts(*f.held) : "") +
           (f.accepted ? " accepted b" + to_string(f.accepted->ballot) + " " + f.accepted->value->summary() : "") +
           (f.leaving ? " leaving" : "");
  }
  std::string operator()(const Nack& f) const { return " v" + number(f.view) + " promised b" + to_string(f.promised); }
  std::string operator()(const Flush& f) const {
    return " v" + number(f.view) + " b" + to_string(f.ballot) + " cut=" + counts(f.cut) + " plan of " + number(f.plan.size());
  }
  std::string operator()(const Forward& f) const {
    return " v" + number(f.view) + " b" + to_string(f.ballot) + " of rank " + number(f.sender) + runs(f.runs);
  }
  std::string operator()(const HaveAll& f) const { return " v" + number(f.view) + " b" + to_string(f.ballot); }
  std::string operator()(const Accept& f) const {
    return " v" + number(f.view) + " b" + to_string(f.ballot) + " " + f.value->summary();
  }
  std::string operator()(const Accepted& f) const { return " v" + number(f.view) + " b" + to_string(f.ballot); }
  std::string operator()(const Install& f) const { return " " + f.value->summary(); }
  std::string operator()(const Installed& f) const { return " v" + number(f.view); }
  std::string operator()(const StatePiece& f) const {
    return " g" + number(f.group) + " at " + number(f.offset) + (f.last ? ", the last" : "");
  }
  std::string operator()(const StateAck& f) const { return " g" + number(f.group) + " taken " + number(f.taken); }
  std::string operator()(const Evicted& f) const { return " current " + f.current->summary(); }
  std::string operator()(const ViewRequest& f) const { return " from " + number(f.from); }
  template <typename Other>
  std::string operator()(const Other& f) const {
    if constexpr (requires { f.view; }) {
      return " v" + number(f.view);
    } else {
      return "";
    }
  }
};

struct EventText {
  Pid self;
  std::string operator()(const trace::Install& e) const {
    std::string text = "installs " + e.view->summary() + (e.previous == 0 ? " as joiner" : " from " + number(e.previous));
    for (const auto& departure : e.view->left) {
      text += ", without " + to_string(departure.pid) + " (" + std::string(to_string(departure.reason)) + ")";
    }
    return text + (e.view->cold ? ", cold" : "");
  }
  std::string operator()(const trace::Send& e) const {
    return e.kind == RunKind::data ? "sends " + run(self, e.first, e.count, e.service) + " in " + number(e.view) : "";
  }
  std::string operator()(const trace::Deliver& e) const {
    return e.kind == RunKind::data ? "delivers " + run(e.sender, e.first, e.count, e.service) + " in " + number(e.view) : "";
  }
  std::string operator()(const trace::GroupInstall& e) const {
    const auto& view = *e.group_view;
    return "group " + view.name + "/" + number(view.group) + " #" + number(view.number) + " " + members(view) +
           (view.without_state.empty() ? "" : ", " + number(view.without_state.size()) + " without state");
  }
  std::string operator()(const trace::Hold& e) const {
    return e.holders == 0 ? "releases group " + number(e.group) : "holds group " + number(e.group) + " for " + number(e.holders);
  }
  std::string operator()(const trace::Fate& e) const {
    return "client " + number(e.client) + " request " + number(e.request) + (e.count > 1 ? "+" + number(e.count) : "") + ": " +
           std::string(to_string(e.outcome));
  }
  std::string operator()(const trace::Left& e) const { return "left after " + number(e.previous); }
  std::string operator()(const trace::Excluded& e) const { return "is excluded, view " + number(e.view); }
  std::string operator()(const trace::Suspected& e) const {
    return "suspects " + to_string(e.peer) + " " + std::string(to_string(e.evidence)) + (e.why.empty() ? "" : " (" + e.why + ")");
  }
  std::string operator()(const trace::Unsuspected& e) const { return "no longer suspects " + to_string(e.peer); }
  std::string operator()(const trace::Decided& e) const {
    return e.ballot == Ballot{} ? "" : "decides " + e.value->summary() + " in b" + to_string(e.ballot);
  }
  std::string operator()(const trace::Promised& e) const { return "promises b" + to_string(e.ballot) + " in " + number(e.view); }
  std::string operator()(const trace::ValueAccepted& e) const {
    return "accepts " + e.value->summary() + " in b" + to_string(e.ballot);
  }
  template <typename Other>
  std::string operator()(const Other&) const {
    return "";
  }
  static std::string run(const Pid& sender, Seq first, std::uint32_t count, Service service) {
    return std::string(to_string(service)) + " " + to_string(sender) + ":" + number(first) +
           (count > 1 ? "+" + number(count) : "");
  }
};

}  // namespace

std::string clock_text(Time time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6f", static_cast<double>(time.count()) / 1e9);
  return text.data();
}

std::string frame_text(const Frame& frame) {
  return std::string(frame_name(frame)) + std::visit(FrameText{}, frame);
}

std::string tell(const check::Fact& fact, const Pid& self) {
  if (const auto* broken = std::get_if<check::StateBroken>(&fact)) {
    return broken->why;
  }
  const auto* event = std::get_if<trace::Event>(&fact);
  return event == nullptr ? "" : std::visit(EventText{self}, *event);
}

std::string tell(const Effect& effect) {
  if (const auto* slow = std::get_if<MemberSlow>(&effect)) {
    return "waits for " + to_string(slow->peer) + " alone";
  }
  if (const auto* fatal = std::get_if<Fatal>(&effect)) {
    return "stops: " + fatal->reason;
  }
  if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
    return "refuses client " + number(refused->client) + " request " + number(refused->request) + ": " +
           std::string(refused->code);
  }
  if (const auto* answer = std::get_if<RequestAnswered>(&effect)) {
    std::string text = "client " + number(answer->client) + " request " + number(answer->request) + ": " +
                       std::string(to_string(answer->outcome)) + ", " + (answer->complete ? "complete" : "not complete") + ", " +
                       number(answer->replies.size()) + " replies";
    for (const auto& missing : answer->missing) {
      text += ", " + to_string(missing.member.pid) + " " + std::string(missing.reason);
    }
    return text;
  }
  if (const auto* opened = std::get_if<SessionOpened>(&effect)) {
    std::string text = "session of client " + number(opened->client) + (opened->fates.known ? ": delivered" : " is new");
    for (const auto& range : opened->fates.delivered) {
      text += " " + number(range.first) + "-" + number(range.last);
    }
    return text;
  }
  if (const auto* stable = std::get_if<StableReached>(&effect)) {
    std::string text = "stable in group " + number(stable->group) + ": totals " + number(stable->position);
    for (const auto& [sender, position] : stable->others) {
      text += ", of " + to_string(sender) + " " + number(position);
    }
    return text;
  }
  if (const auto* identity = std::get_if<IdentityRefused>(&effect)) {
    return identity->reason == RejectReason::assign_id ? "is given the id " + number(identity->node)
                                                       : "is refused, reason " + number(static_cast<unsigned>(identity->reason));
  }
  if (const auto* quorum = std::get_if<QuorumChanged>(&effect)) {
    return quorum->has ? "has a quorum" : "has lost the quorum";
  }
  if (const auto* asked = std::get_if<StateRequested>(&effect)) {
    return "asks client " + number(asked->client) + " for the state of " + asked->group;
  }
  if (const auto* arrived = std::get_if<StateArrived>(&effect)) {
    std::string who;
    for (const auto client : arrived->clients) {
      who += (who.empty() ? "" : ",") + number(client);
    }
    return "gives client " + who +
           (arrived->cold
                ? " no state of " + arrived->group + ": its own counts"
                : " state of " + arrived->group + " at " + number(arrived->offset) + (arrived->last ? ", the last" : ""));
  }
  if (const auto* dismissed = std::get_if<ClientDismissed>(&effect)) {
    return "dismisses client " + number(dismissed->client) + " from " + dismissed->name;
  }
  if (std::holds_alternative<LeftCluster>(effect)) {
    return "ends";
  }
  if (const auto* refused = std::get_if<InputRefused>(&effect)) {
    return "refuses " + std::string(refused->frame) + " of " + to_string(refused->peer) + ": " + std::string(refused->why);
  }
  return "";
}

std::optional<check::Asked> asked_by(const Input& input) {
  return std::visit(
      [](const auto& request) -> std::optional<check::Asked> {
        if constexpr (requires {
                        request.client;
                        request.count;
                      }) {
          return check::Asked{request.client, request.request, request.count};
        } else if constexpr (requires {
                               request.client;
                               request.request;
                             }) {
          return request.client == 0 ? std::nullopt : std::optional(check::Asked{request.client, request.request, 1});
        } else {
          return std::nullopt;
        }
      },
      input);
}

std::optional<check::Answered> answered_by(const Effect& effect) {
  std::optional<check::Answered> answer;
  if (const auto* outcome = std::get_if<SendOutcome>(&effect)) {
    answer = check::Answered{outcome->client, outcome->request, outcome->count, false};
  } else if (const auto* done = std::get_if<RequestDone>(&effect)) {
    answer = check::Answered{done->client, done->request, 1, false};
  } else if (const auto* ended = std::get_if<RequestAnswered>(&effect)) {
    answer = check::Answered{ended->client, ended->request, 1, false};
  } else if (const auto* opened = std::get_if<SessionOpened>(&effect)) {
    answer = check::Answered{opened->client, opened->request, 1, false};
  } else if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
    answer = check::Answered{refused->client, refused->request, 1, true};
  }
  return answer && answer->client != 0 ? answer : std::nullopt;  // client 0: nobody waits for the answer
}

}  // namespace vsync::sim
