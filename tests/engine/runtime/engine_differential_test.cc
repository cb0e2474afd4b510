// One request gives one answer, however it is computed: in one piece or in chunks, alone or in a batch, preempted or
// not, and as the packed forward pass of training computes it.
#include <gtest/gtest.h>

#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr double kTolerance = 1e-4;  // of log-probabilities: f32, other batch shapes round differently

struct Answer {
  std::vector<int> tokens;
  std::vector<float> logprobs;
  uint32_t assigned = 0, overflow = 0;
};

class EngineDifferentialTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 11);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  EngineDifferentialTest()
      : engine_(make_torch_engine(open_checkpoint(folder_->path()), {.threads = 1, .kv_cache_mib = 1})) {}

  static std::vector<Message> messages(uint64_t seed) {
    const int width = 64 + int(seed * 37 % 90), height = 64 + int(seed * 53 % 90);
    static const char* questions[] = {"what shape is the red object?", "count blue", "describe the picture",
                                      "is the green object on the left or the right of the picture, please?"};
    return {
        {"user",
         {{Part::Kind::kImage, test::random_image(seed, width, height)}, {Part::Kind::kText, questions[seed % 4]}}}};
  }

  SequenceId admit(uint64_t seed, SamplingParams sampling = {}) {
    return engine_->admit(engine_->prepare(messages(seed)), sampling);
  }

  // Takes what a step says of one sequence; false at its end.
  static bool take(const SequenceStepResult& out, Answer& answer) {
    EXPECT_FALSE(out.error) << out.error->what();
    EXPECT_FALSE(out.out_of_pages);
    answer.tokens.insert(answer.tokens.end(), out.tokens.begin(), out.tokens.end());
    answer.logprobs.insert(answer.logprobs.end(), out.logprobs.begin(), out.logprobs.end());
    answer.assigned += out.assigned_tokens;
    answer.overflow += out.overflow_tokens;
    return !out.stop_token && answer.tokens.size() < 12;
  }

  Answer alone(uint64_t seed, int chunk, SamplingParams sampling = {}) {
    const SequenceId id = admit(seed, sampling);
    Answer answer;
    while (take(engine_->step({{{id, std::min(chunk, engine_->tokens_to_compute(id))}}}).sequences[0], answer)) {
    }
    engine_->release(id);
    return answer;
  }

  static void expect_equal(const Answer& a, const Answer& b) {
    EXPECT_EQ(a.tokens, b.tokens);
    ASSERT_EQ(a.logprobs.size(), b.logprobs.size());
    for (size_t i = 0; i < a.logprobs.size(); ++i) EXPECT_NEAR(a.logprobs[i], b.logprobs[i], kTolerance);
    EXPECT_EQ(a.overflow, b.overflow);
  }

  static test::TempFolder* folder_;
  std::unique_ptr<Engine> engine_;
};

test::TempFolder* EngineDifferentialTest::folder_ = nullptr;

TEST_F(EngineDifferentialTest, ChunksGiveTheWholePromptsAnswer) {
  for (uint64_t seed : {1, 2, 3}) {
    const Answer whole = alone(seed, 1000);
    for (int chunk : {1, 7, 16, 33}) expect_equal(alone(seed, chunk), whole);
  }
}

TEST_F(EngineDifferentialTest, BatchMatesChangeNothing) {
  std::vector<Answer> lonely;
  for (uint64_t seed = 0; seed < 8; ++seed) lonely.push_back(alone(seed, 1000));
  std::vector<SequenceId> ids;
  std::vector<Answer> together(8);
  std::vector<bool> running(8, false);
  for (int step = 0; step < 40; ++step) {
    if (ids.size() < 8) {  // one more joins before every step
      ids.push_back(admit(ids.size()));
      running[ids.size() - 1] = true;
    }
    StepPlan plan;
    std::vector<size_t> who;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!running[i]) continue;
      plan.items.push_back({ids[i], std::min(20, engine_->tokens_to_compute(ids[i]))});
      who.push_back(i);
    }
    if (plan.items.empty()) break;
    const StepResult result = engine_->step(plan);
    for (size_t i = 0; i < who.size(); ++i) {
      running[who[i]] = take(result.sequences[i], together[who[i]]);
      if (!running[who[i]]) engine_->release(ids[who[i]]);
    }
  }
  for (size_t i = 0; i < 8; ++i) expect_equal(together[i], lonely[i]);
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

TEST_F(EngineDifferentialTest, PreemptionAndRecomputationChangeNothing) {
  const Answer whole = alone(3, 1000);
  const SequenceId id = admit(3);
  Answer answer;
  for (int step = 0; take(engine_->step({{{id, engine_->tokens_to_compute(id)}}}).sequences[0], answer); ++step) {
    if (step % 3 == 1) {
      engine_->preempt(id);
      EXPECT_EQ(engine_->cache_usage().used_pages, 0);
    }
  }
  EXPECT_EQ(answer.tokens, whole.tokens);
  ASSERT_EQ(answer.logprobs.size(), whole.logprobs.size());
  for (size_t i = 0; i < whole.logprobs.size(); ++i) EXPECT_NEAR(answer.logprobs[i], whole.logprobs[i], kTolerance);
  engine_->release(id);
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

// The final hidden states of `ids` behind the prompt's image, in the forward pass of training, with one row.
at::Tensor packed_hidden(const Vlm& vlm, const EnginePrompt& prompt, const std::vector<int>& ids,
                         MoeObserver* observer = nullptr) {
  const PixelValues& values = prompt.pixels[0];
  const int64_t cell = vlm.config().image.cell_size, p = prompt.num_image_tokens();
  at::Tensor pixels = torch::tensor(values.values).view({1, 3, values.grid.rows * cell, values.grid.columns * cell});
  at::Tensor all = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end()));
  DecoderInput input;
  input.x_TD = at::cat({vlm.encode_images(pixels, {{values.left, values.top, values.width, values.height}})[0],
                        vlm.embed_text(all.slice(0, p))});
  input.positions_T = at::arange(all.size(0));
  PackedAttention attention(at::full({1, all.size(0), all.size(0)}, -std::numeric_limits<float>::infinity()).triu(1));
  return vlm.decoder().forward(input, attention, observer);
}

TEST_F(EngineDifferentialTest, ThePackedForwardPassOfTrainingAgrees) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(11);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const PromptMaker maker(tokenizer, vlm->config(), {});
  for (uint64_t seed : {1, 2}) {
    const Answer answer = alone(seed, 1000);
    const auto prompt = maker.make(messages(seed));
    std::vector<int> ids = prompt->tokens.ids;
    ids.insert(ids.end(), answer.tokens.begin(), answer.tokens.end());
    at::Tensor logprobs = at::log_softmax(vlm->decoder().logits(packed_hidden(*vlm, *prompt, ids)), 1);
    const int64_t first = prompt->num_tokens() - 1;
    for (size_t i = 0; i < answer.tokens.size(); ++i) {
      EXPECT_EQ(logprobs[first + i].argmax().item<int64_t>(), answer.tokens[i]);
      EXPECT_NEAR(logprobs[first + i][answer.tokens[i]].item<double>(), answer.logprobs[i], kTolerance);
    }
  }
}

TEST_F(EngineDifferentialTest, CountsAreThoseOfTheModelsRouting) {
  torch::NoGradGuard no_grad;
  struct Recount : MoeObserver {
    Recount(int layers, int experts, int image) : experts_(experts), image_(image), tokens(layers * experts * 2) {}
    void on_routed(int layer, const Routing& routing, const Dispatch&) override {
      for (int64_t t = 0; t < routing.ids_TK.size(0); ++t) {
        for (int64_t j = 0; j < routing.ids_TK.size(1); ++j) {
          ++tokens[(layer * experts_ + routing.ids_TK[t][j].item<int>()) * 2 +
                   (t < image_ ? kImageModality : kTextModality)];
        }
      }
    }
    int experts_, image_;
    std::vector<uint32_t> tokens;
  };
  const auto vlm = test::tiny_vlm(11);
  const auto tokenizer = load_sentencepiece(test::tiny_tokenizer_model());
  const PromptMaker maker(tokenizer, vlm->config(), {});
  const auto prompt = maker.make(messages(1));
  const SequenceId id = admit(1);
  const StepResult result = engine_->step({{{id, 1000}}});
  engine_->release(id);
  Recount recount(result.moe.num_layers, result.moe.num_experts, prompt->num_image_tokens());
  packed_hidden(*vlm, *prompt, prompt->tokens.ids, &recount);
  EXPECT_EQ(result.moe.tokens, recount.tokens);
}

TEST_F(EngineDifferentialTest, SampledAnswersAreTheSeedsAlone) {
  const SamplingParams sampling{.temperature = 1.0f, .seed = 42};
  const Answer first = alone(2, 1000, sampling);
  EXPECT_EQ(alone(2, 9, sampling).tokens, first.tokens);
  const SequenceId mate = admit(1, {.temperature = 1.0f, .seed = 7}), id = admit(2, sampling);
  Answer answer, other;
  bool going = true, mate_going = true;
  while (going) {
    StepPlan plan{{{id, engine_->tokens_to_compute(id)}}};
    if (mate_going) plan.items.push_back({mate, engine_->tokens_to_compute(mate)});
    const StepResult result = engine_->step(plan);
    going = take(result.sequences[0], answer);
    if (mate_going) mate_going = take(result.sequences[1], other);
  }
  EXPECT_EQ(answer.tokens, first.tokens);
  EXPECT_NE(alone(2, 1000, {.temperature = 1.0f, .seed = 43}).tokens, first.tokens);
}

TEST_F(EngineDifferentialTest, CountsEveryAssignmentOnce) {
  const SequenceId a = admit(1), b = admit(2);
  const int tokens = engine_->tokens_to_compute(a) + engine_->tokens_to_compute(b);
  const StepResult result = engine_->step({{{a, 1000}, {b, 1000}}});
  const MoeStepStats& moe = result.moe;
  uint64_t total = 0;
  double mass = 0;
  for (uint32_t count : moe.tokens) total += count;
  for (float gate : moe.gate_mass) mass += gate;
  EXPECT_EQ(total, uint64_t(tokens) * 2 * moe.num_layers);
  EXPECT_NEAR(mass, double(tokens) * moe.num_layers, 1e-2);  // gates of a token sum to 1
  EXPECT_EQ(result.sequences[0].assigned_tokens + result.sequences[1].assigned_tokens, total);
  // Scope `step`: what is above C = max(4, ceil(k T / E)) of each layer and expert, factor 1.
  const uint32_t capacity = std::max(4, (2 * tokens + 3) / 4);
  for (int layer = 0; layer < moe.num_layers; ++layer) {
    for (int e = 0; e < moe.num_experts; ++e) {
      const size_t cell = (size_t(layer) * moe.num_experts + e) * 2;
      const uint32_t load = moe.tokens[cell] + moe.tokens[cell + 1];
      EXPECT_EQ(moe.overflow_step[cell] + moe.overflow_step[cell + 1], load > capacity ? load - capacity : 0);
    }
  }
  EXPECT_EQ(result.images_encoded, 2);
  engine_->release(a);
  engine_->release(b);
}

TEST_F(EngineDifferentialTest, AFullCacheIsReportedAndTheOthersGoOn) {
  std::vector<SequenceId> ids;
  bool full = false;
  for (uint64_t seed = 0; seed < 600 && !full; ++seed) {
    ids.push_back(admit(seed % 4));
    full = engine_->step({{{ids.back(), 1000}}}).sequences[0].out_of_pages;
  }
  ASSERT_TRUE(full);
  const StepResult result = engine_->step({{{ids.back(), 1000}, {ids.front(), 1}, {999'999, 1}}});
  EXPECT_TRUE(result.sequences[0].out_of_pages);
  EXPECT_EQ(result.sequences[1].tokens.size(), 1u);
  ASSERT_TRUE(result.sequences[2].error.has_value());
  for (SequenceId id : ids) engine_->release(id);
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

}  // namespace
}  // namespace sf
