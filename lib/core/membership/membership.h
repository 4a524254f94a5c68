// Membership: agreement on the sequence of views (protocol.md sections 5, 10 and 11).
//
// One object per daemon incarnation. It plays up to four parts at once, each in its own file:
//   voter.cpp      every node: promises, accepts, learns decided views (V4, V8, V10, V12)
//   survivor.cpp   a wedged member: forwards and fetches what others or itself miss (V7)
//   candidate.cpp  drives one ballot: pre-vote, prepare, choose, forward, accept, announce (V1-V9)
//   joiner.cpp     outside: founding, joining, the table, cold start; and the leader's side of a join (J1-J6, B1, B2)
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "core/membership/acceptor.h"
#include "core/membership/causes.h"
#include "core/membership/choose.h"
#include "core/membership/host.h"

namespace vsync::core {

class Membership {
 public:
  Membership(const Config& config, MembershipHost& host);

  // ---- inputs; every call is one step, `now` never goes back
  void start(Time now);
  /// A membership frame from a linked peer or from this daemon itself. False: it is none of membership's.
  bool frame(const Pid& from, const Frame& frame, Time now);
  void persisted(std::uint64_t token, Time now);
  void link_opened(const Hello& peer, Time now);
  void link_closed(const Pid& peer, Time now);
  /// What a peer says about itself in its heartbeats.
  void peer_state(const Pid& peer, Role role, ViewId decided, Time now);
  /// The detector's opinion changed. none: withdrawn.
  void suspicion(const Pid& peer, Evidence evidence, Duration silence, Time now);
  void seeds_tried(Time now);
  void join(Time now);        ///< OUT -> JOINING (operator)
  void leave(Time now);       ///< J7, after the own messages are drained
  void cold_start(Time now);  ///< B2 by an operator
  void evict(const Pid& member, const std::string& why, Time now);
  void tick(Time now);
  [[nodiscard]] Time next_deadline() const;

  // ---- state
  [[nodiscard]] Role role() const;
  [[nodiscard]] const ViewPtr& view() const { return view_; }  ///< installed; null when out
  [[nodiscard]] const ViewPtr& decided() const { return acceptor_.decided(); }
  /// P1: the decided view is promised away.
  [[nodiscard]] bool promised() const { return acceptor_.promised() != Ballot{}; }
  [[nodiscard]] bool leaving() const { return leaving_; }
  [[nodiscard]] Uuid uuid() const;
  /// Voters that answer now: linked nodes with the vote epoch they came with, and this one.
  [[nodiscard]] VoterSet voters_at_hand() const;

 private:
  // ---- phases: what this daemon is. Only become_*() change it.
  struct Out {};
  /// Knows no view as member. `named`: a decided view that names this pid; its table is being fetched (J6).
  struct Joining {
    Time since{};
    ViewPtr named;
    std::string table;             ///< pieces so far
    std::size_t source = 0;        ///< index of the survivor that is asked
    Time ask_at{};                 ///< next JOIN or TABREQ
    std::vector<Member> intended;  ///< J5: members to link to, from READY
    Pid leader;                    ///< who asked READY
    ViewId ready_view = 0;
  };
  struct Active {};
  /// Promised in V: nothing moves in V any more. Waits for INSTALL.
  struct Wedged {
    Pid candidate;
    Ballot ballot;
    Time since{};  ///< of this ballot here
    std::optional<Flush> flush;
    Pid flush_candidate;
    Time fetch_at = kNever;
    bool fetched = false;
    bool reported_have_all = false;
  };
  /// J8: not a member any more, still answering.
  struct Lingering {
    ViewPtr view;  ///< the one without this daemon
    Time until{};
    std::set<Pid> installed;
  };
  /// B4: named as witness in the last decided view. Votes and learns; that is all.
  struct Witnessing {};
  using Phase = std::variant<Out, Joining, Active, Wedged, Lingering, Witnessing>;

  // ---- the task of a candidate (protocol.md `leader_task`)
  struct PreVoting {
    Time until{};
    std::set<Pid> yes;
  };
  struct Preparing {
    Ballot ballot;
    Time since{};
    Time until{};  ///< flush_to: then the silent ones are left behind
    std::map<Pid, Promise> promises;
    bool cold = false;
  };
  struct Forwarding {
    Ballot ballot;
    Time until{};
    ViewPtr value;
    FramePtr flush;
    std::vector<PlanEntry> plan;
    std::set<Pid> waiting;   ///< receivers that have not sent HAVE_ALL
    std::set<Pid> involved;  ///< holders and receivers: the loss of one abandons the ballot (V7)
    std::map<Pid, Promise> promises;
  };
  struct Accepting {
    Ballot ballot;
    ViewPtr value;
    VoterSet accepted;
    std::set<Pid> promisers;
    std::set<Pid> answered;
  };
  using Task = std::variant<std::monostate, PreVoting, Preparing, Forwarding, Accepting>;

  /// V9: INSTALL is repeated until every member has installed; to others three times.
  struct Announcement {
    ViewPtr view;
    std::set<Pid> members;  ///< not yet INSTALLED
    std::set<Pid> others;
    int repeats_left = 3;
  };

  /// A frame that may leave, or a step that counts as taken, only when a record is durable (P1-P3).
  struct Delayed {
    std::uint64_t token = 0;
    Pid to;
    FramePtr frame;  ///< null: `step`
    std::optional<trace::Event> step;
  };

  struct Peer {
    Hello hello;
    Role role = Role::out;
    ViewId decided = 0;
  };

  // voter.cpp
  void on(const Pid& from, const Prepare& prepare);
  void on(const Pid& from, const Accept& accept);
  void on(const Pid& from, const Install& install);
  void on(const Pid& from, const Evicted& evicted);
  void on(const Pid& from, const ViewRequest& request);
  void on(const Pid& from, const PreVote& prevote);
  void learn(const ViewPtr& view);  ///< V9: then apply()
  void apply(const ViewPtr& view);  ///< V10-V12 for a durable decided view
  void apply_as_member(const ViewPtr& view);
  void apply_as_witness(const ViewPtr& view);  ///< B4
  void check_used(const View& view);
  void ask_around();                        ///< does anybody know a later view?
  void tell(const Pid& peer, ViewId from);  ///< V4a: INSTALLs from `from`+1, or EVICTED
  void wedge(const Pid& candidate, const Ballot& ballot);
  [[nodiscard]] bool behind(ViewId view) const;  ///< on the way to install `view` with its state
  [[nodiscard]] bool awaits_table() const;
  [[nodiscard]] std::vector<bool> reach() const;

  // survivor.cpp
  void on(const Pid& from, const Flush& flush);
  void on(const Pid& from, const Forward& forward);
  void on(const Pid& from, const Fetch& fetch);
  void send_range(const Pid& to, const Ballot& ballot, Rank sender, Seq lo, Seq hi);
  void check_have_all();
  void check_fetch();

  // candidate.cpp
  void on(const Pid& from, const PreVoteReply& reply);
  void on(const Pid& from, const Promise& promise);
  void on(const Pid& from, const Nack& nack);
  void on(const Pid& from, const HaveAll& have_all);
  void on(const Pid& from, const HolderLost& lost);
  void on(const Pid& from, const Accepted& accepted);
  void on(const Pid& from, const Installed& installed);
  void on(const Pid& from, const Suspect& suspect);
  void on(const Pid& from, const Leave& leave);
  void on(const Pid& from, const EvictRequest& request);
  [[nodiscard]] Pid candidate() const;  ///< V1
  /// V1: `peer` cannot lead this daemon: it is suspected, or has had no link to us for so long that its PREPARE will not come.
  [[nodiscard]] bool cannot_lead(const Pid& peer) const;
  [[nodiscard]] bool cause_due() const;
  void consider();
  void start_prevote();
  void campaign(bool cold = false);
  void try_choose();
  void try_choose_cold(const Preparing& task, const VoterSet& answered);
  void choose();
  [[nodiscard]] ChooseInput choose_input(const Preparing& task) const;
  void start_forwarding(Choice choice, std::map<Pid, Promise> promises, const Ballot& ballot);
  void start_accepting(ViewPtr value, const std::map<Pid, Promise>& promises, const Ballot& ballot);
  void send_accept(const Accepting& task);
  void shut_down(const std::map<Pid, Promise>& promises);
  void decide(const ViewPtr& value, const Ballot& ballot);
  void abandon(Duration pause);
  void member_lost(const Pid& peer);
  void repeat_task();
  void check_task_deadline();
  void repeat_announcement();
  void report_causes();
  void report(const Pid& suspect, Evidence evidence, Duration silence);
  [[nodiscard]] std::set<Pid> acceptor_pids() const;  ///< members and voters of V at their links
  [[nodiscard]] Evidence confirmed(const Pid& member) const;
  [[nodiscard]] const ViewPtr& base() const { return holder() ? view_ : acceptor_.decided(); }  ///< V of our own ballots
  [[nodiscard]] bool led_by_other() const;
  [[nodiscard]] std::vector<Member> ready_joiners() const;

  // joiner.cpp
  void on(const Pid& from, const Join& join);
  void on(const Pid& from, const Reject& reject);
  void on(const Pid& from, const Ready& ready);
  void on(const Pid& from, const ReadyOk& ok);
  void on(const Pid& from, const TableRequest& request);
  void on(const Pid& from, const Table& table);
  void found();
  void consider_founding();
  void consider_cold_start();
  [[nodiscard]] bool cold_start_due() const;
  [[nodiscard]] std::vector<NodeId> cold_drivers() const;
  void ask_to_join();
  void check_ready();
  void ask_table();
  [[nodiscard]] std::optional<Reject> identity_refused(const Member& joiner) const;
  [[nodiscard]] Reject assign_id(const Pid& joiner);
  [[nodiscard]] std::optional<Reject> admission_refused(const Join& join);
  [[nodiscard]] bool linked(const Causes::Joiner& joiner) const;
  void send_ready();
  void make_room_for(const Pid& joiner);
  [[nodiscard]] const Member* namesake(const Member& joiner) const;
  [[nodiscard]] bool holders_known() const;
  void update_links();

  // membership.cpp
  void become_joining();
  void become_active(ViewPtr view, const ViewPtr& base);  ///< by value: it may live in the phase that ends
  void become_lingering(const ViewPtr& view);
  void become_witness(const ViewPtr& view);
  void check_lingering();
  void send(const Pid& to, Frame frame);
  void send(const Pid& to, const FramePtr& frame);
  /// Makes the acceptor's record durable; `frame` leaves when it is.
  void send_durably(const Pid& to, Frame frame);
  void trace_durably(trace::Event step);
  void announce(const std::set<Pid>& targets, const ViewPtr& decided);
  void store_record();
  void when_durable(Delayed delayed);
  void release(const Delayed& delayed);
  [[nodiscard]] bool holder() const;
  [[nodiscard]] bool witnessing() const { return std::holds_alternative<Witnessing>(phase_); }
  [[nodiscard]] ViewId view_id() const { return view_ ? view_->id() : 0; }
  [[nodiscard]] const Pid& self() const { return config_.self.pid; }
  void trace(trace::Event event);

  const Config& config_;
  MembershipHost& host_;
  Rng rng_;
  Time now_{};
  Acceptor acceptor_;
  ViewPtr view_;
  Phase phase_ = Out{};
  Task task_;
  Causes causes_;
  std::optional<Announcement> announcement_;
  std::map<Pid, Peer> peers_;  ///< linked
  std::vector<Delayed> delayed_;
  std::optional<std::pair<Pid, Prepare>> deferred_prepare_;  ///< of a view that is decided and not installed here yet
  std::uint64_t last_token_ = 0;                             ///< of the newest record given to the host
  std::uint64_t durable_token_ = 0;
  bool record_changed_ = false;
  bool leaving_ = false;
  Time leave_by_ = kNever;
  std::set<Pid> installed_before_us_;  ///< said INSTALLED of the next view while our INSTALL was not durable
  std::uint32_t seen_round_ = 0;       ///< highest ballot round heard of in NACKs of this instance
  bool seeds_tried_ = false;
  bool operator_cold_start_ = false;
  Time cold_since_ = kNever;  ///< since when a cold start is due and nobody drives it, as far as known here
  Time repeat_at_ = kNever;   ///< next repetition of unanswered frames
  Time campaign_at_{};        ///< V13: not before
  Time last_view_request_{};
  std::map<Pid, Join> early_joins_;           ///< who asked, itself, before we were in a view ourselves
  std::map<std::uint64_t, NodeId> assigned_;  ///< joiners without an id: their random incarnation -> id given
};

}  // namespace vsync::core
