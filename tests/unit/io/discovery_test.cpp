// Several daemons that look for each other in one process, by broadcasts on the loopback network, and strangers.
#include "io/discovery.h"

#include <unistd.h>

#include <asio/ip/udp.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <set>

#include "unit/io/run_until.h"
#include "wire/datagram_seal.h"

using namespace vsync;
using namespace vsync::io;
using std::chrono::milliseconds;

namespace {

/// No other run of this program uses the same one.
std::uint16_t port() {
  return static_cast<std::uint16_t>(20000 + ::getpid() % 10000);
}

struct Daemon : DiscoveryHandler {
  Daemon(asio::io_context& io, int number, const std::string& cluster = "office", core::Uuid in = {})
      : host("127.0.77." + std::to_string(number)), uuid(in), discovery(io, {true, cluster, port(), milliseconds(50)}, *this) {
    REQUIRE(discovery.open(asio::ip::make_address(host)));
  }

  std::optional<wire::Found> whereabouts() const override {
    return uuid.none() ? std::nullopt : std::optional(wire::Found{0, {}, "1.0", uuid, {{host, 7475}, {"friend", 1}}});
  }
  void discovered(const std::vector<HostPort>& found) override { places = found; }
  void nobody_answers() override { lonely += 1; }
  void refused_discovery(const std::string&, const std::string& why) override { refusals.push_back(why); }
  [[nodiscard]] bool found(const Daemon& other) const {
    return std::ranges::find(places, HostPort{other.host, 7475}) != places.end();
  }
  [[nodiscard]] bool complains(const std::string& why) const { return std::ranges::find(refusals, why) != refusals.end(); }

  std::string host;
  core::Uuid uuid;  ///< of the cluster whose member it is
  std::vector<HostPort> places;
  std::vector<std::string> refusals;
  int lonely = 0;
  Discovery discovery;
};

/// Anybody on the network.
class Stranger {
 public:
  Stranger(asio::io_context& io, const std::string& host) : socket_(io, {asio::ip::make_address(host), 0}) {
    socket_.set_option(asio::socket_base::broadcast(true));
    socket_.non_blocking(true);
  }
  void send(const std::string& bytes) {
    socket_.send_to(asio::buffer(bytes), {asio::ip::make_address("127.255.255.255"), port()});
  }
  /// Size of an answer that has come, 0 = none.
  std::size_t received() {
    std::array<char, 2000> bytes{};
    asio::error_code error;
    return socket_.receive(asio::buffer(bytes), 0, error);
  }
  [[nodiscard]] asio::ip::udp::endpoint endpoint() const { return socket_.local_endpoint(); }

 private:
  asio::ip::udp::socket socket_;
};

}  // namespace

TEST_CASE("who looks finds all members, by the address that they answer from and by what they tell") {
  asio::io_context io;
  Daemon a(io, 1, "office", {1, 1});
  Daemon b(io, 2, "office", {1, 1});
  Daemon seeker(io, 3);
  Daemon other_seeker(io, 4);
  seeker.discovery.seek({});
  other_seeker.discovery.seek({});
  CHECK(run_until(io, [&] { return seeker.found(a) && seeker.found(b) && other_seeker.found(a); }));
  CHECK(std::ranges::find(seeker.places, HostPort{"friend", 1}) != seeker.places.end());
  CHECK(seeker.refusals.empty());  // its own question, and that of the other one
}

TEST_CASE("it asks until somebody answers, and says once that nobody does") {
  asio::io_context io;
  Daemon seeker(io, 1);
  seeker.discovery.seek({});
  REQUIRE(run_until(io, [&] { return seeker.discovery.counters().asked >= 4; }));
  CHECK(seeker.lonely == 1);
  Daemon late(io, 2, "office", {1, 1});
  CHECK(run_until(io, [&] { return seeker.found(late); }));
  seeker.discovery.rest();
  const auto asked = seeker.discovery.counters().asked;
  Daemon control(io, 3);
  control.discovery.seek({});
  REQUIRE(run_until(io, [&] { return control.discovery.counters().asked >= 4; }));
  CHECK(seeker.discovery.counters().asked == asked);
  CHECK(seeker.lonely == 1);
}

TEST_CASE("a cluster of another name neither answers nor is believed") {
  asio::io_context io;
  Daemon other(io, 1, "home", {2, 2});
  Daemon seeker(io, 2);
  seeker.discovery.seek({});
  REQUIRE(run_until(io, [&] { return other.complains("looks for another cluster"); }));
  REQUIRE(run_until(io, [&] { return seeker.discovery.counters().asked >= 4; }));
  CHECK(other.refusals.size() == 1);  // told once
  CHECK(other.discovery.counters().refused >= 2);
  CHECK(other.discovery.counters().answered == 0);
  CHECK(seeker.places.empty());
}

TEST_CASE("of two clusters with one name only one is joined: the own one, or else the first that answers") {
  asio::io_context io;
  Daemon mine(io, 1, "office", {1, 1});
  Daemon namesake(io, 2, "office", {2, 2});
  Daemon seeker(io, 3);
  seeker.discovery.seek({1, 1});
  REQUIRE(run_until(io, [&] { return seeker.found(mine) && seeker.complains("is of another cluster with the same name"); }));
  CHECK_FALSE(seeker.found(namesake));

  Daemon fresh(io, 4);
  fresh.discovery.seek({});
  REQUIRE(run_until(io, [&] { return fresh.complains("is of another cluster with the same name"); }));
  CHECK(fresh.found(mine) != fresh.found(namesake));
}

TEST_CASE("nobody is flooded by questions in his name") {
  asio::io_context io;
  Daemon member(io, 1, "office", {1, 1});
  Stranger stranger(io, "127.0.77.9");
  const auto question = wire::encode_discovery(wire::Seek{5, "office"});
  std::size_t received = 0;
  for (int i = 0; i < 20; ++i) {
    stranger.send(question);
  }
  REQUIRE(run_until(io, [&] { return member.discovery.counters().answered + member.discovery.counters().refused >= 20; }));
  CHECK(member.discovery.counters().answered < 20);  // one in a second
  while (const auto size = stranger.received()) {
    CHECK(size <= question.size());
    ++received;
  }
  CHECK(received == member.discovery.counters().answered);
}

TEST_CASE("answers are bounded also when every question has another sender") {
  asio::io_context io;
  Daemon member(io, 1, "office", {1, 1});
  std::deque<Stranger> strangers;
  for (int i = 2; i < 102; ++i) {
    strangers.emplace_back(io, "127.0.78." + std::to_string(i)).send(wire::encode_discovery(wire::Seek{5, "office"}));
  }
  REQUIRE(run_until(io, [&] { return member.discovery.counters().answered + member.discovery.counters().refused >= 100; }));
  CHECK(member.discovery.counters().answered < 100);
}

TEST_CASE("garbage and answers that nobody asked for are counted and told once") {
  asio::io_context io;
  Daemon seeker(io, 1);
  Stranger stranger(io, "127.0.77.9");
  seeker.discovery.seek({});
  for (int i = 0; i < 3; ++i) {
    stranger.send("GET / HTTP/1.1");
    stranger.send(wire::encode_discovery(wire::Found{5, "office", "1.0", {6, 6}, {{"127.0.77.9", 1}}}));
  }
  REQUIRE(run_until(io, [&] { return seeker.discovery.counters().refused >= 6; }));
  CHECK(seeker.refusals.size() == 2);
  CHECK(seeker.complains("not the peer protocol"));
  CHECK(seeker.complains("answers a question that nobody asked"));
  CHECK(seeker.places.empty());
}

TEST_CASE("discovery needs IPv4 and its port") {
  asio::io_context io;
  Daemon first(io, 1);
  Daemon second(io, 2);  // on the same host: they share the port
  Discovery six(io, {true, "office", port(), milliseconds(50)}, first);
  CHECK(six.open(asio::ip::make_address("::1")).error().message.find("IPv4") != std::string::npos);
  const auto taken = static_cast<std::uint16_t>(port() + 10000);
  const asio::ip::udp::socket exclusive(io, {asio::ip::address_v4::any(), taken});
  Discovery late(io, {true, "office", taken, milliseconds(50)}, first);
  CHECK(late.open(asio::ip::address_v4::any()).error().message.find(std::to_string(taken)) != std::string::npos);
}

TEST_CASE("the networks of this host") {
  const auto networks = local_networks();
  const auto loopback = std::ranges::find(networks, true, &LocalNetwork::loopback);
  REQUIRE(loopback != networks.end());
  CHECK(loopback->contains(asio::ip::make_address_v4("127.9.8.7")));
  CHECK_FALSE(loopback->contains(asio::ip::make_address_v4("128.0.0.1")));
  CHECK(loopback->broadcast == asio::ip::make_address_v4("127.255.255.255"));
}
