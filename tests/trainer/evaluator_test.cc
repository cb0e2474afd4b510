#include "trainer/evaluator.h"

#include <gtest/gtest.h>

#include <numeric>

#include "engine/base/utf8.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"
#include "trainer/checkpointer.h"
#include "trainer/tasks/sort_of_clevr/evaluation.h"
#include "trainer/tasks/sort_of_clevr/sort_of_clevr_task.h"

namespace sf {
namespace {

using Kind = EvaluationSet::Kind;

// A held-out image and what the model made of it.
struct Seen {
  HeldOutImage image;
  std::vector<AnsweredQuestion> answers;
};

class EvaluatorTest : public testing::Test {
 protected:
  EvaluationReport run(Kind kind, int images, std::vector<Seen>* seen = nullptr) {
    VisitHeldOut visit;
    if (seen) {
      visit = [seen](const HeldOutImage& image, const std::vector<AnsweredQuestion>& answers) {
        seen->push_back({image, answers});
      };
    }
    VlmExaminee model(*vlm_, *tokenizer_);
    return evaluate(model, {.kind = kind, .images = images, .seed = 7}, visit);
  }

  std::shared_ptr<Vlm> vlm_ = test::tiny_vlm(3);
  std::shared_ptr<const Tokenizer> tokenizer_ = load_sentencepiece(test::tiny_tokenizer_model());
};

TEST_F(EvaluatorTest, ThePapersSetAsksTenQuestionsOfEachGroup) {
  std::vector<Seen> seen;
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
  std::vector<Seen> seen;
  const EvaluationReport report = run(Kind::kVaried, 6, &seen);
  std::array<KindScore, data::kNumKinds> expected;
  int64_t clear = 0;
  for (const auto& [image, answers] : seen) {
    ASSERT_EQ(answers.size(), image.questions.size());
    for (size_t q = 0; q < image.questions.size(); ++q) {
      KindScore& score = expected[image.questions[q].kind];
      ++score.asked;
      score.right += answers[q].right;
      clear += image.questions[q].margin >= 3;
      EXPECT_GE(answers[q].margin, 0);
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
  EXPECT_EQ(report.experts.all, again.experts.all);
  EXPECT_EQ(report.all.right, again.all.right);
  ASSERT_EQ(report.experts.all.size(), 2u);
  auto total = [&](int layer) {
    return std::accumulate(report.experts.all[layer].begin(), report.experts.all[layer].end(), int64_t{0});
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
  EXPECT_EQ(sum.experts.all[1][2], first.experts.all[1][2] + second.experts.all[1][2]);
  EvaluationReport empty;
  merge(empty, second);
  EXPECT_EQ(empty.experts.all, second.experts.all);
}

// The first token of what greedy decoding says is the one that the answer is judged by.
TEST_F(EvaluatorTest, GeneratesWhatItIsJudgedBy) {
  VlmExaminee model(*vlm_, *tokenizer_);
  Example example = example_of(held_out_image({.kind = Kind::kPaper, .images = 1, .seed = 3}, model.preprocess(), 0));
  example.questions.resize(3);
  const std::vector<std::string> one = model.generate(example, 1), five = model.generate(example, 5);
  ASSERT_EQ(five.size(), 3u);
  const auto visit = [&](int, const Example&, const std::vector<AnsweredQuestion>& answers) {
    for (size_t q = 0; q < five.size(); ++q) {
      std::string first =
          tokenizer_->is_end(answers[q].first_token) ? "" : tokenizer_->bytes_of(answers[q].first_token);
      if (first.starts_with(' ')) first.erase(0, 1);
      const bool whole = is_valid_utf8(first);  // or one byte of a character that five tokens may complete
      EXPECT_EQ(one[q], whole ? first : "\uFFFD");
      EXPECT_TRUE(!whole || five[q].starts_with(first)) << five[q] << " after " << first;
    }
  };
  model.ask(
      1, [&](int) { return example; }, visit);
}

// A model that answers nothing right has no golden cases: the golden check falls back to finite logits.
TEST_F(EvaluatorTest, GoldenCasesAreOnlyWhatTheModelGotRight) {
  VlmExaminee model(*vlm_, *tokenizer_);
  const auto task = make_sort_of_clevr_task({});
  const std::vector<Example> examples = task->golden_examples(model.preprocess());
  const std::string golden = make_golden(*vlm_, *tokenizer_, examples);
  bool any = false;
  const auto visit = [&](int, const Example&, const std::vector<AnsweredQuestion>& answers) {
    for (size_t q = 0; q < answers.size(); q += 5) any = any || (answers[q].right && answers[q].margin > 0.1f);
  };
  model.ask(
      static_cast<int>(examples.size()), [&](int i) { return examples[static_cast<size_t>(i)]; }, visit);
  EXPECT_EQ(golden.find("\"question\"") != std::string::npos, any);
  EXPECT_NE(golden.find("\"cases\""), std::string::npos);
}

}  // namespace
}  // namespace sf
