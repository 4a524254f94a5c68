#include "io/storage.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace vsync::io {

namespace {

namespace fs = std::filesystem;

/// A fresh directory that goes away with the test.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "vsync_storage.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Scratch() { fs::remove_all(path_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] std::string state() const { return (path_ / "state").string(); }
  [[nodiscard]] fs::path file(const std::string& name) const { return path_ / "state" / name; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(file(name), std::ios::binary | std::ios::trunc) << bytes;
  }

 private:
  fs::path path_;
};

struct Opened {
  std::unique_ptr<asio::io_context> loop = std::make_unique<asio::io_context>();
  std::unique_ptr<Storage> storage;

  /// Runs until all writes were answered.
  Result<void> save(const auto& record) {
    Result<void> result = fail("not answered");
    storage->save(record, [&](const Result<void>& done) { result = done; });
    loop->restart();
    loop->run();
    return result;
  }
};

Opened opened(const Scratch& scratch) {
  Opened opened;
  auto storage = Storage::open(scratch.state(), opened.loop->get_executor());
  REQUIRE(storage);
  opened.storage = std::move(*storage);
  return opened;
}

StartState begun(const Scratch& scratch, core::NodeId node = 0) {
  auto state = opened(scratch).storage->begin(node, "host");
  REQUIRE(state);
  return *state;
}

core::ViewPtr view(std::uint64_t epoch, core::Uuid uuid = {1, 2}) {
  auto view = std::make_shared<core::View>();
  view->uuid = uuid;
  view->ref.epoch = epoch;
  view->members = {core::Member{{1, 1, 0}, 9, "host", {"127.0.0.1", 1, 2}}};
  return view;
}

core::AcceptorRecord record(std::uint64_t epoch) {
  return {view(epoch), nullptr, {static_cast<std::uint32_t>(epoch), 1}, std::nullopt};
}

/// A directory as a member of a cluster leaves it.
wire::Identity make_member(const Scratch& scratch) {
  auto disk = opened(scratch);
  auto state = disk.storage->begin(3, "host");
  REQUIRE(state);
  state->identity.uuid = {1, 2};
  REQUIRE(disk.save(state->identity));
  REQUIRE(disk.save(record(5)));
  return state->identity;
}

}  // namespace

TEST_CASE("a new directory gets an identity of its own and private rights") {
  const Scratch scratch;
  const StartState first = begun(scratch);
  CHECK(first.fresh);
  CHECK_FALSE(first.amnesiac);
  CHECK(first.identity.incarnation == 1);
  CHECK(first.identity.node == 0);
  CHECK(first.identity.name == "host");
  CHECK(first.identity.vote_epoch != 0);
  struct stat status {};
  REQUIRE(::stat(scratch.state().c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700U);

  const Scratch other;
  CHECK(begun(other).identity.vote_epoch != first.identity.vote_epoch);
}

TEST_CASE("each start takes a new incarnation and keeps the rest") {
  const Scratch scratch;
  const wire::Identity before = make_member(scratch);
  const StartState next = begun(scratch);
  CHECK_FALSE(next.fresh);
  CHECK_FALSE(next.amnesiac);
  CHECK(next.identity.incarnation == 2);
  CHECK(next.identity.node == 3);
  CHECK(next.identity.vote_epoch == before.vote_epoch);
  CHECK(next.identity.uuid == core::Uuid{1, 2});
  CHECK(next.acceptor.decided->id() == 5);
  CHECK(next.acceptor.promised == core::Ballot{5, 1});
  CHECK(begun(scratch).identity.incarnation == 3);
}

TEST_CASE("a daemon that never was a member starts again without alarm") {
  const Scratch scratch;
  const auto first = begun(scratch, 3);
  const auto second = begun(scratch);
  CHECK_FALSE(second.fresh);
  CHECK_FALSE(second.amnesiac);
  CHECK(second.identity.vote_epoch == first.identity.vote_epoch);
}

TEST_CASE("a directory of another node is refused") {
  const Scratch scratch;
  make_member(scratch);
  const auto state = opened(scratch).storage->begin(4, "host");
  REQUIRE_FALSE(state);
  CHECK(state.error().message == scratch.state() + " belongs to node 3, not 4");
}

TEST_CASE("S56: a torn acceptor record of any length makes the start amnesiac") {
  const Scratch scratch;
  const wire::Identity before = make_member(scratch);
  const std::string whole = scratch.read("acceptor");
  REQUIRE(whole.size() > 24);
  auto disk = opened(scratch);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    scratch.write("acceptor", whole.substr(0, size));
    const auto loaded = disk.storage->load_acceptor();
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error().kind == LoadError::Kind::damaged);
  }
  disk.storage.reset();
  const StartState state = begun(scratch);
  CHECK(state.amnesiac);
  CHECK(state.why == "acceptor: record is cut off");
  CHECK(state.identity.uuid == core::Uuid{1, 2});
  CHECK(state.identity.node == 3);
  CHECK(state.identity.vote_epoch != before.vote_epoch);
  CHECK(state.acceptor.decided == nullptr);
  CHECK(fs::exists(scratch.file("acceptor.damaged")));
  CHECK_FALSE(fs::exists(scratch.file("acceptor")));
  CHECK(begun(scratch).amnesiac);  // until it is a member again
}

TEST_CASE("S56: every flipped bit of a record is noticed") {
  const Scratch scratch;
  make_member(scratch);
  auto disk = opened(scratch);
  const std::string whole = scratch.read("acceptor");
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    scratch.write("acceptor", changed);
    REQUIRE_FALSE(disk.storage->load_acceptor());
  }
}

TEST_CASE("S56: a damaged or lost identity makes the start amnesiac") {
  const Scratch scratch;
  const wire::Identity before = make_member(scratch);
  SECTION("garbage") {
    scratch.write("identity", "not a record");
  }
  SECTION("empty") {
    scratch.write("identity", "");
  }
  SECTION("lost") {
    fs::remove(scratch.file("identity"));
  }
  const StartState state = begun(scratch, 3);
  CHECK(state.amnesiac);
  CHECK(state.identity.vote_epoch != before.vote_epoch);
  CHECK(state.acceptor.decided == nullptr);
}

TEST_CASE("a member whose acceptor record is lost, or of another cluster, is amnesiac") {
  const Scratch scratch;
  make_member(scratch);
  SECTION("lost") {
    fs::remove(scratch.file("acceptor"));
    CHECK(begun(scratch).why == "acceptor is lost");
  }
  SECTION("foreign") {
    auto foreign = record(5);
    foreign.decided = view(5, {8, 8});
    REQUIRE(opened(scratch).save(foreign));
    CHECK(begun(scratch).why == "acceptor is of another cluster");
  }
}

TEST_CASE("a crash between the first view and the identity is no amnesia") {
  const Scratch scratch;
  {
    auto disk = opened(scratch);
    REQUIRE(disk.storage->begin(3, "host"));
    REQUIRE(disk.save(record(1)));
  }
  const StartState state = begun(scratch);
  CHECK_FALSE(state.amnesiac);
  CHECK(state.identity.uuid == core::Uuid{1, 2});
}

TEST_CASE("records of a newer version stop the start and stay as they are") {
  const Scratch scratch;
  make_member(scratch);
  std::string bytes = scratch.read("acceptor");
  bytes[8] = 9;
  scratch.write("acceptor", bytes);
  auto disk = opened(scratch);
  CHECK(disk.storage->load_acceptor().error().kind == LoadError::Kind::newer);
  const auto state = disk.storage->begin(3, "host");
  REQUIRE_FALSE(state);
  CHECK(state.error().message == scratch.state() + "/acceptor: record format 9 is newer than this program");
  CHECK(scratch.read("acceptor") == bytes);
  CHECK(disk.storage->load_identity()->incarnation == 1);
}

TEST_CASE("a record that cannot be read stops the start") {
  const Scratch scratch;
  make_member(scratch);
  fs::remove(scratch.file("acceptor"));
  fs::create_directory(scratch.file("acceptor"));  // read() says EISDIR, to root as well
  const auto state = opened(scratch).storage->begin(3, "host");
  REQUIRE_FALSE(state);
  CHECK(state.error().message == scratch.state() + ": cannot read acceptor: Is a directory");
}

TEST_CASE("a second daemon is refused and told who is there") {
  const Scratch scratch;
  auto first = opened(scratch);
  asio::io_context loop;
  const auto second = Storage::open(scratch.state(), loop.get_executor());
  REQUIRE_FALSE(second);
  CHECK(second.error().message == scratch.state() + " is used by process " + std::to_string(::getpid()));
  first.storage.reset();
  CHECK(Storage::open(scratch.state(), loop.get_executor()));
}

TEST_CASE("a directory that cannot be made is an error") {
  asio::io_context loop;
  CHECK_FALSE(Storage::open("/dev/null/state", loop.get_executor()));
  CHECK_FALSE(Storage::open("/proc/vsync", loop.get_executor()));
  CHECK_FALSE(Storage::open("/proc", loop.get_executor()));  // exists, takes no files
  CHECK_FALSE(Storage::open("", loop.get_executor()));
}

TEST_CASE("every save is answered once, in order, and the last one is what stays") {
  const Scratch scratch;
  auto disk = opened(scratch);
  std::vector<std::uint64_t> answered;
  for (std::uint64_t epoch = 1; epoch <= 200; ++epoch) {
    disk.storage->save(record(epoch), [&answered, epoch](const Result<void>& done) {
      REQUIRE(done);
      answered.push_back(epoch);
    });
  }
  disk.loop->run();
  REQUIRE(answered.size() == 200);
  CHECK(std::ranges::is_sorted(answered));
  CHECK(disk.storage->load_acceptor()->decided->id() == 200);
}

TEST_CASE("closing finishes what was asked for") {
  const Scratch scratch;
  auto disk = opened(scratch);
  int answered = 0;
  disk.storage->save(record(7), [&](const Result<void>&) { ++answered; });
  disk.storage.reset();
  CHECK(opened(scratch).storage->load_acceptor()->decided->id() == 7);
  disk.loop->run();
  CHECK(answered == 1);
}

TEST_CASE("S55: a full disk fails the write, keeps the old record, and nothing is written after") {
  const Scratch scratch;
  make_member(scratch);
  auto disk = opened(scratch);
  fs::create_symlink("/dev/full", scratch.file("acceptor.new"));
  const auto full = disk.save(record(6));
  REQUIRE_FALSE(full);
  CHECK(full.error().message == scratch.state() + ": cannot write acceptor.new: No space left on device");
  CHECK(disk.storage->load_acceptor()->decided->id() == 5);
  CHECK_FALSE(fs::exists(scratch.file("acceptor.new")));
  CHECK(disk.save(record(7)).error() == full.error());  // there would be room again
  CHECK(disk.storage->load_acceptor()->decided->id() == 5);
}

TEST_CASE("S55: a write that stops in the middle leaves the old record") {
  const Scratch scratch;
  make_member(scratch);
  auto disk = opened(scratch);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{40, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto result = disk.save(record(6));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find("File too large") != std::string::npos);
  CHECK(disk.storage->load_acceptor()->decided->id() == 5);
}

TEST_CASE("a directory that vanished fails the write") {
  const Scratch scratch;
  auto disk = opened(scratch);
  fs::remove_all(scratch.state());
  const auto result = disk.save(record(6));
  REQUIRE_FALSE(result);
  CHECK(result.error().message == scratch.state() + ": cannot create acceptor.new: No such file or directory");
}

TEST_CASE("what a killed writer left beside a record does no harm") {
  const Scratch scratch;
  make_member(scratch);
  scratch.write("acceptor.new", "half a rec");
  const StartState state = begun(scratch);
  CHECK_FALSE(state.amnesiac);
  CHECK(state.acceptor.decided->id() == 5);
  REQUIRE(opened(scratch).save(record(6)));
  CHECK(begun(scratch).acceptor.decided->id() == 6);
}

}  // namespace vsync::io
