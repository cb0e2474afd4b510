#pragma once

#include "server/metrics/metrics.h"
#include "tests/headers/given/common.h"

namespace sf::server::examples_server_metrics {

extern sf::Engine& engine;
extern const sf::StepResult result;
extern sf::server::VersionMetrics& version_metrics;
extern sf::server::FamilySet families;
extern const sf::server::Histogram histogram;
extern const sf::server::LiveGauges gauges;
extern const double now_s;

}  // namespace sf::server::examples_server_metrics
