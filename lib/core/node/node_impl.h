// The composition: detector, membership, ordering and groups behind one step(). Private to this module.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/detector/detector.h"
#include "core/groups/groups.h"
#include "core/membership/membership.h"
#include "core/node/contact.h"
#include "core/node/node.h"
#include "core/node/streams.h"
#include "core/ordering/ordering.h"

namespace vsync::core {

class Node::Impl final : public MembershipHost {
 public:
  explicit Impl(Config config);

  void start(Time now, Effects& effects);
  void step(Time now, Input input, Effects& effects);
  [[nodiscard]] Time next_deadline() const;
  [[nodiscard]] Hello hello() const;
  [[nodiscard]] NodeStatus status(Time now) const;

  // ---- MembershipHost
  void send(const Pid& to, FramePtr frame) override;
  void want_links(std::vector<Member> peers, bool seek) override;
  [[nodiscard]] bool linked(const Pid& peer) const override { return detector_.linked(peer); }
  [[nodiscard]] bool reachable(const Pid& peer) const override { return detector_.reachable(peer, now_); }
  [[nodiscard]] Duration silence(const Pid& peer) const override { return detector_.silence(peer, now_); }
  [[nodiscard]] std::uint32_t health() const override { return detector_.health(); }
  void persist(std::uint64_t token, AcceptorRecord record) override;
  void wedge() override;
  [[nodiscard]] const Counts& held() const override { return ordering_.held(); }
  [[nodiscard]] bool has_all(const Counts& cut) const override { return ordering_.has_all(cut); }
  [[nodiscard]] std::vector<RunPtr> range(Rank sender, Seq lo, Seq hi) const override { return ordering_.range(sender, lo, hi); }
  bool forward(Rank sender, const RunPtr& run) override;
  void close_view(const View& base, const Counts& cut) override;
  void install(const ViewPtr& view, const ViewPtr& base) override;
  void witness(const ViewPtr& view) override;
  [[nodiscard]] const std::string& table() const override { return table_; }
  [[nodiscard]] std::uint64_t table_hash() const override { return table_hash_; }
  bool load_table(std::string_view bytes) override;
  void excluded(const ViewPtr& by, const std::optional<Counts>& cut) override;
  void left(const View& view) override;
  void finished(ViewId view) override;
  void refused(RejectReason reason, NodeId node, std::uint64_t incarnation) override;
  void emit(Effect effect) override;
  void step_taken(std::string_view name, std::uint64_t amount) override;

 private:
  struct Waiting {
    ClientId client = 0;
    RequestId request = 0;
  };
  struct Eviction {
    Pid member;
    Waiting who;
  };

  // ---- node.cpp: one per input
  void on(Tick& input);
  void on(EndOfTurn& input);
  void on(FrameReceived& input);
  void on(DatagramReceived& input);
  void on(LinkOpened& input);
  void on(LinkClosed& input);
  void on(PeerGone& input);
  void on(SeedsTried& input);
  void on(Persisted& input);
  void on(PersistFailed& input);
  void on(ClientJoin& input);
  void on(ClientSession& input);
  void on(ClientLeave& input);
  void on(ClientSend& input);
  void on(ClientState& input);
  void on(HistorySynced& input);
  void on(HistoryTold& input);
  void on(EraPromised& input);
  void on(HistoryTaken& input);
  void on(ClientRead& input);
  void on(ClientHold& input);
  void on(ClientGone& input);
  void on(AdminJoin& input);
  void on(AdminLeave& input);
  void on(AdminEvict& input);
  void on(AdminColdStart& input);

  // ---- traffic.cpp: the frames of a view, and what a turn ends with
  [[nodiscard]] std::optional<Rank> sender_in_view(const Pid& from, ViewId view, const Frame& frame);
  bool view_traffic(const Pid& from, const Frame& frame);
  bool state_traffic(const Pid& from, const Frame& frame);
  void on_data(Rank from, const Pid& pid, const Data& data);
  void on_link_up(Rank from, const Pid& pid, const LinkUp& link_up);
  void send_link_up(const Pid& to);
  bool bind_queued();
  bool deliver_ready();
  void hand_over(const std::vector<Delivery>& deliveries, const View& view);
  void check_divergence(const Heartbeat& heartbeat);
  void check_slow_member();
  void acquit_straggler();
  void check_quorum();
  void note_answer(const Heartbeat& heartbeat);
  void renew_leases();
  void tell_services();
  void check_drained();

  void handle_loopback();
  void run_detector();
  void forward_detector_effects();
  void refuse_input(const Pid& peer, std::string_view frame, std::string_view why);
  [[nodiscard]] bool is_member() const { return membership_.role() == Role::member || membership_.role() == Role::wedged; }
  /// Installed as member, or voted in as witness; null otherwise.
  [[nodiscard]] ViewPtr current_view() const;
  void tell_wanted_links();
  [[nodiscard]] MemberStatus member_status(const Member& member, Rank rank, Time now) const;
  [[nodiscard]] bool refused_by_witness(const Waiting& who);
  [[nodiscard]] Rank rank() const { return *membership_.view()->rank_of(config_.self.pid); }
  [[nodiscard]] Heartbeat own_heartbeat() const;
  void done(const Waiting& who);
  void refuse(const Waiting& who, std::string_view code, std::string message);
  void end_outcomes(std::optional<Seq> own_delivered, std::string_view why);

  Config config_;
  Effects* effects_ = nullptr;  ///< of the current step
  Time now_{};
  Detector detector_;
  Ordering ordering_;
  Groups groups_;
  Streams streams_;
  Membership membership_;
  Effects detected_;                  ///< of the detector, before membership has seen them
  std::deque<FramePtr> loopback_;     ///< frames to ourselves
  std::vector<Delivery> deliveries_;  ///< reused from turn to turn
  std::map<Pid, Hello> links_;
  std::map<Pid, LinkUp> early_link_ups_;  ///< of a view that is not installed here yet; the newest of each link
  std::string table_;                     ///< as of the last install (J6)
  std::uint64_t table_hash_ = 0;
  bool over_ = false;  ///< this incarnation has ended: excluded, left, refused or failed
  bool has_quorum_ = false;
  std::vector<Member> peers_wanted_;
  bool seeking_ = false;
  Contact contact_;
  Time leads_from_ = kNever;  ///< F10, for the leader of the daemon view: not before
  std::optional<Waiting> joining_;
  std::vector<Waiting> leaving_;
  std::vector<Eviction> evictions_;
  std::vector<std::pair<std::uint64_t, Waiting>> done_when_durable_;  ///< record token, who waits for it
  std::uint64_t last_record_ = 0;                                     ///< token of the newest record given to the shell
  bool drain_ = false;                                                ///< J7: leave when the own messages are stable
  Time drain_until_ = kNever;
  std::optional<Rank> straggler_;
  Time straggler_since_ = kNever;
  bool told_slow_ = false;      ///< MemberSlow was emitted for this straggler
  std::optional<Pid> accused_;  ///< R8: the straggler that we suspect
  Time wedged_at_{};
  Counters counters_;
};

}  // namespace vsync::core
