// Several transports in one process, on loopback addresses, and strangers that know nothing of the protocol.
#include "io/transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <asio/ip/tcp.hpp>
#include <asio/ip/udp.hpp>
#include <asio/write.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "unit/io/run_until.h"
#include "wire/frame_codec.h"

using namespace vsync;
using namespace vsync::io;
using std::chrono::milliseconds;

namespace {

TransportOptions options(const std::string& host, std::uint64_t seed = 1) {
  TransportOptions made;
  made.listen = {host, 0};
  made.heartbeat_port = 0;
  made.backoff_min = milliseconds(20);  // the tests wait for re-dials
  made.seed = seed;
  return made;
}

/// A daemon that remembers what its transport tells.
class Daemon : public TransportHandler {
 public:
  Daemon(asio::io_context& io, core::NodeId node, std::optional<TransportOptions> with = std::nullopt)
      : host("127.0.0." + std::to_string(node)), transport(io, with ? *with : options(host, node), *this) {
    me.pid = {node, 1, 0};
    me.name = "n" + std::to_string(node);
    me.address.host = host;
  }

  Result<void> open() {
    auto bound = transport.open();
    me.address.port = transport.port();
    me.address.heartbeat_port = transport.heartbeat_port();
    return bound;
  }
  void start() {
    REQUIRE(open());
    transport.start();
  }

  [[nodiscard]] core::Member member() const { return {me.pid, 0, me.name, me.address}; }
  [[nodiscard]] bool linked(const Daemon& other) const { return links.contains(other.me.pid) && links.at(other.me.pid); }

  void send(const Daemon& to, core::Frame frame) { transport.send(to.me.pid, std::make_shared<core::Frame>(std::move(frame))); }

  // ---- TransportHandler
  core::Hello hello() const override { return me; }
  void link_opened(const core::Hello& peer) override {
    CHECK_FALSE(links[peer.pid]);  // at most one link per pid
    links[peer.pid] = true;
    opened += 1;
    if (greet) {
      transport.send(peer.pid, std::make_shared<core::Frame>(core::LinkUp{1, 0, 0}));
      transport.flush();
    }
  }
  void link_closed(const core::Pid& peer, bool clean, const std::string&) override {
    CHECK(links[peer]);
    links[peer] = false;
    closed += 1;
    closed_cleanly += clean ? 1 : 0;
  }
  void frame(const core::Pid& from, core::Frame frame) override {
    CHECK(links[from]);  // never outside of a link
    frames[from].push_back(std::move(frame));
  }
  void datagram(core::Datagram datagram) override { datagrams.push_back(std::move(datagram)); }
  void peer_gone(const core::Pid& peer, const std::string&) override { gone.push_back(peer); }
  void seeds_tried() override { tried += 1; }
  void refused(const std::string&, const std::string& why) override { refusals.push_back(why); }
  void dial_failed(const std::string&, const std::string& why) override { dial_failures.push_back(why); }

  std::string host;
  core::Hello me;
  bool greet = false;
  std::map<core::Pid, bool> links;
  std::map<core::Pid, std::vector<core::Frame>> frames;
  std::vector<core::Datagram> datagrams;
  std::vector<core::Pid> gone;
  std::vector<std::string> refusals;
  std::vector<std::string> dial_failures;
  int opened = 0;
  int closed = 0;
  int closed_cleanly = 0;
  int tried = 0;
  Transport transport;
};

void want_each_other(Daemon& a, Daemon& b) {
  a.transport.want({b.member()}, false);
  b.transport.want({a.member()}, false);
}

/// Two daemons of one network, started.
struct Pair {
  Pair() {
    a.start();
    b.start();
  }
  void link() {
    a.transport.want({b.member()}, false);
    REQUIRE(run_until(io, [&] { return a.linked(b) && b.linked(a); }));
  }
  asio::io_context io;
  Daemon a{io, 1};
  Daemon b{io, 2};
};

core::RunPtr run_of(core::Seq first, std::string body) {
  core::Run run;
  run.first = first;
  run.stamp = 1;
  run.body = Slice::take(std::move(body));
  return std::make_shared<core::Run>(std::move(run));
}

core::Seq seq_of(const core::Frame& frame) {
  return std::get<core::Data>(frame).runs.front()->first;
}

/// A bare TCP connection to a daemon.
asio::ip::tcp::socket stranger(asio::io_context& io, const Daemon& to) {
  asio::ip::tcp::socket socket(io);
  socket.connect({asio::ip::make_address(to.host), to.me.address.port});
  return socket;
}

/// The daemon has hung up on us.
bool hung_up(asio::ip::tcp::socket& socket) {
  socket.non_blocking(true);
  char bytes[4096];
  asio::error_code error;
  while (!error) {
    socket.read_some(asio::buffer(bytes), error);
  }
  return error != asio::error::would_block;
}

}  // namespace

TEST_CASE("daemons that dial each other at the same time have one link, and lose nothing") {
  asio::io_context io;
  const int rounds = 200;
  for (int round = 0; round < rounds; ++round) {
    Daemon a(io, 1);
    Daemon b(io, 2);
    a.greet = b.greet = true;  // a frame at the first moment
    a.start();
    b.start();
    want_each_other(a, b);
    REQUIRE(run_until(io, [&] { return a.linked(b) && b.linked(a); }));
    a.send(b, core::Leave{7});
    b.send(a, core::Leave{8});
    a.transport.flush();
    b.transport.flush();
    REQUIRE(run_until(io, [&] { return a.frames[b.me.pid].size() == 2 && b.frames[a.me.pid].size() == 2; }));
    CHECK(std::get<core::LinkUp>(a.frames[b.me.pid][0]).view == 1);
    CHECK(std::get<core::Leave>(a.frames[b.me.pid][1]).view == 8);
    CHECK((a.opened == 1 && b.opened == 1 && a.closed == 0 && b.closed == 0));
  }
}

TEST_CASE("a mesh of five settles on one link per pair") {
  asio::io_context io;
  std::vector<std::unique_ptr<Daemon>> daemons;
  for (core::NodeId node = 1; node <= 5; ++node) {
    daemons.push_back(std::make_unique<Daemon>(io, node));
    daemons.back()->start();
  }
  for (auto& daemon : daemons) {
    std::vector<core::Member> others;
    for (auto& other : daemons) {
      if (other != daemon) {
        others.push_back(other->member());
      }
    }
    daemon->transport.want(others, false);
  }
  REQUIRE(run_until(io, [&] { return std::ranges::all_of(daemons, [](auto& d) { return d->opened == 4; }); }));
  CHECK(std::ranges::all_of(daemons, [](auto& d) { return d->closed == 0; }));
}

TEST_CASE_METHOD(Pair, "large frames arrive whole and in order, control frames go first") {
  link();

  Rng rng(5);
  const core::Seq count = 300;
  std::vector<std::string> bodies;
  for (core::Seq seq = 1; seq <= count; ++seq) {
    bodies.emplace_back(4 + rng.below(rng.chance(0.3) ? 128 << 10 : 200), 'x');
    auto& body = bodies.back();
    const auto size = static_cast<std::uint32_t>(body.size() - 4);
    for (int i = 0; i < 4; ++i) {
      body[static_cast<std::size_t>(i)] = static_cast<char>(size >> (8 * i));
    }
    for (std::size_t i = 4; i < body.size(); i += 61) {
      body[i] = static_cast<char>(rng.next());
    }
    a.send(b, core::Data{1, {run_of(seq, body)}});
  }
  a.send(b, core::Leave{9});  // queued last, written first
  a.transport.flush();
  auto& got = b.frames[a.me.pid];
  REQUIRE(run_until(io, [&] { return got.size() == count + 1; }));
  CHECK(std::holds_alternative<core::Leave>(got.front()));
  for (core::Seq seq = 1; seq <= count; ++seq) {
    REQUIRE(seq_of(got[seq]) == seq);
    REQUIRE(std::get<core::Data>(got[seq]).runs.front()->body.view() == bodies[seq - 1]);
  }
}

TEST_CASE_METHOD(Pair, "a reset link is dialled again at once") {
  want_each_other(a, b);
  for (int round = 1; round <= 5; ++round) {
    REQUIRE(run_until(io, [&] { return a.opened == round && b.opened == round; }));
    (round % 2 == 0 ? a.transport : b.transport).reset((round % 2 == 0 ? b : a).me.pid, "test");
    REQUIRE(run_until(io, [&] { return a.closed == round && b.closed == round; }));
  }
  CHECK(a.gone.empty());
  CHECK(b.gone.empty());
}

TEST_CASE("a peer whose process is gone is reported at once, and found again when it is back") {
  asio::io_context io;
  Daemon a(io, 1);
  a.start();
  auto b = std::make_unique<Daemon>(io, 2);
  b->start();
  want_each_other(a, *b);
  REQUIRE(run_until(io, [&] { return a.linked(*b) && b->linked(a); }));
  const auto where = b->me.address;
  const auto pid = b->me.pid;
  b.reset();  // its sockets are closed without a GOODBYE... of a process that died; the listening one too
  REQUIRE(run_until(io, [&] { return !a.gone.empty(); }));
  CHECK(a.gone.front() == pid);
  CHECK(a.closed == 1);

  auto again = options("127.0.0.2", 2);
  again.listen.port = where.port;
  again.heartbeat_port = where.heartbeat_port;
  Daemon c(io, 2, again);
  c.me.pid.incarnation = 2;
  c.start();
  REQUIRE(run_until(io, [&] { return a.linked(c) && c.linked(a); }));
  CHECK_FALSE(a.links[pid]);
}

TEST_CASE("a member at whose address another node answers is looked for until it is back") {
  asio::io_context io;
  Daemon a(io, 1);
  a.start();
  auto squatter = std::make_unique<Daemon>(io, 3);
  squatter->start();
  Daemon b(io, 2);
  b.me.address = squatter->me.address;
  a.transport.want({squatter->member(), b.member()}, false);
  REQUIRE(run_until(io, [&] { return a.linked(*squatter) && a.transport.counters().dialled >= 4; }));
  CHECK_FALSE(a.linked(b));

  auto moved = options("127.0.0.3", 2);
  moved.listen.port = squatter->me.address.port;
  squatter.reset();
  Daemon back(io, 2, moved);
  back.start();
  REQUIRE(run_until(io, [&] { return a.linked(back); }));
}

TEST_CASE_METHOD(Pair, "goodbye is told apart from a crash") {
  link();
  a.send(b, core::Leave{3});
  a.transport.stop("leaving");
  REQUIRE(run_until(io, [&] { return b.closed == 1; }));
  CHECK(b.closed_cleanly == 1);
  CHECK(b.frames[a.me.pid].size() == 1);  // what was queued went before it
  CHECK(a.closed == 0);                   // no callback after stop()
  REQUIRE(run_until(io, [&] { return a.transport.idle(); }));
}

TEST_CASE("seeds: tried once each, ourselves among them, and linked by whatever pid they have") {
  asio::io_context io;
  Daemon b(io, 2);
  b.start();
  Daemon probe(io, 9);
  probe.start();
  const auto free_port = probe.me.address.port;
  probe.transport.stop("");

  auto with = options("127.0.0.1", 1);
  Daemon a(io, 1, with);
  a.start();
  a.transport.set_seeds({{"127.0.0.2", b.me.address.port},
                         {"127.0.0.1", a.me.address.port},
                         {"127.0.0.8", free_port},
                         {"no-such-host.invalid", 1}});
  a.transport.want({}, true);
  REQUIRE(run_until(io, [&] { return a.linked(b) && a.tried == 1; }));
  CHECK(a.refusals.empty());  // talking to oneself is nothing to tell
  CHECK(std::ranges::any_of(a.dial_failures, [](auto& why) { return why.find("no-such-host.invalid") != std::string::npos; }));
  CHECK(a.gone.empty());  // nobody is accused for a configured address
}

TEST_CASE("other clusters, other versions and a second owner of our id are refused") {
  asio::io_context io;
  Daemon a(io, 1);
  Daemon b(io, 2);
  a.me.uuid = {1, 2};
  std::string why;
  SECTION("cluster") {
    b.me.uuid = {3, 4};
    why = "wrong cluster";
  }
  SECTION("version") {
    b.me.proto_min = b.me.proto_max = 7;
    why = "version";
  }
  SECTION("node id") {
    b.me.pid = {1, 5, 0};
    why = "node id 1";
  }
  a.start();
  b.start();
  want_each_other(a, b);
  const auto told = [&](const Daemon& d) {
    return std::ranges::any_of(d.refusals, [&](auto& reason) { return reason.find(why) != std::string::npos; });
  };
  REQUIRE(run_until(io, [&] { return told(a) || told(b); }));
  CHECK(a.opened + b.opened == 0);
}

TEST_CASE("a daemon without a cluster may link to one that has one") {
  asio::io_context io;
  Daemon a(io, 1);
  Daemon b(io, 2);
  a.me.uuid = {1, 2};
  a.start();
  b.start();
  b.transport.want({a.member()}, false);
  REQUIRE(run_until(io, [&] { return a.linked(b) && b.linked(a); }));
}

TEST_CASE("garbage, oversized lengths and silence are refused and harm nobody") {
  asio::io_context io;
  auto with = options("127.0.0.1");
  with.handshake = milliseconds(300);
  Daemon a(io, 1, with);
  Daemon b(io, 2);
  a.start();
  b.start();
  b.transport.want({a.member()}, false);
  REQUIRE(run_until(io, [&] { return a.linked(b) && b.linked(a); }));

  Rng rng(11);
  for (int i = 0; i < 50; ++i) {
    auto socket = stranger(io, a);
    std::string bytes(1 + rng.below(3000), '\0');
    std::ranges::generate(bytes, [&] { return static_cast<char>(rng.next()); });
    if (i % 3 == 0) {
      bytes.replace(0, std::min<std::size_t>(8, bytes.size()), std::string("vsy1\xff\xff\xff\xff", 8));
    }
    asio::error_code ignored;
    asio::write(socket, asio::buffer(bytes), ignored);
    REQUIRE(run_until(io, [&] { return hung_up(socket); }));
  }
  auto silent = stranger(io, a);
  REQUIRE(run_until(io, [&] { return hung_up(silent); }));
  CHECK(a.transport.counters().refused >= 50);
  CHECK(a.refusals.size() < 10);  // told once per reason

  asio::ip::udp::socket udp(io, asio::ip::udp::v4());
  for (int i = 0; i < 50; ++i) {
    udp.send_to(asio::buffer("garbage"), {asio::ip::make_address("127.0.0.1"), a.me.address.heartbeat_port});
  }
  b.send(a, core::Leave{1});
  b.transport.flush();
  REQUIRE(run_until(io, [&] { return a.frames[b.me.pid].size() == 1 && a.transport.counters().refused_datagrams == 50; }));
  CHECK(a.closed == 0);
}

TEST_CASE("a peer that breaks the protocol in mid-frame loses its link only") {
  asio::io_context io;
  Daemon a(io, 1);
  a.start();
  // A stranger that says a fitting HELLO as pid 3.1: the greeter has the smaller pid and chooses.
  core::Hello hello;
  hello.pid = {3, 1, 0};
  hello.address = {"127.0.0.3", 1, 1};
  auto socket = stranger(io, a);
  const auto write = [&](const core::Frame& frame, std::size_t cut) {
    std::string bytes;
    for (const auto& part : wire::encode_frame(frame).parts) {
      bytes += part.view();
    }
    asio::write(socket, asio::buffer(bytes.substr(0, bytes.size() - cut)));
  };
  write(hello, 0);
  REQUIRE(run_until(io, [&] { return a.opened == 1; }));
  SECTION("the connection breaks inside of a frame") {
    write(core::Data{1, {run_of(1, std::string("\x04\0\0\0abcd", 8))}}, 3);
    const linger reset{1, 0};
    ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    socket.close();
    REQUIRE(run_until(io, [&] { return a.closed == 1; }));
    CHECK(a.refusals.empty());
  }
  SECTION("HELLO again") {
    write(hello, 0);
    REQUIRE(run_until(io, [&] { return a.closed == 1; }));
    CHECK(a.refusals.size() == 1);
  }
  CHECK(a.frames[hello.pid].empty());
}

TEST_CASE("frames before HELLO are refused") {
  asio::io_context io;
  Daemon a(io, 1);
  a.start();
  auto socket = stranger(io, a);
  std::string bytes;
  for (const auto& part : wire::encode_frame(core::Leave{1}).parts) {
    bytes += part.view();
  }
  asio::write(socket, asio::buffer(bytes));
  REQUIRE(run_until(io, [&] { return hung_up(socket); }));
  CHECK(a.refusals == std::vector<std::string>{"frame before HELLO"});
}

TEST_CASE("connections without HELLO are limited per address, and leave room for peers") {
  asio::io_context io;
  auto with = options("127.0.0.1");
  with.handshake = milliseconds(60000);
  Daemon a(io, 1, with);
  Daemon b(io, 2);
  a.start();
  b.start();
  std::vector<asio::ip::tcp::socket> idle;
  for (int i = 0; i < 30; ++i) {
    idle.push_back(stranger(io, a));
  }
  REQUIRE(run_until(io, [&] { return a.transport.counters().accepted == 30; }));
  REQUIRE(run_until(io, [&] { return std::ranges::count_if(idle, hung_up) == 14; }));
  b.transport.want({a.member()}, false);  // from another address
  REQUIRE(run_until(io, [&] { return a.linked(b) && b.linked(a); }));
}

TEST_CASE("a peer that reads nothing is reset when its queue is full") {
  asio::io_context io;
  auto with = options("127.0.0.1");
  with.max_queue = 1 << 20;
  Daemon a(io, 1, with);
  a.start();
  core::Hello hello;
  hello.pid = {3, 1, 0};
  auto socket = stranger(io, a);
  std::string bytes;
  for (const auto& part : wire::encode_frame(hello).parts) {
    bytes += part.view();
  }
  asio::write(socket, asio::buffer(bytes));
  REQUIRE(run_until(io, [&] { return a.opened == 1; }));
  const auto frame =
      std::make_shared<core::Frame>(core::Data{1, {run_of(1, std::string("\xfc\xff\0\0", 4) + std::string(65532, 'x'))}});
  for (int i = 0; i < 1000 && a.closed == 0; ++i) {
    a.transport.send(hello.pid, frame);
    a.transport.flush();
  }
  CHECK(a.closed == 1);
}

TEST_CASE_METHOD(Pair, "heartbeats travel as datagrams") {
  core::Heartbeat beat;
  beat.pid = a.me.pid;
  beat.counter = 42;
  a.transport.send(b.member(), beat);
  REQUIRE(run_until(io, [&] { return !b.datagrams.empty(); }));
  CHECK(std::get<core::Heartbeat>(b.datagrams.front()).counter == 42);
}

TEST_CASE("addresses that cannot be used are told") {
  asio::io_context io;
  Daemon a(io, 1);
  a.start();
  const auto fails = [&](HostPort where, std::uint16_t heartbeat) {
    auto with = options("127.0.0.1");
    with.listen = where;
    with.heartbeat_port = heartbeat;
    Daemon other(io, 2, with);
    const auto bound = other.open();
    return bound ? std::string() : bound.error().message;
  };
  CHECK(fails({"127.0.0.1", a.me.address.port}, 0) ==
        "cannot listen on 127.0.0.1:" + std::to_string(a.me.address.port) + ": Address already in use");
  CHECK(fails({"127.0.0.1", 0}, a.me.address.heartbeat_port).find("Address already in use") != std::string::npos);
  CHECK(fails({"no-such-host.invalid", 0}, 0).find("no-such-host.invalid") != std::string::npos);
  CHECK(fails({"192.0.2.1", 0}, 0).find("192.0.2.1") != std::string::npos);
}

TEST_CASE_METHOD(Pair, "outgoing connections come from the address that is listened on") {
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), 0});
  b.transport.want({{core::Pid{7, 1, 0}, 0, "x", {"127.0.0.1", acceptor.local_endpoint().port(), 0}}}, false);
  std::optional<asio::ip::address> from;
  acceptor.async_accept([&](const asio::error_code& error, const asio::ip::tcp::socket& socket) {
    REQUIRE_FALSE(error);
    from = socket.remote_endpoint().address();
  });
  REQUIRE(run_until(io, [&] { return from.has_value(); }));
  CHECK(from->to_string() == "127.0.0.2");
}
