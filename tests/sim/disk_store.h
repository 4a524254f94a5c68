// The histories on a simulated disk (K1 to K3): writes take time, and what is under way at a crash reaches the disk in part.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "durable/store.h"
#include "sim/scheduler.h"

namespace vsync::sim {

/// One group on a disk.
struct StoredHistory {
  core::KeptHistory kept;
  std::vector<durable::CheckpointPiece> checkpoint;
  std::vector<durable::Messages> log;  ///< behind the checkpoint
};
using StoredHistories = std::map<std::string, StoredHistory>;

class DiskStore final : public durable::Store {
 public:
  /// How long the next write takes; nullopt: the disk is stopped.
  using Delay = std::function<core::Duration()>;
  struct Disk {
    StoredHistories& histories;
    const bool& stopped;
    const bool& fails;
  };

  DiskStore(Scheduler& scheduler, Rng& rng, Disk disk, Delay delay)
      : scheduler_(scheduler), rng_(rng), disk_(disk), delay_(std::move(delay)) {}

  /// The process is gone. lost: so is what was not written, but for a part of it at random; else all of it is written.
  void end(bool lost);

  void open(const std::string& group, std::function<void(Result<durable::Contents>)> done) override;
  void kept(const std::string& group, std::function<void(Result<durable::Contents>)> done) override;
  void append(const std::string& group, durable::Messages messages, Done done) override;
  void promise(const std::string& group, std::uint64_t era, Done done) override;
  void stage(const std::string& group, bool wipe) override;
  void put(const std::string& group, durable::CheckpointPiece piece, Done done) override;
  void put(const std::string& group, durable::Messages messages, Done done) override;
  void commit(const std::string& group, const core::KeptHistory& kept, Done done) override;
  void rollback(const std::string& group) override;
  void checkpoint(const std::string& group, durable::CheckpointPiece piece, Done done) override;
  void common(const std::string& group, std::vector<core::HistoryPosition> positions,
              std::function<void(Result<std::vector<core::HistoryPosition>>)> done) override;
  void read(const std::string& group, const durable::Cursor& from, std::uint64_t end, std::size_t size,
            std::function<void(Result<durable::Chunk>)> done) override;

 private:
  struct Operation {
    std::function<void()> write;
    std::function<void(const Result<void>&)> done;
  };

  void enqueue(std::function<void()> write, Done done);
  void next();
  /// As the process sees it: with what is staged.
  StoredHistory& current(const std::string& group);

  Scheduler& scheduler_;
  Rng& rng_;
  Disk disk_;
  Delay delay_;
  std::deque<Operation> operations_;
  bool writing_ = false;
  bool ended_ = false;
  StoredHistories staged_;
  std::map<std::string, std::vector<durable::CheckpointPiece>> making_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace vsync::sim
