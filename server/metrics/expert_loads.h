// What the experts of one version have done since it was loaded, as numbers: GET /v1/experts and
// ModelAdmin.ExpertStats.
//
//   const ExpertLoads loads = version_metrics.expert_loads();
//   const ExpertLoad& text = loads.layers.at(0).experts.at(3).at(kTextModality);
//   const double mean_gate = text.tokens > 0 ? text.gate_mass / text.tokens : 0;
//
// Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/engine.h"
#include "server/metrics/expert_window.h"

namespace sf::server {

struct ExpertLoad {
  double tokens = 0;           // routed to the expert
  double gate_mass = 0;        // sum of their gates
  double overflow_tokens = 0;  // of them above the capacity of scope `request`
};

struct LayerLoad {
  std::optional<ExpertWindow::Gauges> window;  // nothing before 1024 routed tokens
  std::vector<std::array<ExpertLoad, kNumModalities>> experts;
};

struct ExpertLoads {
  int64_t version = 0;
  std::vector<LayerLoad> layers;
};

}  // namespace sf::server
