#include "engine/import/hf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf {
namespace {

using testing::HasSubstr;

// Names and shapes alone.
class NamedTensors : public TensorSource {
 public:
  const std::map<std::string, TensorLayout>& tensors() const override { return tensors_; }
  void read(const std::string&, int64_t, int64_t, char*) const override {}
  std::map<std::string, TensorLayout> tensors_ = {{"model.embed_tokens.weight", {Dtype::kF32, {8, 4}}},
                                                  {"lm_head.weight", {Dtype::kF32, {8, 4}}}};
};

HfConfig config_of(const std::string& model_type) {
  HfConfig config;
  config.architecture = model_type == "mixtral" ? "MixtralForCausalLM" : "LlamaForCausalLM";
  config.text.model_type = model_type;
  config.text.vocab_size = 8;
  config.text.hidden_size = config.text.intermediate_size = 4;
  config.text.num_heads = config.text.num_kv_heads = config.text.num_layers = 1;
  config.text.head_dim = 4;
  config.text.max_context = 16;
  config.text.rope_theta = 10'000;
  config.text.norm_eps = 1e-5;
  return config;
}

std::string refusal_of(const HfConfig& config) {
  try {
    plan_hf_import(config, NamedTensors(), "plain");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.what();
  }
  return "planned";
}

// A config.json of a few bytes must not fill the memory with a plan for tensors that no file has.
TEST(ImportHfTest, MoreLayersThanTensorsAreRefusedBeforeTheyArePlanned) {
  HfConfig config = config_of("llama");
  config.text.num_layers = 1 << 20;
  EXPECT_THAT(refusal_of(config), HasSubstr("num_hidden_layers is 1048576, and the files have 2 tensors"));
}

TEST(ImportHfTest, MoreExpertsThanTensorsAreRefusedBeforeTheyArePlanned) {
  HfConfig config = config_of("mixtral");
  config.text.num_experts = 1 << 20;
  config.text.top_k = 2;
  EXPECT_THAT(refusal_of(config), HasSubstr("num_local_experts of all layers is 1048576"));
}

}  // namespace
}  // namespace sf
