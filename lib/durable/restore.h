// A member of a durable group on its way to the group's state (K3).
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "core/model/types.h"
#include "durable/history.h"
#include "durable/store.h"

namespace vsync::durable {

/// First what the own disk has, if it lies on the group's history; then what comes from the donor's. Clients get each part once.
struct Restore {
  std::vector<core::ClientId> clients;
  std::uint64_t token = 0;
  PartReader reader;
  std::deque<Slice> pieces;  ///< that came and were not looked at; bounded by the window of the transfer
  bool last = false;         ///< there will be no more
  bool told_last = false;
  std::uint64_t arrived = 0;  ///< of the pieces, as HistoryTaken counts
  bool untold = false;        ///< the core has to hear that they were read

  std::optional<Header> header;
  bool own = false;                    ///< the own disk is a part of it …
  bool own_done = true;                ///< … and was read
  bool reading = false;                ///< the store was asked
  bool for_disk = true;                ///< else the disk follows another member here
  bool staged = false;                 ///< the disk will be changed
  Cursor cursor;                       ///< in the own disk
  std::uint64_t checkpoint_bytes = 0;  ///< that came for the disk …
  std::uint64_t log_bytes = 0;         ///< … and of messages
  std::uint64_t disk = 0;              ///< index of the last message on it, with what is staged
  HistoryPosition checkpoint;          ///< that the clients began with
  bool began = false;                  ///< they have a checkpoint, or know that there is none
  std::uint64_t given = 0;             ///< index of the last message that they have
  std::set<core::ClientId> unread;
  std::vector<core::ClientId> gone;  ///< had all of it; until their departure is delivered the group takes them for members
};

}  // namespace vsync::durable
