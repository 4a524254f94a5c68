// A batch of messages as those who read JSON see it: message by message.
#pragma once

#include <cstdint>
#include <string_view>

#include "vsync/control/v1/control.pb.h"

namespace vsync {

/// Message `number` of a batch, from 0, whose content is this. Text is passed as text if it is UTF-8: a peer's word is not enough
/// for JSON.
void fill(control::v1::GroupMessage& out, const control::v1::MessageBatch& batch, std::uint32_t number, std::string_view content);

}  // namespace vsync
