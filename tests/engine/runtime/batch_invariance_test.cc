// The promise: an answer does not depend on batch mates, chunking or caching. On the ATen path sums of other shapes
// round differently, so it holds wherever no decision is a near tie: every router margin (k-th against k+1-th logit)
// and the margin of the two best tokens above 1e-3. The tests count what that leaves out.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

using test::answer_alone;
using test::ask;
using test::Outcome;

constexpr double kLeastMargin = 1e-3;  // of a position's own decisions
constexpr double kTie =
    1e-5;  // an earlier token this near a tie may have taken another expert: all after it may differ
constexpr int kPrompts = 48;
constexpr uint64_t kModelSeed = 11;

// Smallest router margin of every token over the layers.
struct RouterMargins : MoeObserver {
  void on_routed(int, const Routing& routing, const Dispatch&) override {
    const int64_t k = routing.ids_TK.size(1);
    at::Tensor sorted = std::get<0>(routing.logits_TE.sort(1, /*descending=*/true));
    at::Tensor margin = sorted.select(1, k - 1) - sorted.select(1, k);
    least_T = least_T.defined() ? at::minimum(least_T, margin) : margin;
  }
  at::Tensor least_T;
};

struct Variant {
  int batch = 1, chunk = 1000;
  bool prefix_cache = false;
};

class BatchInvarianceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), kModelSeed);
    const auto cold = engine(false);
    alone_ = new std::vector<Outcome>;
    for (int i = 0; i < kPrompts; ++i) alone_->push_back(answer_alone(*cold, prompt(i)));
  }
  static void TearDownTestSuite() {
    delete folder_;
    delete alone_;
  }

  static std::unique_ptr<Engine> engine(bool prefix_cache) {
    return make_torch_engine(open_checkpoint(folder_->path()),
                             {.threads = 1, .kv_cache_mib = 2, .prefix_cache = prefix_cache});
  }
  static std::vector<Message> prompt(int i) { return ask(i / 4, i, 64 + i * 37 % 90, 64 + i * 53 % 90); }
  static SamplingParams sampled(int i) { return {.temperature = 1.0f, .seed = uint64_t(100 + i)}; }

  // All prompts through one engine, `batch` at a time; the next one joins whenever one ends.
  static std::vector<Outcome> run(const Variant& variant, bool sampling = false) {
    const auto engine = BatchInvarianceTest::engine(variant.prefix_cache);
    std::vector<Outcome> answers(kPrompts);
    std::vector<std::pair<int, SequenceId>> running;
    for (int next = 0; next < kPrompts || !running.empty();) {
      for (; next < kPrompts && int(running.size()) < variant.batch; ++next) {
        running.emplace_back(next,
                             engine->admit(engine->prepare(prompt(next)), sampling ? sampled(next) : SamplingParams{}));
      }
      StepPlan plan;
      for (const auto& [i, id] : running)
        plan.items.push_back({id, std::min(variant.chunk, engine->tokens_to_compute(id))});
      const StepResult step = engine->step(plan);
      for (size_t r = running.size(); r-- > 0;) {
        EXPECT_FALSE(step.sequences[r].error || step.sequences[r].out_of_pages);
        if (answers[running[r].first].take(step.sequences[r])) continue;
        engine->release(running[r].second);
        running.erase(running.begin() + r);
      }
    }
    return answers;
  }

  // Per token of the greedy answer: whether the decisions behind it are clear.
  static std::vector<bool> clear_positions(const Vlm& vlm, const EnginePrompt& prompt, const Outcome& answer) {
    std::vector<int64_t> ids(prompt.tokens.ids.begin(), prompt.tokens.ids.end());
    ids.insert(ids.end(), answer.tokens.begin(), answer.tokens.end());
    const PixelValues& values = prompt.pixels[0];
    const int64_t cell = vlm.config().image.cell_size, length = int64_t(ids.size());
    at::Tensor pixels = torch::tensor(values.values).view({1, 3, values.grid.rows * cell, values.grid.columns * cell});
    at::Tensor image_PD = vlm.encode_images(pixels, {{values.left, values.top, values.width, values.height}})[0];
    DecoderInput input;
    input.x_TD = at::cat({image_PD, vlm.embed_text(torch::tensor(ids).slice(0, image_PD.size(0)))});
    input.positions_T = at::arange(length);
    PackedAttention attention(at::full({1, length, length}, -std::numeric_limits<float>::infinity()).triu(1));
    RouterMargins margins;
    at::Tensor logits = vlm.decoder().logits(vlm.decoder().forward(input, attention, &margins));
    at::Tensor best = std::get<0>(logits.topk(2, 1));
    std::vector<bool> clear;
    for (size_t i = 0; i < answer.tokens.size(); ++i) {
      const int64_t at = prompt.num_tokens() - 1 + int64_t(i);
      const bool own = margins.least_T[at].item<double>() > kLeastMargin &&
                       (best[at][0] - best[at][1]).item<double>() > kLeastMargin;
      const bool earlier = margins.least_T.slice(0, 0, at + 1).min().item<double>() > kTie;
      clear.push_back(own && earlier);
    }
    return clear;
  }

  static inline test::TempFolder* folder_ = nullptr;
  static inline std::vector<Outcome>* alone_ = nullptr;  // the reference: one prompt at a time, whole, no cache
};

TEST_F(BatchInvarianceTest, AnswersDependOnNeitherMatesNorChunksNorTheCache) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(kModelSeed);
  const PromptMaker maker(load_sentencepiece(test::tiny_tokenizer_model()), vlm->config(), {});
  std::vector<std::vector<bool>> clear;
  for (int i = 0; i < kPrompts; ++i) clear.push_back(clear_positions(*vlm, *maker.make(prompt(i)), (*alone_)[i]));

  int compared = 0, excluded = 0;
  double largest = 0;
  const Variant variants[] = {
      {2}, {3}, {8}, {32}, {1, 7}, {4, 16}, {16, 33}, {1, 1000, true}, {8, 20, true}, {32, 1000, true}};
  for (const Variant& variant : variants) {
    SCOPED_TRACE(testing::Message() << "batch " << variant.batch << ", chunk " << variant.chunk << ", cache "
                                    << variant.prefix_cache);
    const std::vector<Outcome> answers = run(variant);
    for (int i = 0; i < kPrompts; ++i) {
      const Outcome &got = answers[i], &expected = (*alone_)[i];
      bool same_so_far = true;
      for (size_t t = 0; t < expected.tokens.size(); ++t) {
        if (!same_so_far || !clear[i][t] || t >= got.tokens.size()) {
          ++excluded;
          same_so_far = same_so_far && t < got.tokens.size() && got.tokens[t] == expected.tokens[t];
          continue;
        }
        ++compared;
        ASSERT_EQ(got.tokens[t], expected.tokens[t]) << "prompt " << i << ", token " << t;
        ASSERT_NEAR(got.logprobs[t], expected.logprobs[t], test::kLogprobTolerance)
            << "prompt " << i << ", token " << t;
        ASSERT_EQ(got.overflow[t], expected.overflow[t]) << "prompt " << i << ", token " << t;
        ASSERT_EQ(got.assigned[t], expected.assigned[t]);
        largest = std::max(largest, std::abs(double(got.logprobs[t]) - expected.logprobs[t]));
      }
    }
  }
  std::printf("batch invariance: %d positions compared, %d excluded (%.2f %%), largest difference %.2g\n", compared,
              excluded, 100.0 * excluded / (compared + excluded), largest);
  EXPECT_GT(compared, 2000);
  EXPECT_LT(excluded, 0.01 * (compared + excluded));
}

TEST_F(BatchInvarianceTest, SampledAnswersDependOnTheirOwnSeedAlone) {
  const std::vector<Outcome> alone = run({1}, true);
  std::set<std::vector<int>> different;
  for (const Variant& variant : {Variant{5}, Variant{32}, Variant{16, 11}, Variant{8, 1000, true}}) {
    const std::vector<Outcome> answers = run(variant, true);
    for (int i = 0; i < kPrompts; ++i) EXPECT_EQ(answers[i].tokens, alone[i].tokens) << "prompt " << i;
  }
  for (const Outcome& answer : alone) different.insert(answer.tokens);
  EXPECT_GT(different.size(), 40u);
}

// Mates with broken numbers (an image twice as high as wide needs position rows that are NaN here), mates that come,
// go and are preempted: neither answers nor counts of the others move.
TEST_F(BatchInvarianceTest, HostileMatesMoveNobodysCounts) {
  const auto vlm = test::tiny_vlm(kModelSeed);
  {
    torch::NoGradGuard no_grad;
    vlm->named_parameters()["vision.row_embedding"].slice(0, 12).fill_(std::numeric_limits<float>::quiet_NaN());
  }
  test::TempFolder folder;
  test::write_checkpoint_of(*vlm, folder.path());
  const auto square = [](int i) { return ask(i, i, 90, 90); };
  for (bool prefix_cache : {false, true}) {
    TorchEngineOptions options{.threads = 1, .kv_cache_mib = 1, .prefix_cache = prefix_cache};
    const auto quiet = make_torch_engine(open_checkpoint(folder.path()), options);
    const auto busy = make_torch_engine(open_checkpoint(folder.path()), options);
    std::mt19937 random(3);
    for (int i = 0; i < 12; ++i) {
      const Outcome expected = answer_alone(*quiet, square(i));
      const SequenceId good = busy->admit(busy->prepare(square(i)), {});
      std::vector<SequenceId> mates;
      Outcome answer;
      for (bool going = true; going;) {
        if (mates.size() < 6) {
          const bool broken = random() % 2 == 0;
          mates.push_back(busy->admit(busy->prepare(ask(20 + random() % 4, int(random() % 24), 64, broken ? 128 : 64)),
                                      {.temperature = random() % 2 ? 1.0f : 0.0f, .seed = random()}));
        }
        StepPlan plan{{{good, int(1 + random() % busy->tokens_to_compute(good))}}};
        for (SequenceId mate : mates) {
          if (random() % 4 == 0) busy->preempt(mate);
          plan.items.push_back({mate, int(1 + random() % busy->tokens_to_compute(mate))});
        }
        std::shuffle(plan.items.begin(), plan.items.end(), random);
        const StepResult step = busy->step(plan);
        for (float mass : step.moe.gate_mass) ASSERT_TRUE(std::isfinite(mass));
        for (size_t s = 0; s < step.sequences.size(); ++s) {
          const SequenceStepResult& out = step.sequences[s];
          if (out.id == good)
            going = answer.take(out);
          else if (out.error || out.stop_token) {
            busy->release(out.id);
            std::erase(mates, out.id);
          }
        }
      }
      test::expect_same(answer, expected);
      busy->release(good);
      for (SequenceId mate : mates) busy->release(mate);
      EXPECT_EQ(busy->cache_usage().used_pages, 0);
    }
  }
}

}  // namespace
}  // namespace sf
