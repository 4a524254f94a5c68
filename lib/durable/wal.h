// Was a write-ahead log of SQLite changed by the disk, or cut off by a crash?
#pragma once

#include <string>

namespace vsync::durable {

/// SQLite takes a log for cut off at the first frame that does not fit its checksum, and forgets what follows, without a word:
/// also transactions that were synced long ago, if the disk has changed a byte. But a crash cuts off only the transaction that
/// was not synced yet, and none is written before the one in front is synced (synchronous=FULL). So two ends of transactions at
/// or behind that frame prove damage; a changed byte in the very last transaction cannot be told from a crash. No log, or one
/// that cannot be read: false, and SQLite says why. The log must be emptied (wal_checkpoint(TRUNCATE)) when it was opened after a
/// crash, or what is left behind its end could be taken for later transactions. Format: https://www.sqlite.org/fileformat2.html,
/// "The Write-Ahead Log".
[[nodiscard]] bool log_is_damaged(const std::string& path);

}  // namespace vsync::durable
