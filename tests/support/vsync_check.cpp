// vsync_check FILE...: judges the event logs (json) of all daemons of a cluster by the simulator's checkers.
// Exit status: 0 every promise was kept, 1 one was broken, 2 a log cannot be read.
#include <cstdio>
#include <fstream>

#include "support/check/checkers.h"
#include "support/event_log_reader.h"

int main(int argc, char** argv) {
  using namespace vsync;
  if (argc < 2) {
    std::fprintf(stderr, "usage: vsync_check FILE...\n");
    return 2;
  }
  std::vector<check::Record> records;
  for (int i = 1; i < argc; ++i) {
    std::ifstream in(argv[i]);
    const auto read = in ? check::read_event_log(in, records) : Result<void>(fail("cannot be opened"));
    if (!read) {
      std::fprintf(stderr, "vsync_check: %s: %s\n", argv[i], read.error().message.c_str());
      return 2;
    }
  }
  const check::History history(records);
  check::Report report;
  check::safety(history, report);
  std::size_t deliveries = 0;
  for (const auto& record : records) {
    deliveries += check::get<core::trace::Deliver>(record) != nullptr ? 1U : 0U;
  }
  std::printf("%zu events of %zu processes, %zu views, %zu deliveries\n", records.size(), history.processes().size(),
              history.stays().size(), deliveries);
  for (const auto& [property, found] : report.found()) {
    for (const auto& text : found.texts) {
      std::printf("%s: %s\n", property.c_str(), text.c_str());
    }
    std::printf("%s: %zu in all\n", property.c_str(), found.count);
  }
  return report.clean() ? 0 : 1;
}
