// The event log: one line per protocol event, for scenario tests and checkers (product.md, docs/TESTING.md).
//
// json: {"time": nanoseconds since 1970, "pid": "node.incarnation", "event": NAME, …} where NAME is that of the struct in
// core/model/trace.h in small letters with underscores (start, install, submit, send, deliver, group_install, fate, left,
// excluded, suspected, unsuspected, promised, value_accepted, decided, step), and its fields have the names of the struct's.
// Pids are "node.incarnation", ballots "round/node", uuids 32 hexadecimal digits, enumerations their words, durations
// nanoseconds.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/model/trace.h"

namespace vsync::engine {

class EventLog {
 public:
  enum class Format { text, membership, json };

  /// Appends to `path`; "-" is standard output.
  static Result<std::unique_ptr<EventLog>> open(const std::string& path, Format format);
  ~EventLog();
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  void write(const core::Pid& self, const core::trace::Event& event);
  /// A fault point is about to end the process.
  void crashing(const core::Pid& self);
  /// Hands everything to the kernel. To be called before anything that follows from the events leaves the daemon, so that even
  /// after a SIGKILL no peer knows more than the log.
  Result<void> flush();

 private:
  EventLog(std::FILE* file, bool owned, Format format) : file_(file), owned_(owned), format_(format) {}

  std::FILE* file_;
  bool owned_;
  Format format_;
  std::string lines_;   // not flushed yet
  core::ViewPtr view_;  // installed
};

/// One line, with its line feed, appended to `out`; nothing where the format does not have the event.
void append_text(std::string& out, const core::Pid& self, const core::trace::Event& event);
void append_membership(std::string& out, const core::Pid& self, const core::ViewPtr& view, const core::trace::Event& event);
void append_json(std::string& out, std::int64_t time, const core::Pid& self, const core::trace::Event& event);

}  // namespace vsync::engine
