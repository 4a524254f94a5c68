// Text for people: aligned, coloured only on a terminal.
#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <utility>
#include <vector>

#include "phrases.h"
#include "renderer.h"
#include "vsync/client.h"

namespace vsync::ctl {
namespace {

/// Names and messages come from strangers: what would move the cursor is shown, not done.
std::string safe(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f || c1) {
      std::array<char, 5> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", byte);
      out += escape.data();
    } else {
      out += text[i];
    }
  }
  return out;
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string duration(std::uint64_t microseconds) {
  struct Unit {
    std::uint64_t size;
    const char* name;
  };
  static constexpr Unit kUnits[] = {
      {86'400'000'000, "d"}, {3'600'000'000, "h"}, {60'000'000, "min"}, {1'000'000, "s"}, {1000, "ms"}};
  for (const auto& unit : kUnits) {
    if (microseconds >= unit.size) {
      std::array<char, 32> text{};
      const double value = static_cast<double>(microseconds) / static_cast<double>(unit.size);
      std::snprintf(text.data(), text.size(), value < 10 ? "%.1f %s" : "%.0f %s", value, unit.name);
      return text.data();
    }
  }
  return std::to_string(microseconds) + " us";
}

/// Of a lease held on this host; its end is told by the host's clock.
std::string lease_left(std::uint64_t until_us) {
  const auto now = static_cast<std::uint64_t>(BootClock::now().time_since_epoch().count());
  return until_us > now ? ", lease for " + duration(until_us - now) : "";
}

std::string who(const pb::GroupMember& member) {
  const std::string place =
      std::to_string(member.node()) + "." + std::to_string(member.incarnation()) + "/" + std::to_string(member.client());
  return member.name().empty() ? place : safe(member.name()) + "@" + place;
}

std::string name_and_node(const pb::Member& member) {
  return safe(member.name()) + " (" + std::to_string(member.node()) + ")";
}

/// ""; or "; witness c (3)".
std::string witnesses(const google::protobuf::RepeatedPtrField<pb::Member>& list_of) {
  return list_of.empty() ? "" : "; witness " + list(list_of, name_and_node);
}

std::string holders(const google::protobuf::RepeatedPtrField<pb::Holder>& by) {
  return list(by, [](const pb::Holder& holder) { return who(holder.member()) + " since " + duration(holder.since_us()); });
}

/// Rows of cells, printed with aligned columns.
class Table {
 public:
  explicit Table(std::vector<std::string> head) { rows_.push_back(std::move(head)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out) const {
    std::vector<std::size_t> widths;
    for (const auto& row : rows_) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) {
        widths[i] = std::max(widths[i], columns_of(row[i]));
      }
    }
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) {
        line += row[i] + std::string(i + 1 < row.size() ? widths[i] - columns_of(row[i]) + 2 : 0, ' ');
      }
      out << line << '\n';
    }
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// The text, or the beginning of the bytes.
std::string content(const auto& message) {
  if (message.has_text()) {
    return safe(message.text());
  }
  constexpr std::size_t kShown = 32;
  std::string shown = plural(message.payload().size(), "byte");
  for (std::size_t i = 0; i < std::min(kShown, message.payload().size()); ++i) {
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), " %02x", static_cast<unsigned>(static_cast<unsigned char>(message.payload()[i])));
    shown += hex.data();
  }
  return shown + (message.payload().size() > kShown ? " ..." : "");
}

class TextRenderer final : public Renderer {
 public:
  TextRenderer(std::ostream& out, bool colour) : out_(out), colour_(colour) {}

  void status(const pb::Status& status) override;
  void members(const pb::Status& status) override;
  void view(const pb::Status& status) override;
  void leader(const pb::LeaderEvent& leader) override;
  void groups(const pb::Status& status) override;
  void group(const pb::GroupView& group) override;
  void event(const pb::Event& event) override;
  void sent(std::uint64_t first, const pb::SendBatchReply& reply) override;
  void replies(const pb::RequestResult& result) override;
  void reloaded(const pb::ReloadReply& reply) override;
  void version(std::string_view program, std::string_view daemon) override;
  void bench(const BenchReport& report) override { out_ << bench_text(report); }
  void doctor(const pb::DoctorReport& report) override;
  void checkpoints(const pb::CheckpointReply& reply, bool in_full) override;
  void done(std::string_view what) override { out_ << what << '\n'; }

 private:
  enum class Paint : std::uint8_t { good = 32, bad = 31, odd = 33, dim = 2 };
  [[nodiscard]] std::string paint(Paint colour, const std::string& text) const {
    return colour_ ? "\x1b[" + std::to_string(static_cast<int>(colour)) + "m" + text + "\x1b[0m" : text;
  }
  void view_event(const pb::ViewEvent& view);
  void group_view(const pb::GroupView& view);
  void message(const pb::GroupMessage& message);
  void slow(const pb::ClientSlow& slow);

  std::ostream& out_;
  bool colour_;
};

void TextRenderer::status(const pb::Status& status) {
  const bool well = (status.state() == "member" || status.state() == "witness") && status.has_quorum();
  out_ << safe(status.name()) << " (node " << status.node() << ", incarnation " << status.incarnation()
       << "): " << paint(well ? Paint::good : Paint::bad, status.state()) << '\n';
  out_ << "cluster  " << (status.cluster().empty() ? "none yet" : status.cluster()) << '\n';
  if (status.view() != 0) {
    out_ << "view     " << status.view() << ", led by " << safe(status.leader_name()) << " (node " << status.leader()
         << (status.is_leader() ? ", this one)" : ")") << '\n';
  } else {
    out_ << "view     none\n";
  }
  out_ << "quorum   "
       << (status.has_quorum() ? paint(Paint::good, "yes") + ", survives " + plural(status.tolerates(), "failure")
                               : paint(Paint::bad, "no"))
       << " (" << status.quorum_policy() << ")\n";
  out_ << "groups   " << status.groups_size() << ", " << plural(status.clients(), "client") << '\n';
  out_ << "sending  " << plural(status.send_queue(), "message") << " queued, " << plural(status.unstable_bytes(), "byte")
       << " unstable";
  if (!status.blocker().empty()) {
    out_ << ", waiting for " << safe(status.blocker());
  }
  out_ << '\n';
  for (const auto& client : status.slow_clients()) {
    out_ << "slow     ";
    slow(client);
  }
  for (const auto& held : status.groups()) {
    if (held.held_by_size() > 0) {
      out_ << "held     " << safe(held.group()) << ", which waits for " << holders(held.held_by()) << '\n';
    }
  }
  for (const auto& group : status.groups()) {
    if (group.has_state_wait()) {
      out_ << "waiting  " << safe(group.group()) << ", whose state nobody has, for " << awaited(group.state_wait()) << '\n';
    }
  }
  out_ << "version  " << status.version() << ", up " << duration(status.uptime_us()) << '\n';
  if (status.members_size() > 0) {
    out_ << '\n';
    members(status);
  }
}

/// A line for each check, and one for what to do about it.
void TextRenderer::doctor(const pb::DoctorReport& report) {
  for (const auto& check : report.checks()) {
    const auto colour = check.verdict() == "ok" ? Paint::good : check.verdict() == "warning" ? Paint::odd : Paint::bad;
    out_ << paint(colour, check.verdict()) << std::string(9 - std::min<std::size_t>(check.verdict().size(), 8), ' ')
         << safe(check.name()) << ": " << safe(check.detail()) << '\n';
    if (!check.advice().empty()) {
      out_ << "         " << safe(check.advice()) << '\n';
    }
  }
}

void TextRenderer::members(const pb::Status& status) {
  Table table({"RANK", "NODE", "NAME", "ADDRESS", "HEARTBEAT", "RTT", "LINK", "STATE"});
  const auto add = [&](const pb::Member& member, const std::string& rank) {
    const bool self = member.state() == "self";
    const std::string state =
        member.state() == "suspected" ? paint(Paint::bad, "suspected (" + member.suspicion() + ")") : member.state();
    table.add({rank, std::to_string(member.node()) + "." + std::to_string(member.incarnation()), safe(member.name()),
               safe(member.address()), self ? "-" : duration(member.heartbeat_age_us()),
               self || member.rtt_us() == 0 ? "-" : duration(member.rtt_us()),
               self              ? "-"
               : member.linked() ? "up"
                                 : "down",
               state});
  };
  for (const auto& member : status.members()) {
    add(member, std::to_string(member.rank()));
  }
  for (const auto& witness : status.witnesses()) {
    add(witness, "witness");
  }
  table.print(out_);
}

void TextRenderer::view(const pb::Status& status) {
  if (status.view() == 0) {
    out_ << "no view: this daemon is " << status.state() << '\n';
    return;
  }
  out_ << "view " << status.view() << ": " << list(status.members(), name_and_node) << witnesses(status.witnesses())
       << "; led by " << safe(status.leader_name()) << '\n';
}

void TextRenderer::leader(const pb::LeaderEvent& leader) {
  if (leader.node() == 0) {
    out_ << "no leader\n";
  } else {
    out_ << safe(leader.name()) << " (node " << leader.node() << ") leads view " << leader.view()
         << (leader.self() ? ": this one" : "") << lease_left(leader.lease_until_us()) << '\n';
  }
}

void TextRenderer::groups(const pb::Status& status) {
  if (status.groups_size() == 0) {
    out_ << "no group has members\n";
    return;
  }
  Table table({"GROUP", "VIEW", "MEMBERS", "LEADER", "TOKEN"});
  for (const auto& group : status.groups()) {
    table.add({safe(group.group()), std::to_string(group.number()), std::to_string(group.members_size()), who(group.leader()),
               std::to_string(group.token())});
  }
  table.print(out_);
}

void TextRenderer::group(const pb::GroupView& group) {
  out_ << "group " << safe(group.group()) << ": view " << group.number() << " in daemon view " << group.view() << ", token "
       << group.token() << (group.total_only() ? ", total only" : "") << lease_left(group.lease_until_us()) << '\n';
  if (group.held_by_size() > 0) {
    out_ << "its senders wait for " << holders(group.held_by()) << '\n';
  }
  if (group.has_state_wait()) {
    out_ << "nobody has its state; its members wait for " << awaited(group.state_wait()) << '\n';
  }
  Table table({"RANK", "NODE", "CLIENT", "NAME"});
  for (int rank = 0; rank < group.members_size(); ++rank) {
    const auto& member = group.members(rank);
    table.add({std::to_string(rank), std::to_string(member.node()) + "." + std::to_string(member.incarnation()),
               std::to_string(member.client()), safe(member.name())});
  }
  table.print(out_);
}

void TextRenderer::view_event(const pb::ViewEvent& view) {
  out_ << "view " << view.view() << ": " << list(view.members(), name_and_node) << witnesses(view.witnesses());
  if (view.joined_size() > 0) {
    out_ << "; joined " << nodes(view.joined());
  }
  if (view.left_size() > 0) {
    out_ << "; lost " << list(view.left(), [](const pb::Departure& left) {
      return (left.name().empty() ? "node " + std::to_string(left.node()) : safe(left.name())) + " (" + left.reason() +
             (left.evidence().empty() || left.evidence() == "none" ? "" : ", " + left.evidence()) + ")";
    });
  }
  out_ << (view.cold() ? "; after a total failure\n" : "\n");
}

void TextRenderer::group_view(const pb::GroupView& view) {
  out_ << "group " << safe(view.group()) << " view " << view.number() << ": " << list(view.members(), who);
  if (view.joined_size() > 0) {
    out_ << "; joined " << list(view.joined(), who);
  }
  if (view.left_size() > 0) {
    out_ << "; lost "
         << list(view.left(), [](const pb::GroupDeparture& left) { return who(left.member()) + " (" + left.reason() + ")"; });
  }
  out_ << "; token " << view.token() << '\n';
}

void TextRenderer::slow(const pb::ClientSlow& slow) {
  out_ << "client " << who(slow.member()) << (slow.group().empty() ? "" : " of " + safe(slow.group()))
       << " does not keep up: " << slow.action() << ", " << plural(slow.backlog_bytes(), "byte") << " in "
       << plural(slow.backlog_messages(), "message") << " wait for it\n";
}

void TextRenderer::message(const pb::GroupMessage& message) {
  const std::string kind = message.request() != 0 ? " asks" : message.direct() ? " (to this member)" : "";
  out_ << paint(Paint::dim, std::to_string(message.position()) + " " + who(message.sender()) + kind + ":") << ' ';
  out_ << content(message) << '\n';
}

void TextRenderer::replies(const pb::RequestResult& result) {
  for (const auto& reply : result.replies()) {
    out_ << paint(Paint::dim, who(reply.member()) + ":") << ' ' << content(reply) << '\n';
  }
  const std::map<std::string_view, const char*> reasons{
      {"no_reply", "no reply"}, {"too_large", "too large"}, {"no_state", "waits for its state"}};
  for (const auto& missing : result.missing()) {
    const auto reason = reasons.find(missing.reason());
    out_ << who(missing.member()) << ": " << paint(Paint::odd, reason != reasons.end() ? reason->second : safe(missing.reason()))
         << '\n';
  }
  if (result.outcome() != "delivered") {
    out_ << paint(Paint::bad, result.outcome() == "unknown" ? "outcome unknown" : "not delivered") << " (" << result.code()
         << ")\n";
  }
}

void TextRenderer::event(const pb::Event& event) {
  switch (event.kind_case()) {
    case pb::Event::kView:
      view_event(event.view());
      break;
    case pb::Event::kSuspect: {
      const auto& suspect = event.suspect();
      const std::string name = suspect.name().empty() ? "node " + std::to_string(suspect.node()) : safe(suspect.name());
      if (suspect.evidence() == "none") {
        out_ << name << " is alive after all\n";
      } else {
        out_ << paint(Paint::bad, "suspected") << ": " << name << " (" << suspect.evidence() << "): " << safe(suspect.why());
        out_ << (suspect.silence_us() > 0 ? ", silent for " + duration(suspect.silence_us()) + "\n" : "\n");
      }
      break;
    }
    case pb::Event::kLeader:
      leader(event.leader());
      break;
    case pb::Event::kQuorum:
      out_ << (event.quorum().has() ? paint(Paint::good, "quorum") : paint(Paint::bad, "no quorum: sends wait")) << '\n';
      break;
    case pb::Event::kGroupView:
      group_view(event.group_view());
      break;
    case pb::Event::kMessage:
      message(event.message());
      break;
    case pb::Event::kExcluded:
      out_ << paint(Paint::bad, "excluded") << (event.excluded().group().empty() ? "" : " from " + safe(event.excluded().group()))
           << ": " << safe(event.excluded().why()) << '\n';
      break;
    case pb::Event::kMemberSlow:
      out_ << (event.member_slow().name().empty() ? "node " + std::to_string(event.member_slow().node())
                                                  : safe(event.member_slow().name()))
           << " is slow: blocks for " << duration(event.member_slow().blocked_us()) << '\n';
      break;
    case pb::Event::kLease:
      out_ << "leads " << safe(event.lease().group()) << lease_left(event.lease().until_us()) << '\n';
      break;
    case pb::Event::kStable:
      out_ << safe(event.stable().group()) << " is stable up to " << event.stable().position() << '\n';
      break;
    case pb::Event::kGap:
      out_ << paint(Paint::bad, "gap") << " in " << safe(event.gap().group()) << ": " << plural(event.gap().missed(), "message")
           << " not read from position " << event.gap().position() << " on, token " << event.gap().token() << '\n';
      break;
    case pb::Event::kClientSlow:
      slow(event.client_slow());
      break;
    case pb::Event::kGroupHeld:
      out_ << "group " << safe(event.group_held().group())
           << (event.group_held().by_size() == 0 ? " flows again" : " waits for " + holders(event.group_held().by())) << '\n';
      break;
    case pb::Event::kCredit:  // for those who asked for it
      break;
    case pb::Event::kClosing:
      out_ << "the daemon closes the connection: " << safe(event.closing().why()) << '\n';
      break;
    case pb::Event::kDurable:  // vsyncctl is no member of a durable group
    case pb::Event::kRestored:
    case pb::Event::kStateRequest:  // and asks for no state
    case pb::Event::kState:
    case pb::Event::kMessageBatch:  // split by the caller
    case pb::Event::KIND_NOT_SET:   // a newer daemon's
      break;
  }
  out_.flush();
}

void TextRenderer::checkpoints(const pb::CheckpointReply& reply, bool in_full) {
  if (reply.checkpoints().empty()) {
    out_ << "the disk here has no durable group\n";
  }
  for (const auto& kept : reply.checkpoints()) {
    if (!kept.problem().empty()) {
      out_ << safe(kept.group()) << "  cannot be read: " << safe(kept.problem()) << '\n';
      continue;
    }
    const auto checkpoint = kept.checkpoint() == 0 ? std::string("none") : "message " + std::to_string(kept.checkpoint());
    if (!in_full) {
      out_ << safe(kept.group()) << "  messages up to " << kept.index() << ", checkpoint " << checkpoint
           << (kept.follows() ? "" : ", no member here has the state") << '\n';
      continue;
    }
    out_ << "group: " << safe(kept.group()) << "\nmessages up to: " << kept.index() << " (synced " << kept.synced() << ", era "
         << kept.era() << ")\ncheckpoint: " << checkpoint << ", " << kept.checkpoint_bytes() << " bytes"
         << (kept.in_progress() ? ", a newer one is being made" : "") << "\nmessages since then: " << kept.log_bytes()
         << " bytes\nkept by nodes:";
    for (const auto node : kept.keepers()) {
      out_ << ' ' << node;
    }
    out_ << "\nfollows the group: " << (kept.follows() ? "yes" : "no: no member here has the state") << '\n';
  }
}

void TextRenderer::sent(std::uint64_t first, const pb::SendBatchReply& reply) {
  const std::string which = reply.count() == 1
                                ? "message " + std::to_string(first)
                                : "messages " + std::to_string(first) + " to " + std::to_string(first + reply.count() - 1);
  switch (reply.outcome()) {
    case pb::DELIVERED:
      out_ << which << ": delivered in view " << reply.view() << ", position " << reply.position() << '\n';
      break;
    case pb::NOT_DELIVERED:
      out_ << which << ": " << paint(Paint::bad, "not delivered") << (reply.code().empty() ? "" : " (" + reply.code() + ")")
           << '\n';
      break;
    default:
      out_ << which << ": " << paint(Paint::bad, "outcome unknown") << (reply.code().empty() ? "" : " (" + reply.code() + ")")
           << '\n';
  }
  out_.flush();
}

void TextRenderer::reloaded(const pb::ReloadReply& reply) {
  const auto name = [](const std::string& setting) { return setting; };
  out_ << "applied: " << (reply.applied_size() == 0 ? "nothing changed" : list(reply.applied(), name)) << '\n';
  if (reply.needs_restart_size() > 0) {
    out_ << "needs a restart: " << list(reply.needs_restart(), name) << '\n';
  }
}

void TextRenderer::version(std::string_view program, std::string_view daemon) {
  out_ << "vsyncctl " << program << '\n' << "vsyncd   " << (daemon.empty() ? "not reachable" : daemon) << '\n';
}

}  // namespace

std::unique_ptr<Renderer> make_text_renderer(std::ostream& out, bool colour) {
  return std::make_unique<TextRenderer>(out, colour);
}

}  // namespace vsync::ctl
