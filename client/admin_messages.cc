#include "client/admin_messages.h"

namespace sf::client {
namespace {

namespace wire = sparsefusion::v1;

const char* state_name(wire::VersionState state) {
  switch (state) {
    case wire::VERSION_STATE_SERVED:
      return "served";
    case wire::VERSION_STATE_LOADING:
      return "loading";
    case wire::VERSION_STATE_AVAILABLE:
      return "available";
    case wire::VERSION_STATE_QUARANTINED:
      return "quarantined";
    case wire::VERSION_STATE_RETIRED:
      return "retired";
    default:
      return "unknown";
  }
}

}  // namespace

std::vector<ModelVersion> versions_of(const wire::ListVersionsResponse& message) {
  std::vector<ModelVersion> versions;
  for (const wire::Version& row : message.versions()) {
    versions.push_back({.version = row.version(),
                        .state = state_name(row.state()),
                        .reason = row.reason(),
                        .message = row.message(),
                        .pinned = row.pinned(),
                        .step = row.step(),
                        .digest = row.digest()});
    if (row.has_score()) versions.back().score = row.score();
  }
  return versions;
}

ExpertTable experts_of(const wire::ExpertStatsResponse& message) {
  ExpertTable table{.model_version = message.model_version()};
  for (int l = 0; l < message.layers_size(); ++l) {
    const wire::LayerStats& layer = message.layers(l);
    for (int e = 0; e < layer.experts_size(); ++e) {
      const wire::ModalityLoad& image = layer.experts(e).image();
      const wire::ModalityLoad& text = layer.experts(e).text();
      table.rows.push_back({l, e, image.tokens(), text.tokens(), image.gate_mass() + text.gate_mass(),
                            image.overflow_tokens() + text.overflow_tokens()});
    }
    if (!layer.has_window()) continue;
    const wire::ExpertWindow& window = layer.window();
    table.windows.push_back({l, window.router_entropy_nats(), window.load_imbalance_ratio(), window.dead_experts()});
    if (window.has_routing_drift_js()) table.windows.back().drift_js = window.routing_drift_js();
  }
  return table;
}

}  // namespace sf::client
