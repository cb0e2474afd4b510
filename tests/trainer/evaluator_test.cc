#include "trainer/evaluator.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"
#include "trainer/checkpointer.h"

namespace sf {
namespace {

using Kind = EvaluationSet::Kind;

class EvaluatorTest : public testing::Test {
 protected:
  EvaluationReport run(Kind kind, int images, std::vector<EvaluatedImage>* seen = nullptr) {
    std::function<void(const EvaluatedImage&)> visit;
    if (seen) visit = [seen](const EvaluatedImage& image) { seen->push_back(image); };
    return evaluate(*vlm_, *tokenizer_, {.kind = kind, .images = images, .seed = 7}, visit);
  }

  std::shared_ptr<Vlm> vlm_ = test::tiny_vlm(3);
  std::shared_ptr<const Tokenizer> tokenizer_ = load_sentencepiece(test::tiny_tokenizer_model());
};

TEST_F(EvaluatorTest, ThePapersSetAsksTenQuestionsOfEachGroup) {
  std::vector<EvaluatedImage> seen;
  const EvaluationReport report = run(Kind::kPaper, 18, &seen);  // more than one batch of 16
  EXPECT_EQ(seen.size(), 18u);
  EXPECT_EQ(report.non_relational.asked, 180);
  EXPECT_EQ(report.relational.asked, 180);
  EXPECT_EQ(report.all.asked, 360);
  EXPECT_EQ(report.answerable, 360);
  int64_t by_kind = 0;
  for (const KindScore& score : report.kinds) by_kind += score.asked;
  EXPECT_EQ(by_kind, 360);
  EXPECT_EQ(report.kinds[data::kDescribe].asked, 0);
}

TEST_F(EvaluatorTest, TheReportIsTheSumOfWhatTheVisitorSees) {
  std::vector<EvaluatedImage> seen;
  const EvaluationReport report = run(Kind::kVaried, 6, &seen);
  std::array<KindScore, data::kNumKinds> expected;
  int64_t clear = 0;
  for (const EvaluatedImage& image : seen) {
    ASSERT_EQ(image.right.size(), image.questions.size());
    ASSERT_EQ(image.margin.size(), image.questions.size());
    for (size_t q = 0; q < image.questions.size(); ++q) {
      KindScore& score = expected[image.questions[q].kind];
      ++score.asked;
      score.right += image.right[q];
      clear += image.questions[q].margin >= 3;
      EXPECT_GE(image.margin[q], 0);
    }
  }
  for (int k = 0; k < data::kNumKinds; ++k) {
    EXPECT_EQ(report.kinds[k].asked, expected[k].asked) << k;
    EXPECT_EQ(report.kinds[k].right, expected[k].right) << k;
  }
  EXPECT_EQ(report.all.clear_asked, clear);
  EXPECT_EQ(report.all.asked, 6 * 20);
}

TEST_F(EvaluatorTest, EachSetAsksWhatItSays) {
  const EvaluationReport describe = run(Kind::kDescribe, 3), absent = run(Kind::kAbsent, 3),
                         none = run(Kind::kNonScene, 3);
  EXPECT_EQ(describe.kinds[data::kDescribe].asked, 3);
  EXPECT_EQ(describe.all.asked, 3);
  EXPECT_EQ(absent.kinds[data::kNonScene].asked, 0);
  EXPECT_EQ(absent.kinds[data::kAbsentColour].asked, absent.all.asked);
  EXPECT_EQ(none.kinds[data::kNonScene].asked, 12);
  EXPECT_EQ(none.answerable, 0);
}

TEST_F(EvaluatorTest, TheHistogramHoldsEveryAssignmentAndTheSameSeedGivesTheSameReport) {
  const EvaluationReport report = run(Kind::kPaper, 3), again = run(Kind::kPaper, 3);
  EXPECT_EQ(report.expert_histogram, again.expert_histogram);
  EXPECT_EQ(report.all.right, again.all.right);
  ASSERT_EQ(report.expert_histogram.size(), 2u);
  auto total = [&](int layer) {
    return std::accumulate(report.expert_histogram[layer].begin(), report.expert_histogram[layer].end(), int64_t{0});
  };
  EXPECT_EQ(total(0), total(1));
  EXPECT_EQ(total(0) % 2, 0);                  // top-2
  EXPECT_GT(total(0), 3 * 2 * (36 + 20 * 4));  // images of 36 tokens and 20 questions of a few
}

TEST_F(EvaluatorTest, LeavesTheModelInItsMode) {
  vlm_->train();
  run(Kind::kPaper, 1);
  EXPECT_TRUE(vlm_->is_training());
  vlm_->eval();
  run(Kind::kPaper, 1);
  EXPECT_FALSE(vlm_->is_training());
}

TEST_F(EvaluatorTest, MergingAddsEveryCount) {
  EvaluationReport sum = run(Kind::kPaper, 2);
  const EvaluationReport first = sum, second = run(Kind::kNonScene, 2);
  merge(sum, second);
  EXPECT_EQ(sum.all.asked, first.all.asked + second.all.asked);
  EXPECT_EQ(sum.all.right, first.all.right + second.all.right);
  EXPECT_EQ(sum.kinds[data::kNonScene].asked, 8);
  EXPECT_EQ(sum.relational.asked, first.relational.asked);
  EXPECT_EQ(sum.expert_histogram[1][2], first.expert_histogram[1][2] + second.expert_histogram[1][2]);
  EvaluationReport empty;
  merge(empty, second);
  EXPECT_EQ(empty.expert_histogram, second.expert_histogram);
}

// A model that answers nothing right has no golden cases: the golden check falls back to finite logits.
TEST_F(EvaluatorTest, GoldenCasesAreOnlyWhatTheModelGotRight) {
  const std::string golden = make_golden(*vlm_, *tokenizer_, 2, 5);
  std::vector<EvaluatedImage> seen;
  EvaluationSet set{.kind = Kind::kPaper, .images = 2, .seed = 5, .paraphrased = true};
  evaluate(*vlm_, *tokenizer_, set, [&](const EvaluatedImage& image) { seen.push_back(image); });
  bool any = false;
  for (const EvaluatedImage& image : seen) {
    for (size_t q = 0; q < image.right.size(); q += 5) any = any || (image.right[q] && image.margin[q] > 0.1f);
  }
  EXPECT_EQ(golden.find("\"question\"") != std::string::npos, any);
  EXPECT_NE(golden.find("\"cases\""), std::string::npos);
}

}  // namespace
}  // namespace sf
