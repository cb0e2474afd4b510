// The process as Prometheus' client libraries describe it, read from /proc/self.
//
//   collect_process(families);
//
// Thread-safe.
#pragma once

#include "server/metrics/families.h"

namespace sf::server {

// Effect: adds resident memory, open descriptors, start time and CPU time. What cannot be read counts as 0.
void collect_process(FamilySet& families);

}  // namespace sf::server
