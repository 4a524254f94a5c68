// libvsync: process groups with virtually synchronous multicast, through the vsyncd of this host.
//
//   struct Printer : vsync::Handler {
//     void on_view(const vsync::GroupView& view) override { … }
//     void on_messages(const vsync::Delivery& delivery) override { for (auto message : delivery.messages) … }
//   };
//   Printer printer;
//   vsync::Client client(printer);
//   if (auto view = client.join("chat"); !view) …view.failure().message…
//   client.send("chat", "hello");  // waits for the outcome; post() and try_post() do not
//   client.run();
//
// Needs nothing but the standard library. Errors are values: a connection that is lost or a send that is refused is everyday life
// in a cluster, and exceptions through callbacks help nobody. Expected is what std::expected will be (C++23).
//
// A Client belongs to one thread at a time. Callbacks come from inside its calls (poll, run, and everything that waits); they may
// call what does not wait (try_post, stop, the getters).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#define VSYNC_API __attribute__((visibility("default")))

namespace vsync {

/// What failed, in words. `code` is for programs: a code of the control protocol (not_member, no_such_group, wrong_view,
/// too_large, no_quorum, excluded, denied, …) or one of ours: unreachable (no daemon answers), disconnected, would_block,
/// timeout, in_callback.
struct Failure {
  std::string code;
  std::string message;
};

/// A value or a Failure. Using the value of a failed one throws std::bad_variant_access.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : content_(std::move(value)) {}            // NOLINT(google-explicit-constructor): like std::expected
  Expected(Failure failure) : content_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const { return content_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] const T& operator*() const { return std::get<0>(content_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(content_); }
  [[nodiscard]] const Failure& failure() const { return std::get<1>(content_); }

 private:
  std::variant<T, Failure> content_;
};

/// Success without a value.
using Done = std::monostate;

enum class Service : std::uint8_t {
  total,   ///< one order for all, delivered only when every member's daemon holds it
  fifo,    ///< in the order of its sender
  causal,  ///< after everything that its sender had seen
};

enum class Fate : std::uint8_t { delivered, not_delivered, unknown };

/// An application in a group.
struct GroupMember {
  std::uint32_t node = 0;
  std::uint64_t incarnation = 0;  ///< of the node's daemon
  std::uint32_t client = 0;       ///< connection at that daemon
  std::string name;               ///< as it calls itself

  auto operator<=>(const GroupMember&) const = default;
};

struct GroupDeparture {
  GroupMember member;
  std::string reason;  ///< "left", "crashed", "no_state"
};

/// Who is in a group, from here to the next view; equal at all members.
struct GroupView {
  std::string group;
  std::uint64_t view = 0;            ///< of the daemons
  std::uint64_t number = 0;          ///< of this group
  std::uint64_t token = 0;           ///< fencing token: larger in every later view of the group, for ever
  std::vector<GroupMember> members;  ///< by seniority; the first leads
  std::vector<GroupMember> joined;
  std::vector<GroupDeparture> left;
  std::vector<GroupMember> transitional;   ///< came from the previous view together: they delivered the same messages in it
  std::vector<GroupMember> without_state;  ///< want the state and have none yet
  bool primary = true;
  bool cold = false;  ///< first view after all daemons had been down: nobody brings state
  bool total_only = false;
};

/// The clock of leases: CLOCK_BOOTTIME, which goes on while the host is suspended and which nobody sets.
struct VSYNC_API BootClock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};

/// This client leads the group and may act so until `until`, without asking anybody: no other member gets a lease before.
struct Lease {
  std::string group;
  std::uint64_t token = 0;  ///< of the group view
  BootClock::time_point until;
  BootClock::duration length{};  ///< of a fresh lease
};

/// What was delivered in this view of the group up to here is held by the daemons of all members of the view, and will be
/// delivered by all that go on.
struct Stable {
  struct Sender {
    std::uint32_t node = 0;
    std::uint64_t incarnation = 0;
    std::uint64_t position = 0;
  };
  std::string group;
  std::uint64_t number = 0;    ///< of the group view
  std::uint64_t token = 0;     ///< of the group view
  std::uint64_t position = 0;  ///< of total messages
  std::vector<Sender> others;  ///< of fifo and causal messages, by the sender's daemon
};

/// Messages of one sender, next to each other in the order. Everything in it is valid during the callback only.
struct Delivery {
  std::string_view group;
  const GroupMember& sender;
  std::uint64_t view = 0;      ///< of the daemons
  std::uint64_t token = 0;     ///< of the group view
  std::uint64_t position = 0;  ///< of the first; the next has position + 1
  Service service = Service::total;
  bool text = false;  ///< UTF-8 text, not bytes
  std::span<const std::string_view> messages;
  bool direct = false;      ///< for this client alone; `position` is that of the message before
  std::uint64_t index = 0;  ///< of the first in the life of a durable group; 0: it has none
};

/// A message that asks for a reply, at its place in the order. Everything in it is valid during the callback only; copy `sender`
/// and `id` to reply later.
struct Request {
  std::string_view group;
  const GroupMember& sender;
  std::uint64_t id = 0;
  std::uint64_t view = 0;  ///< of the daemons
  std::uint64_t token = 0;
  std::uint64_t position = 0;
  bool text = false;
  std::string_view message;
  std::uint64_t index = 0;  ///< in the life of a durable group; 0: it has none
};

/// How a request ended. Who was a member at its place in the order is in `replies` or in `missing`.
struct Replies {
  struct Reply {
    GroupMember member;
    bool text = false;
    std::string message;
  };
  struct Missing {
    GroupMember member;
    std::string reason;  ///< "left"; "no_reply" until the end; "too_large"
  };
  Fate fate = Fate::unknown;  ///< of the request as a message
  std::string code;           ///< why not delivered, or why that is not known
  std::uint64_t view = 0;
  std::uint64_t position = 0;
  bool complete = false;  ///< there are as many replies as were waited for
  std::vector<Reply> replies;
  std::vector<Missing> missing;
};

/// A daemon in a view of the cluster.
struct ClusterMember {
  std::uint32_t node = 0;
  std::uint64_t incarnation = 0;
  std::string name;
  std::string address;  ///< host:port
};

struct ClusterDeparture {
  std::uint32_t node = 0;
  std::string name;
  std::string reason;  ///< "left", "crashed", "silent", "evicted", "replaced", "unreachable"
};

/// The daemons that belong together, from here to the next view; for those who watch.
struct ClusterView {
  std::uint64_t view = 0;
  std::vector<ClusterMember> members;  ///< by seniority; the first leads
  std::vector<std::uint32_t> joined;   ///< node ids
  std::vector<ClusterDeparture> left;
  bool cold = false;  ///< first view after all daemons had been down
};

/// The daemon suspects another one, or no longer does.
struct Suspicion {
  std::uint32_t node = 0;
  std::string name;
  std::string evidence;  ///< "link", "soft", "firm", "hard"; "none": it ended
  std::string why;
  std::chrono::microseconds silence{0};
};

/// Where the state of a group is read from, at a member that gives it to others.
class VSYNC_API StateSource {
 public:
  StateSource() = default;
  StateSource(const StateSource&) = delete;
  StateSource& operator=(const StateSource&) = delete;
  virtual ~StateSource();
  /// Puts the next bytes in front of `space` and says how many; 0 ends the state. Called from poll() while the state is under
  /// way, so it must read from a snapshot: messages are delivered meanwhile.
  virtual std::size_t read(std::span<char> space) = 0;
};

/// A state that fits into memory twice.
[[nodiscard]] VSYNC_API std::unique_ptr<StateSource> whole_state(std::string bytes);

/// The next bytes of a group's state. Valid during the callback only.
struct StatePiece {
  std::string_view group;
  std::uint64_t token = 0;   ///< of the group view to which the state belongs; what is delivered next comes after it
  std::uint64_t offset = 0;  ///< 0 begins the state, also anew when the one who gave it is gone: what was before is void
  std::string_view bytes;
  bool last = false;
  bool cold = false;  ///< nobody has the state: what this client has itself, its checkpoint or nothing, is the group's from now
                      ///< on. In a durable group: it has no checkpoint, and is restored from its first message on
  std::uint64_t index = 0;  ///< in a durable group: of the last message that is in this state
};

/// Names a message that was accepted for sending: 1, 2, 3, … in the order of the calls.
using Ticket = std::uint64_t;

/// How `count` sends with consecutive tickets ended.
struct Sent {
  Ticket first = 0;
  std::uint64_t count = 1;
  Fate fate = Fate::unknown;
  std::uint64_t view = 0;      ///< when delivered; 0: it is not known any more in which (learnt after a reconnection)
  std::uint64_t position = 0;  ///< of the first, when delivered; 0 as above
  std::string code;            ///< why not delivered, when known
  std::uint64_t index = 0;     ///< of the first, when delivered in a durable group
  bool durable = false;        ///< and on enough disks
};

/// A member of a durable group has its state again.
struct Restored {
  std::string group;
  std::uint64_t checkpoint = 0;  ///< index of the last message that was in the checkpoint (on_state), 0 = there was none
  std::uint64_t index = 0;       ///< of the last message that it was given since; it goes on with the next
};

/// The place in a group from which on this client has not read.
struct Gap {
  std::string group;
  std::uint64_t view = 0;   ///< of the first message that it does not get: daemon view,
  std::uint64_t token = 0;  ///< token of the group view,
  Service service = Service::total;
  std::uint64_t position = 0;  ///< and position
  std::uint64_t missed = 0;    ///< messages that waited for it and were let go
};

/// What may be sent before sending waits.
struct Credit {
  std::size_t bytes = 0;
  std::size_t messages = 0;
};

/// What happens to a client. Override what you need. What an override throws comes out of the call that it was called from, and
/// what was to be told right behind it, outcomes too, is lost.
class VSYNC_API Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler();

  virtual void on_view(const GroupView& view);
  virtual void on_messages(const Delivery& delivery);
  /// A request to this client: Client::reply. It comes in place of on_messages.
  virtual void on_request(const Request& request);
  /// With JoinOptions::stability, at most once in a turn of the daemon.
  virtual void on_stable(const Stable& stable);
  /// With JoinOptions::lease, again and again while this client leads and its daemon has a quorum. Nothing tells the end of a
  /// lease: look at the clock.
  virtual void on_lease(const Lease& lease);
  virtual void on_sent(const Sent& sent);
  /// A member that joined with JoinOptions::state is asked for the state as of now, for others that join. Null: it cannot give
  /// it.
  virtual std::unique_ptr<StateSource> on_state_request(std::string_view group);
  /// The state comes to a member that joined with JoinOptions::state: after its first view, before any message.
  virtual void on_state(const StatePiece& piece);
  /// With JoinOptions::durable: the state and the messages behind it have come from the disks; what follows is new.
  virtual void on_restored(const Restored& restored);
  /// The messages of a durable group up to `index` are on enough disks.
  virtual void on_durable(std::string_view group, std::uint64_t index);
  /// In the group no more: the daemon was excluded, or the connection is lost. With Options::rejoin a view follows by itself. If
  /// joining again is refused for another reason (the group has another policy now, say), that is told here, once, and tried on.
  virtual void on_excluded(std::string_view group, std::string_view why);
  /// With JoinOptions::when_slow gap: in the group no more, as the others see it. With Options::rejoin a view follows by itself,
  /// and what was sent between is never delivered here.
  virtual void on_gap(const Gap& gap);
  /// try_post() said would_block, and now there is room.
  virtual void on_writable();
  /// The connection to the daemon came or went.
  virtual void on_connection(bool up, std::string_view why);

  // ---- after Client::watch(). on_excluded without a group: the daemon itself is in no view any more.
  virtual void on_cluster_view(const ClusterView& view);
  /// Without a quorum totals and view changes wait.
  virtual void on_quorum(bool has);
  virtual void on_suspicion(const Suspicion& suspicion);
  /// A view of a group that this client is not in.
  virtual void on_other_view(const GroupView& view);
};

struct Options {
  std::string socket = {};                  ///< control socket; empty: $VSYNCD_SOCKET, else /run/vsyncd/vsyncd.sock
  std::string name = {};                    ///< of the program, for the daemon's log
  bool reconnect = true;                    ///< when the connection is lost
  bool rejoin = true;                       ///< the groups one was in, after a reconnection or an exclusion
  bool session = true;                      ///< with reconnect: learns after it what became of its sends, instead of `unknown`
  std::chrono::milliseconds timeout{5000};  ///< of calls that wait, where none is given
  std::chrono::milliseconds longest_pause{2000};       ///< between attempts to reconnect; starts at 50 ms and doubles
  std::size_t max_unanswered = std::size_t{8} << 20U;  ///< bytes sent without outcome; beyond it sending waits
  std::size_t batch = std::size_t{64} << 10U;          ///< bytes of messages that travel in one frame
};

/// What is done with this member when it does not read as fast as the group sends: when more waits for it than its mark.
enum class WhenSlow : std::uint8_t {
  disconnect,  ///< the connection ends
  block,  ///< the senders of the group wait, everywhere, until it has read half of it or `block_for` is over: then disconnect
  gap,    ///< it is dropped out of the group and told where (on_gap)
};

/// A group that daemons keep on their disks.
struct Durable {
  std::uint32_t disks = 0;           ///< so many nodes keep the group, equal at all members; 0 = it is not durable
  std::uint64_t every_messages = 0;  ///< when a member is asked for a checkpoint (on_state_request): after so many messages …
  std::uint32_t every_seconds = 0;   ///< … after so long …
  bool at_views = false;             ///< … at each group view
};

struct JoinOptions {
  std::string member_name = {};
  bool total_only = false;     ///< the group refuses fifo and causal; joins are faster
  bool lease = false;          ///< be told when this client leads, and until when: on_lease, lease_until
  bool state = false;          ///< wants the group's state (on_state), and gives it to later members (on_state_request)
  std::uint64_t offer = 0;     ///< how new the checkpoint is that it has itself: when nobody has the state, the newest wins
  std::uint32_t replicas = 1;  ///< and then, waits until so many members that want the state are there
  bool stability = false;      ///< be told how far messages are stable: on_stable
  WhenSlow when_slow = WhenSlow::disconnect;
  std::chrono::milliseconds block_for{0};  ///< 0: 10 s
  std::uint64_t backlog_bytes = 0;         ///< its mark, without the largest message that waits; 0: a default of the daemon
  std::uint64_t backlog_messages = 0;
  Durable durable = {};  ///< implies total_only and state
};

struct SendOptions {
  Service service = Service::total;
  bool text = false;                          ///< UTF-8 text, for readers that print it
  std::uint64_t in_view = 0;                  ///< token of the group view it must be sent in; 0 = any
  std::vector<std::string> more_groups = {};  ///< delivered in them too, at one place of the order, or in none; total only
  std::optional<GroupMember> to = {};         ///< to this member alone
  bool durable = false;                       ///< in a durable group: on_sent waits for enough disks; not with the two above
};

enum class Wait : std::uint8_t { all, majority, first };

struct RequestOptions {
  Wait wait = Wait::all;
  bool text = false;
  std::optional<GroupMember> to = {};  ///< ask this member alone
};

/// What the daemon says about itself.
struct DaemonStatus {
  std::uint32_t node = 0;
  std::string name;
  std::string state;  ///< "out", "joining", "member", "wedged", "left"
  std::uint64_t view = 0;
  std::uint32_t leader = 0;  ///< node id, 0 = none
  bool is_leader = false;
  bool has_quorum = false;
  std::string version;
};

class VSYNC_API Client {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// Does not connect yet: the first call that needs the daemon does. The handler must outlive the client.
  explicit Client(Handler& handler, Options options = {});
  /// Leaves all groups, by closing the connection. Sends without outcome are forgotten.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Waits until the daemon answers. Failure: unreachable, timeout.
  Expected<Done> connect(std::optional<Milliseconds> timeout = {});
  /// Waits until the view with this client is installed. on_view is called for it too. Failure timeout: the join goes on, as it
  /// was asked for first; calling again waits for it again, and fails with already_member once the view has come.
  Expected<GroupView> join(std::string_view group, JoinOptions options = {}, std::optional<Milliseconds> timeout = {});
  /// JoinOptions::offer of the next join of this group, when it joins again by itself.
  void set_offer(std::string_view group, std::uint64_t offer);
  /// Waits until the view without this client is installed; messages before it are still delivered.
  Expected<Done> leave(std::string_view group, std::optional<Milliseconds> timeout = {});

  /// The end of this client's lease as the leader of the group; long ago if it has none. It may act as leader while
  /// BootClock::now() is before it - look right before each act, and leave time for the act itself. leave() gives it up, a lost
  /// connection or an exclusion do not end it early.
  [[nodiscard]] BootClock::time_point lease_until(std::string_view group) const;

  /// Accepts a message for sending and never waits. Its outcome comes by on_sent. It leaves with the next call of poll, run or
  /// one that waits, or when a batch is full. Failure: would_block (too much without outcome), too_large, disconnected.
  Expected<Ticket> try_post(std::string_view group, std::string_view message, const SendOptions& options = {});
  /// The same, but waits for room and for the connection.
  Expected<Ticket> post(std::string_view group, std::string_view message, const SendOptions& options = {},
                        std::optional<Milliseconds> timeout = {});
  /// Sends and waits for the outcome. Failure timeout: the outcome is not known yet and still comes by on_sent.
  Expected<Sent> send(std::string_view group, std::string_view message, const SendOptions& options = {},
                      std::optional<Milliseconds> timeout = {});
  /// Sends a total message that asks the members of the group for replies, and waits until it ends: there are as many as waited
  /// for, there cannot be, or `timeout` is over. Failure: no reply of the daemon came at all.
  Expected<Replies> request(std::string_view group, std::string_view message, const RequestOptions& options = {},
                            std::optional<Milliseconds> timeout = {});
  /// Replies to a request of `asker`. Does not wait; a reply to who is gone is lost. Failure: too_large, disconnected.
  Expected<Done> reply(const GroupMember& asker, std::uint64_t request, std::string_view message, bool text = false);
  /// Waits until every message accepted so far has its outcome.
  Expected<Done> flush(std::optional<Milliseconds> timeout = {});
  [[nodiscard]] std::size_t unanswered_bytes() const;
  /// What may be sent now: Options::max_unanswered, or less when the daemon takes less, without what has no outcome yet. One
  /// message may always be under way, however large.
  [[nodiscard]] Credit credit() const;

  /// From now on, across reconnections, the handler hears of the cluster and of all groups; first of the present state.
  Expected<Done> watch(std::optional<Milliseconds> timeout = {});
  Expected<DaemonStatus> status(std::optional<Milliseconds> timeout = {});

  /// Does what there is to do and calls back; waits up to `timeout` for the first thing to do. Failure: disconnected and not to
  /// be reconnected.
  Expected<Done> poll(std::chrono::nanoseconds timeout = {});
  /// poll() until stop() or failure.
  Expected<Done> run();
  void stop();

  /// For event loops, Asio's for example: readable when poll() has something to do. It stays the same across reconnections. Wait
  /// for it to be readable (asio::posix::stream_descriptor::async_wait), call poll(), repeat. The first call begins to connect.
  [[nodiscard]] int native_handle() const;
  [[nodiscard]] bool connected() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vsync
