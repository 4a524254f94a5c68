// The happenings of a run in words.
#pragma once

#include <optional>
#include <string>

#include "core/model/effect.h"
#include "core/model/input.h"
#include "support/check/history.h"

namespace vsync::sim {

[[nodiscard]] std::string clock_text(core::Time time);           ///< "1.234567" seconds
[[nodiscard]] std::string frame_text(const core::Frame& frame);  ///< "PREPARE v3 b2/1"
/// Empty: not worth a line.
[[nodiscard]] std::string tell(const check::Fact& fact, const core::Pid& self);
[[nodiscard]] std::string tell(const core::Effect& effect);

/// The request in an input, and the answer in an effect, for the rule of one outcome per request.
[[nodiscard]] std::optional<check::Asked> asked_by(const core::Input& input);
[[nodiscard]] std::optional<check::Answered> answered_by(const core::Effect& effect);

}  // namespace vsync::sim
