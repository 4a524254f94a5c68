#include "engine/metrics.h"

namespace vsync::engine {

io::NamedCounters named_counters(const io::TransportCounters& transport, const io::DiscoveryCounters& discovery) {
  return {
      {"links_accepted", transport.accepted},
      {"links_dialled", transport.dialled},
      {"links_opened", transport.opened},
      {"links_lost", transport.lost},
      {"links_reset", transport.resets},
      {"inputs_refused", transport.refused},
      {"datagrams_refused", transport.refused_datagrams},
      {"frames_received", transport.frames_in},
      {"frames_sent", transport.frames_out},
      {"datagrams_received", transport.datagrams_in},
      {"datagrams_sent", transport.datagrams_out},
      {"discovery_asked", discovery.asked},
      {"discovery_answered", discovery.answered},
      {"discovery_found", discovery.found},
      {"discovery_refused", discovery.refused},
  };
}

}  // namespace vsync::engine
