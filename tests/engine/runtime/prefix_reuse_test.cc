// Twenty questions about one image cost one image, and a cached answer is the computed one.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/runtime/torch_engine.h"
#include "tests/engine/runtime/answers.h"

namespace sf {
namespace {

using test::ask;
using test::expect_same;
using test::Outcome;

class PrefixReuseTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TempFolder;
    test::write_tiny_checkpoint(folder_->path(), 11);
  }
  static void TearDownTestSuite() { delete folder_; }

  // 0 MiB: eight pages, enough for one whole context.
  static std::unique_ptr<Engine> engine(bool prefix_cache, int64_t kv_cache_mib = 1) {
    return make_torch_engine(open_checkpoint(folder_->path()),
                             {.threads = 1, .kv_cache_mib = kv_cache_mib, .prefix_cache = prefix_cache});
  }

  static Outcome answer(Engine& engine, const std::vector<Message>& messages, const SamplingParams& sampling = {},
                        StepResult* sums = nullptr) {
    const SequenceId id = engine.admit(engine.prepare(messages), sampling);
    Outcome answer;
    for (bool going = true; going;) {
      const StepResult step = engine.step({{{id, engine.tokens_to_compute(id)}}});
      EXPECT_FALSE(step.sequences[0].error || step.sequences[0].out_of_pages);
      going = answer.take(step.sequences[0]);
      if (sums) add(step, *sums);
    }
    engine.release(id);
    return answer;
  }

  static void add(const StepResult& step, StepResult& sums) {
    sums.images_encoded += step.images_encoded;
    sums.prefix_cache_queries += step.prefix_cache_queries;
    sums.prefix_cache_hits += step.prefix_cache_hits;
    sums.image_cache_queries += step.image_cache_queries;
    sums.image_cache_hits += step.image_cache_hits;
  }

  // Everybody at once, a few prompt tokens a step; whoever is short of pages sends the youngest away.
  static std::vector<Outcome> together(Engine& engine, const std::vector<std::vector<Message>>& all, int chunk,
                                       StepResult& sums) {
    struct Running {
      SequenceId id;
      bool preempted;
    };
    std::vector<Outcome> answers(all.size());
    std::map<size_t, Running> running;
    for (size_t i = 0; i < all.size(); ++i) running[i] = {engine.admit(engine.prepare(all[i]), {}), false};
    for (int step = 0; !running.empty() && step < 5000; ++step) {
      StepPlan plan;
      std::vector<size_t> who;
      bool anybody = false;
      for (auto& [i, one] : running) anybody = anybody || !one.preempted;
      if (!anybody) running.begin()->second.preempted = false;
      for (auto& [i, one] : running) {
        if (one.preempted) continue;
        who.push_back(i);
        plan.items.push_back({one.id, std::min(chunk, engine.tokens_to_compute(one.id))});
      }
      const StepResult result = engine.step(plan);
      add(result, sums);
      bool out_of_pages = false;
      for (size_t k = 0; k < who.size(); ++k) {
        EXPECT_FALSE(result.sequences[k].error);
        out_of_pages = out_of_pages || result.sequences[k].out_of_pages;
        if (answers[who[k]].take(result.sequences[k])) continue;
        engine.release(running.at(who[k]).id);
        running.erase(who[k]);
      }
      if (!out_of_pages) continue;
      for (auto last = running.rbegin(); last != running.rend(); ++last) {
        if (last->second.preempted) continue;
        engine.preempt(last->second.id);
        last->second.preempted = true;
        break;
      }
    }
    EXPECT_TRUE(running.empty());
    EXPECT_EQ(engine.cache_usage().used_pages, 0);
    return answers;
  }

  static inline test::TempFolder* folder_ = nullptr;
};

TEST_F(PrefixReuseTest, TwentyQuestionsAboutOneImageCostOneImage) {
  const auto cold = engine(false), warm = engine(true);
  StepResult cold_sums, warm_sums;
  int tokens = 0;
  for (int question = 0; question < 20; ++question) {
    const Outcome expected = answer(*cold, ask(1, question), {}, &cold_sums);
    const Outcome got = answer(*warm, ask(1, question), {}, &warm_sums);
    expect_same(got, expected);
    EXPECT_EQ(expected.cached, 0u);
    const PreparedPromptPtr prompt = warm->prepare(ask(1, question));
    tokens += prompt->num_tokens();
    if (question > 0) {
      EXPECT_GE(got.cached, uint32_t(prompt->num_image_tokens()));
    } else {
      EXPECT_EQ(got.cached, 0u);
    }
  }
  EXPECT_EQ(cold_sums.images_encoded, 20);
  EXPECT_EQ(cold_sums.prefix_cache_queries + cold_sums.image_cache_queries, 0);  // it looks nothing up
  EXPECT_EQ(warm_sums.images_encoded, 1);
  EXPECT_EQ(warm_sums.image_cache_queries, 20);
  EXPECT_EQ(warm_sums.image_cache_hits, 19);
  EXPECT_EQ(warm_sums.prefix_cache_queries, tokens);
  EXPECT_GE(warm_sums.prefix_cache_hits, 19 * 36);
  EXPECT_LT(warm_sums.prefix_cache_hits, tokens - 20);
  EXPECT_EQ(warm->cache_usage().used_pages, 0);
  EXPECT_GT(warm->cache_usage().idle_pages, 3);
}

TEST_F(PrefixReuseTest, TwentyQuestionsAtOnceCostOneImageToo) {
  const auto cold = engine(false), warm = engine(true);
  std::vector<std::vector<Message>> all;
  for (int question = 0; question < 20; ++question) all.push_back(ask(2, question));
  for (int chunk : {1000, 20}) {
    const auto fresh = engine(true);
    StepResult sums;
    const std::vector<Outcome> answers = together(*fresh, all, chunk, sums);
    EXPECT_EQ(sums.images_encoded, 1) << "chunk " << chunk;
    EXPECT_EQ(sums.image_cache_hits, 19);
    for (int question = 0; question < 20; ++question) expect_same(answers[question], answer(*cold, all[question]));
  }
}

TEST_F(PrefixReuseTest, AnswersAreTheSameWhenPagesAreEvicted) {
  const auto cold = engine(false), tiny = engine(true, 0);
  ASSERT_EQ(tiny->cache_usage().total_pages, 8);
  std::vector<std::vector<Message>> all;
  for (int i = 0; i < 24; ++i) all.push_back(ask(i % 3, i));
  StepResult alone;
  for (const auto& messages : all) expect_same(answer(*tiny, messages, {}, &alone), answer(*cold, messages));
  EXPECT_GT(alone.images_encoded, 3);  // eight pages do not hold three images and what runs
  StepResult sums;
  const std::vector<Outcome> answers = together(*tiny, all, 30, sums);
  for (size_t i = 0; i < all.size(); ++i) {
    const Outcome expected = answer(*cold, all[i]);
    EXPECT_EQ(answers[i].tokens, expected.tokens) << i;
    EXPECT_EQ(answers[i].overflow, expected.overflow) << i;  // each token counts once, however often it was computed
    EXPECT_EQ(answers[i].assigned, expected.assigned) << i;
  }
  EXPECT_EQ(tiny->cache_usage().used_pages, 0);
}

TEST_F(PrefixReuseTest, AnotherTenantFindsNothing) {
  const auto warm = engine(true);
  EXPECT_EQ(answer(*warm, ask(1, 0), {.cache_salt = "a"}).cached, 0u);
  EXPECT_EQ(answer(*warm, ask(1, 1), {.cache_salt = "b"}).cached, 0u);
  EXPECT_EQ(answer(*warm, ask(1, 1)).cached, 0u);
  EXPECT_GE(answer(*warm, ask(1, 1), {.cache_salt = "a"}).cached, 36u);
}

TEST_F(PrefixReuseTest, ANewEngineStartsCold) {
  const auto before = engine(true);
  const Outcome first = answer(*before, ask(1, 0));
  EXPECT_GT(answer(*before, ask(1, 0)).cached, 0u);
  const auto after = engine(true);  // what a reload makes, of the same bytes or others
  StepResult sums;
  const Outcome again = answer(*after, ask(1, 0), {}, &sums);
  EXPECT_EQ(again.cached, 0u);
  EXPECT_EQ(sums.images_encoded, 1);
  expect_same(again, first);
}

TEST_F(PrefixReuseTest, AnEarlierTurnIsFoundWithItsAnswer) {
  const auto cold = engine(false), warm = engine(true);
  std::vector<Message> messages = ask(3, 1);
  const Outcome first = answer(*warm, messages);
  const auto stream = warm->token_stream();
  std::string text;
  for (int token : first.tokens) text += stream->push(token);
  const int first_prompt = warm->prepare(messages)->num_tokens();
  messages.push_back({"assistant", {{Part::Kind::kText, "red"}}});
  messages.push_back({"user", {{Part::Kind::kText, "and count blue"}}});
  const Outcome second = answer(*warm, messages);
  EXPECT_GE(int(second.cached), first_prompt);
  expect_same(second, answer(*cold, messages));
}

// Strict serving drops by the request's own windows, so what was computed for one request holds for the next.
TEST_F(PrefixReuseTest, StrictCapacityDropsTheSameFromTheCache) {
  TorchEngineOptions options{.threads = 1, .kv_cache_mib = 1, .prefix_cache = false};
  options.capacity_mode = "strict";
  options.capacity_factor = 0.5;
  const auto cold = make_torch_engine(open_checkpoint(folder_->path()), options);
  options.prefix_cache = true;
  const auto warm = make_torch_engine(open_checkpoint(folder_->path()), options);
  uint32_t dropped = 0;
  for (int question = 0; question < 12; ++question) {
    const Outcome expected = answer(*cold, ask(1, question)), got = answer(*warm, ask(1, question));
    expect_same(got, expected);
    if (question > 0) {
      EXPECT_GE(got.cached, 36u);
    }
    dropped += expected.overflow_now;
  }
  EXPECT_GT(dropped, 0u);
}

// Random lives in eight or twenty pages against an engine without a cache: answers, log-probabilities, counts, pages.
TEST_F(PrefixReuseTest, RandomLivesGiveTheAnswersOfAnEngineWithoutACache) {
  const auto cold = engine(false);
  std::map<std::pair<uint64_t, int>, Outcome> expected;
  for (uint64_t image = 0; image < 3; ++image) {
    for (int question = 0; question < 9; ++question)
      expected[{image, question * 2}] = answer(*cold, ask(image, question * 2));
  }
  const auto warm = engine(true, 0);
  struct Life {
    SequenceId id;
    std::pair<uint64_t, int> key;
    Outcome answer;
  };
  std::vector<Life> alive;
  std::mt19937 random(5);
  const auto below = [&](size_t n) { return random() % n; };
  int finished = 0, preempted = 0, abandoned = 0;
  StepResult sums;
  const auto end = [&](size_t i) {
    warm->release(alive[i].id);
    alive.erase(alive.begin() + i);
  };
  for (int op = 0; op < 700; ++op) {
    if (alive.size() < 4 && below(3) == 0) {
      const std::pair<uint64_t, int> key{below(3), int(below(9)) * 2};
      SamplingParams sampling;
      if (below(6) == 0) sampling.cache_salt = "other";
      alive.push_back({warm->admit(warm->prepare(ask(key.first, key.second)), sampling), key, {}});
      continue;
    }
    if (alive.empty()) continue;
    if (below(12) == 0) {
      warm->preempt(alive[below(alive.size())].id);
      ++preempted;
      continue;
    }
    if (below(40) == 0) {
      end(below(alive.size()));
      ++abandoned;
      continue;
    }
    StepPlan plan;
    for (const Life& life : alive) {
      plan.items.push_back({life.id, 1 + int(below(warm->tokens_to_compute(life.id)))});
    }
    const StepResult step = warm->step(plan);
    add(step, sums);
    bool out_of_pages = false;
    for (size_t i = alive.size(); i-- > 0;) {
      ASSERT_FALSE(step.sequences[i].error);
      out_of_pages = out_of_pages || step.sequences[i].out_of_pages;
      if (alive[i].answer.take(step.sequences[i])) continue;
      const Outcome& right = expected.at(alive[i].key);
      ASSERT_EQ(alive[i].answer.tokens, right.tokens);
      ASSERT_EQ(alive[i].answer.overflow, right.overflow);
      ASSERT_EQ(alive[i].answer.assigned, right.assigned);
      for (size_t t = 0; t < right.logprobs.size(); ++t)
        ASSERT_NEAR(alive[i].answer.logprobs[t], right.logprobs[t], test::kLogprobTolerance);
      ++finished;
      end(i);
    }
    if (out_of_pages) warm->preempt(alive[below(alive.size())].id);
  }
  EXPECT_GT(finished, 30);
  EXPECT_GT(preempted, 10);
  EXPECT_GT(abandoned, 3);
  EXPECT_GT(sums.prefix_cache_hits, 100);
  EXPECT_GT(sums.images_encoded, 3);
  while (!alive.empty()) end(0);
  EXPECT_EQ(warm->cache_usage().used_pages, 0);
  EXPECT_LE(warm->cache_usage().idle_pages, 8);
}

}  // namespace
}  // namespace sf
