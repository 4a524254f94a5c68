// The trace of a whole run, indexed once for all checkers: who stayed in which view, and what it sent and delivered there.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/model/trace.h"

namespace vsync::check {

using namespace vsync::core;

/// The process died without a word. Written by whoever killed it, not by the process.
struct Crash {};

/// A local application asked for something (requests request … request+count-1), and was answered. Written by the simulator.
struct Asked {
  ClientId client = 0;
  RequestId request = 0;
  std::uint32_t count = 1;
};
struct Answered {
  ClientId client = 0;
  RequestId request = 0;
  std::uint32_t count = 1;
  bool refused = false;  ///< the whole request, whatever its count
};
struct ClientDied {
  ClientId client = 0;
};

/// What the local members of a group got. `ids` name the messages; the simulator puts one into each, 0 = damaged on the way.
struct Received {
  GroupId group = 0;
  std::uint64_t token = 0;
  ViewId view = 0;
  Pid sender;
  Service service = Service::total;
  std::uint64_t position = 0;
  std::vector<std::uint64_t> ids;
  bool wrong_view = false;  ///< C2: it was sent for another group view
  bool direct = false;      ///< G7: for one member, so that it has no place of its own
  bool several = false;     ///< G6: meant for several groups
};

/// T1: the state of a replica as of the beginning of a group view. Written by the simulator; so is what a replica cannot make
/// sense of.
struct StateAt {
  GroupId group = 0;
  std::uint64_t token = 0;
  ClientId client = 0;
  std::uint64_t hash = 0;
};
struct StateBroken {
  std::string why;
};

/// G9: a local member of the group was told what is stable.
struct ToldStable {
  GroupId group = 0;
  std::uint64_t token = 0;
  std::uint64_t position = 0;
  std::vector<std::pair<Pid, std::uint64_t>> others;
};

/// The simulator's applications were told what is not true.
struct Broken {
  std::string property;
  std::string why;
};

/// C6: what a client was told of a send of one of its earlier connections. Written by the simulator.
struct Resolved {
  Pid pid;  ///< of the daemon that it was sent at, under this number
  ClientId client = 0;
  RequestId request = 0;
  std::uint64_t id = 0;  ///< as in Received
  Outcome outcome = Outcome::unknown;
};

/// K1: what a member of a durable group has from `first` on, in the era of the group. Written by the simulator.
struct Kept {
  std::string group;
  HistoryPosition first;
  std::vector<std::uint64_t> ids;
};
/// K2: a sender was told that these are durable. Written by the simulator.
struct ToldDurable {
  std::string group;
  HistoryPosition first;
  std::vector<std::uint64_t> ids;
};

using Fact = std::variant<trace::Event, Crash, Asked, Answered, ClientDied, Received, StateAt, StateBroken, ToldStable, Broken,
                          Resolved, Kept, ToldDurable>;

/// Records of one process are in the order in which they happened; between processes nothing is assumed.
struct Record {
  Time at{};
  Pid who;
  Fact fact;
};

/// The trace event or simulator fact in a record, nullptr if it is another.
template <typename T>
[[nodiscard]] const T* get(const Record& record) {
  if constexpr (std::is_constructible_v<Fact, std::in_place_type_t<T>>) {
    return std::get_if<T>(&record.fact);
  } else {
    const auto* event = std::get_if<trace::Event>(&record.fact);
    return event == nullptr ? nullptr : std::get_if<T>(event);
  }
}

/// A bound run, with what its sender had delivered at that moment (by rank of the view): its causal past.
struct Sent {
  const trace::Send* send = nullptr;
  Pid sender;
  Counts past;
  [[nodiscard]] Seq last() const { return send->first + send->count - 1; }
};

struct Delivered {
  const trace::Deliver* deliver = nullptr;
  std::optional<Rank> sender;  ///< rank; none: not a member
  const Sent* sent = nullptr;  ///< null: nobody sent it
};

/// What one process did in one view.
struct Stay {
  Pid pid;
  ViewPtr view;
  const trace::Install* install = nullptr;
  std::vector<Delivered> deliveries = {};
  Counts delivered = {};  ///< by rank, messages
  Seq sent = 0;           ///< own messages
  ViewId next = 0;        ///< the view it went to from here, with its state; 0 = none
  bool leaver = false;    ///< it left cleanly: it goes to `next` but is no member of it
  [[nodiscard]] ViewId id() const { return view->id(); }
};

struct Process {
  Pid pid;
  std::vector<const Record*> records;
  std::deque<Stay> stays;
  bool crashed = false;
  bool ended = false;  ///< left or excluded
};

/// Built once; keeps pointers into the records, which must outlive it.
class History {
 public:
  explicit History(std::span<const Record> records);

  [[nodiscard]] const std::map<Pid, Process>& processes() const { return processes_; }
  /// Contents of every view that was installed or decided; more than one entry breaks M4.
  [[nodiscard]] const std::map<ViewId, std::vector<ViewPtr>>& views() const { return views_; }
  [[nodiscard]] const View* view(ViewId id) const;
  /// All stays in a view, and those that went on from it by successor.
  [[nodiscard]] const std::map<ViewId, std::vector<const Stay*>>& stays() const { return stays_; }
  /// The run of `sender` that begins at `first`; nullptr: nobody sent it.
  [[nodiscard]] const Sent* sent(ViewId view, const Pid& sender, Seq first) const;
  /// Sends and deliveries outside the installed view (M3).
  [[nodiscard]] const std::vector<const Record*>& strays() const { return strays_; }

 private:
  void index_sends();
  void index_stays(Process& process);
  void add_view(const ViewPtr& view);

  std::map<Pid, Process> processes_;
  std::map<ViewId, std::vector<ViewPtr>> views_;
  std::map<ViewId, std::vector<const Stay*>> stays_;
  std::map<std::pair<ViewId, Pid>, std::deque<Sent>> sends_;
  std::vector<const Record*> strays_;
};

}  // namespace vsync::check
