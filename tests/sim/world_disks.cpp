// The keepers of durable groups, one in each process, and the disks below them.
#include "sim/narrate.h"
#include "sim/world.h"

namespace vsync::sim {

using namespace core;

void World::mount(Host& host, const std::shared_ptr<Process>& process) {
  process->home = std::make_unique<KeeperHome>(*this, *process);
  const auto delay = [this] {
    const auto spread = static_cast<std::uint64_t>((setup_.write_max - setup_.write_min).count());
    return setup_.write_min + Duration(rng_.below(spread + 1));
  };
  process->store = std::make_unique<DiskStore>(scheduler_, rng_,
                                               DiskStore::Disk{host.disk.histories, host.disk_stopped, host.disk_fails}, delay);
  const durable::KeeperLimits limits{std::uint64_t{1} << 40U, 4 * setup_.limits.max_run_bytes, setup_.limits.state_window,
                                     setup_.limits.max_run_bytes};
  process->keeper = std::make_unique<durable::Keeper>(*process->store, *process->home, limits);
}

/// Requests and what clients tell pass the keeper on their way to the core.
bool World::kept(Process& process, Input& input) {
  auto& keeper = *process.keeper;
  if (auto* join = std::get_if<ClientJoin>(&input); join != nullptr && join->policy.disks > 0) {
    keeper.join(std::move(*join), applications->checkpoint_policy());
    return true;
  }
  if (auto* piece = std::get_if<ClientState>(&input)) {
    return keeper.piece(*piece);
  }
  if (const auto* gone = std::get_if<ClientGone>(&input)) {
    keeper.gone(gone->client);
  }
  if (const auto* read = std::get_if<ClientRead>(&input)) {
    keeper.read(read->client);
  }
  return false;
}

/// Effects that are for the keeper alone.
bool World::kept(Process& process, Effect& effect) {
  auto& keeper = *process.keeper;
  if (auto* asked = std::get_if<HistoryRequested>(&effect)) {
    say(process.host, "reads the history of " + asked->group + " up to " + std::to_string(asked->end.position.index));
    keeper.apply(*asked);
    return true;
  }
  if (const auto* asked = std::get_if<HistoryAsked>(&effect)) {
    say(process.host, "is asked what it has of " + asked->group);
    keeper.apply(*asked);
    return true;
  }
  if (const auto* proposed = std::get_if<EraProposed>(&effect)) {
    say(process.host, "promises era " + std::to_string(proposed->era) + " of " + proposed->group);
    keeper.apply(*proposed);
    return true;
  }
  if (const auto* adopted = std::get_if<HistoryAdopted>(&effect)) {
    say(process.host, "keeps the history of " + adopted->group);
    keeper.apply(*adopted);
    return true;
  }
  if (auto* arrived = std::get_if<StateArrived>(&effect); arrived != nullptr && arrived->history) {
    keeper.apply(*arrived);
    return true;
  }
  if (const auto* done = std::get_if<RequestDone>(&effect)) {
    return keeper.answered(done->client, done->request, false);
  }
  if (const auto* refused = std::get_if<RequestRefused>(&effect)) {
    return keeper.answered(refused->client, refused->request, true);
  }
  return false;
}

/// Effects that the clients had first.
void World::keep(Process& process, const Effect& effect) {
  if (process.ended) {
    return;
  }
  auto& keeper = *process.keeper;
  if (const auto* messages = std::get_if<DeliverMessages>(&effect)) {
    keeper.apply(*messages);
  } else if (const auto* view = std::get_if<GroupViewInstalled>(&effect)) {
    keeper.apply(*view);
  } else if (const auto* dismissed = std::get_if<ClientDismissed>(&effect)) {
    keeper.dismissed(dismissed->client, dismissed->name);
  }
}

// ---------------------------------------------------------------- the keeper's home

void World::KeeperHome::input(Input input) {
  world.put(process.id, {std::move(input), true});
}

void World::KeeperHome::tell(Effect effect) {
  if (process.ended) {
    return;
  }
  if (auto line = sim::tell(effect); !line.empty()) {
    world.say(process.host, line);
  }
  if (auto answered = answered_by(effect); answered && !world.patient_.contains({answered->client, answered->request})) {
    world.record(process.host, *answered);
  }
  world.applications->effect(process.host, effect);
}

void World::KeeperHome::restored(const std::vector<ClientId>& clients, const std::string& group, const HistoryPosition&,
                                 const HistoryPosition& end) {
  world.say(process.host, "has restored " + group + " up to " + std::to_string(end.index) + " in era " + std::to_string(end.era));
  world.applications->restored(process.host, clients, group, end);
}

void World::KeeperHome::report(const std::string& group, const std::string& what) {
  world.say(process.host, "group " + group + ": " + what);
  for (const auto* never : {"a part of a history", "without a beginning"}) {  // no link and no donor loses a part of it
    if (what.find(never) != std::string::npos) {
      world.record(process.host, check::StateBroken{"group " + group + ": " + what});
    }
  }
}

void World::KeeperHome::failed(const std::string& why) {
  world.say(process.host, "stops: " + why);
  world.fatal_.push_back(to_string(process.pid) + ": " + why);
}

}  // namespace vsync::sim
