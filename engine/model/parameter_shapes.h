// Name and shape of every parameter of a model, from its configuration alone: nothing is allocated, and no torch. It is
// the one account of sizes outside the modules, which a test holds to what they register; num_weights() sums it, and an
// importer's plan is checked against it.
//
//   for (const ParameterShape& parameter : parameter_shapes(config)) std::puts(parameter.name.c_str());
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/config.h"

namespace sf {

struct ParameterShape {
  std::string name;  // as in model.safetensors: "decoder.block0.attention.q_proj"
  std::vector<int64_t> shape;
};

// REQUIRES: a config that parse_model_config() accepts. Takes memory in proportion to the number of layers.
std::vector<ParameterShape> parameter_shapes(const ModelConfig& config);

}  // namespace sf
