#include "scenario/player.h"

#include <algorithm>
#include <sstream>

#include "scenario/words.h"
#include "sim/chaos.h"
#include "sim/narrate.h"
#include "support/check/checkers.h"

namespace vsync::scenario {

using namespace core;
using sim::HostId;
using std::chrono::milliseconds;
using std::chrono::seconds;

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
      {"remember", &Player::remember},
      {"keep", &Player::keep},
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
      {"clock", &Player::clock},
      {"group", &Player::group},
      {"client-join", &Player::client_join},
      {"client-leave", &Player::client_leave},
      {"ask", &Player::ask},
      {"client-die", &Player::client_die},
      {"client-hold", &Player::client_hold},
      {"session", &Player::session},
      {"submit", &Player::submit},
      {"load", &Player::load},
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
    check::durability(history, outcome.report);
    check::Ending ending;
    for (const auto host : world_->hosts()) {
      if (settled_ && world_->running(host) && !world_->witness(host) && world_->status(host).view) {
        ending.view = world_->status(host).view->id();
        ending.live.push_back(world_->pid(host));
      }
    }
    check::everything_delivered(history, ending, outcome.report);
    check::everything_answered(history, ending, outcome.report);
    if (settled_) {
      workload_->judge_states(outcome.report);
    }
    check::nothing_held(history, ending, outcome.report);
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
    return "nodes COUNT [static] [relay] [unnumbered] [witness HOST] [quorum|manual] [suspect TIME] [heartbeat TIME] [rto TIME] "
           "[run-bytes N] "
           "[window N] [flaps N] [lease TIME]";
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
    } else if (words[i] == "witness" && i + 1 < words.size()) {
      witness_ = static_cast<HostId>(number(words[++i]));
    } else if (words[i] == "quorum") {
      setup_.cold_start = ColdStart::quorum;
    } else if (words[i] == "manual") {
      setup_.cold_start = ColdStart::manual;
    } else if (words[i] == "suspect" && i + 1 < words.size()) {
      limits.suspect_after = duration(words[++i]);
    } else if (words[i] == "heartbeat" && i + 1 < words.size()) {
      limits.heartbeat = duration(words[++i]);
    } else if (words[i] == "rto" && i + 1 < words.size()) {
      limits.rto = duration(words[++i]);
    } else if (words[i] == "run-bytes" && i + 1 < words.size()) {
      limits.max_run_bytes = number(words[++i]);
    } else if (words[i] == "flaps" && i + 1 < words.size()) {
      limits.link_flap_max = static_cast<std::uint32_t>(number(words[++i]));
    } else if (words[i] == "lease" && i + 1 < words.size()) {
      limits.lease = duration(words[++i]);
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
    world_->add_host(i == 0 || !unnumbered_, i + 1 == witness_);
  }
  return "";
}

/// Founds the cluster with the named machines (default: all), one after the other, without a word.
std::string Player::found(Words words) {
  const auto members = words.empty() ? world_->hosts() : hosts(words);
  quiet_ = true;
  for (const auto host : members) {
    world_->start(host, sim::start_options(*world_, host));
    if (!wait([&] { return world_->running(host) && world_->common_view(); }, seconds(20))) {
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

std::string Player::clock(Words words) {
  if (words.size() != 2) {
    return "clock HOST PERMILLE";
  }
  world_->set_clock_rate(static_cast<HostId>(number(words[0])), static_cast<double>(number(words[1])) / 1000);
  return "";
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

std::string Player::keep(Words words) {
  if (words.size() < 4) {
    return "keep HOST GROUP ERA KEEPER...";
  }
  const KeptHistory kept{{number(words[2]), 0}, 1, hosts(words.subspan(3))};
  world_->install_history(static_cast<HostId>(number(words[0])), words[1], kept);
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

/// A disk that was in this view in its first life, whatever the others remember.
std::string Player::remember(Words words) {
  if (words.size() != 3) {
    return "remember HOST VIEW 1,2,3";
  }
  std::vector<HostId> members;
  std::istringstream in(words[2]);
  for (std::string host; std::getline(in, host, ',');) {
    members.push_back(static_cast<HostId>(number(host)));
  }
  world_->install_disk(static_cast<HostId>(number(words[0])), 1, world_->past_view(number(words[1]), 1, members));
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

}  // namespace vsync::scenario
