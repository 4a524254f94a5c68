#include "io/host_resolver.h"

#include <algorithm>
#include <utility>

namespace vsync::io {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kGoodFor{60};
constexpr std::chrono::milliseconds kBadFor{400};  // below the shortest back-off: each new attempt asks again

}  // namespace

const HostResolver::Answer& HostResolver::lookup(const std::string& host) {
  auto [position, fresh] = entries_.try_emplace(host);
  auto& entry = position->second;
  if (fresh) {
    asio::error_code error;
    if (const auto literal = asio::ip::make_address(host, error); !error) {
      entry.answer.pending = false;
      entry.good_until = Clock::time_point::max();
      if (usable(literal)) {
        entry.answer.addresses.push_back(literal);
      } else {
        entry.answer.error = "is of another address family than the one listened on";
      }
      return entry.answer;
    }
  }
  if (fresh || (!entry.answer.pending && Clock::now() >= entry.good_until)) {
    begin(host);
  }
  return entry.answer;
}

void HostResolver::doubt(const std::string& host) {
  const auto entry = entries_.find(host);
  if (entry != entries_.end() && entry->second.good_until != Clock::time_point::max()) {
    entry->second.good_until = Clock::time_point{};
  }
}

void HostResolver::begin(const std::string& host) {
  entries_[host].answer.pending = true;
  resolver_.async_resolve(host, "", [this, host](const asio::error_code& error, const auto& results) {
    if (error != asio::error::operation_aborted) {
      finish(host, error, results);
    }
  });
}

void HostResolver::finish(const std::string& host, const asio::error_code& error,
                          const asio::ip::tcp::resolver::results_type& results) {
  auto& entry = entries_[host];
  // While the name service is away the members stay where they are: heartbeats must go on.
  const auto before = error ? std::exchange(entry.answer.addresses, {}) : std::vector<asio::ip::address>{};
  entry.answer = Answer{.pending = false, .addresses = before, .error = error ? error.message() : ""};
  for (const auto& result : results) {
    const auto address = result.endpoint().address();
    auto& known = entry.answer.addresses;
    if (usable(address) && std::ranges::find(known, address) == known.end()) {
      known.push_back(address);
    }
  }
  if (!error && entry.answer.addresses.empty()) {
    entry.answer.error = "has no address of the family that is listened on";
  }
  entry.good_until =
      Clock::now() + (error || entry.answer.addresses.empty() ? Clock::duration(kBadFor) : Clock::duration(kGoodFor));
  owner_.resolved(host);
}

bool HostResolver::usable(const asio::ip::address& address) const {
  return family_ == Family::any || (family_ == Family::v4) == address.is_v4();
}

}  // namespace vsync::io
