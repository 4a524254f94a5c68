// The state directory: what a daemon must not forget (protocol.md section 5).
//
//   lock       held while a daemon uses the directory; contains its process id
//   identity   P0: who this daemon is
//   acceptor   P1-P3: what it promised, accepted and knows to be decided
//
// Each record is replaced whole. Writing goes on in a thread of its own, for fsync may take long.
#pragma once

#include <asio/any_io_executor.hpp>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "core/model/config.h"
#include "io/state_file.h"
#include "wire/record_codec.h"

namespace vsync::io {

/// Why there is no record.
struct LoadError {
  enum class Kind : std::uint8_t {
    absent,      ///< no such file
    damaged,     ///< short, garbled or not one of our records
    newer,       ///< written by a newer version of vsyncd
    unreadable,  ///< the system refuses
  };
  Kind kind = Kind::absent;
  std::string message;
};

template <typename T>
using Loaded = tl::expected<T, LoadError>;

/// With what a daemon starts.
struct StartState {
  wire::Identity identity;  ///< with the incarnation of this start, durable
  core::AcceptorRecord acceptor;
  bool fresh = false;     ///< the directory was new
  bool amnesiac = false;  ///< what was promised is lost: new vote epoch, no vote, may only join
  std::string why;        ///< why amnesiac, for the operator
};

class Storage {
 public:
  /// Called on the executor, once per write: nothing, or why the record is not durable (then the daemon must stop).
  using Done = std::function<void(const Result<void>&)>;

  /// Makes the directory if need be (0700) and locks it. An error names the process that holds the lock.
  [[nodiscard]] static Result<std::unique_ptr<Storage>> open(const std::string& path, asio::any_io_executor executor);

  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  /// Finishes the writes under way. Completions that are posted already still come.
  ~Storage();

  [[nodiscard]] Loaded<wire::Identity> load_identity() const;
  [[nodiscard]] Loaded<core::AcceptorRecord> load_acceptor() const;

  /// Loads everything and makes incarnation+1 durable, before any frame may be sent. Blocks; call once, first.
  /// A record that is lost or damaged makes the start amnesiac (a damaged file is kept beside, as NAME.damaged). A record that is
  /// newer or cannot be read is an error, as is a directory of another node than `node` (0 = whichever the directory says).
  [[nodiscard]] Result<StartState> begin(core::NodeId node, const std::string& name);

  /// Makes a record durable. Of several waiting writes of one record only the last is done, and then all of them are.
  /// After a failed write nothing is written any more and everything fails: what the disk holds is uncertain.
  void save(const core::AcceptorRecord& record, Done done);
  void save(const wire::Identity& identity, Done done);

 private:
  struct Waiter {
    Done done;
    asio::any_io_executor executor;  ///< keeps the event loop running until it was called
  };
  struct Write {
    std::string bytes;
    std::vector<Waiter> waiters;
  };

  Storage(FileDescriptor directory, FileDescriptor lock, std::string path, asio::any_io_executor executor);

  void enqueue(const std::string& name, std::string bytes, Done done);
  void run();
  [[nodiscard]] Result<void> write(const std::string& name, const std::string& bytes);
  void keep_aside(const std::string& name);

  FileDescriptor directory_;
  FileDescriptor lock_;
  std::string path_;
  asio::any_io_executor executor_;

  std::mutex mutex_;  ///< guards the next two
  std::map<std::string, Write> waiting_;
  bool stopping_ = false;
  std::condition_variable changed_;
  std::optional<Error> failed_;  ///< of the worker alone
  std::thread worker_;           ///< started last
};

}  // namespace vsync::io
