// An answer chosen from given strings: its probabilities are those of a plain forward pass of every string, and depend
// on neither batch mates, chunks, caches nor preemption.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "engine/runtime/checkpoint_model.h"
#include "engine/runtime/explain/explain_pass.h"
#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

using test::answer_alone;
using test::ask;
using test::Outcome;

constexpr double kProbabilityTolerance = 1e-4;  // f32: other batch shapes round differently

struct Chosen {
  ChosenAnswer answer;
  uint32_t assigned = 0, overflow = 0, cached = 0;
  int steps = 0;

  // False once there is an answer.
  bool take(const SequenceStepResult& out) {
    EXPECT_FALSE(out.error);
    EXPECT_TRUE(out.tokens.empty());
    ++steps;
    assigned += out.assigned_tokens;
    overflow += out.overflow_tokens;
    cached += out.cached_tokens;
    if (out.chosen) answer = *out.chosen;
    return !out.chosen;
  }
};

void expect_same(const Chosen& a, const Chosen& b) {
  EXPECT_EQ(a.answer.index, b.answer.index);
  EXPECT_EQ(a.answer.num_tokens, b.answer.num_tokens);
  EXPECT_EQ(a.assigned, b.assigned);
  EXPECT_EQ(a.overflow, b.overflow);
  ASSERT_EQ(a.answer.probabilities.size(), b.answer.probabilities.size());
  for (size_t i = 0; i < a.answer.probabilities.size(); ++i) {
    EXPECT_NEAR(a.answer.probabilities[i], b.answer.probabilities[i], kProbabilityTolerance) << i;
  }
}

const std::vector<std::string> kShapes = {"circle", "square"};
// Prefixes of one another, common beginnings, bytes without a piece of their own, two ways through the trie at once.
const std::vector<std::string> kMany = {
    "blue", "blue circle", "blue square",        "a blue circle",      "red",         "redder", "2",
    "22",   "gr\xc3\xbcn", "left of the circle", "left of the square", "\xe2\x98\x83"};

class ChoicesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 11);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::unique_ptr<Engine> engine(TorchEngineOptions options = {}) {
    options.threads = 1;
    if (options.kv_cache_mib == 64) options.kv_cache_mib = 1;
    return make_torch_engine(open_checkpoint(folder_->path()), options);
  }
  static SamplingParams among(const Engine& engine, const std::vector<std::string>& texts,
                              SamplingParams sampling = {}) {
    sampling.choices = engine.prepare_choices(texts);
    return sampling;
  }
  // `preempt_every`: after so many steps each time.
  static Chosen choose(Engine& engine, const std::vector<Message>& messages, const std::vector<std::string>& texts,
                       int chunk = 1000, int preempt_every = 0) {
    const SequenceId id = engine.admit(engine.prepare(messages), among(engine, texts));
    Chosen chosen;
    for (bool going = true; going;) {
      const StepResult step = engine.step({{{id, std::min(chunk, engine.tokens_to_compute(id))}}});
      EXPECT_FALSE(step.sequences[0].out_of_pages);
      going = chosen.take(step.sequences[0]);
      if (going && preempt_every > 0 && chosen.steps % preempt_every == 0) engine.preempt(id);
    }
    engine.release(id);
    return chosen;
  }

  static test::TempFolder* folder_;
};

test::TempFolder* ChoicesTest::folder_ = nullptr;

// By the definition, without a trie, a cache or a batch: one pass of the whole sequence for each place of each string.
std::vector<double> by_definition(const CheckpointModel& model, const std::vector<Message>& messages,
                                  const std::vector<std::string>& texts) {
  torch::NoGradGuard no_grad;
  const auto prompt = PromptMaker(model.tokenizer, model.config, {}).make(messages);
  const ExplainedModel explained{*model.vlm, model.tokenizer, at::kCPU, model.config.decoder.max_context};
  const ExplainSequence sequence(explained, *prompt);
  const at::Tensor image = sequence.encode(sequence.pixels());
  std::vector<std::vector<int>> paths;
  for (const std::string& text : texts) {
    paths.push_back(model.tokenizer->encode(text));
    paths.back().push_back(model.tokenizer->eos_id());
  }
  std::vector<double> out;
  for (const std::vector<int>& path : paths) {
    double p = 1;
    for (size_t i = 0; i < path.size(); ++i) {
      std::set<int> allowed;
      for (const std::vector<int>& other : paths) {
        if (other.size() > i && std::equal(path.begin(), path.begin() + i, other.begin())) allowed.insert(other[i]);
      }
      std::vector<int> ids = prompt->tokens.ids;
      ids.insert(ids.end(), path.begin(), path.begin() + i);
      const at::Tensor logits = sequence.next_logits(image, ids).to(at::kDouble).flatten();
      double sum = 0;
      for (const int token : allowed) sum += std::exp(logits[token].item<double>());
      p *= std::exp(logits[path[i]].item<double>()) / sum;
    }
    out.push_back(p);
  }
  return out;
}

TEST_F(ChoicesTest, ProbabilitiesAreThoseOfAPlainForwardPass) {
  const auto cold = engine();
  const CheckpointModel model = load_checkpoint_model(open_checkpoint(folder_->path()));
  for (int question = 0; question < 3; ++question) {
    for (const auto* texts : {&kShapes, &kMany}) {
      const auto messages = ask(3, question);
      const Chosen chosen = choose(*cold, messages, *texts);
      const std::vector<double> expected = by_definition(model, messages, *texts);
      ASSERT_EQ(chosen.answer.probabilities.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i)
        EXPECT_NEAR(chosen.answer.probabilities[i], expected[i], kProbabilityTolerance);
      EXPECT_NEAR(std::accumulate(chosen.answer.probabilities.begin(), chosen.answer.probabilities.end(), 0.0), 1,
                  1e-9);
      EXPECT_EQ(chosen.answer.index, std::max_element(expected.begin(), expected.end()) - expected.begin());
    }
  }
}

TEST_F(ChoicesTest, CostsOnlyThePlacesWhereChoicesPart) {
  const auto cold = engine();
  EXPECT_EQ(choose(*cold, ask(1, 0), kShapes).steps, 1);
  const auto choices = cold->prepare_choices(kMany);
  EXPECT_LT(choose(*cold, ask(1, 0), kMany).steps, static_cast<int>(kMany.size()));
  std::vector<std::string> numbers;
  for (int i = 0; i < 64; ++i) numbers.push_back("number " + std::to_string(1000 + i));
  EXPECT_LE(choose(*cold, ask(1, 0), numbers).steps, 63);
}

TEST_F(ChoicesTest, AreTheSameInChunksAfterPreemptionsAndFromTheCache) {
  for (const char* mode : {"account", "strict"}) {
    const auto make = [&](bool prefix_cache) {
      return engine({.capacity_mode = mode, .prefix_cache = prefix_cache, .capacity_factor = 0.5});
    };
    const auto cold = make(false);
    const Chosen alone = choose(*cold, ask(5, 2), kMany);
    EXPECT_GT(alone.steps, 3);
    expect_same(choose(*cold, ask(5, 2), kMany, 7), alone);
    expect_same(choose(*cold, ask(5, 2), kMany, 1000, 1), alone);  // every place is weighed after a preemption
    expect_same(choose(*cold, ask(5, 2), kMany, 5, 13), alone);
    const auto warm = make(true);
    expect_same(choose(*warm, ask(5, 2), kMany), alone);
    const Chosen cached = choose(*warm, ask(5, 2), kMany);
    EXPECT_GT(cached.cached, 0u);
    expect_same(cached, alone);
    expect_same(choose(*warm, ask(5, 2), kMany, 1000, 2), alone);
  }
}

// Capacity windows of 32 tokens end wherever a prompt's length puts them: of what was tried nothing stays counted. One
// that is preempted before every place counts its whole sequence anew.
TEST_F(ChoicesTest, CountNothingThatWasTriedAndTakenBack) {
  for (const char* mode : {"account", "strict"}) {
    const auto cold = engine({.capacity_mode = mode, .prefix_cache = false, .capacity_factor = 0.25});
    uint32_t overflow = 0;
    for (int letters = 0; letters < 33; letters += 4) {
      auto messages = ask(5, 2);
      messages[0].parts[1].data += std::string(letters, 'x');
      const Chosen alone = choose(*cold, messages, kMany);
      overflow += alone.overflow;
      SCOPED_TRACE(concat(mode, ", ", letters, " letters more"));
      expect_same(choose(*cold, messages, kMany, 1000, 1), alone);
    }
    EXPECT_GT(overflow, 0u) << "or nothing is compared";
  }
}

TEST_F(ChoicesTest, LeaveNothingOfWhatWasTriedInThePrefixCache) {
  const auto cold = engine({.prefix_cache = false});
  const auto warm = engine();
  for (int question = 0; question < 6; ++question) {
    const auto messages = ask(7, question);
    choose(*warm, messages, kMany, 1000, question % 3);
    for (const char* text :
         {"", " blue", " blue circle and", " blue square", " a blue circle", " left of the square", " red"}) {
      auto asked = messages;  // whose tokens may be those of the prompt and of what was tried behind it
      asked[0].parts[1].data += text;
      const Outcome expected = answer_alone(*cold, asked), seen = answer_alone(*warm, asked);
      EXPECT_EQ(expected.tokens, seen.tokens);
      EXPECT_EQ(expected.assigned, seen.assigned);
      for (size_t i = 0; i < expected.logprobs.size(); ++i) EXPECT_NEAR(expected.logprobs[i], seen.logprobs[i], 1e-4);
    }
  }
  EXPECT_EQ(warm->cache_usage().used_pages, 0);
}

TEST_F(ChoicesTest, AreTheSameAmongOthers) {
  const auto cold = engine({.prefix_cache = false});
  const auto busy = engine({.kv_cache_mib = 2});
  constexpr int kRequests = 12;
  std::map<SequenceId, int> running;
  std::vector<Chosen> chosen(kRequests);
  std::vector<Outcome> written(kRequests);
  const auto texts_of = [](int i) { return i % 4 == 1 ? kShapes : kMany; };
  for (int i = 0; i < kRequests; ++i) {  // every other one is an ordinary answer
    running[busy->admit(busy->prepare(ask(i / 3, i)), i % 2 ? among(*busy, texts_of(i)) : SamplingParams{})] = i;
  }
  for (int steps = 0; !running.empty() && steps < 500; ++steps) {
    StepPlan plan;
    for (const auto& [id, i] : running) plan.items.push_back({id, std::min(9, busy->tokens_to_compute(id))});
    const StepResult result = busy->step(plan);
    for (const SequenceStepResult& out : result.sequences) {
      ASSERT_FALSE(out.out_of_pages);
      const int i = running.at(out.id);
      if (i % 2 ? chosen[i].take(out) : written[i].take(out)) continue;
      busy->release(out.id);
      running.erase(out.id);
    }
  }
  ASSERT_TRUE(running.empty());
  for (int i = 0; i < kRequests; ++i) {
    if (i % 2)
      expect_same(chosen[i], choose(*cold, ask(i / 3, i), texts_of(i)));
    else
      EXPECT_EQ(written[i].tokens, answer_alone(*cold, ask(i / 3, i)).tokens);
  }
  EXPECT_EQ(busy->cache_usage().used_pages, 0);
}

TEST_F(ChoicesTest, AreDrawnByTheSeed) {
  const auto cold = engine();
  const auto draw = [&](uint64_t seed) {
    const SequenceId id =
        cold->admit(cold->prepare(ask(3, 1)), among(*cold, kShapes, {.temperature = 2, .seed = seed}));
    Chosen chosen;
    while (chosen.take(cold->step({{{id, cold->tokens_to_compute(id)}}}).sequences[0])) {
    }
    cold->release(id);
    return chosen.answer.index;
  };
  std::set<int> drawn;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    drawn.insert(draw(seed));
    if (seed < 5) {
      EXPECT_EQ(draw(seed), draw(seed));
    }
  }
  EXPECT_EQ(drawn.size(), 2u);
}

TEST_F(ChoicesTest, RefusesWhatHasTooManyTokens) {
  const auto cold = engine();
  EXPECT_THROW(cold->prepare_choices({"red", std::string(255, '\x01')}), Error);
  EXPECT_THROW(cold->admit(cold->prepare(ask(1, 1)), among(*cold, kShapes, {.record_routing = true})), Error);
}

TEST_F(ChoicesTest, TopLogprobsAreTheLikeliestTokens) {
  const auto cold = engine();
  for (const int top : {0, 1, 5}) {
    for (const float temperature : {0.0f, 1.5f}) {
      SamplingParams sampling{.temperature = temperature, .seed = 4, .top_logprobs = top};
      const SequenceId id = cold->admit(cold->prepare(ask(2, 4)), sampling);
      const StepResult step = cold->step({{{id, cold->tokens_to_compute(id)}}});
      const SequenceStepResult& out = step.sequences[0];
      cold->release(id);
      ASSERT_EQ(out.top.size(), 1u);
      ASSERT_EQ(out.top[0].size(), static_cast<size_t>(top));
      for (int i = 1; i < top; ++i) EXPECT_GE(out.top[0][i - 1].logprob, out.top[0][i].logprob);
      if (top == 0) continue;
      EXPECT_GE(out.top[0][0].logprob, out.logprobs[0]);
      if (temperature == 0) {
        EXPECT_EQ(out.top[0][0].token, out.tokens[0]);
        EXPECT_EQ(out.top[0][0].logprob, out.logprobs[0]);
      }
    }
  }
}

}  // namespace
}  // namespace sf
