#include "trainer/packed_batch.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"
#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"
#include "trainer/train_step.h"

namespace sf {
namespace {

constexpr size_t kWords = data::kNumColours + data::kNumShapes;

std::vector<Example> material(const ModelConfig& config, int images, int questions) {
  std::vector<Example> out;
  data::SampleOptions options;
  options.pre = preprocess_options(config.image);
  options.min_objects = 3;
  data::Rng rng(9);
  const GridSize grid = data::draw_grid(rng, options);
  for (int i = 0; i < images; ++i) {
    const data::Sample sample = data::make_sample(rng, grid, options);
    data::QuestionMix mix;
    mix.count = questions;
    out.push_back(example_of(sample, data::sample_questions(rng, sample.scene, mix), config.image.cell_size, 0));
  }
  return out;
}

Example with_question(const Example& example, QuestionAnswer question) {
  Example one = example;
  one.questions = {std::move(question)};
  return one;
}

TEST(PackedBatchTest, APackedRowEqualsOneRowForEachQuestion) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(vlm->config(), 3, 5);
  const PackedBatch packed = packed_batch(m, *tokenizer, {});
  const Losses losses = forward_losses(*vlm, packed, nullptr, {});
  const at::Tensor together = losses.answer_logits;
  std::vector<at::Tensor> alone;
  double loss = 0, weight = 0;
  for (const Example& example : m) {
    for (const QuestionAnswer& question : example.questions) {
      const PackedBatch one = packed_batch({with_question(example, question)}, *tokenizer, {});
      const Losses mine = forward_losses(*vlm, one, nullptr, {});
      alone.push_back(mine.answer_logits);
      loss += mine.report.answer * one.loss_weight.sum().item<double>();
      weight += one.loss_weight.sum().item<double>();
    }
  }
  const at::Tensor separately = at::cat(alone);
  ASSERT_EQ(together.sizes(), separately.sizes());
  EXPECT_LT((together - separately).abs().max().item<double>(), 1e-4);  // f32, other shapes of the same products
  EXPECT_NEAR(losses.report.answer, loss / weight, 1e-5);
}

TEST(PackedBatchTest, AQuestionSeesTheImageAndItselfAndNothingLater) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  std::vector<Example> m = material(test::tiny_config(), 2, 4);
  m[1].questions.resize(2);  // so that the second row is padded
  const PackedBatch batch = packed_batch(m, *tokenizer, {});
  const int64_t length = batch.ids_BL.size(1), p = batch.image_tokens;
  for (int64_t b = 0; b < 2; ++b) {
    std::vector<int> owner(length, -1);  // question of each token, from the texts alone
    int64_t at = p;
    for (size_t q = 0; q < m[b].questions.size(); ++q) {
      const size_t size = 1 + tokenizer->encode(m[b].questions[q].question).size() +
                          tokenizer->encode(m[b].questions[q].answer).size() + 1;
      for (size_t i = 0; i < size; ++i, ++at) {
        owner[at] = static_cast<int>(q);
        EXPECT_EQ(batch.positions_BL[b][at].item<int64_t>(), p + int64_t(i));
      }
    }
    EXPECT_EQ(b == 1, at < length);
    auto mask = batch.mask_BLL.accessor<float, 3>();
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t j = 0; j < length; ++j) {
        const bool sees = i == j || (i < at && j < i && (j < p || owner[i] == owner[j]));
        ASSERT_EQ(mask[b][i][j] == 0, sees) << b << " " << i << " " << j;
      }
    }
  }
  int64_t padding = length * 2 - batch.real_tokens.size(0);
  EXPECT_GT(padding, 0);
  EXPECT_TRUE(batch.real_tokens.diff().gt(0).all().item<bool>());
}

TEST(PackedBatchTest, LongAnswersWeighLessPerToken) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(test::tiny_config(), 1, 1);
  QuestionAnswer brief = m[0].questions[0], wordy = brief;
  brief.answer = "red";
  wordy.answer = "a red circle at the top left";
  PackedBatchOptions options;
  options.long_answer_weight = 0.125;
  EXPECT_TRUE(packed_batch({with_question(m[0], brief)}, *tokenizer, options).loss_weight.eq(1).all().item<bool>());
  EXPECT_TRUE(packed_batch({with_question(m[0], wordy)}, *tokenizer, options).loss_weight.eq(0.125).all().item<bool>());
}

TEST(PackedBatchTest, NormalizesQuestionsAsServingDoesAndAnswersNever) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(test::tiny_config(), 1, 1);
  QuestionAnswer plain = m[0].questions[0], typed = plain, shouted = plain;
  plain.question = "count blue";
  typed.question = "Count BLUE\n";
  plain.answer = typed.answer = "red";
  shouted.question = plain.question;
  shouted.answer = "RED";
  const auto ids = [&](const QuestionAnswer& question, bool normalize) {
    return packed_batch({with_question(m[0], question)}, *tokenizer, {.normalize_questions = normalize}).ids_BL;
  };
  EXPECT_TRUE(ids(typed, true).equal(ids(plain, true)));
  EXPECT_FALSE(ids(typed, false).equal(ids(plain, false)));
  EXPECT_FALSE(ids(shouted, true).equal(ids(plain, true)));
}

TEST(PackedBatchTest, CapacityIsForTrainingOnlyAndCountsRealTokens) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(4);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  std::vector<Example> m = material(vlm->config(), 2, 6);
  m[1].questions.resize(1);
  const PackedBatch batch = packed_batch(m, *tokenizer, {});
  LossOptions options;
  options.capacity_factor = 0.5;  // half of an even load: at least half of all assignments are dropped
  for (bool training : {false, true}) {
    vlm->train(training);
    for (const LayerRouting& layer : forward_losses(*vlm, batch, nullptr, options).report.layers) {
      EXPECT_EQ(layer.assignments, batch.real_tokens.size(0) * 2);
      int64_t image = 0, text = 0;
      for (size_t e = 0; e < layer.expert_tokens.size(); e += 2) {
        image += layer.expert_tokens[e];
        text += layer.expert_tokens[e + 1];
      }
      EXPECT_EQ(image, 2 * batch.image_tokens * 2);  // two images, top-2
      EXPECT_EQ(image + text, layer.assignments);
      if (training)
        EXPECT_GE(2 * layer.dropped, layer.assignments - 8);  // C is rounded up for each of 4 experts
      else
        EXPECT_EQ(layer.dropped, 0);
    }
  }
}

TEST(AlignmentWordsTest, AreColoursThenShapesAndMustBeWholePieces) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<std::string> names = make_sort_of_clevr_task({})->object_words();
  const std::vector<int> words = alignment_words(*tokenizer, names);
  ASSERT_EQ(words.size(), kWords);
  EXPECT_EQ(words[data::kBlue], tokenizer->encode("blue").front());
  EXPECT_EQ(words[data::kNumColours + data::kSquare], tokenizer->encode("square").front());
  TokenizerTraining training;
  training.vocab_size = 300;
  training.control_symbols = {"<image>", "<question>"};
  const std::vector<std::string> other_language(200, "wie viele Formen sind links zu sehen und was ist rechts davon?");
  const auto foreign = load_sentencepiece(train_sentencepiece(other_language, training));
  try {
    alignment_words(*foreign, names);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "tokenizer.model");
  }
}

TEST(PackedBatchTest, LossStandsOnTheAnswersTokensOnly) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(test::tiny_config(), 2, 3);
  const PackedBatch batch = packed_batch(m, *tokenizer, {});
  size_t expected = 0;
  for (const Example& example : m) {
    for (const QuestionAnswer& question : example.questions) expected += tokenizer->encode(question.answer).size() + 1;
  }
  EXPECT_EQ(batch.loss_index.size(0), static_cast<int64_t>(expected));
  EXPECT_EQ(batch.num_questions, 6);
  // Every target is the token that follows its place in the row.
  const at::Tensor ids = batch.ids_BL.flatten();
  EXPECT_TRUE(ids.index_select(0, batch.loss_index + 1).equal(batch.loss_target));
}

TEST(PackedBatchTest, EachImageTokenCarriesTheWordsOfItsObjects) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(test::tiny_config(), 4, 1);
  const PackedBatch batch = packed_batch(m, *tokenizer, {.num_words = kWords});
  for (size_t b = 0; b < m.size(); ++b) {
    const at::Tensor colours = batch.words[static_cast<int64_t>(b)].narrow(1, 0, data::kNumColours);
    EXPECT_EQ(colours.sum().item<int64_t>(), static_cast<int64_t>(m[b].objects.size()));
    EXPECT_GE(m[b].objects.size(), 3u);
  }
}

TEST(AnsweredTest, CountsAnAnswerOnlyIfEveryTokenIsRight) {
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const std::vector<Example> m = material(test::tiny_config(), 1, 4);
  const PackedBatch batch = packed_batch(m, *tokenizer, {});
  at::Tensor logits = at::one_hot(batch.loss_target, tokenizer->vocab_size()).to(at::kFloat);
  EXPECT_EQ(answered(batch, logits), std::vector<bool>(4, true));
  logits[0].zero_();
  logits[0][0] = 1;  // the first token of the first answer becomes <unk>
  EXPECT_EQ(answered(batch, logits), (std::vector<bool>{false, true, true, true}));
}

}  // namespace
}  // namespace sf
