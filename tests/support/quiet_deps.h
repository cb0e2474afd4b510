// What a version needs around its engine, with a log that goes nowhere.
//
//   server::ServingDeps deps = test::quiet_deps(clock, metrics, drain_rate);
//
// Pure function; what it is given must outlive the result.
#pragma once

#include "server/versions/serving_version.h"

namespace sf::test {

inline server::ServingDeps quiet_deps(server::Clock& clock, server::Metrics& metrics, server::DrainRate& drain_rate) {
  server::ServingDeps deps;
  deps.clock = &clock;
  deps.metrics = &metrics;
  deps.drain_rate = &drain_rate;
  deps.log_failure = [](const std::string&, const std::string&) {};
  return deps;
}

}  // namespace sf::test
