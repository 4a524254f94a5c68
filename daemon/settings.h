// Every setting of vsyncd, defined once for the command line, the environment and the configuration file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vsync::daemon {

/// The effective settings, as text that was checked on its own. What they mean together is the business of options.h.
class Settings {
 public:
  struct Value {
    std::vector<std::string> words;  ///< one, or any number for settings that may be repeated
    bool given = false;              ///< not the default
  };

  [[nodiscard]] const std::string& text(std::string_view name) const;  ///< empty when not given and without default
  [[nodiscard]] const std::vector<std::string>& list(std::string_view name) const;
  [[nodiscard]] bool flag(std::string_view name) const { return text(name) == "true"; }
  [[nodiscard]] bool given(std::string_view name) const { return at(name).given; }

  /// As a configuration file with every setting in it.
  [[nodiscard]] std::string to_file() const;
  /// Names of the settings that differ.
  [[nodiscard]] std::vector<std::string> differences(const Settings& other) const;

  void set(std::string_view name, Value value) { values_[std::string(name)] = std::move(value); }

 private:
  [[nodiscard]] const Value& at(std::string_view name) const;

  std::map<std::string, Value, std::less<>> values_;
};

struct CommandLine {
  Settings settings;
  bool check_config = false;
  std::string answer;  ///< not empty: print this (help, version) and end
};

/// Flags win over the environment (VSYNCD_NAME, …), that over the file. Errors name the setting, and the file and line where it
/// is from a file, and what is allowed.
[[nodiscard]] Result<CommandLine> parse_settings(const std::vector<std::string>& arguments);

}  // namespace vsync::daemon
