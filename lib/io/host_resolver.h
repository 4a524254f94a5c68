// Host names to addresses: asynchronous, remembered for a while, never in the way of the event loop.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/address.hpp>
#include <asio/ip/tcp.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace vsync::io {

/// Is told when a lookup that lookup() began has ended.
class ResolverOwner {
 public:
  ResolverOwner() = default;
  ResolverOwner(const ResolverOwner&) = delete;
  ResolverOwner& operator=(const ResolverOwner&) = delete;
  virtual ~ResolverOwner() = default;
  virtual void resolved(const std::string& host) = 0;
};

/// Single-threaded (the blocking part runs in Asio's resolver thread). The owner must outlive it.
class HostResolver {
 public:
  struct Answer {
    bool pending = true;
    std::vector<asio::ip::address> addresses;  ///< after a failure the last ones known
    std::string error;                         ///< of the last lookup; what it means depends on whether there are addresses
  };

  HostResolver(asio::io_context& io, ResolverOwner& owner) : resolver_(io), owner_(owner) {}

  /// Only addresses of this family are of use: the one that is listened on.
  enum class Family { any, v4, v6 };
  void restrict_to(Family family) { family_ = family; }

  /// What is known about `host`, now. Literal addresses are known at once; for names that are not known (any more) a lookup
  /// begins and `pending` is set until owner.resolved(host).
  const Answer& lookup(const std::string& host);
  /// What is known about the name led to nobody, or to somebody else: the next lookup asks anew.
  void doubt(const std::string& host);

 private:
  struct Entry {
    Answer answer;
    std::chrono::steady_clock::time_point good_until;
  };

  void begin(const std::string& host);
  void finish(const std::string& host, const asio::error_code& error, const asio::ip::tcp::resolver::results_type& results);
  [[nodiscard]] bool usable(const asio::ip::address& address) const;

  asio::ip::tcp::resolver resolver_;
  ResolverOwner& owner_;
  Family family_ = Family::any;
  std::map<std::string, Entry> entries_;  // configured hosts and members: bounded by their number
};

}  // namespace vsync::io
