// The vocabulary of the model as Protocol Buffers messages and back. Writers set `to`; readers check ranges and counts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/model/frame.h"
#include "vsync/peer/v1/peer.pb.h"
#include "wire/check.h"

namespace vsync::wire {

namespace pb = ::vsync::peer::v1;

void write(pb::Pid& to, const core::Pid& pid);
void write(pb::Uuid& to, const core::Uuid& uuid);
void write(pb::Ballot& to, const core::Ballot& ballot);
void write(pb::Address& to, const core::Address& address);
void write(pb::Member& to, const core::Member& member);
void write(pb::Counts& to, const core::Counts& counts);
void write(pb::View& to, const core::View& view);
void write(pb::AcceptedValue& to, const core::AcceptedValue& accepted);

[[nodiscard]] core::Pid read(const pb::Pid& from);
[[nodiscard]] core::Uuid read(const pb::Uuid& from);
[[nodiscard]] core::Ballot read(const pb::Ballot& from);
[[nodiscard]] core::Address read(const pb::Address& from, Check& check);
[[nodiscard]] core::Member read(const pb::Member& from, Check& check);
[[nodiscard]] core::Counts read(const pb::Counts& from, Check& check);
/// Null unless all of it is in range.
[[nodiscard]] core::ViewPtr read(const pb::View& from, Check& check);
[[nodiscard]] core::AcceptedValue read(const pb::AcceptedValue& from, Check& check);
[[nodiscard]] std::vector<core::Pid> read_pids(const google::protobuf::RepeatedPtrField<pb::Pid>& from, Check& check);
[[nodiscard]] std::vector<core::Member> read_members(const google::protobuf::RepeatedPtrField<pb::Member>& from, Check& check);
[[nodiscard]] core::Rank read_rank(std::uint32_t from, Check& check);
[[nodiscard]] std::string read_text(const std::string& from, Check& check);

/// As much of a free text as a peer takes, without half a character at its end.
[[nodiscard]] std::string clipped(std::string_view text);

}  // namespace vsync::wire
