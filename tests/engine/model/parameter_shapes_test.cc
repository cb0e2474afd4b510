#include "engine/model/parameter_shapes.h"

#include <map>

#include <gtest/gtest.h>

#include "engine/model/initial_weights.h"
#include "engine/model/vlm.h"

namespace sf {
namespace {

// The presets but the largest, and models under every other switch that adds, takes away or reshapes a parameter.
std::vector<ModelConfig> odd_configs() {
  std::vector<ModelConfig> configs = {model_preset("toy"), model_preset("tiny"), model_preset("small")};
  ModelConfig other = model_preset("toy");
  other.vision.stem = StemKind::kPatch;
  other.vision.relative_bias = other.vision.coordinates = false;
  other.projector = ProjectorKind::kMlp;
  other.modality_embedding = other.decoder.moe.noisy = false;
  other.decoder.num_kv_heads = 1;
  configs.push_back(other);
  configs.push_back(model_preset("seed"));
  ModelConfig mixed = model_preset("small");
  mixed.decoder.dense_layers = {0, 3};
  mixed.decoder.dense_hidden = 40;
  mixed.decoder.moe.expert_bias = true;
  mixed.vision.deepstack_layers = {1, 3};
  configs.push_back(mixed);
  other.projector = ProjectorKind::kNone;
  other.decoder.positions = PositionKind::kLearned;
  other.decoder.norm = NormKind::kLayer;
  other.decoder.tied_head = false;
  other.decoder.head_bias = other.decoder.attention_bias = other.decoder.attention_out_bias = other.decoder.qk_norm =
      true;
  other.decoder.moe.activation = ExpertActivation::kRelu;
  other.decoder.moe.expert_bias = other.decoder.moe.router_bias = other.decoder.moe.bias_balancing = true;
  configs.push_back(other);
  other.decoder.moe.noisy = true;
  other.decoder.moe.activation = ExpertActivation::kSwiglu;
  other.decoder.moe.shared_hidden = 24;
  configs.push_back(other);
  ModelConfig imported = model_preset("toy");
  imported.vision.stem = StemKind::kLinear;
  imported.vision.position_embedding = PositionEmbedding::kTable;
  imported.vision.class_token = imported.vision.pre_norm = imported.vision.layer_scale = true;
  imported.vision.coordinates = imported.vision.relative_bias = imported.projector_norm = false;
  imported.projector_hidden = 20;
  set_projector(imported, ProjectorKind::kCls);
  configs.push_back(imported);
  imported.vision.stem_bias = imported.vision.final_norm = false;
  imported.vision.coordinates = true;
  configs.push_back(imported);
  return configs;
}

std::map<std::string, std::vector<int64_t>> registered(const ModelConfig& config) {
  NoInitialWeights scope;
  std::map<std::string, std::vector<int64_t>> shapes;
  const Vlm vlm(config);
  for (const auto& item : vlm.named_parameters()) shapes[item.key()] = item.value().sizes().vec();
  return shapes;
}

std::map<std::string, std::vector<int64_t>> described(const ModelConfig& config) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const ParameterShape& parameter : parameter_shapes(config)) {
    EXPECT_TRUE(shapes.emplace(parameter.name, parameter.shape).second) << parameter.name << " twice";
  }
  return shapes;
}

TEST(ParameterShapesTest, AreThoseThatTheModulesRegister) {
  std::vector<ModelConfig> configs = odd_configs();
  configs.push_back(model_preset("base"));
  for (const ModelConfig& config : configs) EXPECT_EQ(described(config), registered(config)) << to_json(config);
}

TEST(ParameterShapesTest, SumToTheNumberOfWeights) {
  for (const ModelConfig& config : odd_configs()) {
    NoInitialWeights scope;
    EXPECT_EQ(num_weights(config), static_cast<double>(Vlm(config).num_parameters())) << config.preset;
  }
}

}  // namespace
}  // namespace sf
