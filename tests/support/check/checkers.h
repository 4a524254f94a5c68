// One checker per property of docs/PROTOCOL.md's promises. Each is a pure function of the history; none assumes an order between
// the records of different processes, so that they judge the simulator's trace and the merged event logs of real daemons alike.
#pragma once

#include <vector>

#include "support/check/history.h"
#include "support/check/report.h"

namespace vsync::check {

void views(const History& history, Report& report);              ///< M1 M2 M4 M5 M6 M8 I2
void causes(const History& history, Report& report);             ///< M7
void streams(const History& history, Report& report);            ///< M3 D1 D2 D3 D8
void causality(const History& history, Report& report);          ///< D9
void total_order(const History& history, Report& report);        ///< D10
void virtual_synchrony(const History& history, Report& report);  ///< D5 D6 D7 D11 D12
void state(const History& history, Report& report);              ///< S1 S2 S3
void ballots(const History& history, Report& report);            ///< C2
void fates(const History& history, Report& report);              ///< C3
void sessions(const History& history, Report& report);           ///< C6: what is told of sends of earlier connections is true
void group_views(const History& history, Report& report);        ///< G5, C4
void group_messages(const History& history, Report& report);     ///< same messages between two group views
void receipts(const History& history, Report& report);           ///< D4, positions, undamaged bodies, as applications see them
void states(const History& history, Report& report);             ///< T1, T2: state equals at the cut

void leases(const History& history, Report& report);          ///< F10: one leader at a time
void several_groups(const History& history, Report& report);  ///< G6: one place in one order for all groups
void stability(const History& history, Report& report);       ///< G9: what was told to be stable is at all who go on
void told_truly(const History& history, Report& report);      ///< G7, G8: what the simulator's applications found wrong

void holds(const History& history, Report& report);  ///< G10: nobody sends to a group that is held

/// K2: durable means durable. Not part of safety(): it may be broken when a majority of a group's disks was lost.
void durability(const History& history, Report& report);

/// All of the above but the last.
void safety(const History& history, Report& report);

/// How a run ended that was given the time to settle.
struct Ending {
  ViewId view = 0;        ///< the last view
  std::vector<Pid> live;  ///< processes that are alive and installed it
};
void everything_delivered(const History& history, const Ending& ending, Report& report);  ///< L3
void everything_answered(const History& history, const Ending& ending, Report& report);   ///< C1: one outcome per request
void nothing_held(const History& history, const Ending& ending, Report& report);          ///< G10: no group waits for ever
void nothing_suspected(const History& history, Report& report);                           ///< L4 L7: for runs without faults

}  // namespace vsync::check
