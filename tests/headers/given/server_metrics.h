#pragma once

#include "engine/engine.h"
#include "server/metrics/metrics.h"
#include "server/metrics/version_metrics.h"

namespace sf::server::examples_server_metrics {

struct Seconds {
  double now_s() const;
};

extern const Engine& engine;
extern const Histogram histogram;
extern const StepResult result;
extern const LiveGauges gauges;
extern const Seconds clock;

}  // namespace sf::server::examples_server_metrics
