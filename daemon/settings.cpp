#include "daemon/settings.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <sstream>

#include "base/assert.h"
#include "base/utf8.h"
#include "daemon/values.h"
#include "engine/logs.h"
#include "io/discovery.h"
#include "io/host_port.h"

namespace vsync::daemon {
namespace {

constexpr const char* kDefaultFile = "/etc/vsyncd/vsyncd.toml";

enum class Kind { value, list, flag };

// ---------------------------------------------------------------- checks: what a value must look like

using Check = Result<void> (*)(const std::string& text);

constexpr std::size_t kMaxName = 255;

template <typename T>
Result<void> without_value(const Result<T>& parsed) {
  return parsed ? Result<void>{} : tl::unexpected(parsed.error());
}

Result<void> any(const std::string& text) {
  return text.empty() ? fail("must not be empty") : Result<void>{};
}
/// The peers and every log and terminal get it.
Result<void> node_name(const std::string& text) {
  const bool fits = !text.empty() && text.size() <= kMaxName && printable_utf8(text);
  return fits ? Result<void>{} : fail("a name has 1 to " + std::to_string(kMaxName) + " bytes of printable UTF-8");
}
Result<void> cluster_name(const std::string& text) {
  const bool fits = !text.empty() && text.size() <= io::kMaxClusterName && printable_utf8(text);
  return fits ? Result<void>{} : fail("a name has 1 to " + std::to_string(io::kMaxClusterName) + " bytes of printable UTF-8");
}
Result<void> duration(const std::string& text) {
  return without_value(parse_duration(text));
}
Result<void> duration_or_auto(const std::string& text) {
  return text == "auto" || duration(text) ? Result<void>{} : fail("'" + text + "' is neither auto nor a duration like 10ms");
}
Result<void> size(const std::string& text) {
  return without_value(parse_size(text));
}
Result<void> port(const std::string& text) {
  return without_value(parse_number(text, 0, 65535));
}
Result<void> own_port(const std::string& text) {
  return without_value(parse_number(text, 1, 65535));
}
Result<void> node_id(const std::string& text) {
  return without_value(parse_number(text, 1, 0x7fffffff));
}
Result<void> flaps(const std::string& text) {
  return without_value(parse_number(text, 0, 1000));
}
Result<void> messages(const std::string& text) {
  return without_value(parse_number(text, 1, 1'000'000'000));
}
Result<void> mode(const std::string& text) {
  return without_value(parse_mode(text));
}
Result<void> address(const std::string& text) {
  return without_value(io::parse_host_port(text, 1));
}
Result<void> level(const std::string& text) {
  return without_value(engine::parse_log_level(text));
}

Result<void> host(const std::string& text) {
  const auto parsed = io::parse_host_port(text, 1);
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  return parsed->host.empty() ? fail("'" + text + "' names no host") : Result<void>{};
}

Result<void> one_of(const std::string& text, std::initializer_list<std::string_view> words) {
  if (std::ranges::find(words, text) != words.end()) {
    return {};
  }
  std::string allowed;
  for (const auto word : words) {
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  return fail("'" + text + "' is none of " + allowed);
}

Result<void> quorum(const std::string& text) {
  return one_of(text, {"dynamic", "static"});
}
Result<void> cold_start(const std::string& text) {
  return one_of(text, {"wait-all", "quorum", "manual"});
}
Result<void> event_format(const std::string& text) {
  return without_value(parse_event_format(text));
}

Result<void> fault(const std::string& text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, text.find('='));
  if (name == "crash-after" && text.size() > name.size()) {
    return duration(text.substr(name.size() + 1));
  }
  if (name == "crash-on" && text.size() > name.size() + 1) {
    return colon == std::string::npos ? Result<void>{} : without_value(parse_number(text.substr(colon + 1), 1, 1000000));
  }
  return fail("'" + text + "' is no fault point: crash-after=DURATION or crash-on=FRAME[:N]");
}

// ---------------------------------------------------------------- the settings

struct Definition {
  std::string_view name;
  std::string_view letter;  ///< short form of the flag
  Kind kind;
  std::string_view fallback;
  Check check;
  const char* help;
};

constexpr std::array kDefinitions{
    Definition{"name", "", Kind::value, "", node_name, "name of this node, unique in the cluster (default: the host name)"},
    Definition{"id", "", Kind::value, "", node_id,
               "number of this node, unique in the cluster (default: stored, or line of the hosts file, or assigned at join)"},
    Definition{"listen", "", Kind::value, "*:7475", address, "ADDR[:PORT] for membership and data (TCP)"},
    Definition{"advertise", "", Kind::value, "", host,
               "HOST[:PORT] where others reach this node (default: the listen address, or own line of the hosts file, or the "
               "first address of this host)"},
    Definition{"heartbeat-port", "", Kind::value, "7475", port, "UDP port for heartbeats"},
    Definition{"hosts", "", Kind::value, "", any, "FILE with one host per line; the first one founds the cluster"},
    Definition{"peer", "", Kind::list, "", host, "HOST[:PORT] of a member to join through; may be repeated"},
    Definition{"discover", "", Kind::flag, "false", nullptr,
               "look for the cluster by broadcasts on the local network, and answer those who look"},
    Definition{"cluster-name", "", Kind::value, "vsync", cluster_name, "name of the cluster, for discover"},
    Definition{"discovery-port", "", Kind::value, "7476", own_port, "UDP port for discover, the same on every host"},
    Definition{"bootstrap", "", Kind::flag, "false", nullptr, "found a new cluster if there is no stored state"},
    Definition{"witness", "", Kind::flag, "false", nullptr,
               "vote and do nothing else: the third voter of a cluster of two; joins through peer, hosts or discover"},
    Definition{"state-dir", "", Kind::value, "/var/lib/vsyncd", any, "directory for what must survive a restart"},
    Definition{"socket", "", Kind::value, "/run/vsyncd/vsyncd.sock", any, "control socket (systemd's when socket-activated)"},
    Definition{"socket-mode", "", Kind::value, "0660", mode, "permissions of the control socket"},
    Definition{"admin-group", "", Kind::value, "", any, "group whose members may do everything on the control socket"},
    Definition{"heartbeat-interval", "", Kind::value, "100ms", duration,
               "time between heartbeats (default: 100ms, or less when suspect-after is short)"},
    Definition{"suspect-after", "", Kind::value, "1s", duration,
               "silence after which a host is suspected; 200ms to 60s, at least 2 heartbeat intervals, better 5"},
    Definition{"link-flap-max", "", Kind::value, "10", flaps,
               "breaks of the connection to one host in a minute before it counts as not reachable from here; 0 = never"},
    Definition{
        "lease", "", Kind::value, "700ms", duration,
        "how long the leader of a group may act without asking; equal in the whole cluster (default: 700ms, or 3 heartbeat "
        "intervals if that is more)"},
    Definition{"quorum", "", Kind::value, "dynamic", quorum, "dynamic or static"},
    Definition{"voter", "", Kind::list, "", node_id,
               "node id of a voter, with quorum static; may be repeated (default: all lines of the hosts file)"},
    Definition{"cold-start", "", Kind::value, "wait-all", cold_start, "after everyone was down: wait-all, quorum or manual"},
    Definition{"client-queue", "", Kind::value, "1MiB", size,
               "bytes of one client that wait to be sent before it is not read any more"},
    Definition{"client-backlog", "", Kind::value, "256MiB", size,
               "bytes that wait for all clients together before the one with the most is disconnected"},
    Definition{
        "busy-poll", "", Kind::value, "auto", duration_or_auto,
        "stay awake so long after each message, up to 1s: less latency, at the price of a processor; 0s = off, auto = 50us, "
        "and no more than a tenth of a processor"},
    Definition{"client-limit", "", Kind::value, "64MiB", size,
               "bytes that wait for one client, beside one largest message, before it is disconnected"},
    Definition{"client-limit-messages", "", Kind::value, "1000000", messages,
               "messages that wait for one client before it is disconnected"},
    Definition{"max-message", "", Kind::value, "64MiB", size, "largest message taken from clients; up to 64MiB"},
    Definition{
        "durable-limit", "", Kind::value, "256MiB", size,
        "bytes of messages on the disk, for each durable group, before a checkpoint is asked for at once; at twice as much "
        "members that give none are dropped out of the group"},
    Definition{"log-level", "", Kind::list, "info", level, "[SUBSYSTEM=]LEVEL; may be repeated"},
    Definition{"log-file", "", Kind::list, "", any, "also log to this file; may be repeated"},
    Definition{"event-log", "", Kind::list, "", any,
               "[FORMAT:]FILE for one line per protocol event, - for standard output; may be repeated"},
    Definition{"event-log-format", "", Kind::value, "json", event_format,
               "text, membership or json, for event logs that name no format"},
    Definition{"start-delay", "d", Kind::value, "0s", duration, "wait before doing anything"},
    Definition{"crash-delay", "c", Kind::value, "", duration, "die so long after the start (scenario tests)"},
    Definition{"crash-in-change", "t", Kind::flag, "false", nullptr,
               "as leader of all hosts of the hosts file: evict the last one and die in the middle (scenario tests)"},
    Definition{"fault", "", Kind::list, "", fault,
               "crash-after=DURATION or crash-on=FRAME[:N] (scenario tests); may be repeated"},
};

const Definition* find_definition(std::string_view name) {
  const auto found = std::ranges::find(kDefinitions, name, &Definition::name);
  return found == kDefinitions.end() ? nullptr : &*found;
}

std::string environment_name(std::string_view name) {
  std::string text = "VSYNCD_";
  for (const char c : name) {
    text += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

// ---------------------------------------------------------------- the configuration file

struct FileError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string trimmed(std::string text) {
  return CLI::detail::trim(text);
}

/// Every quote in a value has its end on the line.
bool quotes_closed(std::string_view value) {
  char open = 0;
  for (const char c : value) {
    if (open != 0) {
      open = c == open ? '\0' : open;
    } else if (c == '"' || c == '\'') {
      open = c;
    } else if (c == '#') {
      break;
    }
  }
  return open == 0;
}

void check_quotes(std::string_view value, const std::string& where) {
  if (!quotes_closed(value)) {
    throw FileError(where + "a quote has no end: " + std::string(value));
  }
}

/// The line of each key. CLI11 reads the values but remembers no lines.
std::map<std::string, std::size_t> lines_of_keys(const std::string& text, const std::string& file) {
  std::map<std::string, std::size_t> lines;
  std::istringstream input(text);
  bool in_array = false;
  std::string line;
  for (std::size_t number = 1; std::getline(input, line); ++number) {
    line = trimmed(line);
    const auto where = file + ": line " + std::to_string(number) + ": ";
    if (in_array) {
      check_quotes(line, where);
      in_array = line.find(']') == std::string::npos;
      continue;
    }
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto equals = line.find('=');
    if (line.front() == '[' || equals == std::string::npos) {
      throw FileError(where + "'" + line + "' is no 'SETTING = VALUE'");
    }
    const auto value = trimmed(line.substr(equals + 1));
    check_quotes(value, where);
    in_array = value.starts_with('[') && value.find(']') == std::string::npos;
    const auto [position, fresh] = lines.emplace(trimmed(line.substr(0, equals)), number);
    if (!fresh) {
      throw FileError(where + position->first + " is set already, in line " + std::to_string(position->second));
    }
  }
  return lines;
}

/// CLI11's reader, with errors that name file and line; what the environment sets is left out, for the environment wins.
class FileReader : public CLI::ConfigTOML {
 public:
  explicit FileReader(const CLI::App& app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    const auto file = app_.get_config_ptr()->as<std::string>();
    const auto lines = lines_of_keys(text, file);
    std::istringstream again(text);
    auto settings = CLI::ConfigTOML::from_config(again);
    for (const auto& item : settings) {
      const auto line = lines.find(item.name);
      check(item, file + (line == lines.end() ? "" : ": line " + std::to_string(line->second)) + ": ");
    }
    std::erase_if(settings,
                  [](const CLI::ConfigItem& item) { return std::getenv(environment_name(item.name).c_str()) != nullptr; });
    return settings;
  }

 private:
  static void check(const CLI::ConfigItem& item, const std::string& where) {
    const auto* definition = find_definition(item.name);
    if (definition == nullptr || !item.parents.empty()) {
      throw FileError(where + "unknown setting '" + item.fullname() + "' (vsyncd --help lists all)");
    }
    if (definition->kind != Kind::list && item.inputs.size() != 1) {
      throw FileError(where + item.name + ": one value is expected");
    }
    for (const auto& input : item.inputs) {
      const auto fits = definition->check != nullptr ? definition->check(input) : one_of(input, {"true", "false"});
      if (!fits) {
        throw FileError(where + item.name + ": " + fits.error().message);
      }
    }
  }

  const CLI::App& app_;
};

// ---------------------------------------------------------------- CLI11

CLI::Validator validator(Check check) {
  return {[check](std::string& text) {
            const auto fits = check(text);
            return fits ? std::string() : fits.error().message;
          },
          ""};
}

CLI::Option* define(CLI::App& app, const Definition& definition, std::vector<std::string>& words) {
  const auto names =
      "--" + std::string(definition.name) + (definition.letter.empty() ? "" : ",-" + std::string(definition.letter));
  const auto environment = environment_name(definition.name);
  if (definition.kind == Kind::flag) {
    return app
        .add_flag_callback(
            names, [] {}, definition.help)
        ->envname(environment);
  }
  auto* option = app.add_option(names, words, definition.help)->envname(environment)->check(validator(definition.check));
  option->type_name("TEXT")->allow_extra_args(false);
  if (!definition.fallback.empty()) {
    option->default_str(std::string(definition.fallback));
  }
  if (definition.kind == Kind::list) {
    option->delimiter(',');
  } else {
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  return option;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

Settings::Value value_of(const Definition& definition, const CLI::Option& option, const std::vector<std::string>& words) {
  Settings::Value value{words, option.count() > 0};
  if (definition.kind == Kind::flag) {
    value.words = {value.given && option.as<bool>() ? "true" : "false"};
  } else if (!value.given) {
    value.words.clear();
    if (definition.name == "name") {
      value.words = {host_name()};
    } else if (!definition.fallback.empty()) {
      value.words = {std::string(definition.fallback)};
    }
  }
  return value;
}

}  // namespace

Result<CommandLine> parse_settings(const std::vector<std::string>& arguments) {
  CLI::App app("vsyncd: group membership daemon with virtually synchronous multicast", "vsyncd");
  app.option_defaults()->always_capture_default(false);
  app.get_formatter()->column_width(34);
  CommandLine result;
  bool version = false;
  app.set_config("--config", kDefaultFile, "configuration file (TOML)");
  app.config_formatter(std::make_shared<FileReader>(app));
  app.add_flag("--check-config", result.check_config, "check the settings, print the effective ones, and end")
      ->configurable(false);
  app.add_flag("--version", version, "print the version and end")->configurable(false);

  std::array<std::vector<std::string>, kDefinitions.size()> words;
  std::array<CLI::Option*, kDefinitions.size()> options{};
  for (std::size_t i = 0; i < kDefinitions.size(); ++i) {
    options[i] = define(app, kDefinitions[i], words[i]);
  }
  try {
    auto reversed = arguments;
    std::ranges::reverse(reversed);
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    result.answer = app.help();
    return result;
  } catch (const std::exception& error) {  // CLI11 reports by exceptions
    return fail(error.what());
  }
  if (version) {
    result.answer = "vsyncd " VSYNC_VERSION "\n";
    return result;
  }
  for (std::size_t i = 0; i < kDefinitions.size(); ++i) {
    result.settings.set(kDefinitions[i].name, value_of(kDefinitions[i], *options[i], words[i]));
  }
  return result;
}

// ---------------------------------------------------------------- Settings

const Settings::Value& Settings::at(std::string_view name) const {
  const auto found = values_.find(name);
  VSYNC_ASSERT(found != values_.end(), "a setting that is not defined");
  return found->second;
}

const std::string& Settings::text(std::string_view name) const {
  static const std::string none;
  const auto& words = at(name).words;
  return words.empty() ? none : words.front();
}

const std::vector<std::string>& Settings::list(std::string_view name) const {
  return at(name).words;
}

std::string Settings::to_file() const {
  std::string text;
  for (const auto& definition : kDefinitions) {
    const auto& words = at(definition.name).words;
    const bool list = definition.kind == Kind::list;
    std::string values;
    for (const auto& word : words) {
      values += (values.empty() ? "" : ", ") + (definition.kind == Kind::flag ? word : "\"" + word + "\"");
    }
    const bool unset = words.empty();
    text += (unset ? "# " : "") + std::string(definition.name) + " = " + (list ? "[" + values + "]" : values) + "\n";
  }
  return text;
}

std::vector<std::string> Settings::differences(const Settings& other) const {
  std::vector<std::string> names;
  for (const auto& definition : kDefinitions) {
    if (at(definition.name).words != other.at(definition.name).words) {
      names.emplace_back(definition.name);
    }
  }
  return names;
}

}  // namespace vsync::daemon
