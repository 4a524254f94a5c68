// What the store of durable groups takes, beside the least that any could do: a plain file, synced after each batch.
//   vsync_disk DIRECTORY   on the disk of that directory, some hundred megabytes; a second for each figure
#include <fcntl.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "base/codec.h"
#include "durable/sqlite_store.h"

namespace {

using namespace vsync;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTime{1};
constexpr off_t kFile = off_t{1} << 28U;  // bytes of the plain file, written again from the start

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "vsync_disk: %s\n", what.c_str());
  std::exit(1);
}

/// Messages per second.
double rate(std::uint64_t batch, const std::function<void()>& write_batch) {
  const auto start = Clock::now();
  std::uint64_t batches = 0;
  for (; Clock::now() - start < kTime; ++batches) {
    write_batch();
  }
  return static_cast<double>(batches * batch) / std::chrono::duration<double>(Clock::now() - start).count();
}

double store_rate(const std::string& directory, std::size_t size, std::uint64_t batch) {
  asio::io_context io;
  durable::SqliteStore store(directory, io.get_executor());
  bool done = false;
  const auto wait = [&] {
    for (done = false; !done;) {
      io.restart();
      io.run_one();
    }
  };
  const auto written = [&](const auto& result) {
    if (!result) {
      die(result.error().message);
    }
    done = true;
  };
  store.open("bench", written);
  auto work = asio::make_work_guard(io);
  wait();
  durable::Messages message;
  message.first.era = 1;
  message.body = Slice::take(Writer().put(std::string_view(std::string(size, 'x'))).take());
  return rate(batch, [&] {
    for (std::uint64_t i = 1; i <= batch; ++i) {
      ++message.first.index;
      store.append("bench", message, i == batch ? durable::Store::Done(written) : nullptr);
    }
    wait();
  });
}

double file_rate(const std::string& path, std::size_t size, std::uint64_t batch) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::string bytes(batch * size, 'x');
  const auto result = rate(batch, [&] {
    if (::lseek(file, 0, SEEK_CUR) > kFile && ::lseek(file, 0, SEEK_SET) != 0) {
      die("cannot go back in " + path);
    }
    if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) || ::fdatasync(file) != 0) {
      die("cannot write " + path);
    }
  });
  ::close(file);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    die("usage: vsync_disk DIRECTORY");
  }
  const auto directory = std::filesystem::path(argv[1]) / "vsync_disk";
  std::printf("messages a second, each batch synced\n%8s %8s %12s %12s\n", "bytes", "batch", "store", "plain file");
  for (const std::size_t size : {1000U, 60000U}) {
    for (const std::uint64_t batch : {1U, 10U, 100U, 1000U}) {
      std::filesystem::create_directories(directory);
      std::printf("%8zu %8llu %12.0f %12.0f\n", size, static_cast<unsigned long long>(batch),
                  store_rate(directory / "store", size, batch), file_rate(directory / "file", size, batch));
      std::filesystem::remove_all(directory);
    }
  }
}
