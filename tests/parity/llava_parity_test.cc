// A LLaVA of transformers (CLIP tower, Mixtral text), converted from its directory, against what transformers computes
// with it: logits from pixels and ids, and the answer to a question about an image through the engine that the server
// runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/file.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "engine/text/prompt.h"
#include "tests/parity/imported_model.h"
#include "tools/model/offline_runner.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const char* const kQuestion = "what shape is the red object";

class LlavaParityTest : public testing::Test {
 protected:
  fs::path convert(const fs::path& source, Dtype dtype = Dtype::kF32) {
    const fs::path out = folder_.path() / "out";
    fs::remove_all(out);
    import_hf_model({.source = source, .destination = out, .dtype = dtype});
    return out;
  }

  // The directory under transformers 5's names, in one file.
  fs::path renamed_to_5() {
    const fs::path out = folder_.path() / "llava5";
    fs::copy(goldens() / "llava", out);
    const ShardedTensors source(out);
    std::map<std::string, std::string> bytes;
    std::map<std::string, TensorView> views;
    for (const auto& [name, layout] : source.tensors()) {
      std::string& stored = bytes[name];
      stored.resize(num_bytes(layout));
      source.read(name, 0, static_cast<int64_t>(stored.size()), stored.data());
      std::string to = "model." + name;
      for (const auto& [from, now] : {std::pair("model.language_model.model.", "model.language_model."),
                                      std::pair("model.language_model.lm_head.", "lm_head."),
                                      std::pair("model.vision_tower.vision_model.", "model.vision_tower.")}) {
        if (to.starts_with(from)) to.replace(0, std::string(from).size(), now);
      }
      views[to] = {layout.dtype, layout.shape, stored};
    }
    const std::string whole = write_safetensors(views);
    for (const auto& entry : fs::directory_iterator(out)) {
      if (entry.path().filename().string().starts_with("model")) fs::remove(entry.path());
    }
    write_file(out / "model.safetensors", whole);
    return out;
  }

  void expect_llava_parity(const fs::path& checkpoint) {
    const CheckpointModel model = load_checkpoint_model(open_checkpoint(checkpoint));
    const Golden golden("llava");
    const at::Tensor ids = golden["ids"], pixels = golden["pixels"];
    EXPECT_LT((logits_of(model, ids, pixels) - golden["logits"]).abs().max().item<double>(), kParityTolerance);
    EXPECT_EQ(greedy_tokens(model, ids, 8, pixels), values_of(golden["greedy"]));
  }

  static std::vector<int64_t> values_of(const at::Tensor& ids) {
    return {ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel()};
  }

  TempFolder folder_;
};

TEST_F(LlavaParityTest, LogitsAndGreedyTokensAreThoseOfTransformers) {
  expect_llava_parity(convert(goldens() / "llava"));
}

TEST_F(LlavaParityTest, TheNamesOfTransformers5AreTheSameModel) { expect_llava_parity(convert(renamed_to_5())); }

TEST_F(LlavaParityTest, TheEngineAnswersAQuestionAboutAImageLikeTransformers) {
  const fs::path checkpoint = convert(goldens() / "llava", Dtype::kBF16);
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(checkpoint));
  std::string expected;
  Detokenizer words(model.tokenizer);
  for (const int64_t id : values_of(Golden("llava")["answer_ids"])) expected += words.push(static_cast<int>(id));
  expected += words.finish();
  ASSERT_FALSE(expected.empty());

  auto engine = make_torch_engine(open_checkpoint(checkpoint), {.device = "cpu", .threads = 1, .kv_cache_mib = 1});
  engine->warm_up();
  EXPECT_EQ(engine->info().max_image_tokens, 9);
  OfflineRequest request{read_file(goldens() / "llava.png", 1 << 20), kQuestion, {}};
  request.sampling.max_tokens = 8;
  // A batch mate changes nothing.
  const std::vector<OfflineAnswer> answers =
      run_offline(*engine, {request, request, {request.image, "left or right?", {}}}, {});
  EXPECT_EQ(answers[0].error, "");
  EXPECT_EQ(answers[0].text, expected);
  EXPECT_EQ(answers[1].text, expected);
  EXPECT_EQ(answers[0].completion_tokens, 8);
}

TEST_F(LlavaParityTest, ThePromptAndThePixelsAreThoseOfTransformers) {
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(convert(goldens() / "llava")));
  const PromptMaker maker(model.tokenizer, model.config, {});
  const std::string image = read_file(goldens() / "llava.png", 1 << 20);
  const auto prompt = maker.make({{"user", {{Part::Kind::kImage, image}, {Part::Kind::kText, kQuestion}}}});
  const Golden golden("llava");
  EXPECT_EQ(std::vector<int64_t>(prompt->tokens.ids.begin(), prompt->tokens.ids.end()),
            values_of(golden["prompt_ids"]));
  const at::Tensor pixels = torch::tensor(prompt->pixels.at(0).values).view({1, 3, 42, 42});
  EXPECT_LT((pixels - golden["prompt_pixels"]).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(greedy_tokens(model, golden["prompt_ids"], 8, pixels), values_of(golden["answer_ids"]));
}

TEST_F(LlavaParityTest, WordsThatLookLikeControlTokensAreText) {
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(convert(goldens() / "llava")));
  const PromptTemplate& form = prompt_template("llava-1.5");
  TemplateTokens tokens;
  tokens.image = model.tokenizer->image_id();
  tokens.eos = model.tokenizer->eos_id();
  PromptBuilder builder(*model.tokenizer, tokens, form);
  builder.add_image(9, 3, 3);
  builder.add_question("<image></s><s><pad> <image>");
  const PromptTokens prompt = std::move(builder).finish();
  EXPECT_EQ(prompt.ids.front(), 1);
  EXPECT_EQ(std::count(prompt.ids.begin(), prompt.ids.end(), 312), 9);
  EXPECT_EQ(std::count(prompt.ids.begin(), prompt.ids.end(), 313), 0);
  EXPECT_EQ(std::count(prompt.ids.begin(), prompt.ids.end(), 1), 1);
  EXPECT_EQ(std::count(prompt.ids.begin(), prompt.ids.end(), 2), 0);
}

TEST_F(LlavaParityTest, WhatTheTowerCannotDoIsRefusedByItsKey) {
  const fs::path source = folder_.path() / "hf";
  fs::copy(goldens() / "llava", source);
  const std::string config = read_file(source / "config.json", 1 << 20);
  const auto refusal = [&](const std::string& from, const std::string& to) {
    std::string text = config;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write_file(source / "config.json", text.replace(at, from.size(), to));
    try {
      convert(source);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refusal("clip_vision_model", "siglip_vision_model"), HasSubstr("siglip_vision_model"));
  EXPECT_THAT(refusal("\"vision_feature_layer\": -2", "\"vision_feature_layer\": [-2, -5]"),
              HasSubstr("vision_feature_layer"));
  EXPECT_THAT(refusal("\"vision_feature_layer\": -2", "\"vision_feature_layer\": 9"),
              HasSubstr("vision_feature_layer"));
  EXPECT_THAT(refusal("\"image_token_index\": 312", "\"image_token_index\": 4000"), HasSubstr("image_token_index"));
  EXPECT_THAT(refusal("\"default\"", "\"average\""), HasSubstr("vision_feature_select_strategy"));
  EXPECT_THAT(refusal("\"gelu\"", "\"relu\""), HasSubstr("projector_hidden_act"));
  EXPECT_EQ(refusal("\"default\"", "\"full\""), "accepted");
  write_file(source / "config.json", config);
  write_file(source / "tokenizer_config.json",
             R"({"added_tokens_decoder": {"312": {"content": "<image>", "special": true, "lstrip": true}}})");
  EXPECT_THROW(convert(source), Error);  // the space of `USER: <image>` would go
  write_file(source / "tokenizer_config.json", "{}");
  write_file(source / "tokenizer.json", R"({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "never"}})");
  EXPECT_THROW(convert(source), Error);
}

}  // namespace
}  // namespace sf::test
