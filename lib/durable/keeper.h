// What a daemon does with its disk for durable groups, between the core, the local clients and the store (K1 to K3).
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model/effect.h"
#include "core/model/input.h"
#include "durable/restore.h"
#include "durable/store.h"

namespace vsync::durable {

/// When a checkpoint is made, as a member that joined here wants it. Zero: not for that reason.
struct CheckpointPolicy {
  std::uint64_t every_messages = 0;
  std::chrono::seconds every{};
  bool at_views = false;
};

struct KeeperLimits {
  std::uint64_t log_bytes = std::uint64_t{256} << 20U;  ///< of a group's messages: then a checkpoint is made, whatever the policy
  std::size_t unwritten = std::size_t{64} << 20U;       ///< bytes that wait for the disk: then the senders of the group wait too
  std::size_t window = std::size_t{512} << 10U;         ///< of a checkpoint that a client gives
  std::size_t piece = std::size_t{128} << 10U;
  std::size_t chunk = std::size_t{512} << 10U;  ///< of the own disk that is read before the clients have to read
  std::size_t groups = 1024;                    ///< that have members here: each may keep its database open, while it restores
};

/// What is known of one group's disk, for operators.
struct GroupStatus {
  std::string group;
  Contents contents;
  HistoryPosition synced;
  bool follows = false;        ///< a local member has the state, and what is delivered is appended
  bool checkpointing = false;  ///< a member was asked for its state
};

/// Pure but for the store behind its interface: no clock, no thread. Calls and effects must come in their order; nothing is
/// called back inside a call but Home.
class Keeper {
 public:
  class Home {
   public:
    Home() = default;
    Home(const Home&) = delete;
    Home& operator=(const Home&) = delete;
    virtual void input(core::Input input) = 0;   ///< to the core
    virtual void tell(core::Effect effect) = 0;  ///< to the local clients, like an effect of the core
    /// The group goes on at `end` for these clients; the checkpoint they began with is of `checkpoint`.
    virtual void restored(const std::vector<core::ClientId>& clients, const std::string& group, const HistoryPosition& checkpoint,
                          const HistoryPosition& end) = 0;
    virtual void report(const std::string& group, const std::string& what) = 0;  ///< for the operator
    virtual void failed(const std::string& why) = 0;                             ///< the daemon must stop
    [[nodiscard]] virtual core::Pid self() const = 0;
    [[nodiscard]] virtual core::Time now() const = 0;

   protected:
    ~Home() = default;
  };

  Keeper(Store& store, Home& home, KeeperLimits limits = {}) : store_(store), home_(home), limits_(limits) {}

  // ---- requests of local clients, on their way to the core
  /// Of a durable group. Goes on to the core when it is known what the disk has, and one after the other: what a member says of
  /// the disk must stay true until all know that it has the state.
  void join(core::ClientJoin join, const CheckpointPolicy& policy);
  /// False: not a member's of a durable group. What goes to the disks of other members is the history on ours (K3), and nothing
  /// that a client makes up in its place: clients give checkpoints that were asked for here.
  bool piece(core::ClientState& piece);
  /// Beside the core, which has to know it too.
  void read(core::ClientId client);
  void gone(core::ClientId client);

  // ---- effects of the core
  void apply(const core::HistoryAsked& effect);  ///< also of groups that no member has joined here
  void apply(const core::EraProposed& effect);
  void apply(core::HistoryRequested& effect);
  void apply(core::StateArrived& effect);  ///< StateArrived::history
  void apply(const core::HistoryAdopted& effect);
  void apply(const core::DeliverMessages& effect);  ///< after the clients have got it
  void apply(const core::GroupViewInstalled& effect);
  /// False: not the answer to a request of ours.
  bool answered(core::ClientId client, core::RequestId request, bool refused);
  void dismissed(core::ClientId client, const std::string& group);
  /// The incarnation is over.
  void over();

  /// From time to time: checkpoints that are due by time, and groups that came to nothing here are forgotten.
  void tick();
  /// Now. An error: no member here could give it.
  Result<void> force(const std::string& group);
  [[nodiscard]] std::vector<GroupStatus> status() const;
  [[nodiscard]] bool knows(const std::string& group) const { return groups_.contains(group); }

 private:
  static constexpr std::uint64_t kGone =
      std::numeric_limits<std::uint64_t>::max();  ///< no index: this client is given nothing more

  /// The history on its way to other disks.
  struct Giving {
    core::ClientId client = 0;
    std::uint64_t token = 0;
    std::size_t window = 0;
    std::size_t piece_size = 0;
    KeptHistory end;
    Cursor cursor;
    std::string bytes;      ///< read
    std::size_t given = 0;  ///< of these
    bool all_read = false;
    bool reading = false;
    bool ended = false;
    std::map<core::RequestId, std::size_t> unanswered;
    std::size_t in_flight = 0;
  };
  /// A checkpoint that a local client is giving.
  struct Making {
    core::ClientId client = 0;
    std::uint64_t token = 0;
    HistoryPosition position;
    std::uint64_t received = 0;
    std::uint64_t log_bytes = 0;  ///< of the messages that it takes the place of
    core::Time since{};           ///< it was asked, or gave the last piece
  };
  struct Kept {
    std::string name;
    core::GroupId id = 0;
    bool open = false;
    Contents contents;  ///< as of the last change that was asked for
    HistoryPosition synced;
    CheckpointPolicy policy;                            ///< of the member that got the state last
    std::map<core::ClientId, CheckpointPolicy> wished;  ///< of those that have asked to join
    std::uint64_t since_checkpoint = 0;                 ///< messages
    core::Time checkpoint_at{};
    std::size_t unwritten = 0;                          ///< bytes of the history that the store has not written yet
    std::size_t unanswered = 0;                         ///< … and of checkpoints that members here give
    std::size_t writes = 0;                             ///< that the store has not answered, also those of no bytes
    std::optional<core::ClientId> holder;               ///< in whose name the group is held for that
    bool over_limit = false;                            ///< that was reported
    bool last_chance = false;                           ///< a checkpoint was asked for at twice the limit
    std::map<core::ClientId, std::uint64_t> following;  ///< local members with the state, and what they were given last
    std::optional<std::pair<core::ClientId, core::RequestId>> joining;
    HistoryPosition offered;  ///< what that one has said of the disk
    std::deque<core::ClientJoin> parked;
    std::optional<Giving> giving;
    std::optional<Restore> restore;
    std::deque<core::StateArrived> waiting;  ///< of the next transfer, until the clients of `restore` are known to have the state
    std::optional<Making> making;
  };

  /// A question of the core that is not answered yet, and whose group has not come to its end.
  struct Asked {
    std::string group;
    std::string problem;  ///< why it could not be read, the last time
    bool looking = false;
  };

  [[nodiscard]] static bool came_to_nothing(const Kept& kept);
  [[nodiscard]] bool has_room(const std::string& group) const;
  void cannot_open(const std::string& group, const std::string& why);
  void next_join(Kept& kept);
  void left(Kept& kept, core::ClientId client);
  static void let_go(Kept& kept, core::ClientId client);
  void joined_or_not(Kept& kept, core::ClientId client);
  [[nodiscard]] Store::Done when_written(Kept& kept, std::size_t Kept::*waiting, std::size_t bytes,
                                         std::function<void(Kept&)> then);
  [[nodiscard]] Store::Done when_synced(Kept& kept, std::size_t bytes = 0);
  void hold(Kept& kept);
  [[nodiscard]] core::RequestId own_request();
  // ---- telling (keeper_told.cpp)
  void look(core::GroupId id);
  void look_again();
  // ---- giving
  void give(Kept& kept);
  void read_more(Kept& kept);
  template <typename Answer, typename Then>
  std::function<void(Result<Answer>)> for_giving(const Kept& kept, Then then);
  // ---- restoring (keeper_restore.cpp)
  void pump(const std::string& group, std::uint64_t token);
  bool take(Kept& kept, Part part, bool own);
  [[nodiscard]] Store::Done when_put(Kept& kept, const Slice& bytes);
  void begin(Kept& kept, const Header& header);
  void hand_over(Kept& kept, CheckpointPiece piece);
  void hand_over(Kept& kept, const Messages& messages);
  void no_checkpoint(Kept& kept);
  void read_own(Kept& kept);
  bool abandon(Kept& kept, const std::string& why, bool does_not_fit = false);
  void drop_restore(Kept& kept);
  void forget(Kept& kept, core::ClientId client);
  [[nodiscard]] static bool occupied(const Kept& kept, std::uint64_t token);
  void next_restore(Kept& kept);
  // ---- checkpoints
  void check_due(Kept& kept, bool view);
  void fill_no_more(Kept& kept);
  void dismiss(Kept& kept, const std::string& why);
  bool make_checkpoint(Kept& kept);
  [[nodiscard]] static bool being_read(const Kept& kept);

  [[nodiscard]] Kept* find(const std::string& group);
  [[nodiscard]] Kept* find(core::GroupId group);

  Store& store_;
  Home& home_;
  KeeperLimits limits_;
  std::map<std::string, Kept> groups_;
  std::map<core::GroupId, std::string> names_;
  std::map<core::GroupId, Asked> asked_;
  core::RequestId last_request_ = 0;
  std::uint64_t last_checkpoint_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();  ///< what the store calls may come later than our end
};

}  // namespace vsync::durable
