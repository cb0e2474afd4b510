#include "server/versions/golden_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "tests/support/fake_engine.h"

namespace sf::server {
namespace {

using ::testing::HasSubstr;

std::vector<GoldenImage> golden_of(int images) {
  std::vector<GoldenImage> golden;
  for (int p = 0; p < images; ++p) {
    const std::string n = std::to_string(p);
    golden.push_back({"IMG" + n, {{"shape " + n, "circle"}, {"colour " + n, "red"}}});
  }
  return golden;
}

void teach(FakeEngine& engine, const std::vector<GoldenImage>& golden) {
  for (const GoldenImage& image : golden) {
    for (const GoldenQuestion& question : image.questions) engine.script(question.question, {question.answer});
  }
}

// What run_golden_check says; empty where it is content.
std::string verdict(Engine& engine, const std::vector<GoldenImage>& golden) {
  try {
    run_golden_check(engine, golden);
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    return error.what();
  }
}

TEST(GoldenCheckTest, AsksEveryQuestionAndLeavesNothingBehind) {
  FakeEngine engine;
  const auto golden = golden_of(9);
  teach(engine, golden);
  const GoldenCheckReport report = ask_golden(engine, golden);
  EXPECT_EQ(report.asked, 18);
  EXPECT_EQ(report.matched, 18);
  EXPECT_EQ(report.first_difference, "");
  EXPECT_EQ(engine.num_sequences(), 0);
  EXPECT_EQ(engine.cache_usage().used_pages, 0);
}

TEST(GoldenCheckTest, OneWrongAnswerIsOneTooMany) {
  FakeEngine engine;
  const auto golden = golden_of(10);
  teach(engine, golden);
  engine.script("colour 7", {"gr", "ey"});
  EXPECT_THAT(verdict(engine, golden), HasSubstr("1 of 20 answers differ"));
  EXPECT_THAT(verdict(engine, golden), HasSubstr("'colour 7' was answered 'gr', the trainer got 'red'"));
  EXPECT_EQ(engine.num_sequences(), 0);
}

TEST(GoldenCheckTest, AnAnswerThatGoesOnIsWrongAndSoIsOneThatStopsEarly) {
  FakeEngine engine;
  const auto golden = golden_of(1);
  teach(engine, golden);
  engine.script("shape 0", {"circle", "s"});
  EXPECT_THAT(verdict(engine, golden), HasSubstr("'circles'"));
  engine.script("shape 0", {"circ"});
  EXPECT_THAT(verdict(engine, golden), HasSubstr("'circ'"));
}

TEST(GoldenCheckTest, ASmallCacheTakesTheQuestionsOneByOne) {
  FakeEngine engine({.total_pages = 70, .page_size = 4});
  const auto golden = golden_of(3);
  teach(engine, golden);
  EXPECT_EQ(ask_golden(engine, golden).matched, 6);
  for (const StepPlan& plan : engine.plans()) EXPECT_EQ(plan.items.size(), 1u);
}

TEST(GoldenCheckTest, WithoutGoldenAnyTextWillDo) {
  FakeEngine engine;
  EXPECT_EQ(verdict(engine, {}), "");
  EXPECT_GT(engine.num_steps(), 0);
  engine.script("What is in the picture?", {});
  EXPECT_THAT(verdict(engine, {}), HasSubstr("the answer is empty"));
}

TEST(GoldenCheckTest, AModelThatReadsNoImagesIsAskedWithoutOne) {
  FakeEngine engine(FakeEngineOptions{.reads_images = false});
  EXPECT_EQ(verdict(engine, {}), "");
}

TEST(GoldenCheckTest, AFailingSequenceAndAThrowingStepFailIt) {
  FakeEngine engine;
  const auto golden = golden_of(1);
  engine.fail_question("shape 0", Error(Code::kInternal, "boom"));
  EXPECT_THAT(verdict(engine, golden), HasSubstr("boom"));
  EXPECT_EQ(engine.num_sequences(), 0);
  engine.fail_next_step("the whole step");
  EXPECT_THROW(run_golden_check(engine, golden_of(1)), std::runtime_error);
  EXPECT_EQ(engine.num_sequences(), 0);
}

TEST(GoldenCheckTest, LogitsThatAreNotFiniteFailIt) {
  FakeEngine engine({.nonfinite_logits = 1});
  EXPECT_THAT(verdict(engine, {}), HasSubstr("not finite"));
}

TEST(GoldenCheckTest, OtherDevicesMayDifferInOneOfTwenty) {
  FakeEngine engine({.device = "cuda:0"});
  const auto golden = golden_of(10);
  teach(engine, golden);
  engine.script("colour 7", {"grey"});
  EXPECT_EQ(verdict(engine, golden), "");
  engine.script("colour 8", {"grey"});
  EXPECT_THAT(verdict(engine, golden), HasSubstr("2 of 20"));
}

TEST(GoldenTest, ReadsImagesAndLeavesOutNarrowMargins) {
  const auto golden = parse_golden(R"({"format_version":1,"cases":[
      {"image":"SU1H","questions":[{"question":"a","answer":"b","margin":3.5},{"question":"c","answer":"d","margin":0.1}]},
      {"image":"SU1H","questions":[{"question":"e","answer":"f","margin":0.05}]}]})");
  ASSERT_EQ(golden.size(), 1u);
  EXPECT_EQ(golden[0].image, "IMG");
  ASSERT_EQ(golden[0].questions.size(), 1u);
  EXPECT_EQ(golden[0].questions[0].answer, "b");
}

TEST(GoldenTest, WhatIsNoGoldenFileIsRefusedByName) {
  for (const char* text :
       {"", "[]", "{}", R"({"format_version":1})", R"({"format_version":0,"cases":[]})",
        R"({"format_version":1,"cases":[1]})", R"({"format_version":1,"cases":[{"image":"SU1H"}]})",
        R"({"format_version":1,"cases":[{"image":"*","questions":[]}]})",
        R"({"format_version":1,"cases":[{"image":"SU1H","questions":[{"question":"a"}]}]})",
        R"({"format_version":1,"cases":[{"image":"SU1H","questions":[{"question":"a","answer":7}]}]})"}) {
    try {
      parse_golden(text);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kDataLoss) << text;
      EXPECT_EQ(error.field(), "golden.json") << text;
    }
  }
  EXPECT_THROW(parse_golden(R"({"format_version":2,"cases":[]})"), Error);
}

}  // namespace
}  // namespace sf::server
