#include "trainer/packed_batch.h"

#include <gtest/gtest.h>

#include "engine/input/sentencepiece_tokenizer.h"
#include "engine/runtime/prompt_maker.h"
#include "tests/support/tiny_model.h"
#include "trainer/train_step.h"

namespace sf {
namespace {

struct Material {
  std::vector<data::Sample> samples;
  std::vector<std::vector<data::Question>> questions;
};

Material material(const ModelConfig& config, int pictures, int questions) {
  Material out;
  data::SampleOptions options;
  options.pre = preprocess_options(config.image);
  options.min_objects = 3;
  data::Rng rng(9);
  const GridSize grid = data::draw_grid(rng, options);
  for (int i = 0; i < pictures; ++i) {
    out.samples.push_back(data::make_sample(rng, grid, options));
    data::QuestionMix mix;
    mix.count = questions;
    out.questions.push_back(data::sample_questions(rng, out.samples.back().scene, mix));
  }
  return out;
}

TEST(PackedBatchTest, APackedRowEqualsOneRowForEachQuestion) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<int> words = alignment_words(*tokenizer);
  const Material m = material(vlm->config(), 3, 5);
  const PackedBatch packed = packed_batch(m.samples, m.questions, *tokenizer, {});
  const at::Tensor together = forward_losses(*vlm, packed, words, make_alignment_bias(), {}).answer_logits;
  std::vector<at::Tensor> alone;
  for (size_t b = 0; b < m.samples.size(); ++b) {
    for (const data::Question& question : m.questions[b]) {
      const PackedBatch one = packed_batch({m.samples[b]}, {{question}}, *tokenizer, {});
      alone.push_back(forward_losses(*vlm, one, words, make_alignment_bias(), {}).answer_logits);
    }
  }
  const at::Tensor separately = at::cat(alone);
  ASSERT_EQ(together.sizes(), separately.sizes());
  EXPECT_LT((together - separately).abs().max().item<double>(), 1e-4);  // f32, other shapes of the same products
}

TEST(PackedBatchTest, LossStandsOnTheAnswersTokensOnly) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const Material m = material(test::tiny_config(), 2, 3);
  const PackedBatch batch = packed_batch(m.samples, m.questions, *tokenizer, {});
  size_t expected = 0;
  for (const auto& row : m.questions) {
    for (const data::Question& question : row) expected += tokenizer->encode(question.answer).size() + 1;
  }
  EXPECT_EQ(batch.loss_index.size(0), static_cast<int64_t>(expected));
  EXPECT_EQ(batch.questions.size(), 6u);
  // Every target is the token that follows its place in the row.
  const at::Tensor ids = batch.ids_BL.flatten();
  EXPECT_TRUE(ids.index_select(0, batch.loss_index + 1).equal(batch.loss_target));
}

TEST(PackedBatchTest, EachImageTokenCarriesTheWordsOfItsObjects) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const Material m = material(test::tiny_config(), 4, 1);
  const PackedBatch batch = packed_batch(m.samples, m.questions, *tokenizer, {});
  for (size_t b = 0; b < m.samples.size(); ++b) {
    const at::Tensor colours = batch.words[b].narrow(1, 0, data::kNumColours);
    EXPECT_EQ(colours.sum().item<int64_t>(), static_cast<int64_t>(m.samples[b].scene.objects.size()));
  }
}

TEST(AnsweredTest, CountsAnAnswerOnlyIfEveryTokenIsRight) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const Material m = material(test::tiny_config(), 1, 4);
  const PackedBatch batch = packed_batch(m.samples, m.questions, *tokenizer, {});
  at::Tensor logits = at::one_hot(batch.loss_target, tokenizer->vocab_size()).to(at::kFloat);
  EXPECT_EQ(answered(batch, logits), std::vector<bool>(4, true));
  logits[0].zero_();
  logits[0][0] = 1;  // the first token of the first answer becomes <unk>
  EXPECT_EQ(answered(batch, logits), (std::vector<bool>{false, true, true, true}));
}

}  // namespace
}  // namespace sf
