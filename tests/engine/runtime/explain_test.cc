// An explanation is of the engine's own answer, and making one changes nothing.
#include "engine/runtime/explain/explain.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>

#include "engine/runtime/explain/heatmap.h"
#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/explain_parts.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr double kLogprobTolerance = 1e-4;  // of log-probabilities: f32, other shapes round differently

const ExplainCheck kNeverStops = [] {};

struct EngineAnswer {
  std::vector<int> tokens;
  std::vector<float> logprobs;
};

class ExplainTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 11);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  ExplainTest() : engine_(make_torch_engine(open_checkpoint(folder_->path()), {.threads = 1, .kv_cache_mib = 1})) {}

  static std::vector<Message> messages(uint64_t seed) {
    static const char* questions[] = {"what shape is the red object?", "count blue", "describe the picture"};
    const int width = 64 + int(seed * 37 % 90), height = 64 + int(seed * 53 % 90);
    return {
        {"user",
         {{Part::Kind::kImage, test::random_image(seed, width, height)}, {Part::Kind::kText, questions[seed % 3]}}}};
  }

  Explanation explain(uint64_t seed, ExplainOptions options, SamplingParams sampling = {}) const {
    return engine_->explain(*engine_->prepare(messages(seed)), sampling, options, kNeverStops);
  }

  // What the engine says, up to `limit` tokens and without the stop token.
  EngineAnswer answer(uint64_t seed, size_t limit, SamplingParams sampling = {}) {
    const SequenceId id = engine_->admit(engine_->prepare(messages(seed)), sampling);
    EngineAnswer answer;
    while (answer.tokens.size() < limit) {
      const SequenceStepResult out = engine_->step({{{id, engine_->tokens_to_compute(id)}}}).sequences.at(0);
      if (out.stop_token) break;
      answer.tokens.insert(answer.tokens.end(), out.tokens.begin(), out.tokens.end());
      answer.logprobs.insert(answer.logprobs.end(), out.logprobs.begin(), out.logprobs.end());
    }
    engine_->release(id);
    return answer;
  }

  static void expect_same_answer(const Explanation& e, const EngineAnswer& answer) {
    ASSERT_EQ(e.tokens.size(), answer.tokens.size());
    for (size_t i = 0; i < e.tokens.size(); ++i) {
      EXPECT_EQ(e.tokens[i].id, answer.tokens[i]);
      EXPECT_NEAR(e.tokens[i].logprob, answer.logprobs[i], kLogprobTolerance);
    }
  }

  void expect_option_refused(const ExplainOptions& options, const std::string& field, const std::string& text) const {
    try {
      explain(1, options);
      FAIL() << "not refused: " << field;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_EQ(error.field(), field);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }

  static test::TempFolder* folder_;
  std::unique_ptr<Engine> engine_;
};

test::TempFolder* ExplainTest::folder_ = nullptr;

TEST_F(ExplainTest, TheAnswerAndItsLogProbabilitiesAreTheEngines) {
  for (uint64_t seed : {1, 2, 3}) {
    const EngineAnswer expected = answer(seed, 6);
    for (HeatmapMethod method : kHeatmapMethods)
      expect_same_answer(explain(seed, {.method = method, .max_tokens = 6}), expected);
  }
}

TEST_F(ExplainTest, ASampledAnswerIsTheEnginesToo) {
  const SamplingParams sampling{.temperature = 1.0f, .seed = 42};
  expect_same_answer(explain(2, {.max_tokens = 8}, sampling), answer(2, 8, sampling));
}

TEST_F(ExplainTest, TheTokensTextsAreTheAnswer) {
  const Explanation e = explain(2, {.max_tokens = 8});
  auto stream = engine_->token_stream();
  std::string text, joined;
  for (const ExplainedToken& token : e.tokens) {
    text += stream->push(token.id);
    joined += token.text;
  }
  text += stream->finish();
  EXPECT_EQ(e.answer, text);
  EXPECT_EQ(joined, text);
}

TEST_F(ExplainTest, EveryHeatmapIsOverTheGridNotNegativeAndSumsToOne) {
  for (HeatmapMethod method : kHeatmapMethods) {
    for (bool vision : {true, false}) {
      const Explanation e = explain(2, {.method = method, .vision = vision, .max_tokens = 4});
      EXPECT_EQ(e.method, method);
      ASSERT_FALSE(e.tokens.empty());
      for (const ExplainedToken& token : e.tokens) {
        ASSERT_EQ(token.heatmap.size(), size_t(e.rows) * e.columns);
        for (float weight : token.heatmap) EXPECT_GE(weight, 0);
        EXPECT_NEAR(std::accumulate(token.heatmap.begin(), token.heatmap.end(), 0.0), 1, 1e-5);
      }
    }
  }
}

TEST_F(ExplainTest, TheImageIsDescribedAsSent) {
  const Explanation e = explain(1, {.max_tokens = 1});
  EXPECT_EQ(e.image.width, 64 + 37);
  EXPECT_EQ(e.image.height, 64 + 53);
  EXPECT_EQ(e.num_prompt_tokens, engine_->prepare(messages(1))->num_tokens());
  EXPECT_EQ(e.rows * e.columns, engine_->prepare(messages(1))->num_image_tokens());
  EXPECT_LE(e.image.left + e.image.scaled_width, e.columns * e.image.cell_size);
}

TEST_F(ExplainTest, LayersAndHeadsAreTheirOwnAndMinusOneIsTheirMean) {
  const Explanation all = explain(1, {.method = HeatmapMethod::kAttention, .max_tokens = 1});
  const Explanation layer0 = explain(1, {.method = HeatmapMethod::kAttention, .layer = 0, .max_tokens = 1});
  const Explanation layer1 = explain(1, {.method = HeatmapMethod::kAttention, .layer = 1, .max_tokens = 1});
  const Explanation head = explain(1, {.method = HeatmapMethod::kAttention, .layer = 1, .head = 1, .max_tokens = 1});
  EXPECT_NE(layer0.tokens[0].heatmap, layer1.tokens[0].heatmap);
  EXPECT_NE(layer1.tokens[0].heatmap, head.tokens[0].heatmap);
  EXPECT_NE(all.tokens[0].heatmap, layer1.tokens[0].heatmap);
}

std::vector<int> with_answer(const EnginePrompt& prompt, const Explanation& e) {
  std::vector<int> ids = prompt.tokens.ids;
  for (const ExplainedToken& token : e.tokens) ids.push_back(token.id);
  return ids;
}

TEST_F(ExplainTest, ExpertsAreThoseOfAPlainForwardPass) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(11);
  const Explanation e = explain(2, {.max_tokens = 4});
  test::ExplainParts parts(*vlm, messages(2));
  const std::vector<int> ids = with_answer(*parts.prompt, e);
  ASSERT_EQ(e.routing.size(), ids.size());
  const int64_t length = static_cast<int64_t>(ids.size());
  PackedAttention attention(at::full({1, length, length}, -std::numeric_limits<float>::infinity()).triu(1));
  RoutingTrace trace;
  parts.sequence.forward(parts.sequence.encode(parts.sequence.pixels()), ids, attention, &trace);
  const ImageSpan span = parts.sequence.image_span();
  for (int64_t t = 0; t < length; ++t) {
    EXPECT_EQ(e.routing[t].image, t >= span.begin && t < span.begin + span.count);
    EXPECT_EQ(e.routing[t].image, e.routing[t].text == "<image>");
    for (size_t layer = 0; layer < trace.ids_TK.size(); ++layer) {
      for (int64_t k = 0; k < e.top_k; ++k) {
        EXPECT_EQ(e.routing[t].ids[layer][k], trace.ids_TK[layer][t][k].item<int64_t>());
        EXPECT_NEAR(e.routing[t].gates[layer][k], trace.gates_TK[layer][t][k].item<float>(), kLogprobTolerance);
      }
    }
  }
}

TEST_F(ExplainTest, DenseAttentionIsTheFusedKernels) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(5);
  const at::Tensor q = torch::randn({7, 4, 8}), k = torch::randn({7, 2, 8}), v = torch::randn({7, 2, 8});
  PackedAttention fused(at::full({1, 7, 7}, -std::numeric_limits<float>::infinity()).triu(1));
  DenseAttention dense(DenseAttention::Keep::kMaps);
  EXPECT_LT((dense.attend(0, q, k, v) - fused.attend(0, q, k, v)).abs().max().item<double>(), 1e-5);
  EXPECT_LT((dense.kept()[0].sum(-1) - 1).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(dense.kept()[0].triu(1).abs().max().item<double>(), 0);  // nothing looks ahead
}

// DenseAttention with one weight of one map moved.
class NudgedAttention : public AttentionBackend {
 public:
  NudgedAttention(int layer, int64_t head, int64_t row, int64_t column, double by)
      : layer_(layer), head_(head), row_(row), column_(column), by_(by) {}
  at::Tensor attend(int layer, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) override {
    DenseAttention dense(DenseAttention::Keep::kMaps);
    at::Tensor out = dense.attend(layer, q, k, v).clone();
    if (layer == layer_) out[row_][head_] += by_ * v[column_][head_ / (q.size(1) / k.size(1))];
    return out;
  }

 private:
  int layer_;
  int64_t head_, row_, column_;
  double by_;
};

TEST_F(ExplainTest, GradientsOfAttentionMapsAreFiniteDifferences) {
  const auto vlm = test::tiny_vlm(11);
  test::ExplainParts parts(*vlm, messages(1));
  const std::vector<int>& ids = parts.prompt->tokens.ids;
  const int64_t last = static_cast<int64_t>(ids.size()) - 1;
  const at::Tensor image = parts.sequence.encode(parts.sequence.pixels()).detach();
  const auto score = [&](AttentionBackend& backend) {
    at::Tensor hidden = parts.sequence.forward(image, ids, backend);
    return vlm->decoder().logits(hidden.narrow(0, last, 1))[0][7];
  };
  DenseAttention dense(DenseAttention::Keep::kMaps);
  const auto gradients = torch::autograd::grad({score(dense)}, dense.kept());
  torch::NoGradGuard no_grad;
  constexpr double kStep = 1e-2;  // f32: a smaller one would drown in rounding
  int compared = 0;
  for (int layer = 0; layer < 2; ++layer) {
    const double scale = gradients[layer].abs().max().item<double>();
    for (int64_t column : {int64_t{0}, int64_t{3}, last}) {
      NudgedAttention up(layer, 1, last, column, kStep), down(layer, 1, last, column, -kStep);
      const double difference = (score(up) - score(down)).item<double>() / (2 * kStep);
      EXPECT_NEAR(gradients[layer][1][last][column].item<double>(), difference, 0.02 * scale + 1e-3)
          << layer << " " << column;
      ++compared;
    }
  }
  EXPECT_EQ(compared, 6);
}

TEST_F(ExplainTest, RelevancyIsTheAnswersRowOfTheWholeMatrix) {
  const auto vlm = test::tiny_vlm(11);
  const Explanation e = explain(1, {.method = HeatmapMethod::kRelevancy, .vision = false, .max_tokens = 1});
  ASSERT_EQ(e.tokens.size(), 1u);
  test::ExplainParts parts(*vlm, messages(1));
  const int64_t due = parts.prompt->num_tokens() - 1;
  DenseAttention dense(DenseAttention::Keep::kMaps);
  at::Tensor image = parts.sequence.encode(parts.sequence.pixels()).detach();
  at::Tensor hidden = parts.sequence.forward(image, with_answer(*parts.prompt, e), dense);
  at::Tensor logits = vlm->decoder().logits(hidden.narrow(0, due, 1))[0];
  const at::Tensor best = std::get<0>(logits.topk(2));
  ASSERT_EQ(logits.argmax().item<int64_t>(), e.tokens[0].id);
  const auto gradients = torch::autograd::grad({best[0] - best[1]}, dense.kept());
  torch::NoGradGuard no_grad;
  at::Tensor relevancy = at::eye(hidden.size(0));
  for (size_t layer = 0; layer < gradients.size(); ++layer) {  // Chefer's order: R <- R + Abar R
    relevancy = relevancy + at::matmul((gradients[layer] * dense.kept()[layer]).clamp_min(0).mean(0), relevancy);
  }
  const ImageSpan span = parts.sequence.image_span();
  const std::vector<float> expected = normalised_heatmap(relevancy[due].narrow(0, span.begin, span.count));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(e.tokens[0].heatmap[i], expected[i], kLogprobTolerance);
}

TEST_F(ExplainTest, WeightsGetNoGradient) {
  const auto vlm = test::tiny_vlm(11);
  test::ExplainParts parts(*vlm, messages(2));
  explain_answer(parts.model, *parts.prompt, {}, {.method = HeatmapMethod::kRelevancy, .max_tokens = 3}, kNeverStops);
  for (const auto& item : vlm->named_parameters()) EXPECT_FALSE(item.value().grad().defined()) << item.key();
}

TEST_F(ExplainTest, TheLastLayersLensIsTheAnswer) {
  const Explanation e = explain(2, {.lens_top = 3, .max_tokens = 4});
  const size_t layers = engine_->info().num_layers;
  ASSERT_EQ(e.logit_lens.size(), e.tokens.size() * layers);
  for (size_t i = 0; i < e.logit_lens.size(); ++i) {
    const LensLayer& lens = e.logit_lens[i];
    EXPECT_EQ(lens.answer_token, int(i / layers));
    EXPECT_EQ(lens.layer, int(i % layers));
    ASSERT_EQ(lens.top.size(), 3u);
    EXPECT_GE(lens.top[0].prob, lens.top[1].prob);
    EXPECT_GE(lens.answer_rank, 1);
    if (lens.layer + 1 < int(layers)) continue;
    EXPECT_EQ(lens.answer_rank, 1);  // greedy
    EXPECT_NEAR(std::log(lens.top[0].prob), e.tokens[lens.answer_token].logprob, 1e-3);
  }
  EXPECT_TRUE(explain(2, {.lens_top = 0, .max_tokens = 2}).logit_lens.empty());
}

TEST_F(ExplainTest, BadOptionsAreNamed) {
  using Method = HeatmapMethod;
  expect_option_refused({.method = Method::kAttention, .layer = 2}, "layer", "layer: must be 0..1");
  expect_option_refused({.method = Method::kAttention, .layer = -2}, "layer", "got -2");
  expect_option_refused({.method = Method::kAttention, .head = 99}, "head", "head: must be 0..");
  expect_option_refused({.method = Method::kOcclusion, .layer = 0}, "layer", "only method attention");
  expect_option_refused({.method = Method::kRollout, .head = 0}, "head", "only method attention");
  expect_option_refused({.max_tokens = 0}, "max_tokens", "must be 1..64");
  expect_option_refused({.max_tokens = 65}, "max_tokens", "got 65");
  expect_option_refused({.lens_top = 21}, "lens_top", "lens_top: must be 0..20");
  EXPECT_EQ(parse_heatmap_method("occlusion"), Method::kOcclusion);
  try {
    parse_heatmap_method("saliency");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "method");
  }
}

TEST_F(ExplainTest, TheCheckEndsItAtAnyPoint) {
  const PreparedPromptPtr prompt = engine_->prepare(messages(1));
  for (HeatmapMethod method : kHeatmapMethods) {
    int calls = 0;
    engine_->explain(*prompt, {}, {.method = method, .max_tokens = 2}, [&] { ++calls; });
    EXPECT_GE(calls, 3);
    for (int stop_at : {1, calls / 2 + 1, calls}) {
      int seen = 0;
      const auto check = [&] {
        if (++seen == stop_at) throw Error(Code::kDeadlineExceeded, "too late");
      };
      EXPECT_THROW(engine_->explain(*prompt, {}, {.method = method, .max_tokens = 2}, check), Error);
      EXPECT_EQ(seen, stop_at);
    }
  }
}

TEST_F(ExplainTest, ExplainingBesideAServingThreadChangesNoAnswer) {
  answer(2, 8);  // later ones find its prompt in the cache: only what is computed alike is equal bit by bit
  const EngineAnswer lonely = answer(2, 8);
  const Explanation before = explain(1, {.max_tokens = 3});
  std::atomic<bool> stop{false};
  std::atomic<int> explained{0};
  std::thread other([&] {
    while (!stop || explained == 0) {
      const Explanation e = explain(1, {.max_tokens = 3});
      EXPECT_EQ(e.tokens[0].heatmap, before.tokens[0].heatmap);
      ++explained;
    }
  });
  for (int i = 0; i < 5 || explained == 0; ++i) {
    const EngineAnswer beside = answer(2, 8);
    EXPECT_EQ(beside.tokens, lonely.tokens);
    ASSERT_EQ(beside.logprobs.size(), lonely.logprobs.size());
    for (size_t t = 0; t < lonely.logprobs.size(); ++t) {  // a cached prefix rounds differently
      EXPECT_NEAR(beside.logprobs[t], lonely.logprobs[t], kLogprobTolerance);
    }
  }
  stop = true;
  other.join();
}

TEST_F(ExplainTest, APromptOfAnotherEngineIsRefused) {
  auto other = make_torch_engine(open_checkpoint(folder_->path()), {.threads = 1, .kv_cache_mib = 1});
  EXPECT_THROW(engine_->explain(*other->prepare(messages(1)), {}, {}, kNeverStops), Error);
}

}  // namespace
}  // namespace sf
