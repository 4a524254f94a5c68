#include "io/storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/post.hpp>
#include <asio/prefer.hpp>
#include <cerrno>
#include <filesystem>
#include <random>
#include <utility>

#include "base/signals.h"

namespace vsync::io {

namespace {

const std::string kIdentity = "identity";
const std::string kAcceptor = "acceptor";

/// The content of a record file, decoded.
template <typename T, typename Decode>
Loaded<T> load(int directory, const std::string& name, Decode decode) {
  const auto bytes = read_file(directory, name, wire::kMaxRecord);
  if (!bytes) {
    const auto kind = bytes.error().absent ? LoadError::Kind::absent : LoadError::Kind::unreadable;
    return tl::unexpected(LoadError{kind, bytes.error().error.message});
  }
  auto record = decode(*bytes);
  if (!record) {
    const bool newer = record.error().kind == wire::RecordError::Kind::newer;
    return tl::unexpected(
        LoadError{newer ? LoadError::Kind::newer : LoadError::Kind::damaged, name + ": " + record.error().message});
  }
  return std::move(*record);
}

/// What the operator must decide about: forgetting it would be wrong, and so would guessing.
template <typename T>
bool hopeless(const Loaded<T>& record) {
  return !record && (record.error().kind == LoadError::Kind::newer || record.error().kind == LoadError::Kind::unreadable);
}

template <typename T>
bool damaged(const Loaded<T>& record) {
  return !record && record.error().kind == LoadError::Kind::damaged;
}

std::uint64_t new_vote_epoch() {
  std::random_device device;
  std::uniform_int_distribution<std::uint64_t> any(1);
  return any(device);
}

Result<FileDescriptor> open_directory(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path directory = fs::absolute(path, error).lexically_normal();
  if (!directory.has_filename()) {
    directory = directory.parent_path();  // "dir/" is "dir"
  }
  if (!fs::exists(directory, error)) {
    fs::create_directories(directory.parent_path(), error);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return tl::unexpected(os_error("create", path, errno));
    }
    const FileDescriptor parent(::open(directory.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent.valid() || ::fsync(parent.get()) != 0) {
      return tl::unexpected(os_error("make durable", path, errno));
    }
  }
  FileDescriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.valid()) {
    return tl::unexpected(os_error("open", path, errno));
  }
  return opened;
}

Result<FileDescriptor> lock_directory(int directory, const std::string& path) {
  FileDescriptor lock(::openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) {
    return tl::unexpected(os_error("create", path + "/lock", errno));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return tl::unexpected(os_error("lock", path, errno));
    }
    const auto holder = read_file(directory, "lock", 32);
    return fail(path + " is used by process " + (holder && !holder->empty() ? *holder : "(unknown)"));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) {
    return tl::unexpected(os_error("write", path + "/lock", errno));
  }
  return lock;
}

}  // namespace

Result<std::unique_ptr<Storage>> Storage::open(const std::string& path, asio::any_io_executor executor) {
  auto directory = open_directory(path);
  if (!directory) {
    return tl::unexpected(directory.error());
  }
  auto lock = lock_directory(directory->get(), path);
  if (!lock) {
    return tl::unexpected(lock.error());
  }
  return std::unique_ptr<Storage>(new Storage(std::move(*directory), std::move(*lock), path, std::move(executor)));
}

Storage::Storage(FileDescriptor directory, FileDescriptor lock, std::string path, asio::any_io_executor executor)
    : directory_(std::move(directory)), lock_(std::move(lock)), path_(std::move(path)), executor_(std::move(executor)) {
  without_signals([this] { worker_ = std::thread([this] { run(); }); });
}

Storage::~Storage() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  worker_.join();
}

// ---------------------------------------------------------------- start

Loaded<wire::Identity> Storage::load_identity() const {
  return load<wire::Identity>(directory_.get(), kIdentity, wire::decode_identity);
}

Loaded<core::AcceptorRecord> Storage::load_acceptor() const {
  return load<core::AcceptorRecord>(directory_.get(), kAcceptor, wire::decode_acceptor);
}

Result<StartState> Storage::begin(core::NodeId node, const std::string& name) {
  const auto identity = load_identity();
  const auto acceptor = load_acceptor();
  if (hopeless(identity) || hopeless(acceptor)) {
    const LoadError& error = hopeless(identity) ? identity.error() : acceptor.error();
    return fail(path_ + (error.kind == LoadError::Kind::newer ? "/" : ": ") + error.message);
  }

  StartState state;
  state.identity = identity.value_or(wire::Identity{});
  state.acceptor = acceptor.value_or(core::AcceptorRecord{});
  const bool nothing = !identity && !damaged(identity) && !acceptor && !damaged(acceptor);
  const core::ViewPtr decided = state.acceptor.decided;
  if (decided && state.identity.uuid.none()) {
    state.identity.uuid = decided->uuid;  // stopped between the first view and the identity that names its cluster
  }

  state.fresh = nothing;
  if (damaged(identity) || damaged(acceptor)) {
    state.why = damaged(identity) ? identity.error().message : acceptor.error().message;
  } else if (!identity && !nothing) {
    state.why = "identity is lost";
  } else if (!acceptor && !state.identity.uuid.none()) {
    state.why = "acceptor is lost";
  } else if (decided && decided->uuid != state.identity.uuid) {
    state.why = "acceptor is of another cluster";
  }
  state.amnesiac = !state.why.empty();

  if (node != 0 && state.identity.node != 0 && state.identity.node != node) {
    return fail(path_ + " belongs to node " + std::to_string(state.identity.node) + ", not " + std::to_string(node));
  }
  state.identity.node = node != 0 ? node : state.identity.node;
  state.identity.name = name;
  state.identity.incarnation += 1;
  if (state.fresh || state.amnesiac) {
    state.identity.vote_epoch = new_vote_epoch();
    state.acceptor = {};
  }
  if (damaged(identity)) {
    keep_aside(kIdentity);
  }
  if (auto written = replace_file(directory_.get(), kIdentity, wire::encode_identity(state.identity)); !written) {
    return tl::unexpected(Error{path_ + ": " + written.error().message});
  }
  // Only now: the new vote epoch is durable, so what the old one promised binds nobody any more.
  if (state.amnesiac && (acceptor || damaged(acceptor))) {
    keep_aside(kAcceptor);
  }
  return state;
}

/// For the operator to look at. Best effort: a start after this finds the record damaged or lost, which is the same to it.
void Storage::keep_aside(const std::string& name) {
  ::renameat(directory_.get(), name.c_str(), directory_.get(), (name + ".damaged").c_str());
}

// ---------------------------------------------------------------- writes

void Storage::save(const core::AcceptorRecord& record, Done done) {
  enqueue(kAcceptor, wire::encode_acceptor(record), std::move(done));
}

void Storage::save(const wire::Identity& identity, Done done) {
  enqueue(kIdentity, wire::encode_identity(identity), std::move(done));
}

void Storage::enqueue(const std::string& name, std::string bytes, Done done) {
  Waiter waiter{std::move(done), asio::prefer(executor_, asio::execution::outstanding_work_t::tracked)};
  {
    const std::lock_guard guard(mutex_);
    Write& write = waiting_[name];
    write.bytes = std::move(bytes);
    write.waiters.push_back(std::move(waiter));
  }
  changed_.notify_one();
}

void Storage::run() {
  std::unique_lock guard(mutex_);
  while (true) {
    changed_.wait(guard, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    auto next = waiting_.extract(waiting_.begin());
    guard.unlock();
    const Result<void> result = write(next.key(), next.mapped().bytes);
    for (Waiter& waiter : next.mapped().waiters) {
      asio::post(waiter.executor, [done = std::move(waiter.done), result] { done(result); });
    }
    guard.lock();
  }
}

Result<void> Storage::write(const std::string& name, const std::string& bytes) {
  if (!failed_) {
    auto result = replace_file(directory_.get(), name, bytes);
    if (result) {
      return result;
    }
    failed_ = Error{path_ + ": " + result.error().message};
  }
  return tl::unexpected(*failed_);
}

}  // namespace vsync::io
