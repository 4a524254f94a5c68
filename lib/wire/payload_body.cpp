#include "wire/payload_body.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "core/model/session.h"
#include "wire/frame_codec.h"
#include "wire/view_codec.h"

namespace vsync::wire {

namespace {

constexpr std::size_t kRunHeader = 44;
constexpr std::uint8_t kBound = 8;       // flag on the wire: the token of the group view (C2) follows the header
constexpr std::uint8_t kEnveloped = 16;  // flag on the wire: the envelope (G6-G8) follows that, with its length
constexpr std::uint8_t kNumbered = 32;   // flag on the wire: the number of its first message (C6) follows that
constexpr std::size_t kToken = 8;        // the token, or the number
constexpr std::size_t kMaxEnvelope = 1024;
constexpr std::size_t kCount = 12;       // rank and count
constexpr std::size_t kStatement = 8;    // rank and number of counts
constexpr std::size_t kReferred = 2048;  // below, a copy is cheaper than one more part of a gathered write
constexpr std::uint64_t kMaxTable = std::uint64_t{256} << 20U;

void write_entries(Writer& to, const std::vector<core::RankCount>& counts) {
  for (const core::RankCount& entry : counts) {
    to.put(entry.rank).put(entry.count);
  }
}

std::vector<core::RankCount> read_entries(Reader& from, std::size_t number, Check& check) {
  std::vector<core::RankCount> counts;
  if (check.that(number <= kMaxMembers && number * kCount <= from.left(), "bad number of counts")) {
    counts.reserve(number);
    for (std::size_t i = 0; i < number; ++i) {
      const core::Rank rank = read_rank(from.value<std::uint32_t>(), check);
      counts.push_back({rank, from.value<std::uint64_t>()});
    }
  }
  return counts;
}

/// The messages of a run that is no fragment must fill its body: clients get it as it is.
bool well_formed(const core::Run& run) {
  Reader messages(run.body.view());
  for (std::uint32_t i = 0; i < run.count; ++i) {
    if (!messages.text(std::numeric_limits<std::uint32_t>::max())) {
      return false;
    }
  }
  return messages.done();
}

void check_run(const core::Run& run, Check& check) {
  const bool fragment = (run.flags & core::Run::kFragment) != 0;
  const bool last = (run.flags & core::Run::kLastFragment) != 0;
  constexpr unsigned kFlags = core::Run::kText | core::Run::kFragment | core::Run::kLastFragment;
  check.that(run.first >= 1 && run.count >= 1 && run.first <= std::numeric_limits<core::Seq>::max() - run.count, "bad run range");
  check.that((run.flags & ~kFlags) == 0 && (fragment || !last), "bad run flags");
  check.that(!fragment || run.count == 1, "bad fragment");
  check.that(run.kind == core::RunKind::data || run.service == core::Service::total, "bad run service");
  check.that(run.kind != core::RunKind::data || fragment || well_formed(run), "bad run body");
}

/// Returns the size of the body, which comes later.
std::size_t read_run_header(Reader& from, core::Run& run, Check& check) {
  run.first = from.value<std::uint64_t>();
  run.stamp = from.value<std::uint64_t>();
  run.group = from.value<std::uint64_t>();
  run.count = from.value<std::uint32_t>();
  run.client = from.value<std::uint32_t>();
  const std::size_t body = from.value<std::uint32_t>();
  const std::size_t deps = from.value<std::uint16_t>();
  run.service = to_enum(from.value<std::uint8_t>(), core::Service::total, check);
  run.kind = to_enum(from.value<std::uint8_t>(), core::kLastRunKind, check);
  run.flags = from.value<std::uint8_t>();
  const bool zero = from.value<std::uint16_t>() == 0 && from.value<std::uint8_t>() == 0;
  check.that(zero && from.ok(), "bad run header");
  if ((run.flags & kBound) != 0) {
    run.flags = static_cast<std::uint8_t>(run.flags & ~kBound);
    run.in_view = from.value<std::uint64_t>();
    check.that(run.in_view != 0 && from.ok(), "bad run view");
  }
  if ((run.flags & kEnveloped) != 0) {
    run.flags = static_cast<std::uint8_t>(run.flags & ~kEnveloped);
    const auto envelope = from.text(kMaxEnvelope).value_or("");
    run.envelope = Slice::copy_of(envelope);
    check.that(!envelope.empty() && run.kind == core::RunKind::data, "bad run envelope");
  }
  if ((run.flags & kNumbered) != 0) {
    run.flags = static_cast<std::uint8_t>(run.flags & ~kNumbered);
    run.number = from.value<std::uint64_t>();
    check.that(core::valid_numbers(run.number, run.count) && from.ok(), "bad run number");
  }
  run.deps = read_entries(from, deps, check);
  return body;
}

void write_run_header(Writer& to, const core::Run& run) {
  to.put(run.first).put(run.stamp).put(run.group).put(run.count).put(run.client);
  to.put(static_cast<std::uint32_t>(run.body.size())).put(static_cast<std::uint16_t>(run.deps.size()));
  to.put(static_cast<std::uint8_t>(run.service)).put(static_cast<std::uint8_t>(run.kind));
  const auto more = (run.in_view != 0 ? kBound : 0) | (run.envelope.empty() ? 0 : kEnveloped) | (run.number != 0 ? kNumbered : 0);
  to.put(static_cast<std::uint8_t>(run.flags | more)).put(std::uint16_t{0}).put(std::uint8_t{0});
  if (run.in_view != 0) {
    to.put(run.in_view);
  }
  if (!run.envelope.empty()) {
    to.put(run.envelope.view());
  }
  if (run.number != 0) {
    to.put(run.number);
  }
  write_entries(to, run.deps);
}

}  // namespace

void Gather::refer(const Slice& bytes) {
  if (bytes.size() < kReferred) {
    head_.raw(bytes.view());
  } else {
    referred_.emplace_back(head_.size(), bytes);
  }
}

std::vector<Slice> Gather::finish() {
  const Slice head = Slice::take(head_.take());
  std::vector<Slice> parts;
  parts.reserve(2 * referred_.size() + 1);
  std::size_t begin = 0;
  const auto add_head = [&](std::size_t end) {
    if (end > begin) {
      parts.push_back(head.part(begin, end - begin));
      begin = end;
    }
  };
  for (auto& [after, bytes] : referred_) {
    add_head(after);
    parts.push_back(std::move(bytes));
  }
  add_head(head.size());
  return parts;
}

// ---------------------------------------------------------------- writers

std::size_t size_of(const core::Run& run) {
  const std::size_t envelope = run.envelope.empty() ? 0 : sizeof(std::uint32_t) + run.envelope.size();
  const std::size_t words = (run.in_view != 0 ? kToken : 0) + (run.number != 0 ? kToken : 0);
  return kRunHeader + words + envelope + run.deps.size() * kCount + run.body.size();
}

void write_runs(Gather& to, std::span<const core::RunPtr> runs) {
  to.head().put(static_cast<std::uint32_t>(runs.size()));
  for (const core::RunPtr& run : runs) {
    write_run_header(to.head(), *run);
  }
  for (const core::RunPtr& run : runs) {
    to.refer(run->body);
  }
}

void write_counts(Writer& to, const std::vector<core::RankCount>& counts) {
  to.put(static_cast<std::uint32_t>(counts.size()));
  write_entries(to, counts);
}

void write_statements(Writer& to, const std::vector<core::AckAggregate::Statement>& statements) {
  to.put(static_cast<std::uint32_t>(statements.size()));
  for (const auto& statement : statements) {
    to.put(statement.rank);
    write_counts(to, statement.counts);
  }
}

void write_table(Gather& to, const core::Table& table) {
  to.head().put(table.total).put(table.offset).put(table.hash);
  to.refer(table.bytes);
}

void write_state(Gather& to, const core::StatePiece& piece) {
  to.head().put(piece.group).put(piece.token).put(piece.offset).put(std::uint8_t{piece.last});
  to.refer(piece.bytes);
}

// ---------------------------------------------------------------- readers

std::vector<core::RunPtr> read_runs(Reader& from, const Slice& frame, Check& check) {
  const auto number = from.count(kMaxFrame, kRunHeader);
  if (!check.that(number.has_value(), "bad number of runs")) {
    return {};
  }
  std::vector<core::Run> headers(*number);
  std::vector<std::size_t> sizes(*number);
  for (std::size_t i = 0; i < *number && check.ok(); ++i) {
    sizes[i] = read_run_header(from, headers[i], check);
  }
  std::vector<core::RunPtr> runs;
  runs.reserve(*number);
  for (std::size_t i = 0; i < *number && check.ok(); ++i) {
    const std::size_t offset = frame.size() - from.left();
    if (check.that(from.raw(sizes[i]).has_value(), "bad run body size")) {
      headers[i].body = frame.part(offset, sizes[i]);
      check_run(headers[i], check);
      runs.push_back(std::make_shared<const core::Run>(std::move(headers[i])));
    }
  }
  return runs;
}

std::vector<core::RankCount> read_counts(Reader& from, Check& check) {
  return read_entries(from, from.value<std::uint32_t>(), check);
}

std::vector<core::AckAggregate::Statement> read_statements(Reader& from, Check& check) {
  const auto number = from.count(kMaxMembers, kStatement);
  std::vector<core::AckAggregate::Statement> statements;
  if (check.that(number.has_value(), "bad number of statements")) {
    statements.reserve(*number);
    for (std::size_t i = 0; i < *number && check.ok(); ++i) {
      const core::Rank rank = read_rank(from.value<std::uint32_t>(), check);
      statements.push_back({rank, read_counts(from, check)});
    }
  }
  return statements;
}

void read_table(Reader& from, const Slice& frame, core::Table& table, Check& check) {
  table.total = from.value<std::uint64_t>();
  table.offset = from.value<std::uint64_t>();
  table.hash = from.value<std::uint64_t>();
  const std::size_t size = from.left();
  check.that(from.ok() && table.total <= kMaxTable && table.offset <= table.total && size <= table.total - table.offset,
             "bad table range");
  table.bytes = frame.part(frame.size() - size, size);
  static_cast<void>(from.raw(size));
}

void read_state(Reader& from, const Slice& frame, core::StatePiece& piece, Check& check) {
  piece.group = from.value<std::uint64_t>();
  piece.token = from.value<std::uint64_t>();
  piece.offset = from.value<std::uint64_t>();
  const auto last = from.value<std::uint8_t>();
  const std::size_t size = from.left();
  piece.last = last == 1;
  check.that(
      from.ok() && last <= 1 && (last == 1 || size > 0) && piece.offset <= std::numeric_limits<std::uint64_t>::max() - size - 1,
      "bad state range");
  piece.bytes = frame.part(frame.size() - size, size);
  static_cast<void>(from.raw(size));
}

}  // namespace vsync::wire
