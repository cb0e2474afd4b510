#include "trainer/tasks/user_rows/user_rows_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/registry.h"
#include "trainer/tasks/sort_of_clevr/canvas.h"

namespace sf {
namespace {

using testing::Contains;
using testing::HasSubstr;

// Says one answer to everything.
class Parrot : public Examinee {
 public:
  explicit Parrot(std::string answer) : answer_(std::move(answer)) {}
  const Tokenizer& tokenizer() const override { throw Error(Code::kInternal, "no tokenizer"); }
  PreprocessOptions preprocess() const override { return {}; }
  ExpertCounts ask(int count, const std::function<Example(int)>& make, const Visit& visit) override {
    for (int i = count - 1; i >= 0; --i) {
      const Example example = make(i);
      std::vector<AnsweredQuestion> answers;
      for (const QuestionAnswer& asked : example.questions) answers.push_back({asked.answer == answer_, 1.f, 7});
      visit(i, example, answers);
    }
    return {{{3, 1}}, {{2, 0}}};
  }
  std::vector<std::string> generate(const Example& example, int) override {
    return std::vector<std::string>(example.questions.size(), answer_);
  }

 private:
  const std::string answer_;
};

class UserRowsTaskTest : public testing::Test {
 protected:
  UserRowsTaskTest() {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("user_rows_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~UserRowsTaskTest() override { std::filesystem::remove_all(folder_); }

  // `count` images of different shades, each with one row.
  std::string rows(const std::string& name, int count, const std::string& answer, const std::string& more = "",
                   int width = 20) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string file = name + std::to_string(i) + ".png";
      const auto shade = static_cast<uint8_t>(i);
      data::write_file(folder_ / file, encode_png(data::filled(width, 10, {shade, uint8_t(width), 0})));
      text += R"({"image": ")" + file + R"(", "question": "what is it?", "answer": ")" + answer + "\"" + more + "}\n";
    }
    data::write_file(folder_ / (name + ".jsonl"), text);
    return (folder_ / (name + ".jsonl")).string();
  }

  std::filesystem::path folder_;
  std::vector<std::string> lines_;
  std::function<void(const std::string&)> message_ = [this](const std::string& line) { lines_.push_back(line); };
};

TEST_F(UserRowsTaskTest, ScoresExactMatchAndTokenF1) {
  const std::string data = rows("a", 10, "never asked"),
                    held = rows("held", 4, "a red fox", R"(, "kind": "animal")", 24);
  const auto task = make_user_rows_task({.data = data, .eval_data = held, .message = message_});
  Parrot right("a red fox"), close("a red dog");
  const TaskEvaluation all = task->evaluate(right), some = task->evaluate(close);
  EXPECT_EQ(all.score(), 1);
  EXPECT_EQ(all.scores.at("token_f1"), 1);
  EXPECT_EQ(all.scores.at("exact_match animal"), 1);
  EXPECT_EQ(some.score(), 0);
  EXPECT_NEAR(some.scores.at("token_f1"), 2.0 / 3, 1e-9);
  EXPECT_EQ(some.experts.all, (std::vector<std::vector<int64_t>>{{3, 1}}));
  EXPECT_EQ(task->accuracy_kinds(), (std::vector<std::string>{"all", "animal"}));
  for (const auto& [kind, accuracy] : some.accuracy) EXPECT_THAT(task->accuracy_kinds(), Contains(kind));
  EXPECT_THAT(lines_, Contains(HasSubstr("10 rows of 10 images to train on, 4 rows of 4 images held out")));
  EXPECT_THAT(lines_, Contains(HasSubstr("a score over 4 held-out rows means little")));
}

TEST_F(UserRowsTaskTest, ExamplesAreOfTrainingImagesOfOneGridAndAFunctionOfTheStep) {
  rows("wide", 3, "wide", "", 40);
  const std::string data = rows("square", 3, "square", "", 10);
  const std::string both =
      data::read_file(folder_ / "wide.jsonl", 1 << 20) + data::read_file(folder_ / "square.jsonl", 1 << 20);
  data::write_file(folder_ / "both.jsonl", both);
  const std::string held = rows("held", 1, "held", "", 30);
  const auto task = make_user_rows_task({.data = (folder_ / "both.jsonl").string(), .eval_data = held});
  for (int64_t step = 0; step < 12; ++step) {
    const ExampleRequest request{.pre = {}, .num_images = 5, .seed = 3, .step = step};
    const std::vector<Example> examples = task->examples(request), again = task->examples(request);
    ASSERT_EQ(examples.size(), 5u);
    for (size_t i = 0; i < examples.size(); ++i) {
      EXPECT_EQ(examples[i].pixels.grid, examples[0].pixels.grid);
      EXPECT_EQ(examples[i].pixels.values, again[i].pixels.values);
      ASSERT_EQ(examples[i].questions.size(), 1u);
      EXPECT_EQ(examples[i].questions[0].answer, examples[0].questions[0].answer);
      EXPECT_NE(examples[i].questions[0].answer, "held");
      EXPECT_TRUE(examples[i].objects.empty());
      EXPECT_FALSE(examples[i].labels);
    }
  }
}

TEST_F(UserRowsTaskTest, TheEvaluationIsNamedByItsRowsAlone) {
  const std::string data = rows("a", 10, "x"), more = rows("b", 12, "x", "", 22);
  const std::string held = rows("held", 4, "yes", "", 24);
  const std::string id = make_user_rows_task({.data = data, .eval_data = held})->evaluation_id();
  EXPECT_EQ(make_user_rows_task({.data = more, .eval_data = held})->evaluation_id(), id);
  const std::string text = data::read_file(held, 1 << 20);
  const size_t line = text.find('\n') + 1;
  data::write_file(folder_ / "turned.jsonl", text.substr(line) + text.substr(0, line));
  EXPECT_EQ(make_user_rows_task({.data = data, .eval_data = (folder_ / "turned.jsonl").string()})->evaluation_id(), id);
  const std::string other = rows("held", 4, "no", "", 24);
  EXPECT_NE(make_user_rows_task({.data = data, .eval_data = other})->evaluation_id(), id);
  EXPECT_EQ(id.size(), 64u);
}

TEST_F(UserRowsTaskTest, GoldenExamplesAreHeldOutImagesAsFiles) {
  const std::string data = rows("a", 10, "x"), held = rows("held", 3, "yes", "", 24);
  const auto task = make_user_rows_task({.data = data, .eval_data = held});
  const std::vector<Example> golden = task->golden_examples({});
  ASSERT_EQ(golden.size(), 3u);
  for (const Example& example : golden) {
    EXPECT_EQ(preprocess(decode_image(example.encoded), {}).values, example.pixels.values);
    EXPECT_EQ(example.questions.at(0).answer, "yes");
  }
}

TEST_F(UserRowsTaskTest, StepsAreThirtyPassesWithinBounds) {
  const auto task = make_user_rows_task({.data = rows("a", 10, "x")});
  EXPECT_EQ(task->images_per_epoch(), 8);
  EXPECT_EQ(task->default_steps(16), 250);
  EXPECT_EQ(task->warmup_steps(250), 25);
  EXPECT_EQ(task->warmup_steps(5000), 200);
}

TEST_F(UserRowsTaskTest, NamesTheOptionAtFault) {
  const std::string data = rows("a", 10, "x");
  for (double fraction : {0.0, -1.0, 0.21}) {
    try {
      make_user_rows_task({.data = data, .eval_fraction = fraction});
      ADD_FAILURE() << fraction;
    } catch (const Error& error) {
      EXPECT_EQ(error.field(), "eval-fraction");
    }
  }
  EXPECT_THROW(make_task({.data = "sort-of-clevr", .eval_data = data}), Error);
  EXPECT_THROW(make_task({.data = data, .evaluation_images = -1}), Error);
  EXPECT_THROW(make_task({.data = data, .eval_data = "/nowhere.jsonl"}), Error);
}

TEST(TokenF1Test, CountsWordsAsOftenAsTheyStand) {
  EXPECT_EQ(token_f1("A red fox", "a red  fox"), 1);
  EXPECT_EQ(token_f1("blue", "red"), 0);
  EXPECT_EQ(token_f1("", "red"), 0);
  EXPECT_EQ(token_f1("", ""), 1);
  EXPECT_NEAR(token_f1("red red red", "red"), 0.5, 1e-9);
}

}  // namespace
}  // namespace sf
