// The limits that the network stack sets: one process and two receivers on other hosts, without any protocol.
//   vsync_raw receive ADDRESS            serves all others until it is killed
//   vsync_raw send A B SIZE COUNT BATCH  writes each message to both, BATCH of them in one write; prints messages per second
//   vsync_raw ping A B SIZE COUNT RATE   writes a message to both, waits until both have sent it back; prints µs of the rounds
//   vsync_raw relay A B SIZE COUNT RATE  through a process on this host, by a Unix socket, and from there by UDP to A alone
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include "base/histogram.h"
#include "tally.h"

namespace {

using vsync::bench::Clock;

constexpr std::uint16_t kPort = 7476;
constexpr char kCount = 'c';  // the first byte of a connection: receive all, then answer with one byte
constexpr char kEcho = 'e';   // or: send everything back

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

sockaddr_in address_of(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  if (::inet_pton(AF_INET, text, &address.sin_addr) != 1) {
    std::fprintf(stderr, "vsync_raw: '%s' is no address\n", text);
    std::exit(2);
  }
  return address;
}

void set_no_delay(int socket) {
  const int yes = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

void send_all(int socket, const char* bytes, std::size_t size) {
  while (size > 0) {
    const auto sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) {
      die("send");
    }
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void receive_all(int socket, char* bytes, std::size_t size) {
  if (::recv(socket, bytes, size, MSG_WAITALL) != static_cast<ssize_t>(size)) {
    die("recv");
  }
}

int connect_to(const char* text, char mode) {
  const auto address = address_of(text);
  for (int attempt = 0; attempt < 1000; ++attempt) {  // the receiver may still be starting
    const int out = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(out, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      set_no_delay(out);
      send_all(out, &mode, 1);
      return out;
    }
    ::close(out);
    vsync::bench::pause(std::chrono::milliseconds(5));
  }
  die("connect");
}

void serve(int in) {
  set_no_delay(in);
  char mode = 0;
  receive_all(in, &mode, 1);
  std::vector<char> buffer(256U << 10U);
  for (;;) {
    const auto got = ::recv(in, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      break;
    }
    if (mode == kEcho) {
      send_all(in, buffer.data(), static_cast<std::size_t>(got));
    }
  }
  if (mode == kCount) {
    send_all(in, &mode, 1);
  }
  ::close(in);
}

void echo_datagrams(int in) {
  std::vector<char> buffer(64U << 10U);
  sockaddr_in from{};
  for (;;) {
    socklen_t size = sizeof from;
    const auto got = ::recvfrom(in, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0 || ::sendto(in, buffer.data(), static_cast<std::size_t>(got), 0, reinterpret_cast<sockaddr*>(&from), size) < 0) {
      die("echo");
    }
  }
}

int receive(const char* text) {
  const int datagrams = ::socket(AF_INET, SOCK_DGRAM, 0);
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const auto address = address_of(text);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 2) != 0 ||
      ::bind(datagrams, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    die("listen");
  }
  std::thread(echo_datagrams, datagrams).detach();
  for (;;) {
    std::thread(serve, ::accept(listener, nullptr, nullptr)).detach();
  }
}

int send(const std::array<const char*, 2>& to, std::size_t size, std::size_t count, std::size_t batch) {
  const std::array<int, 2> out{connect_to(to[0], kCount), connect_to(to[1], kCount)};
  const std::vector<char> bytes(size * batch, 'x');
  const std::size_t writes = count / batch + 1;
  const auto start = Clock::now();
  for (std::size_t i = 0; i < writes; ++i) {
    for (const int socket : out) {
      send_all(socket, bytes.data(), bytes.size());
    }
  }
  for (const int socket : out) {
    ::shutdown(socket, SHUT_WR);
    char done = 0;
    receive_all(socket, &done, 1);
  }
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  std::printf("%.0f\n", static_cast<double>(writes * batch) / elapsed);
  return 0;
}

/// What is written to each comes back from each.
int time_rounds(const std::vector<int>& out, std::size_t size, std::size_t count, double rate) {
  std::vector<char> bytes(size, 'x');
  vsync::Histogram rounds;
  const auto start = Clock::now();
  for (std::size_t i = 0; i < count; ++i) {
    const auto due = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(double(i) / rate));
    if (const auto left = due - Clock::now(); left.count() > 0) {
      vsync::bench::pause(left);
    }
    for (const int socket : out) {
      send_all(socket, bytes.data(), bytes.size());
    }
    for (const int socket : out) {
      receive_all(socket, bytes.data(), bytes.size());
    }
    rounds.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - due).count()));
  }
  std::printf(R"({"p50": %.1f, "p99": %.1f, "p999": %.1f})"
              "\n",
              double(rounds.percentile(0.5)) / 1000, double(rounds.percentile(0.99)) / 1000,
              double(rounds.percentile(0.999)) / 1000);
  return 0;
}

int ping(const std::array<const char*, 2>& to, std::size_t size, std::size_t count, double rate) {
  return time_rounds({connect_to(to[0], kEcho), connect_to(to[1], kEcho)}, size, count, rate);
}

int relay(const char* to, std::size_t size, std::size_t count, double rate) {
  const auto address = address_of(to);
  const int out = ::socket(AF_INET, SOCK_DGRAM, 0);
  std::array<int, 2> ends{};
  if (::connect(out, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) != 0) {
    die("relay");
  }
  const timeval patience{10, 0};  // a lost datagram is an error, and no reason to hang
  ::setsockopt(out, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (::fork() == 0) {
    ::close(ends[0]);
    std::vector<char> bytes(size);
    while (::recv(ends[1], bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size)) {
      send_all(out, bytes.data(), size);
      receive_all(out, bytes.data(), size);
      send_all(ends[1], bytes.data(), size);
    }
    std::_Exit(0);
  }
  ::close(ends[1]);
  return time_rounds({ends[0]}, size, count, rate);
}

}  // namespace

int main(int argc, char** argv) {
  vsync::bench::keep_exact_time();
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "receive" && argc == 3) {
    return receive(argv[2]);
  }
  if ((mode == "send" || mode == "ping" || mode == "relay") && argc == 7) {
    const auto size = std::strtoull(argv[4], nullptr, 10);
    const auto count = std::strtoull(argv[5], nullptr, 10);
    const auto last = std::strtoull(argv[6], nullptr, 10);
    if (size > 0 && last > 0) {
      return mode == "send"   ? send({argv[2], argv[3]}, size, count, last)
             : mode == "ping" ? ping({argv[2], argv[3]}, size, count, double(last))
                              : relay(argv[2], size, count, double(last));
    }
  }
  std::fprintf(stderr, "usage: vsync_raw receive ADDRESS | send A B SIZE COUNT BATCH | ping|relay A B SIZE COUNT RATE\n");
  return 2;
}
