#include "durable/keeper.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/model/mutant.h"

namespace vsync::durable {

namespace {

/// Requests of ours under a client's number, above all that it can have.
constexpr core::RequestId kOurs = core::RequestId{1} << 63U;
/// Names a checkpoint where a transfer has the token of a group view.
constexpr std::uint64_t kCheckpoint = std::uint64_t{1} << 63U;
constexpr core::Duration kPatience = std::chrono::seconds(30);  ///< with a client that was asked for its state

}  // namespace

Keeper::Kept* Keeper::find(const std::string& group) {
  const auto it = groups_.find(group);
  return it == groups_.end() ? nullptr : &it->second;
}

Keeper::Kept* Keeper::find(core::GroupId group) {
  const auto it = names_.find(group);
  return it == names_.end() ? nullptr : find(it->second);
}

// ---------------------------------------------------------------- joins

/// Who is not a member yet, and those who leave until all know it, count as well.
bool Keeper::has_room(const std::string& group) const {
  const auto used = [](const auto& entry) {
    const auto& kept = entry.second;
    return !kept.wished.empty() || !kept.following.empty() || kept.restore;
  };
  const auto known = groups_.find(group);
  return (known != groups_.end() && used(*known)) ||
         static_cast<std::size_t>(std::count_if(groups_.begin(), groups_.end(), used)) < limits_.groups;
}

void Keeper::join(core::ClientJoin join, const CheckpointPolicy& policy) {
  if (!has_room(join.group)) {
    const auto why = "this node's descriptors are enough for " + std::to_string(limits_.groups) + " durable groups";
    return home_.tell(core::RequestRefused{join.client, join.request, "too_many", why});
  }
  const auto [it, fresh] = groups_.try_emplace(join.group);
  auto& kept = it->second;
  kept.name = join.group;
  kept.wished[join.client] = policy;
  kept.parked.push_back(std::move(join));
  if (!fresh) {
    return next_join(kept);
  }
  store_.open(kept.name, [this, group = kept.name, alive = std::weak_ptr(alive_)](Result<Contents> contents) {
    if (alive.expired()) {
      return;
    }
    if (!contents) {
      return cannot_open(group, contents.error().message);
    }
    auto& opened = *find(group);
    opened.contents = std::move(*contents);
    opened.synced = opened.contents.kept.position;
    if (!opened.contents.damage.empty()) {
      home_.report(group, "what the disk had is set aside, and counts as lost: " + opened.contents.damage);
    }
    opened.open = true;
    next_join(opened);
  });
}

/// Nothing was said of this disk yet, so nobody counts on it: only who wants to join is told. The next one looks again.
void Keeper::cannot_open(const std::string& group, const std::string& why) {
  home_.report(group, "what the disk has cannot be read: " + why);
  auto kept = groups_.extract(group);
  for (const auto& join : kept.mapped().parked) {
    home_.tell(
        core::RequestRefused{join.client, join.request, "unreadable", "this node's disk of the group cannot be read: " + why});
  }
}

void Keeper::next_join(Kept& kept) {
  if (!kept.open || kept.joining || kept.parked.empty()) {
    return;
  }
  auto join = std::move(kept.parked.front());
  kept.parked.pop_front();
  kept.joining = {join.client, join.request};
  join.state.wanted = true;
  join.state.kept = kept.contents.kept;
  kept.offered = kept.contents.kept.position;
  home_.input(std::move(join));
}

/// It has come to nothing, or to an end.
void Keeper::joined_or_not(Kept& kept, core::ClientId client) {
  kept.wished.erase(client);
  if (kept.joining && kept.joining->first == client) {
    kept.joining.reset();
    next_join(kept);
  }
}

void Keeper::gone(core::ClientId client) {
  for (auto& [name, kept] : groups_) {
    std::erase_if(kept.parked, [&](const auto& join) { return join.client == client; });
    if (const auto follower = kept.following.find(client); follower != kept.following.end()) {
      follower->second = kGone;  // the group takes our disk for one that follows until its departure is delivered
    }
    let_go(kept, client);
    if (kept.restore && kept.restore->told_last && std::erase(kept.restore->clients, client) > 0) {
      kept.restore->gone.push_back(client);  // likewise: the core may call it adopted before it hears of this
      kept.restore->unread.erase(client);
      pump(name, kept.restore->token);
    } else {
      forget(kept, client);
      joined_or_not(kept, client);
    }
  }
}

void Keeper::dismissed(core::ClientId client, const std::string& group) {
  if (auto* kept = find(group)) {
    left(*kept, client);
  }
}

/// It is no member any more.
void Keeper::left(Kept& kept, core::ClientId client) {
  kept.following.erase(client);
  if (kept.giving && kept.giving->client == client) {
    kept.giving.reset();
  }
  let_go(kept, client);
  forget(kept, client);
  joined_or_not(kept, client);
}

void Keeper::let_go(Kept& kept, core::ClientId client) {
  if (kept.making && kept.making->client == client) {
    kept.making.reset();
  }
  if (kept.holder == client) {
    kept.holder.reset();  // who leaves holds nobody (G10)
  }
}

void Keeper::apply(const core::GroupViewInstalled& effect) {
  const auto& view = *effect.group_view;
  if (view.members.empty()) {
    asked_.erase(view.group);
  }
  auto* kept = find(view.name);
  if (kept == nullptr || !effect.audience.only.empty()) {
    return;
  }
  if (kept->id != view.group) {
    names_.erase(kept->id);
    kept->id = view.group;
    names_[view.group] = view.name;
  }
  for (const auto& departure : view.left) {
    if (departure.member.pid == home_.self()) {
      left(*kept, departure.member.client);
    }
  }
  check_due(*kept, true);
}

void Keeper::over() {
  asked_.clear();
  for (auto& [name, kept] : groups_) {
    kept.waiting.clear();
    drop_restore(kept);
    kept.giving.reset();
    kept.making.reset();
    kept.holder.reset();
    kept.following.clear();
    kept.joining.reset();
    kept.wished.clear();
    for (const auto& join : std::exchange(kept.parked, {})) {
      home_.tell(core::RequestRefused{join.client, join.request, "excluded", "the daemon is in the view no more"});
    }
  }
}

// ---------------------------------------------------------------- what is delivered

/// K2: our disk follows the group as long as a local member has its state.
void Keeper::apply(const core::DeliverMessages& effect) {
  auto* kept = effect.history.era == 0 ? nullptr : find(effect.group);  // most groups are not durable
  if (kept == nullptr) {
    return;
  }
  auto messages = messages_of(effect);
  for (auto& [client, given] : kept->following) {
    given = given != kGone && effect.audience.includes(client) ? messages.last() : given;
  }
  auto& mine = kept->contents.kept;
  const bool all_hear = effect.audience.only.empty() && effect.audience.later.empty();
  if (all_hear && mine.position.era == messages.first.era && messages.first.index > mine.position.index + 1) {
    return dismiss(*kept, "its disk here has missed messages");
  }
  if (kept->following.empty() || mine.position.era != messages.first.era || messages.first.index != mine.position.index + 1) {
    return;  // it has them, or gets them later: behind the state
  }
  mine.position.index = messages.last();
  kept->contents.log_bytes += messages.body.size();
  kept->since_checkpoint += messages.count;
  if (mutant(core::Mutant::durable_before_sync)) {
    home_.input(core::HistorySynced{kept->name, mine.position});
  }
  const auto bytes = messages.body.size();
  store_.append(kept->name, std::move(messages), when_synced(*kept, bytes));
  hold(*kept);
  check_due(*kept, false);
}

/// K2: who sends to the group waits for a disk that does not keep up, as for a member (G10), and in the name of one.
void Keeper::hold(Kept& kept) {
  const bool slow = kept.unwritten > (kept.holder ? limits_.unwritten / 2 : limits_.unwritten);
  if (slow == kept.holder.has_value()) {
    return;
  }
  const auto member = std::ranges::find_if(kept.following, [](const auto& entry) { return entry.second != kGone; });
  if (slow && member == kept.following.end()) {
    return;
  }
  home_.input(core::ClientHold{slow ? member->first : *kept.holder, kept.id, slow, true});
  kept.holder = slow ? std::optional(member->first) : std::nullopt;
}

/// Of what waits for the store, so many bytes more.
Store::Done Keeper::when_written(Kept& kept, std::size_t Kept::*waiting, std::size_t bytes, std::function<void(Kept&)> then) {
  kept.*waiting += bytes;
  kept.writes += 1;
  return
      [this, group = kept.name, waiting, bytes, then = std::move(then), alive = std::weak_ptr(alive_)](const Result<void>& done) {
        if (alive.expired()) {
          return;
        }
        if (!done) {
          return home_.failed("group " + group + ": " + done.error().message);
        }
        auto& self = *find(group);  // not forgotten before
        self.*waiting -= bytes;
        self.writes -= 1;
        then(self);
      };
}

Store::Done Keeper::when_synced(Kept& kept, std::size_t bytes) {
  return when_written(kept, &Kept::unwritten, bytes, [this, position = kept.contents.kept.position](Kept& self) {
    self.synced = position;
    hold(self);
    home_.input(core::HistorySynced{self.name, position});
  });
}

// ---------------------------------------------------------------- giving

core::RequestId Keeper::own_request() {
  return kOurs | ++last_request_;
}

void Keeper::apply(core::HistoryRequested& effect) {
  auto* kept = find(effect.group);
  if (kept == nullptr) {
    return;  // the client that was to give it is gone
  }
  // T2: its member was given up before it had caught up. Or it has caught up only now, and meanwhile there is a newer checkpoint.
  const auto end = effect.end.position.index;
  if (kept->contents.kept.position.index < end || kept->contents.checkpoint.index > end) {
    home_.input(core::ClientState{effect.client, own_request(), effect.group, effect.token, false, true, {}});
    return;
  }
  if (kept->restore && kept->restore->staged) {
    kept->waiting.clear();
    drop_restore(*kept);  // that transfer is over, and what is read now is the disk as it was offered
  }
  auto& giving = kept->giving.emplace();
  giving.client = effect.client;
  giving.token = effect.token;
  giving.window = effect.window;
  giving.piece_size = effect.piece_size;
  giving.end = effect.end;
  giving.reading = true;
  store_.common(kept->name, effect.known,
                for_giving<std::vector<HistoryPosition>>(*kept, [this, known = effect.known](Kept& self, auto common) {
                  auto& begun = *self.giving;
                  for (const auto& position : known) {  // an era has one history
                    if (position.era == begun.end.position.era && position.index >= self.contents.checkpoint.index) {
                      common.push_back(position);
                    }
                  }
                  begun.bytes = encode(Header{begun.end, common});
                  const auto oldest = std::min_element(known.begin(), known.end());
                  const bool all = std::all_of(known.begin(), known.end(), [&](const auto& position) {
                    return std::find(common.begin(), common.end(), position) != common.end();
                  });
                  if (all && oldest != known.end()) {
                    begun.cursor = {true, oldest->index};  // everybody has the beginning
                  }
                  give(self);
                }));
}

/// A question to the store about the history that is being given; its answer is void when nobody waits for that any more.
template <typename Answer, typename Then>
std::function<void(Result<Answer>)> Keeper::for_giving(const Kept& kept, Then then) {
  return [this, group = kept.name, token = kept.giving->token, alive = std::weak_ptr(alive_), then](Result<Answer> answer) {
    auto* self = alive.expired() ? nullptr : find(group);
    if (self == nullptr || !self->giving || self->giving->token != token) {
      return;
    }
    if (!answer) {
      return home_.failed("group " + group + ": " + answer.error().message);
    }
    self->giving->reading = false;
    then(*self, std::move(*answer));
  };
}

void Keeper::give(Kept& kept) {
  auto& giving = *kept.giving;
  while (!giving.ended) {
    const auto left = giving.bytes.size() - giving.given;
    if (left < giving.piece_size && !giving.all_read) {
      return read_more(kept);
    }
    const auto size = std::min(left, giving.piece_size);
    if (giving.in_flight > 0 && giving.in_flight + size > giving.window) {
      return;
    }
    const auto request = own_request();
    giving.unanswered[request] = size;
    giving.in_flight += size;
    auto bytes = giving.bytes.substr(giving.given, size);
    giving.given += size;
    giving.ended = giving.all_read && giving.given == giving.bytes.size();
    home_.input(
        core::ClientState{giving.client, request, kept.name, giving.token, giving.ended, false, Slice::take(std::move(bytes))});
    if (!kept.giving) {
      return;
    }
  }
}

void Keeper::read_more(Kept& kept) {
  auto& giving = *kept.giving;
  if (std::exchange(giving.reading, true)) {
    return;
  }
  store_.read(kept.name, giving.cursor, giving.end.position.index, giving.piece_size,
              for_giving<Chunk>(kept, [this](Kept& self, Chunk chunk) {
                auto& read = *self.giving;
                read.bytes.erase(0, std::exchange(read.given, 0));  // once for each chunk, not for each piece
                read.bytes += chunk.parts;
                read.cursor = chunk.next;
                read.all_read = chunk.end;
                give(self);
              }));
}

bool Keeper::answered(core::ClientId client, core::RequestId request, bool refused) {
  for (auto& [name, kept] : groups_) {
    if (kept.joining == std::pair(client, request) && refused) {
      joined_or_not(kept, client);
      return false;
    }
    if (!kept.giving || !kept.giving->unanswered.contains(request)) {
      continue;
    }
    kept.giving->in_flight -= kept.giving->unanswered.extract(request).mapped();
    if (refused || (kept.giving->ended && kept.giving->unanswered.empty())) {
      kept.giving.reset();  // nobody waits for it any more
    } else {
      give(kept);
    }
    return true;
  }
  return (request & kOurs) != 0;
}

// ---------------------------------------------------------------- checkpoints

void Keeper::check_due(Kept& kept, bool view) {
  const auto& policy = kept.policy;
  const bool enough = policy.every_messages > 0 && kept.since_checkpoint >= policy.every_messages;
  const bool old = policy.every.count() > 0 && kept.since_checkpoint > 0 && home_.now() - kept.checkpoint_at >= policy.every;
  const bool large = kept.contents.log_bytes > limits_.log_bytes;
  if (large && !std::exchange(kept.over_limit, true)) {
    home_.report(kept.name,
                 "its messages take more than " + std::to_string(limits_.log_bytes) + " bytes of disk: needs a checkpoint");
  }
  if (kept.contents.log_bytes > 2 * limits_.log_bytes && !kept.following.empty()) {
    return fill_no_more(kept);
  }
  if (enough || old || large || (view && policy.at_views && kept.since_checkpoint > 0)) {
    make_checkpoint(kept);
  }
}

/// Who was asked, also one that has only just come, has its time to answer.
void Keeper::fill_no_more(Kept& kept) {
  if (!kept.last_chance) {
    kept.last_chance = make_checkpoint(kept);
  } else if (!kept.making || home_.now() - kept.making->since >= kPatience) {
    kept.last_chance = false;
    dismiss(kept, "no member gives a checkpoint, and the disk may not be filled");
  }
}

/// They may come again.
void Keeper::dismiss(Kept& kept, const std::string& why) {
  for (auto& [client, given] : kept.following) {
    if (std::exchange(given, kGone) != kGone) {
      home_.report(kept.name, why + ": its members here leave");
      home_.input(core::ClientLeave{client, own_request(), kept.name});
      home_.tell(core::ClientDismissed{client, kept.id, kept.name});
    }
  }
}

/// The history up to some message is on its way to a member, or will be: no newer checkpoint may take the place of that.
bool Keeper::being_read(const Kept& kept) {
  return kept.giving || kept.joining;
}

/// Asks a member that has been given everything that is on the disk.
bool Keeper::make_checkpoint(Kept& kept) {
  const auto& position = kept.contents.kept.position;
  if (kept.making && home_.now() - kept.making->since < kPatience) {
    return true;
  }
  const auto member = std::find_if(kept.following.begin(), kept.following.end(),
                                   [&](const auto& entry) { return entry.second == position.index; });
  if (being_read(kept) || kept.unanswered > 0 || member == kept.following.end()) {
    return false;
  }
  kept.making = {member->first, kCheckpoint | ++last_checkpoint_, position, 0, kept.contents.log_bytes, home_.now()};
  kept.since_checkpoint = 0;
  kept.checkpoint_at = home_.now();
  home_.tell(core::StateRequested{member->first, kept.name, kept.making->token, limits_.window, limits_.piece});
  return true;
}

bool Keeper::piece(core::ClientState& piece) {
  const auto done = core::RequestDone{piece.client, piece.request, nullptr};
  const auto refuse = [&](std::string_view code, std::string message) {
    home_.tell(core::RequestRefused{piece.client, piece.request, code, std::move(message)});
    return true;
  };
  auto* kept = find(piece.group);
  if ((piece.token & kCheckpoint) == 0) {
    const bool from_disk =
        kept != nullptr && (kept->following.contains(piece.client) || (kept->giving && kept->giving->client == piece.client));
    return from_disk && refuse("no_transfer", "the state of a durable group is given from the disk of its daemon");
  }
  if (kept == nullptr || !kept->making || kept->making->client != piece.client || kept->making->token != piece.token) {
    return refuse("no_transfer", "nobody waits for this state any more");
  }
  auto& making = *kept->making;
  if (piece.refused) {
    kept->making.reset();
    home_.tell(done);
    return true;
  }
  if (piece.body.size() > limits_.piece) {
    return refuse("too_large", "a piece of a state has up to " + std::to_string(limits_.piece) + " bytes");
  }
  if (piece.body.empty() && !piece.last) {
    return refuse("bad_request", "only the last piece of a state may be empty");
  }
  if (kept->unanswered > 0 && kept->unanswered + piece.body.size() > limits_.window) {
    return refuse("too_many", "more than " + std::to_string(limits_.window) + " bytes without a reply");
  }
  making.since = home_.now();
  if (being_read(*kept) && piece.last) {
    kept->making.reset();
    kept->since_checkpoint = kept->policy.every_messages;  // soon again
    return refuse("no_transfer", "the history is being read, to be given to another member");
  }
  CheckpointPiece part{making.position, making.received, piece.last, std::move(piece.body)};
  making.received += part.bytes.size();
  if (part.last) {
    kept->contents.checkpoint = making.position;
    kept->contents.checkpoint_bytes = making.received;
    kept->contents.log_bytes -= making.log_bytes;
    kept->over_limit = kept->last_chance = false;
    kept->making.reset();
  }
  auto written = when_written(*kept, &Kept::unanswered, part.bytes.size(), [this, done](Kept&) { home_.tell(done); });
  store_.checkpoint(kept->name, std::move(part), std::move(written));
  return true;
}

void Keeper::tick() {
  look_again();
  for (auto it = groups_.begin(); it != groups_.end();) {
    auto& kept = it->second;
    check_due(kept, false);
    if (came_to_nothing(kept)) {
      names_.erase(kept.id);
      it = groups_.erase(it);
    } else {
      ++it;
    }
  }
}

/// The disk has nothing of it, nobody waits for it, and neither does the store.
bool Keeper::came_to_nothing(const Kept& kept) {
  return kept.open && kept.contents.kept.blank() && kept.wished.empty() && !kept.joining && kept.parked.empty() &&
         !kept.restore && kept.waiting.empty() && !kept.giving && kept.writes == 0;
}

Result<void> Keeper::force(const std::string& group) {
  auto* kept = find(group);
  if (kept == nullptr || kept->following.empty()) {
    return fail("no member of group " + group + " here has its state");
  }
  if (!make_checkpoint(*kept)) {
    return fail("the members of group " + group + " here are not up to date, or its disk is busy with it; try again");
  }
  return {};
}

std::vector<GroupStatus> Keeper::status() const {
  std::vector<GroupStatus> status;
  for (const auto& [name, kept] : groups_) {
    if (kept.open) {
      status.push_back({name, kept.contents, kept.synced, !kept.following.empty(), kept.making.has_value()});
    }
  }
  return status;
}

}  // namespace vsync::durable
