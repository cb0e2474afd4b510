// Text models of transformers, converted from their directories, against what transformers computes with them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "tests/parity/imported_model.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

CheckpointModel converted(const fs::path& source, const fs::path& destination, Dtype dtype = Dtype::kF32) {
  import_hf_model({.source = source, .destination = destination, .dtype = dtype});
  return load_checkpoint_model(open_checkpoint(destination));
}

class TextParityTest : public testing::TestWithParam<const char*> {};

TEST_P(TextParityTest, LogitsAndGreedyTokensAreThoseOfTransformers) {
  TempFolder folder;
  const CheckpointModel model = converted(goldens() / GetParam(), folder.path() / "out");
  expect_parity(model, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Models, TextParityTest, testing::Values("mixtral", "mixtral5", "llama", "mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST(TextImportTest, WeightsKeptInBfloat16LoadTheSame) {
  TempFolder folder;
  // The file's elements are bf16, so nothing is rounded.
  const CheckpointModel model = converted(goldens() / "mistral", folder.path() / "half", Dtype::kBF16);
  EXPECT_LT(fs::file_size(folder.path() / "half/model.safetensors"), 80'000u);
  expect_parity(model, "mistral");
}

TEST(TextImportTest, TheSlidingWindowBoundsTheContext) {
  TempFolder folder;
  EXPECT_EQ(converted(goldens() / "mistral", folder.path() / "a").config.decoder.max_context, 64);
  EXPECT_EQ(converted(goldens() / "llama", folder.path() / "b").config.decoder.max_context, 128);
}

class HostileImportTest : public testing::Test {
 protected:
  HostileImportTest() { fs::copy(goldens() / "mixtral", folder_.path() / "hf"); }

  std::string refusal() {
    try {
      import_hf_model({.source = folder_.path() / "hf", .destination = folder_.path() / "out"});
    } catch (const Error& error) {
      EXPECT_FALSE(fs::exists(folder_.path() / "out")) << "half a checkpoint stays behind";
      return error.what();
    }
    fs::remove_all(folder_.path() / "out");
    return "accepted";
  }

  // The file with `from` replaced by `to`, once; put back by restore().
  std::string refusal_with(const std::string& file, const std::string& from, const std::string& to) {
    const fs::path path = folder_.path() / "hf" / file;
    const std::string before = read_file(path, 1 << 20);
    std::string text = before;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_file(path, text.replace(at, from.size(), to));
    const std::string reason = refusal();
    write_file(path, before);
    return reason;
  }

  TempFolder folder_;
};

TEST_F(HostileImportTest, AnUnknownArchitectureIsRefusedByItsName) {
  const std::string reason = refusal_with("config.json", "MixtralForCausalLM", "Qwen3MoeForCausalLM");
  EXPECT_THAT(reason, HasSubstr("Qwen3MoeForCausalLM"));
  EXPECT_THAT(reason, HasSubstr("LlavaForConditionalGeneration"));
  EXPECT_THAT(refusal_with("config.json", "\"model_type\": \"mixtral\"", "\"model_type\": \"phimoe\""), HasSubstr("phimoe"));
}

TEST_F(HostileImportTest, WhatTheEngineCannotExpressIsRefused) {
  EXPECT_THAT(refusal_with("config.json", "\"silu\"", "\"relu\""), HasSubstr("hidden_act relu"));
  EXPECT_THAT(refusal_with("config.json", "\"rope_theta\"", "\"rope_scaling\": {\"rope_type\": \"yarn\"}, \"rope_theta\""),
              HasSubstr("yarn"));
  EXPECT_THAT(refusal_with("config.json", "\"hidden_size\": 32", "\"hidden_size\": \"big\""), HasSubstr("hidden_size"));
  EXPECT_THAT(refusal_with("config.json", "\"vocab_size\": 320", "\"vocab_size\": 99999999999"), HasSubstr("vocab_size"));
}

TEST_F(HostileImportTest, TensorsThatDoNotFitAreNamed) {
  EXPECT_THAT(refusal_with("config.json", "\"intermediate_size\": 24", "\"intermediate_size\": 25"),
              HasSubstr("block_sparse_moe.experts.0.w1.weight has shape [24, 32], and the configuration asks for [25, 32]"));
  EXPECT_THAT(refusal_with("config.json", "\"num_local_experts\": 4", "\"num_local_experts\": 5"), HasSubstr("gate.weight has shape"));
  EXPECT_THAT(refusal_with("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
              HasSubstr("model.layers.2.input_layernorm.weight is missing"));
  EXPECT_THAT(refusal_with("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"),
              HasSubstr("model.layers.1.block_sparse_moe.experts.0.w1.weight does not belong"));
}

TEST_F(HostileImportTest, TokenizersThatAreNoneAreRefused) {
  const fs::path path = folder_.path() / "hf/tokenizer.model";
  const std::string whole = read_file(path, 1 << 20);
  for (const std::string& bytes : {std::string(), std::string("{}"), std::string(4096, '\xff'), whole.substr(0, whole.size() / 2)}) {
    write_file(path, bytes);
    EXPECT_THAT(refusal(), HasSubstr("tokenizer.model")) << bytes.size();
  }
  fs::remove(path);
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.model is missing"));
  write_file(path, whole);
  write_file(folder_.path() / "hf/added_tokens.json", R"({"<image>": 320})");
  EXPECT_THAT(refusal(), HasSubstr("beyond the model's vocabulary"));
  write_file(folder_.path() / "hf/added_tokens.json", R"({"</s>": 1})");
  EXPECT_THAT(refusal(), HasSubstr("added token 1"));
}

TEST_F(HostileImportTest, AnExistingFolderIsNotTouched) {
  fs::create_directories(folder_.path() / "out");
  try {
    import_hf_model({.source = folder_.path() / "hf", .destination = folder_.path() / "out"});
    ADD_FAILURE() << "overwritten";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kAlreadyExists);
  }
}

}  // namespace
}  // namespace sf::test
