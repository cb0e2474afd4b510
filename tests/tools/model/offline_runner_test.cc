#include "tools/model/offline_runner.h"

#include <gtest/gtest.h>

#include "engine/runtime/torch_engine.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

class OfflineRunnerTest : public testing::Test {
 protected:
  OfflineRunnerTest() {
    test::TempFolder folder;
    test::write_tiny_checkpoint(folder.path(), 11);
    engine_ = make_torch_engine(open_checkpoint(folder.path()), {.threads = 1, .kv_cache_mib = 1});
    for (uint64_t seed = 0; seed < 11; ++seed) {
      OfflineRequest request{
          test::random_image(seed, 64 + int(seed * 11), 90), seed % 2 ? "count red" : "describe the picture", {}};
      request.sampling.max_tokens = 3 + int(seed);
      requests_.push_back(request);
    }
    requests_[4].sampling.temperature = 1.0f;
  }

  void expect_same(const std::vector<OfflineAnswer>& a, const std::vector<OfflineAnswer>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].text, b[i].text) << i;
      EXPECT_EQ(a[i].error, b[i].error) << i;
      EXPECT_EQ(a[i].prompt_tokens, b[i].prompt_tokens) << i;
      EXPECT_EQ(a[i].completion_tokens, b[i].completion_tokens) << i;
    }
  }

  std::unique_ptr<Engine> engine_;
  std::vector<OfflineRequest> requests_;
};

TEST_F(OfflineRunnerTest, EveryBatchSizeAndPrefillBudgetGivesTheSameAnswers) {
  const std::vector<OfflineAnswer> one = run_offline(*engine_, requests_, {.batch = 1});
  for (const OfflineAnswer& answer : one) EXPECT_EQ(answer.error, "");
  expect_same(run_offline(*engine_, requests_, {.batch = 8}), one);
  expect_same(run_offline(*engine_, requests_, {.batch = 32}), one);
  expect_same(run_offline(*engine_, requests_, {.batch = 8, .prefill_tokens = 1}), one);  // one prompt a step
  EXPECT_EQ(engine_->cache_usage().used_pages, 0);
}

TEST_F(OfflineRunnerTest, ARequestThatIsRefusedLeavesTheOthersAlone) {
  const std::vector<OfflineAnswer> good = run_offline(*engine_, requests_, {.batch = 4});
  requests_[3].image = "no picture";
  requests_[7].question = "";
  const std::vector<OfflineAnswer> answers = run_offline(*engine_, requests_, {.batch = 4});
  for (size_t i = 0; i < answers.size(); ++i) {
    if (i == 3 || i == 7)
      EXPECT_NE(answers[i].error, "") << i;
    else
      EXPECT_EQ(answers[i].text, good[i].text) << i;
  }
}

TEST_F(OfflineRunnerTest, AnswersEndAtTheirLimitAndAtTheContext) {
  for (OfflineRequest& request : requests_) {
    request.sampling.temperature = 5.0f;  // nearly uniform: an early end is unlikely
    request.sampling.max_tokens = 1000;
  }
  requests_[0].sampling.max_tokens = 2;
  const std::vector<OfflineAnswer> answers = run_offline(*engine_, requests_, {.batch = 11});
  EXPECT_LE(answers[0].completion_tokens, 2);
  int longest = 0;
  for (const OfflineAnswer& answer : answers) {
    EXPECT_EQ(answer.error, "");
    EXPECT_LE(answer.prompt_tokens + answer.completion_tokens, engine_->info().max_context);
    longest = std::max(longest, answer.prompt_tokens + answer.completion_tokens);
  }
  EXPECT_EQ(longest, engine_->info().max_context);
}

TEST_F(OfflineRunnerTest, NoRequestsAreNoAnswers) { EXPECT_TRUE(run_offline(*engine_, {}, {}).empty()); }

}  // namespace
}  // namespace sf
