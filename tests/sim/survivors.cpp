#include "sim/survivors.h"

#include <utility>

namespace vsync::sim {

using namespace core;

namespace {

constexpr SessionId kFirstSession = 1000;
const std::string kGroup = "any";

}  // namespace

void Survivors::act(HostId host) {
  auto& self = survivors_[host];
  auto& rng = world_.rng();
  if (self.client != 0 && rng.chance(0.05)) {
    disconnect(host);
  } else if (!self.open) {
    open(host);
  } else if (!self.member && rng.chance(0.3)) {
    world_.request(host, ClientJoin{self.client, ++last_request_, kGroup, "survivor", {}});
  } else {
    send_anything(host, self);
  }
}

void Survivors::open(HostId host) {
  auto& self = survivors_[host];
  if (self.client == 0) {
    self.client = ++last_client_;
  }
  if (!std::exchange(self.asked, true)) {
    world_.request(host, ClientSession{self.client, ++last_request_, kFirstSession + host, self.next});
  }
}

void Survivors::disconnect(HostId host) {
  auto& self = survivors_[host];
  world_.request(host, ClientGone{std::exchange(self.client, 0)});
  self.asked = self.open = self.member = false;
}

void Survivors::send_anything(HostId host, const Survivor& self) {
  auto& rng = world_.rng();
  const auto service = self.member ? static_cast<Service>(rng.below(3)) : Service::total;
  const auto limit = world_.setup().limits.max_run_bytes;
  send(host, service, rng.chance(0.1) ? std::min(2 * limit, world_.setup().limits.max_message - 16) : 8);
}

void Survivors::send(HostId host, Service service, std::size_t size) {
  auto& self = survivors_[host];
  auto [body, id] = message_(size);
  const auto number = self.next++;
  self.unsettled[number] = {world_.pid(host), self.client, id};
  world_.request(host, ClientSend{self.client, number, kGroup, service, false, 1, 0, std::move(body), nullptr, number});
}

void Survivors::effect(HostId host, const Effect& effect) {
  const auto it = survivors_.find(host);
  if (it == survivors_.end() || it->second.client == 0) {
    return;
  }
  auto& self = it->second;
  if (const auto* outcome = std::get_if<SendOutcome>(&effect); outcome != nullptr && outcome->client == self.client) {
    if (outcome->outcome != Outcome::unknown) {
      self.unsettled.erase(self.unsettled.lower_bound(outcome->request),
                           self.unsettled.lower_bound(outcome->request + outcome->count));
    }
  } else if (const auto* refused = std::get_if<RequestRefused>(&effect); refused != nullptr && refused->client == self.client) {
    self.unsettled.erase(refused->request);
    self.asked = false;
  } else if (const auto* done = std::get_if<RequestDone>(&effect); done != nullptr && done->client == self.client) {
    self.member = true;  // it asks for nothing else
  } else if (const auto* session = std::get_if<SessionOpened>(&effect); session != nullptr && session->client == self.client) {
    opened(host, self, session->fates);
  }
}

void Survivors::opened(HostId host, Survivor& self, const SessionFates& fates) {
  self.asked = false;
  self.open = true;
  for (const auto& [number, sent] : std::exchange(self.unsettled, {})) {
    world_.record(host, check::Resolved{sent.pid, sent.client, number, sent.id, fates.from(number).outcome});
  }
}

void Survivors::process_ended(HostId host, bool crashed) {
  auto& self = survivors_[host];
  self.asked = self.open = self.member = false;
  if (crashed) {
    self.client = 0;
  }
}

}  // namespace vsync::sim
