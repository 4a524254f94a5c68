#include "core/node/disposition.h"

#include <array>

#include "base/assert.h"

namespace vsync::core {

namespace {

constexpr auto H = Disposition::handle;
constexpr auto K = Disposition::keep;
constexpr auto I = Disposition::ignore;
constexpr auto R = Disposition::refuse;

using Row = std::array<Disposition, 6>;

// One row per frame in the order of the Frame variant; columns: OUT, JOINING, MEMBER, WEDGED, LEFT, WITNESS.
constexpr std::array<Row, std::variant_size_v<Frame>> kTable = {{
    {R, R, R, R, R, R},  // HELLO: the transport's
    {R, R, R, R, R, R},  // GOODBYE: the transport's
    {I, K, H, H, I, I},  // LINKUP
    {I, I, H, I, I, I},  // DATA: a wedged member takes none (V4)
    {I, I, H, I, I, I},  // ACK
    {I, I, H, I, I, I},  // AGG
    {I, I, H, H, I, I},  // SUSPECT
    {I, H, H, H, I, H},  // JOIN: kept while we are joining ourselves; a witness passes it on
    {I, H, H, H, I, H},  // REJECT: passed on to the joiner
    {I, I, H, H, I, I},  // LEAVE
    {I, I, H, H, I, I},  // EVICT_REQ
    {I, I, H, H, I, I},  // PREVOTE
    {I, I, H, H, I, I},  // PREVOTE_REPLY
    {I, H, H, H, H, H},  // PREPARE: a restarted voter votes, one that left tells what was decided (J8)
    {I, H, H, H, I, I},  // PROMISE: to a joiner in a cold start (B2)
    {I, H, H, H, I, I},  // NACK
    {I, H, I, I, I, I},  // READY
    {I, I, H, H, I, I},  // READY_OK
    {I, I, I, H, I, I},  // FLUSH
    {I, I, I, H, I, I},  // FORWARD
    {I, I, I, H, I, I},  // FETCH
    {I, I, I, H, I, I},  // HAVE_ALL
    {I, I, I, H, I, I},  // HOLDER_LOST
    {I, H, H, H, H, H},  // ACCEPT
    {I, H, H, H, I, I},  // ACCEPTED
    {I, H, H, H, I, H},  // INSTALL
    {I, I, H, H, H, H},  // INSTALLED: also to a leaver whose INSTALL comes later
    {I, I, H, H, H, I},  // TABREQ
    {I, H, I, I, I, I},  // TABLE
    {I, H, H, H, I, H},  // EVICTED
    {I, H, H, H, H, H},  // VIEW_REQ
    {I, I, H, H, I, I},  // GSTATE: beside the streams of the view, whatever happens to it
    {I, I, H, H, I, I},  // GSTATE_ACK
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
