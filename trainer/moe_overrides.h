// Options of a training run that change how the model's mixture of experts is built or trained. They are recorded in
// the config.json of the versions that the run publishes.
//
//   MoeOverrides overrides;
//   overrides.drop_order = "choice";
//   const std::shared_ptr<Vlm> changed = with_overrides(start_model, overrides);
//
// Plain values; with_overrides is for the one thread that owns the model.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/model/vlm.h"

namespace sf {

// Unset = the preset's or the checkpoint's.
struct MoeOverrides {
  std::optional<int> num_experts, top_k, hidden, shared_hidden;
  std::optional<std::string> activation, router_softmax, drop_order, dropout;  // words of config.json
  std::optional<double> dropout_rate, noise_scale;
  std::optional<bool> noisy, renormalise, bias_balancing;

  // Errors: InvalidArgument (field "config.json") where the whole is inconsistent.
  ModelConfig applied_to(const ModelConfig& config) const;
};

// A model of the changed configuration with the weights of `vlm`, or `vlm` itself where nothing changes. Errors:
// InvalidArgument naming a tensor that `vlm` has not or not in that shape: such a change needs a model from scratch.
std::shared_ptr<Vlm> with_overrides(const std::shared_ptr<Vlm>& vlm, const MoeOverrides& overrides);

}  // namespace sf
