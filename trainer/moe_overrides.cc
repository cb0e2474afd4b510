#include "trainer/moe_overrides.h"

#include "engine/base/error.h"

namespace sf {

ModelConfig MoeOverrides::applied_to(const ModelConfig& config) const {
  ModelConfig out = config;
  MoeConfig& moe = out.decoder.moe;
  auto set = [](auto& target, const auto& value) {
    if (value) target = *value;
  };
  set(moe.num_experts, num_experts);
  set(moe.top_k, top_k);
  set(moe.hidden, hidden);
  set(moe.shared_hidden, shared_hidden);
  set(moe.activation, activation);
  set(moe.router_softmax, router_softmax);
  set(moe.drop_order, drop_order);
  set(moe.dropout, dropout);
  set(moe.dropout_rate, dropout_rate);
  set(moe.noise_scale, noise_scale);
  set(moe.noisy, noisy);
  set(moe.renormalise, renormalise);
  set(moe.bias_balancing, bias_balancing);
  return parse_model_config(to_json(out));  // the checks of a configuration from a file
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
