// Protobuf messages as JSON for programs: protobuf's JSON mapping with snake_case names, every integer a number, enums in lower
// case.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace vsync {

/// One line. Names are kept as in the .proto, scalars and lists are always there, messages and members of a oneof only when set,
/// bytes are base64. 64-bit integers are numbers and enums are lower case, as users write them: protobuf's own printer quotes the
/// first and shouts the second. Its parser reads both forms.
/// Text that is no UTF-8 is escaped as if it were Latin-1, so that the result is always valid JSON.
[[nodiscard]] std::string to_json(const google::protobuf::Message& message);

}  // namespace vsync
