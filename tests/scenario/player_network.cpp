// Commands about the network.
#include <algorithm>

#include "scenario/player.h"
#include "scenario/words.h"

namespace vsync::scenario {

using namespace core;
using sim::HostId;
using std::chrono::milliseconds;

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

/// "1>2", "1>all", or "all".
std::vector<std::pair<HostId, HostId>> Player::links(Words words) const {
  std::vector<std::pair<HostId, HostId>> found;
  for (const auto& word : words) {
    const auto arrow = word.find('>');
    if (word.ends_with("all")) {
      for (const auto a : word == "all" ? world_->hosts() : hosts(std::vector{word})) {
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

}  // namespace vsync::scenario
