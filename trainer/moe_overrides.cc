#include "trainer/moe_overrides.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {

ModelConfig MoeOverrides::applied_to(const ModelConfig& config) const {
  nlohmann::json json = nlohmann::json::parse(to_json(config));
  nlohmann::json& moe = json["decoder"]["moe"];
  auto set = [&](const char* key, const auto& value) {
    if (value) moe[key] = *value;
  };
  set("num_experts", num_experts);
  set("top_k", top_k);
  set("hidden", hidden);
  set("shared_hidden", shared_hidden);
  set("activation", activation);
  set("router_softmax", router_softmax);
  set("drop_order", drop_order);
  set("dropout", dropout);
  set("dropout_rate", dropout_rate);
  set("noise_scale", noise_scale);
  set("noisy", noisy);
  set("renormalise", renormalise);
  set("bias_balancing", bias_balancing);
  return parse_model_config(json.dump());  // the checks of a configuration from a file
}

std::shared_ptr<Vlm> with_overrides(const std::shared_ptr<Vlm>& vlm, const MoeOverrides& overrides) {
  const ModelConfig config = overrides.applied_to(vlm->config());
  if (to_json(config) == to_json(vlm->config())) return vlm;
  torch::NoGradGuard no_grad;
  auto changed = std::make_shared<Vlm>(config);
  const auto old = vlm->named_parameters();
  for (auto& item : changed->named_parameters()) {
    const at::Tensor* weights = old.find(item.key());
    if (weights && weights->sizes() == item.value().sizes()) {
      item.value().copy_(*weights);
    } else if (!item.key().ends_with(".balance_bias")) {  // which starts at zero
      throw invalid_argument(item.key(),
                             "the options of the experts do not fit the model to start from: it has no tensor ",
                             item.key(), " of that shape; train from scratch");
    }
  }
  return changed;
}

}  // namespace sf
