// The planted faults by name.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/model/mutant.h"

namespace vsync::sim {

struct MutantName {
  core::Mutant mutant;
  std::string name;
  std::string rule;
};

[[nodiscard]] inline const std::vector<MutantName>& mutant_names() {
  static const std::vector<MutantName> names{
#define VSYNC_MUTANT_NAME(name, text) {core::Mutant::name, #name, text},
      VSYNC_MUTANT_LIST(VSYNC_MUTANT_NAME)
#undef VSYNC_MUTANT_NAME
  };
  return names;
}

/// False: there is no such fault, or this program was built without them.
[[nodiscard]] inline bool plant([[maybe_unused]] std::string_view name) {
#ifdef VSYNC_MUTANTS
  for (const auto& known : mutant_names()) {
    if (known.name == name) {
      core::active_mutant = known.mutant;
      return true;
    }
  }
#endif
  return false;
}

}  // namespace vsync::sim
