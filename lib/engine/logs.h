// Logs: one named logger per subsystem, every line with node, view and logical clock, levels changeable at run time.
#pragma once

#include <spdlog/logger.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model/types.h"

namespace vsync::engine {

enum class Subsystem { membership, detector, ordering, groups, transport, control, storage };
inline constexpr std::size_t kSubsystems = 7;
[[nodiscard]] std::string_view to_string(Subsystem subsystem);

/// "[SUBSYSTEM=]LEVEL": trace, debug, info, warn, error, off.
struct LogLevel {
  std::string subsystem;  ///< empty = all
  std::string level;
};
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

struct LogOptions {
  std::vector<LogLevel> levels;  ///< applied in order, over `info`
  std::vector<std::string> files;
  bool standard_error = true;
  bool journal = false;  ///< structured entries to the journal
};

/// What every line carries.
struct LogContext {
  core::NodeId node = 0;
  core::ViewId view = 0;
  core::Stamp clock = 0;
  std::string_view event = {};  ///< what happened, as the event log calls it; empty = nothing that has a name
  core::Pid member = {};        ///< whom it happened to; node 0 = nobody in particular
};

/// An entry of the journal: "FIELD=value" each. Event and member are left out where there is none.
[[nodiscard]] std::vector<std::string> journal_fields(const LogContext& context, std::string_view subsystem, int priority,
                                                      std::string_view message);

class LogContextSource {
 public:
  LogContextSource() = default;
  LogContextSource(const LogContextSource&) = delete;
  LogContextSource& operator=(const LogContextSource&) = delete;
  virtual ~LogContextSource() = default;
  [[nodiscard]] virtual LogContext log_context() const = 0;
};

/// Single-threaded.
class Logs {
 public:
  /// Fails when a file cannot be opened or a level is unknown.
  static Result<std::unique_ptr<Logs>> open(LogOptions options);

  [[nodiscard]] spdlog::logger& operator[](Subsystem subsystem) { return *loggers_[static_cast<std::size_t>(subsystem)]; }

  /// `subsystem` empty: all of them. Nothing changes on an error.
  Result<void> set_level(std::string_view level, std::string_view subsystem);
  /// Where node, view and clock come from; null: none are shown. The source must outlive its use here.
  void set_source(const LogContextSource* source) { *source_ = source; }
  /// Opens the files anew, after logrotate moved them.
  Result<void> reopen();

 private:
  Logs() = default;

  LogOptions options_;
  std::shared_ptr<const LogContextSource*> source_ = std::make_shared<const LogContextSource*>(nullptr);
  std::array<std::shared_ptr<spdlog::logger>, kSubsystems> loggers_;
};

}  // namespace vsync::engine
