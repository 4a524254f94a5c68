// Counters of the shell under the names that `status` shows beside those of the core.
#pragma once

#include "io/control_server.h"
#include "io/discovery.h"
#include "io/transport.h"

namespace vsync::engine {

[[nodiscard]] io::NamedCounters named_counters(const io::TransportCounters& transport, const io::DiscoveryCounters& discovery);

}  // namespace vsync::engine
