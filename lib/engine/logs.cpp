#include "engine/logs.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/uio.h>
#include <syslog.h>

#include <algorithm>
#include <optional>
#include <utility>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace vsync::engine {
namespace {

constexpr std::array<std::string_view, kSubsystems> kNames{"membership", "detector", "ordering", "groups",
                                                           "transport",  "control",  "storage"};
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e %l %n [%*] %v";

using Source = std::shared_ptr<const LogContextSource*>;

LogContext context_of(const Source& source) {
  return *source == nullptr ? LogContext{} : (*source)->log_context();
}

/// "node 3 view 5 clock 120" in place of %*.
class ContextFlag final : public spdlog::custom_flag_formatter {
 public:
  explicit ContextFlag(Source source) : source_(std::move(source)) {}
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    const auto context = context_of(source_);
    fmt::format_to(std::back_inserter(out), "node {} view {} clock {}", context.node, context.view, context.clock);
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<ContextFlag>(source_); }

 private:
  Source source_;
};

/// Entries with fields, so that `journalctl VSYNC_EVENT=suspected VSYNC_MEMBER=2.1` works.
class JournalSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  explicit JournalSink(Source source) : source_(std::move(source)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    auto fields = journal_fields(context_of(source_), {message.logger_name.data(), message.logger_name.size()},
                                 priority(message.level), {message.payload.data(), message.payload.size()});
    std::vector<iovec> pieces;
    for (auto& field : fields) {
      pieces.push_back({field.data(), field.size()});
    }
    // A journal that does not take it cannot be told to anybody.
    static_cast<void>(sd_journal_sendv(pieces.data(), static_cast<int>(pieces.size())));
  }
  void flush_() override {}

 private:
  static int priority(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::trace:
      case spdlog::level::debug:
        return LOG_DEBUG;
      case spdlog::level::info:
        return LOG_INFO;
      case spdlog::level::warn:
        return LOG_WARNING;
      case spdlog::level::err:
        return LOG_ERR;
      case spdlog::level::critical:
      case spdlog::level::off:
      case spdlog::level::n_levels:
        break;
    }
    return LOG_CRIT;
  }

  Source source_;
};

std::optional<spdlog::level::level_enum> level_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, spdlog::level::level_enum>, 6> kLevels{{{"trace", spdlog::level::trace},
                                                                                           {"debug", spdlog::level::debug},
                                                                                           {"info", spdlog::level::info},
                                                                                           {"warn", spdlog::level::warn},
                                                                                           {"error", spdlog::level::err},
                                                                                           {"off", spdlog::level::off}}};
  const auto found = std::ranges::find(kLevels, name, &std::pair<std::string_view, spdlog::level::level_enum>::first);
  return found == kLevels.end() ? std::nullopt : std::optional(found->second);
}

Result<std::vector<spdlog::sink_ptr>> make_sinks(const LogOptions& options, const Source& source) {
  std::vector<spdlog::sink_ptr> sinks;
  if (options.journal) {
    sinks.push_back(std::make_shared<JournalSink>(source));
  } else if (options.standard_error) {
    sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_st>());
  }
  for (const auto& file : options.files) {
    try {
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_st>(file));
    } catch (const spdlog::spdlog_ex& error) {
      return fail("cannot open the log file '" + file + "': " + error.what());
    }
  }
  for (const auto& sink : sinks) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<ContextFlag>('*', source).set_pattern(kPattern);
    sink->set_formatter(std::move(formatter));
  }
  return sinks;
}

}  // namespace

std::vector<std::string> journal_fields(const LogContext& context, std::string_view subsystem, int priority,
                                        std::string_view message) {
  std::vector<std::string> fields{"MESSAGE=" + std::string(message),
                                  "PRIORITY=" + std::to_string(priority),
                                  "VSYNC_SUBSYSTEM=" + std::string(subsystem),
                                  "VSYNC_NODE=" + std::to_string(context.node),
                                  "VSYNC_VIEW=" + std::to_string(context.view),
                                  "VSYNC_CLOCK=" + std::to_string(context.clock)};
  if (!context.event.empty()) {
    fields.push_back("VSYNC_EVENT=" + std::string(context.event));
  }
  if (context.member.node != 0) {
    fields.push_back("VSYNC_MEMBER=" + core::to_string(context.member));
  }
  return fields;
}

std::string_view to_string(Subsystem subsystem) {
  return kNames[static_cast<std::size_t>(subsystem)];
}

Result<LogLevel> parse_log_level(std::string_view text) {
  const auto equals = text.find('=');
  LogLevel parsed;
  if (equals != std::string_view::npos) {
    parsed.subsystem = text.substr(0, equals);
    text = text.substr(equals + 1);
  }
  parsed.level = text;
  if (!level_of(parsed.level)) {
    return fail("'" + parsed.level + "' is no log level: trace, debug, info, warn, error or off");
  }
  if (!parsed.subsystem.empty() && std::ranges::find(kNames, parsed.subsystem) == kNames.end()) {
    return fail("'" + parsed.subsystem +
                "' is no subsystem: membership, detector, ordering, groups, transport, control or storage");
  }
  return parsed;
}

Result<std::unique_ptr<Logs>> Logs::open(LogOptions options) {
  std::unique_ptr<Logs> logs(new Logs);
  auto sinks = make_sinks(options, logs->source_);
  if (!sinks) {
    return tl::unexpected(sinks.error());
  }
  for (std::size_t i = 0; i < kSubsystems; ++i) {
    logs->loggers_[i] = std::make_shared<spdlog::logger>(std::string(kNames[i]), sinks->begin(), sinks->end());
    logs->loggers_[i]->flush_on(spdlog::level::trace);  // a daemon that is killed has said everything
  }
  for (const auto& level : options.levels) {
    if (auto set = logs->set_level(level.level, level.subsystem); !set) {
      return tl::unexpected(set.error());
    }
  }
  logs->options_ = std::move(options);
  return logs;
}

Result<void> Logs::set_level(std::string_view level, std::string_view subsystem) {
  const auto parsed = parse_log_level(subsystem.empty() ? std::string(level) : std::string(subsystem) + "=" + std::string(level));
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  for (std::size_t i = 0; i < kSubsystems; ++i) {
    if (subsystem.empty() || kNames[i] == subsystem) {
      loggers_[i]->set_level(*level_of(parsed->level));
    }
  }
  return {};
}

Result<void> Logs::reopen() {
  auto sinks = make_sinks(options_, source_);
  if (!sinks) {
    return tl::unexpected(sinks.error());
  }
  for (const auto& logger : loggers_) {
    logger->sinks() = *sinks;
  }
  return {};
}

}  // namespace vsync::engine
