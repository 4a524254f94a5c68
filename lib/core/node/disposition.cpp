#include "core/node/disposition.h"

#include <array>

#include "base/assert.h"

namespace vsync::core {

namespace {

constexpr auto H = Disposition::handle;
constexpr auto K = Disposition::keep;
constexpr auto I = Disposition::ignore;
constexpr auto R = Disposition::refuse;

using Row = std::array<Disposition, 5>;

// One row per frame in the order of the Frame variant; columns: OUT, JOINING, MEMBER, WEDGED, LEFT.
constexpr std::array<Row, std::variant_size_v<Frame>> kTable = {{
    {R, R, R, R, R},  // HELLO: the transport's
    {R, R, R, R, R},  // GOODBYE: the transport's
    {I, K, H, H, I},  // LINKUP
    {I, I, H, I, I},  // DATA: a wedged member takes none (V4)
    {I, I, H, I, I},  // ACK
    {I, I, H, I, I},  // AGG
    {I, I, H, H, I},  // SUSPECT
    {I, H, H, H, I},  // JOIN: kept while we are joining ourselves
    {I, H, H, H, I},  // REJECT: members pass it on to the joiner
    {I, I, H, H, I},  // LEAVE
    {I, I, H, H, I},  // EVICT_REQ
    {I, I, H, H, I},  // PREVOTE
    {I, I, H, H, I},  // PREVOTE_REPLY
    {I, H, H, H, H},  // PREPARE: a restarted voter votes, one that left tells what was decided (J8)
    {I, H, H, H, I},  // PROMISE: to a joiner in a cold start (B2)
    {I, H, H, H, I},  // NACK
    {I, H, I, I, I},  // READY
    {I, I, H, H, I},  // READY_OK
    {I, I, I, H, I},  // FLUSH
    {I, I, I, H, I},  // FORWARD
    {I, I, I, H, I},  // FETCH
    {I, I, I, H, I},  // HAVE_ALL
    {I, I, I, H, I},  // HOLDER_LOST
    {I, H, H, H, H},  // ACCEPT
    {I, H, H, H, I},  // ACCEPTED
    {I, H, H, H, I},  // INSTALL
    {I, I, H, H, H},  // INSTALLED
    {I, I, H, H, H},  // TABREQ
    {I, H, I, I, I},  // TABLE
    {I, H, H, H, I},  // EVICTED
    {I, H, H, H, H},  // VIEW_REQ
}};

}  // namespace

Disposition disposition(Role role, std::size_t frame) {
  const auto column = static_cast<std::size_t>(role);
  VSYNC_ASSERT(frame < kTable.size() && column < kTable[frame].size(), "every frame has a row and every role a column");
  return kTable[frame][column];
}

std::string_view to_string(Disposition disposition) {
  static constexpr std::array<std::string_view, 4> kNames = {"handle", "keep", "ignore", "refuse"};
  return kNames[static_cast<std::size_t>(disposition)];
}

}  // namespace vsync::core
