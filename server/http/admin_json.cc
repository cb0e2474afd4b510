#include "server/http/admin_json.h"

#include <nlohmann/json.hpp>

namespace sf::server {
namespace {

using json = nlohmann::ordered_json;

// Messages may quote a file's bytes, which need not be UTF-8.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

json row(const VersionStatus& status) {
  json row = {{"version", status.version},
              {"state", state_name(status.state)},
              {"reason", text_or_null(status.reason)},
              {"message", text_or_null(status.message)},
              {"pinned", status.pinned},
              {"step", status.facts.step},
              {"created", status.facts.created_unix},
              {"digest", text_or_null(status.facts.digest)},
              {"score", status.facts.score ? json(*status.facts.score) : json(nullptr)}};
  if (!status.facts.evaluation_id.empty()) row["evaluation_id"] = status.facts.evaluation_id;
  return row;
}

json list(const std::vector<VersionStatus>& versions) {
  json data = json::array();
  for (const VersionStatus& status : versions) data.push_back(row(status));
  return data;
}

json modality(const ExpertLoad& load) {
  return {{"tokens", load.tokens}, {"gate_mass", load.gate_mass}, {"overflow_tokens", load.overflow_tokens}};
}

json window(const std::optional<ExpertWindow::Gauges>& gauges) {
  if (!gauges) return nullptr;
  return {{"router_entropy_nats", gauges->entropy_nats},
          {"load_imbalance_ratio", gauges->imbalance},
          {"dead_experts", gauges->dead_experts},
          {"routing_drift_js", gauges->drift_js ? json(*gauges->drift_js) : json(nullptr)}};
}

}  // namespace

std::string versions_json(const std::vector<VersionStatus>& versions) {
  return dump({{"object", "list"}, {"data", list(versions)}});
}

std::string command_json(int64_t served, const std::vector<VersionStatus>& versions) {
  return dump({{"version", served}, {"object", "list"}, {"data", list(versions)}});
}

std::string experts_json(const ExpertLoads& loads) {
  json layers = json::array();
  for (size_t l = 0; l < loads.layers.size(); ++l) {
    const LayerLoad& layer = loads.layers[l];
    json experts = json::array();
    for (size_t e = 0; e < layer.experts.size(); ++e) {
      experts.push_back({{"expert", e},
                         {"image", modality(layer.experts[e][kImageModality])},
                         {"text", modality(layer.experts[e][kTextModality])}});
    }
    layers.push_back({{"layer", l}, {"window", window(layer.window)}, {"experts", experts}});
  }
  return dump({{"model_version", loads.version}, {"layers", layers}});
}

}  // namespace sf::server
