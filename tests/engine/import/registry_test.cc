#include "engine/import/registry.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/import/hf_family.h"

namespace sf {
namespace {

TEST(ImportRegistryTest, AnUnknownFormatIsRefusedWithTheNamesOfAll) {
  try {
    import_checkpoint("gguf", {}, {});
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.field(), "from");
    EXPECT_STREQ(error.what(), "from: must be hf, seed, timm or clip, got gguf");
  }
}

TEST(ImportRegistryTest, EveryNameOfAFamilyFindsItsRow) {
  EXPECT_EQ(supported_hf_architectures(),
            "LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM, LlavaForConditionalGeneration");
  EXPECT_EQ(supported_hf_text_families(), "llama, mistral, mixtral");
  EXPECT_EQ(find_hf_text_family("mixtral"), &kMixtralFamily);
  EXPECT_EQ(find_hf_text_family("qwen3"), nullptr);
  EXPECT_EQ(find_hf_architecture("MistralForCausalLM")->vision, nullptr);
  EXPECT_EQ(find_hf_architecture("LlavaForConditionalGeneration")->vision, &kLlavaFamily);
  EXPECT_EQ(find_hf_architecture("llava"), nullptr);
}

// A family without its part of the plan would be called through a null pointer.
TEST(ImportRegistryTest, EveryFamilyPlansItsFeedForward) {
  for (const HfTextFamily* family : {&kLlamaFamily, &kMistralFamily, &kMixtralFamily}) {
    EXPECT_NE(family->plan_feed_forward, nullptr) << family->model_type;
    EXPECT_GT(family->intermediate_size, 0) << family->model_type;
    EXPECT_GT(family->max_context, 0) << family->model_type;
  }
  EXPECT_NE(kLlavaFamily.read, nullptr);
  EXPECT_NE(kLlavaFamily.plan, nullptr);
  EXPECT_NE(kLlavaFamily.describe, nullptr);
}

}  // namespace
}  // namespace sf
