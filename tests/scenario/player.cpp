#include "scenario/player.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "sim/chaos.h"
#include "sim/narrate.h"
#include "support/check/checkers.h"

namespace vsync::scenario {

using namespace core;
using sim::HostId;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kGroup = "g";
constexpr const char* kClient = "c";

std::uint64_t number(const std::string& word) {
  std::uint64_t value = 0;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

/// "1500ms" or "3s".
Duration duration(const std::string& word) {
  const bool milli = word.ends_with("ms");
  return milli ? Duration(milliseconds(number(word))) : Duration(seconds(number(word)));
}

std::optional<Service> service(const std::string& word) {
  for (const auto s : {Service::fifo, Service::causal, Service::total}) {
    if (word == to_string(s)) {
      return s;
    }
  }
  return std::nullopt;
}

}  // namespace

Player::Player() {
  setup_.turn_max = {};
  setup_.timer_late_max = {};
  setup_.write_min = setup_.write_max = milliseconds(1);
}
Player::~Player() = default;

const std::map<std::string, Player::Handler, std::less<>>& Player::handlers() {
  static const std::map<std::string, Handler, std::less<>> table{
      {"nodes", &Player::nodes},
      {"found", &Player::found},
      {"start", &Player::start},
      {"join", &Player::start},
      {"restart", &Player::start},
      {"start-founder", &Player::start_founder},
      {"start-misconfigured", &Player::start_misconfigured},
      {"crash", &Player::crash},
      {"die", &Player::die},
      {"power-off", &Player::power_off},
      {"crash-at", &Player::crash_at},
      {"wipe", &Player::wipe},
      {"damage", &Player::damage},
      {"fail-disk", &Player::fail_disk},
      {"stall-disk", &Player::stall_disk},
      {"pause", &Player::pause},
      {"resume", &Player::resume},
      {"leave", &Player::leave},
      {"evict", &Player::evict},
      {"cold-start", &Player::cold_start},
      {"suspect", &Player::suspect},
      {"partition", &Player::partition},
      {"oneway", &Player::oneway},
      {"heal", &Player::heal},
      {"cut-link", &Player::cut_link},
      {"hold", &Player::hold},
      {"unhold", &Player::unhold},
      {"pump", &Player::pump},
      {"lose", &Player::lose},
      {"drop", &Player::drop},
      {"slow", &Player::slow},
      {"group", &Player::group},
      {"client-join", &Player::client_join},
      {"client-leave", &Player::client_leave},
      {"client-die", &Player::client_die},
      {"submit", &Player::submit},
      {"run", &Player::run},
      {"until", &Player::until},
      {"settle", &Player::settle},
      {"frames", &Player::frames},
      {"quiet", &Player::quiet},
      {"loud", &Player::loud},
      {"state", &Player::state},
      {"expect", &Player::expect},
  };
  return table;
}

std::string Player::command(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) {
    words.push_back(word);
  }
  const auto handler = handlers().find(words.front());
  if (handler == handlers().end()) {
    return "no such command";
  }
  if (!world_ && words.front() != "nodes") {
    return "the first command must be nodes";
  }
  if (words.front() != "run" && words.front() != "nodes") {
    print("> " + line);
  }
  return (this->*handler->second)(Words(words).subspan(1));
}

Outcome Player::finish() {
  Outcome outcome;
  if (world_) {
    const check::History history(world_->records());
    check::safety(history, outcome.report);
    check::Ending ending;
    for (const auto host : world_->hosts()) {
      if (settled_ && world_->running(host)) {
        ending.view = world_->status(host).view->id();
        ending.live.push_back(world_->pid(host));
      }
    }
    check::everything_delivered(history, ending, outcome.report);
    check::everything_answered(history, ending, outcome.report);
    for (const auto& reason : world_->fatal()) {
      print("stopped: " + reason);
    }
  }
  outcome.trace = std::move(trace_);
  return outcome;
}

void Player::print(const std::string& line) {
  trace_ += line + "\n";
}

// ---------------------------------------------------------------- the cluster

std::string Player::nodes(Words words) {
  if (words.empty()) {
    return "nodes COUNT [static] [relay] [unnumbered] [quorum|manual] [suspect TIME] [run-bytes N] [window N]";
  }
  const auto count = number(words[0]);
  auto& limits = setup_.limits;
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "static") {
      setup_.quorum = QuorumPolicy::fixed;
      for (NodeId node = 1; node <= count; ++node) {
        setup_.static_voters.push_back({node, 0, 1});
      }
    } else if (words[i] == "relay") {
      limits.ack_direct_max = 2;
    } else if (words[i] == "unnumbered") {
      unnumbered_ = true;
    } else if (words[i] == "quorum") {
      setup_.cold_start = ColdStart::quorum;
    } else if (words[i] == "manual") {
      setup_.cold_start = ColdStart::manual;
    } else if (words[i] == "suspect" && i + 1 < words.size()) {
      limits.suspect_after = duration(words[++i]);
    } else if (words[i] == "run-bytes" && i + 1 < words.size()) {
      limits.max_run_bytes = number(words[++i]);
    } else if (words[i] == "window" && i + 1 < words.size()) {
      limits.window_messages = number(words[++i]);
    } else {
      return "unknown setting " + words[i];
    }
  }
  world_ = std::make_unique<sim::World>(1, setup_);
  world_->network().conduct.latency_min = world_->network().conduct.latency_max = std::chrono::microseconds(100);
  world_->network().conduct.luck = false;
  workload_ = std::make_unique<sim::Workload>(*world_, sim::Appetite{});
  world_->narrate = [this](const std::string& line) {
    if (!quiet_) {
      print(line);
    }
  };
  for (std::size_t i = 0; i < count; ++i) {
    world_->add_host(i == 0 || !unnumbered_);
  }
  return "";
}

/// Founds the cluster with the named machines (default: all), one after the other, without a word.
std::string Player::found(Words words) {
  const auto members = words.empty() ? world_->hosts() : hosts(words);
  quiet_ = true;
  for (const auto host : members) {
    world_->start(host, sim::start_options(*world_, host));
    if (!wait([&] { return world_->running(host) && settled(); }, seconds(20))) {
      return "machine " + std::to_string(host) + " does not get in";
    }
  }
  quiet_ = false;
  print("founded " + world_->status(members.front()).view->summary());
  return "";
}

std::vector<HostId> Player::hosts(Words words) const {
  std::vector<HostId> ids;
  for (const auto& word : words) {
    ids.push_back(static_cast<HostId>(number(word)));
  }
  return ids;
}

std::string Player::start(Words words) {
  for (const auto host : hosts(words)) {
    world_->start(host);
  }
  return "";
}

std::string Player::start_founder(Words words) {
  for (const auto host : hosts(words)) {
    world_->start(host, {.found_if_alone = true});
  }
  return "";
}

/// With settings that differ where they must be equal.
std::string Player::start_misconfigured(Words words) {
  for (const auto host : hosts(words)) {
    world_->start(host, {.config_hash = 2});
  }
  return "";
}

std::string Player::crash(Words words) {
  for (const auto host : hosts(words)) {
    world_->crash(host, sim::CrashKind::process);
  }
  return "";
}

/// As crash, but everything that was sent still arrives.
std::string Player::die(Words words) {
  for (const auto host : hosts(words)) {
    world_->crash(host, sim::CrashKind::drained);
  }
  return "";
}

std::string Player::power_off(Words words) {
  for (const auto host : hosts(words)) {
    world_->crash(host, sim::CrashKind::machine);
  }
  return "";
}

std::string Player::crash_at(Words words) {
  if (words.size() < 2) {
    return "crash-at HOST FRAME [n]";
  }
  world_->set_fuse(static_cast<HostId>(number(words[0])), {words[1], words.size() > 2 ? number(words[2]) : 1});
  return "";
}

std::string Player::wipe(Words words) {
  for (const auto host : hosts(words)) {
    world_->wipe(host);
  }
  return "";
}

std::string Player::damage(Words words) {
  for (const auto host : hosts(words)) {
    world_->damage(host);
  }
  return "";
}

std::string Player::fail_disk(Words words) {
  for (const auto host : hosts(words)) {
    world_->fail_disk(host);
  }
  return "";
}

std::string Player::stall_disk(Words words) {
  const auto host = static_cast<HostId>(number(words[0]));
  world_->stop_disk(host, words.size() < 2 || words[1] != "off");
  return "";
}

std::string Player::pause(Words words) {
  for (const auto host : hosts(words)) {
    world_->pause(host, true);
  }
  return "";
}

std::string Player::resume(Words words) {
  for (const auto host : hosts(words)) {
    world_->pause(host, false);
  }
  return "";
}

std::string Player::leave(Words words) {
  for (const auto host : hosts(words)) {
    world_->request(host, AdminLeave{});
  }
  return "";
}

std::string Player::evict(Words words) {
  if (words.size() != 3 || words[1] != "by") {
    return "evict HOST by HOST";
  }
  world_->request(static_cast<HostId>(number(words[2])), AdminEvict{0, 0, static_cast<NodeId>(number(words[0])), "", "asked to"});
  return "";
}

std::string Player::cold_start(Words words) {
  for (const auto host : hosts(words)) {
    world_->request(host, AdminColdStart{});
  }
  return "";
}

/// As if the kernel of one machine had said that the processes of others are gone.
std::string Player::suspect(Words words) {
  const auto by = static_cast<HostId>(number(words[0]));
  for (const auto host : hosts(words.subspan(1))) {
    const auto& view = world_->status(by).view;
    const auto* member = view ? view->find_node(host) : nullptr;
    if (member != nullptr) {
      world_->request(by, PeerGone{member->pid, Evidence::firm, "the script says so"});
    }
  }
  return "";
}

// ---------------------------------------------------------------- the network

std::string Player::partition(Words words) {
  std::map<HostId, int> side;
  int current = 0;
  for (const auto& word : words) {
    if (word == "|") {
      ++current;
    } else {
      side[static_cast<HostId>(number(word))] = current;
    }
  }
  for (const auto& [a, left] : side) {
    for (const auto& [b, right] : side) {
      if (left != right) {
        world_->network().block(a, b);
      }
    }
  }
  return "";
}

std::string Player::oneway(Words words) {
  for (const auto& [from, to] : links(words)) {
    world_->network().block(from, to);
  }
  return "";
}

std::string Player::heal(Words) {
  world_->network().heal();
  return "";
}

std::string Player::cut_link(Words words) {
  if (words.size() < 2) {
    return "cut-link HOST HOST [half]";
  }
  world_->network().cut(static_cast<HostId>(number(words[0])), static_cast<HostId>(number(words[1])), words.size() > 2);
  return "";
}

/// "1>2", or "all".
std::vector<std::pair<HostId, HostId>> Player::links(Words words) const {
  std::vector<std::pair<HostId, HostId>> found;
  for (const auto& word : words) {
    const auto arrow = word.find('>');
    if (word == "all") {
      for (const auto a : world_->hosts()) {
        for (const auto b : world_->hosts()) {
          if (a != b) {
            found.emplace_back(a, b);
          }
        }
      }
    } else if (arrow != std::string::npos) {
      found.emplace_back(number(word.substr(0, arrow)), number(word.substr(arrow + 1)));
    }
  }
  return found;
}

std::string Player::hold(Words words) {
  const auto from = std::find(words.begin(), words.end(), "from");
  for (const auto& [a, b] : links(words)) {
    from == words.end() ? world_->network().hold(a, b) : world_->network().hold_from(a, b, *(from + 1));
  }
  return "";
}

std::string Player::unhold(Words words) {
  for (const auto& [a, b] : links(words)) {
    world_->network().unhold(a, b);
  }
  return "";
}

/// Moves what is held on these links until nothing moves any more, or up to a kind of frame, or a number of frames.
std::string Player::pump(Words words) {
  std::string stop;
  std::size_t left = 100'000;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "until") {
      stop = words[i + 1];
    } else if (words[i] == "count") {
      left = number(words[i + 1]);
    }
  }
  for (int idle = 0; idle < 3 && left > 0;) {
    std::size_t moved = 0;
    for (const auto& [a, b] : links(words)) {
      const auto passed = world_->network().release(a, b, left, stop);
      moved += passed;
      left -= passed;
    }
    idle = moved == 0 ? idle + 1 : 0;
    world_->run_until(world_->now() + milliseconds(1));
  }
  return "";
}

std::string Player::lose(Words words) {
  for (const auto& [a, b] : links(words)) {
    world_->network().drop_waiting(a, b);
  }
  return "";
}

std::string Player::drop(Words words) {
  if (words.size() < 2) {
    return "drop LINK FRAME [n]";
  }
  for (const auto& [a, b] : links(words.subspan(0, 1))) {
    world_->network().drop(a, b, words[1], words.size() > 2 ? number(words[2]) : 1);
  }
  return "";
}

std::string Player::slow(Words words) {
  const auto host = static_cast<HostId>(number(words[0]));
  world_->network().slow_hosts[host] = duration(words[1]);
  return "";
}

// ---------------------------------------------------------------- applications

/// One client on each named machine (default: all that run) joins the group, without a word.
std::string Player::group(Words words) {
  quiet_ = true;
  std::vector<HostId> members = hosts(words);
  if (words.empty()) {
    for (const auto host : world_->hosts()) {
      if (world_->running(host)) {
        members.push_back(host);
      }
    }
  }
  for (const auto host : members) {
    workload_->join(host, kClient, kGroup, false);
  }
  const bool done = wait(
      [&] {
        return std::all_of(members.begin(), members.end(), [&](HostId host) {
          const auto groups = world_->status(host).groups;
          return std::any_of(groups.begin(), groups.end(), [&](const auto& g) { return g->members.size() == members.size(); });
        });
      },
      seconds(5));
  world_->run_until(world_->now() + milliseconds(100));
  quiet_ = false;
  return done ? "" : "the group does not form";
}

std::string Player::client_join(Words words) {
  if (words.size() < 3) {
    return "client-join HOST CLIENT GROUP [total-only]";
  }
  workload_->join(static_cast<HostId>(number(words[0])), words[1], words[2], words.size() > 3);
  return "";
}

std::string Player::client_leave(Words words) {
  if (words.size() < 3) {
    return "client-leave HOST CLIENT GROUP";
  }
  workload_->leave(static_cast<HostId>(number(words[0])), words[1], words[2]);
  return "";
}

std::string Player::client_die(Words words) {
  if (words.size() < 2) {
    return "client-die HOST CLIENT";
  }
  workload_->die(static_cast<HostId>(number(words[0])), words[1]);
  return "";
}

std::string Player::submit(Words words) {
  const auto kind = words.size() < 2 ? std::nullopt : service(words[1]);
  if (!kind) {
    return "submit HOST fifo|causal|total [count N] [size N] [client C] [group G] [fenced]";
  }
  std::uint32_t count = 1;
  std::size_t size = 16;
  std::string client = kClient;
  std::string group = kGroup;
  bool fenced = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "fenced") {
      fenced = true;
    } else if (i + 1 < words.size()) {
      const auto& value = words[++i];
      if (words[i - 1] == "count") {
        count = static_cast<std::uint32_t>(number(value));
      } else if (words[i - 1] == "size") {
        size = number(value);
      } else if (words[i - 1] == "client") {
        client = value;
      } else if (words[i - 1] == "group") {
        group = value;
      }
    }
  }
  workload_->send(static_cast<HostId>(number(words[0])), client, group, *kind, count, size, fenced);
  return "";
}

// ---------------------------------------------------------------- time and questions

template <typename Condition>
bool Player::wait(Condition condition, Duration limit) {
  const auto end = world_->now() + limit;
  while (!condition() && world_->now() < end) {
    world_->run_until(world_->now() + milliseconds(1));
  }
  return condition();
}

std::string Player::run(Words words) {
  if (words.empty()) {
    return "run TIME";
  }
  world_->run_until(world_->now() + duration(words[0]));
  return "";
}

/// The members by node, in seniority order, as all the machines `at` see them.
bool Player::in_view(const std::string& members, const std::vector<HostId>& at) const {
  return std::all_of(at.begin(), at.end(), [&](HostId host) {
    if (!world_->running(host)) {
      return false;
    }
    const auto status = world_->status(host);
    return status.view && status.role == Role::member && node_list(*status.view) == members;
  });
}

std::string Player::until(Words words) {
  if (words.size() < 3 || words[0] != "view" || words[2] != "at") {
    return "until view 1,2,3 at HOST...";
  }
  const auto at = hosts(words.subspan(3));
  return wait([&] { return in_view(words[1], at); }, seconds(30)) ? "" : "it does not come to that";
}

bool Player::settled() const {
  ViewPtr view;
  std::size_t running = 0;
  for (const auto host : world_->hosts()) {
    if (!world_->running(host)) {
      continue;
    }
    const auto status = world_->status(host);
    if (status.role != Role::member || !status.view || (view && view != status.view && *view != *status.view) ||
        status.send_queue != 0 || !status.view->contains(world_->pid(host))) {
      return false;
    }
    view = status.view;
    ++running;
  }
  return view && view->members.size() == running;
}

/// All running machines come into one view; then everything that was sent is delivered.
std::string Player::settle(Words) {
  if (!wait([&] { return settled(); }, seconds(60))) {
    return "no last view";
  }
  world_->run_until(world_->now() + seconds(3));
  settled_ = settled();
  return settled_ ? "" : "the view does not last";
}

std::string Player::frames(Words words) {
  world_->narrate_frames = words.empty() || words[0] != "off";
  return "";
}

std::string Player::quiet(Words) {
  quiet_ = true;
  return "";
}
std::string Player::loud(Words) {
  quiet_ = false;
  return "";
}

std::string Player::state(Words) {
  for (const auto host : world_->hosts()) {
    if (!world_->running(host)) {
      print("  n" + std::to_string(host) + " does not run");
      continue;
    }
    const auto status = world_->status(host);
    print("  " + to_string(world_->pid(host)) + " " + std::string(to_string(status.role)) +
          (status.view ? " in " + status.view->summary() : "") + (status.has_quorum ? "" : ", no quorum"));
  }
  return "";
}

std::string Player::expect(Words words) {
  if (words.size() >= 4 && words[0] == "view" && words[2] == "at") {
    return in_view(words[1], hosts(words.subspan(3))) ? "" : "it is not so";
  }
  if (words.size() == 3 && words[0] == "role") {
    const auto host = static_cast<HostId>(number(words[1]));
    const auto role = world_->running(host) ? std::string(to_string(world_->status(host).role)) : "down";
    return role == words[2] ? "" : "it is " + role;
  }
  if (words.size() == 3 && words[0] == "step") {
    return world_->step_counts[words[1]] >= number(words[2])
               ? ""
               : "taken " + std::to_string(world_->step_counts[words[1]]) + " times";
  }
  return "expect view 1,2 at HOST... | role HOST ROLE | step NAME COUNT";
}

}  // namespace vsync::scenario
