// The limit that the network stack sets: one process writes each message to two TCP receivers over loopback, without any
// protocol.
//   vsync_raw SIZE COUNT BATCH   prints messages per second; BATCH messages go in one write
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

/// A connected pair of TCP sockets.
std::array<int, 2> tcp_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener, generic, size) != 0 || ::listen(listener, 1) != 0 || ::getsockname(listener, generic, &size) != 0) {
    die("listen");
  }
  const int out = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(out, generic, size) != 0) {
    die("connect");
  }
  const int in = ::accept(listener, nullptr, nullptr);
  const int yes = 1;
  ::setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::close(listener);
  return {out, in};
}

void receive(int socket, std::size_t bytes) {
  std::vector<char> buffer(256U << 10U);
  while (bytes > 0) {
    const auto got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
      die("recv");
    }
    bytes -= static_cast<std::size_t>(got);
  }
}

void send_all(int socket, const std::vector<char>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto sent = ::send(socket, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) {
      die("send");
    }
    done += static_cast<std::size_t>(sent);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: vsync_raw SIZE COUNT BATCH\n");
    return 2;
  }
  const auto size = std::strtoull(argv[1], nullptr, 10);
  const auto batch = std::max(1ULL, std::strtoull(argv[3], nullptr, 10));
  const auto writes = std::max(1ULL, std::strtoull(argv[2], nullptr, 10) / batch);
  const std::vector<char> bytes(size * batch, 'x');
  const auto first = tcp_pair();
  const auto second = tcp_pair();
  const auto start = std::chrono::steady_clock::now();
  std::thread receiver1(receive, first[1], bytes.size() * writes);
  std::thread receiver2(receive, second[1], bytes.size() * writes);
  for (unsigned long long i = 0; i < writes; ++i) {
    send_all(first[0], bytes);
    send_all(second[0], bytes);
  }
  receiver1.join();
  receiver2.join();
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%.0f\n", static_cast<double>(writes * batch) / elapsed);
}
