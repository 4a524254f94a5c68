// The replicated table of groups: a deterministic function of the totals delivered and the views installed (G1).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/groups/bodies.h"
#include "core/groups/group_state.h"
#include "core/groups/sessions.h"
#include "core/model/group.h"
#include "core/model/message.h"
#include "core/model/view.h"

namespace vsync::core {

/// One group with its current view. While GFLUSHED are awaited it is flushing (G4).
struct Group {
  GroupId id = 0;
  std::string name;
  GroupPolicy policy;                   ///< of the next view: a group becomes durable with the first member that keeps it
  GroupViewPtr view;                    ///< never null, never without members
  std::set<Pid> daemons;                ///< those with members in `view`
  std::uint64_t totals = 0;             ///< totals delivered in `view`
  std::map<Pid, std::uint64_t> others;  ///< fifo and causal messages delivered in `view`, per sending daemon
  std::set<Pid> awaited;                ///< daemons whose GFLUSHED is still to be delivered
  std::vector<GroupMember> joining;     ///< changes for the next view
  std::vector<GroupDeparture> leaving;
  GroupState state;      ///< T1
  GroupHistory history;  ///< K1, of a durable group

  std::set<ClientRef> holders;  ///< G10: members for which the senders are held

  [[nodiscard]] bool flushing() const { return !awaited.empty(); }
  [[nodiscard]] bool has(const ClientRef& member) const;
  /// Messages of the service (of this daemon, unless total) that have their place in `view`.
  [[nodiscard]] std::uint64_t placed(const Pid& sender, Service service) const;
};

class GroupTable {
 public:
  static constexpr std::size_t kMaxGroups = 65536;
  static constexpr std::size_t kMaxMembers = 65536;  ///< of one group
  /// Of all groups together: so the table has fewer bytes than a joiner takes (J6), whatever names they have.
  static constexpr std::size_t kMaxMemberships = kMaxMembers * 5 / 2;
  static constexpr std::size_t kMaxPast = 4096;  ///< durable groups without members that are remembered

  /// What an ordered change did.
  struct Change {
    GroupId group = 0;              ///< 0: it was ignored, at all daemons alike
    bool flush_started = false;     ///< G4: the daemons in Group::awaited owe a GFLUSHED
    GroupViewPtr installed = {};    ///< null: nothing yet
    bool durable = false;           ///< K2: more is durable than before
    std::string_view refused = {};  ///< why a join came to nothing, as in RequestRefused
  };

  // ---- ordered changes, each at its delivery
  Change join(const Pid& daemon, ClientId client, const JoinBody& body);
  Change leave(const Pid& daemon, ClientId client, GroupId group, LeaveReason reason);
  Change flushed(const Pid& daemon, GroupId group);
  Change state_news(const Pid& daemon, ClientId client, GroupId group, const StateBody& body);
  /// G10: a member does not keep up, or does again. False: nothing changed, at all daemons alike.
  bool hold(const Pid& daemon, ClientId client, GroupId group, bool held);
  /// K2; of an era that has not begun, that the disk has promised it (K1).
  Change synced(const Pid& daemon, GroupId group, const HistoryPosition& position);
  /// K3: what the disk of this daemon has of the group.
  Change told(const Pid& daemon, GroupId group, const KeptHistory& kept);
  /// K1: counts `count` delivered messages of a durable group, and returns the place of the first.
  HistoryPosition count(GroupId group, std::uint32_t count);
  /// Places `count` delivered messages in the group's view; returns the position of the first. The group must exist.
  std::uint64_t place(GroupId group, const Pid& sender, Service service, std::uint32_t count);

  /// A daemon view, after everything of the old one: clients of daemons that are gone leave (G2), flushes are completed (G4).
  /// Returns the new group views, by group id. A second install of the same view changes nothing: a joiner loads the table of
  /// the view that it then installs (J6).
  std::vector<GroupViewPtr> install(const View& view);

  /// C6. They are told of each delivery.
  [[nodiscard]] Sessions& sessions() { return sessions_; }

  // ---- queries
  [[nodiscard]] ViewId view() const { return view_; }                      ///< daemon view, 0 = none yet
  [[nodiscard]] const std::set<Pid>& daemons() const { return daemons_; }  ///< of that view, once it is installed
  [[nodiscard]] const Group* find(GroupId group) const;
  [[nodiscard]] const Group* find(std::string_view name) const;
  /// Whom its members wait for while nobody has the state. The group must exist.
  [[nodiscard]] StateWait awaited(GroupId group) const;
  [[nodiscard]] const std::map<std::string, GroupId, std::less<>>& names() const { return names_; }

  // ---- as bytes
  [[nodiscard]] std::string save() const;
  /// nullopt: not what save() writes. Everything is checked and bounded: the bytes come from a peer.
  static std::optional<GroupTable> load(std::string_view bytes);

 private:
  [[nodiscard]] Group new_group(const JoinBody& body) const;
  [[nodiscard]] static std::string_view refusal(const Group& group, const Pid& daemon, const JoinBody& body);
  Change advance(Group& group);
  void remember(const Group& group);
  GroupViewPtr install_group_view(Group& group);
  void remove_daemons_not_in(const View& view, Group& group);
  static void dismiss_hopeless(Group& group);
  static void dismiss_strangers(Group& group);
  [[nodiscard]] std::uint64_t next_token();
  bool add(Group group);  // a loaded one; false: contradicts the table

  std::map<GroupId, Group> groups_;
  std::map<std::string, GroupId, std::less<>> names_;
  std::map<std::string, GroupHistory, std::less<>> past_;  // K3: of durable groups, as of when their last member left
  std::set<Pid> daemons_;                                  // of the daemon view
  Uuid cluster_;
  GroupId last_group_ = 0;  // number of the newest group; after a cold start they begin with its view id
  ViewId view_ = 0;         // daemon view
  bool cold_ = false;       // that view is cold
  Sessions sessions_;
  std::size_t memberships_ = 0;  // follows from the groups
  std::uint64_t installed_ = 0;  // group views installed in it: the lower half of the token
};

}  // namespace vsync::core
