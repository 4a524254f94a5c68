// The store on a real disk: one SQLite database for each group, in a directory of its own.
#pragma once

#include <asio/any_io_executor.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "durable/store.h"

namespace vsync::durable {

class Database;

/// Works in a thread of its own; `done` is posted to the executor. What is asked for while a sync is under way goes with the next
/// one: one transaction for all of it.
class SqliteStore final : public Store {
 public:
  /// Databases that are open at once, each with three descriptors; but those with something staged stay open.
  static constexpr std::size_t kOpen = 64;

  /// `directory` is made when the first group is opened, the file of a group with the first that is written.
  SqliteStore(std::string directory, asio::any_io_executor executor);
  /// Does what was asked for; completions that are posted already still come.
  ~SqliteStore() override;

  void open(const std::string& group, std::function<void(Result<Contents>)> done) override;
  void kept(const std::string& group, std::function<void(Result<Contents>)> done) override;
  void append(const std::string& group, Messages messages, Done done) override;
  void promise(const std::string& group, std::uint64_t era, Done done) override;
  void stage(const std::string& group, bool wipe) override;
  void put(const std::string& group, CheckpointPiece piece, Done done) override;
  void put(const std::string& group, Messages messages, Done done) override;
  void commit(const std::string& group, const KeptHistory& kept, Done done) override;
  void rollback(const std::string& group) override;
  void checkpoint(const std::string& group, CheckpointPiece piece, Done done) override;
  void common(const std::string& group, std::vector<HistoryPosition> positions,
              std::function<void(Result<std::vector<HistoryPosition>>)> done) override;
  void read(const std::string& group, const Cursor& from, std::uint64_t end, std::size_t size,
            std::function<void(Result<Chunk>)> done) override;
  /// Reads and checks everything, as open() does; what is asked for meanwhile waits. The group need not be open.
  void verify(const std::string& group, std::function<void(Result<Contents>)> done);

  /// A group on the disk, or a file that cannot be read.
  struct Stored {
    std::string group;  ///< the file's name, with a problem
    Contents contents;
    std::string problem;
  };
  /// Of the groups that are not open. Only the numbers are read.
  void list(std::function<void(const std::vector<Stored>&)> done);

 private:
  /// One operation. It returns what is to be posted when all is on disk.
  using Operation = std::function<std::function<void()>()>;

  struct Open {
    std::unique_ptr<Database> database;
    std::uint64_t used = 0;  ///< when: the larger, the later
  };

  [[nodiscard]] static Stored look(const std::string& path);
  [[nodiscard]] std::string path_of(const std::string& group) const;
  [[nodiscard]] Result<Contents> open_checked(const std::string& group, bool& damaged);
  [[nodiscard]] Result<Contents> kept_now(const std::string& group);
  [[nodiscard]] Result<Database*> database(const std::string& group);
  void make_room();
  void close(std::map<std::string, Open>::iterator open);
  void enqueue(Operation operation);
  /// Posts it when all is on disk. What is read may be large: it is not copied.
  template <typename T>
  std::function<void()> answer(std::function<void(T)> done, T value);
  void write(const std::string& group, std::function<Result<void>(Database&)> change, Done done);
  void run();
  [[nodiscard]] Result<void> sync();

  std::string directory_;
  asio::any_io_executor executor_;

  // of the worker alone
  std::map<std::string, Open> databases_;
  std::uint64_t uses_ = 0;
  std::string failed_;  ///< nothing is written any more

  std::mutex mutex_;  ///< guards the next two
  std::deque<Operation> waiting_;
  bool stopping_ = false;
  std::condition_variable changed_;
  std::thread worker_;  ///< started last
};

}  // namespace vsync::durable
