#include "client/load_generator.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "client/event_lines.h"

namespace sf::client {
namespace {

// Fails every question whose text is "bad"; remembers what it was asked.
class CountingClient final : public Client {
 public:
  explicit CountingClient(std::multiset<std::string>& asked, std::mutex& mutex) : asked_(asked), mutex_(mutex) {}
  Answer ask(const Question& question) override {
    const std::lock_guard lock(mutex_);
    asked_.insert(question.question);
    if (question.question == "bad") throw ClientError("RESOURCE_EXHAUSTED", "full");
    return {.answer = "circle", .completion_tokens = 2};
  }
  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    on_delta("cir");
    on_delta("cle");
    return ask(question);
  }
  Explained explain(const ExplainQuestion&) override { return {}; }
  bool is_healthy(bool) override { return true; }
  std::vector<Model> models() override { return {}; }
  std::vector<ModelVersion> versions() override { return {}; }
  ExpertTable experts() override { return {}; }
  int64_t tell(VersionCommand, int64_t) override { return 0; }

 private:
  std::multiset<std::string>& asked_;
  std::mutex& mutex_;
};

class LoadGeneratorTest : public testing::Test {
 protected:
  LoadResult run(const std::vector<Question>& questions, const LoadOptions& options) {
    return run_load(questions, options, [&] { return std::make_unique<CountingClient>(asked, mutex_); });
  }
  std::multiset<std::string> asked;

 private:
  std::mutex mutex_;
};

TEST_F(LoadGeneratorTest, AsksEveryQuestionInTurnAndCountsErrors) {
  const LoadResult result =
      run({{.question = "a"}, {.question = "bad"}, {.question = "c"}}, {.concurrency = 4, .num_requests = 30});
  EXPECT_EQ(result.num_ok, 20);
  EXPECT_EQ(result.errors, (std::map<std::string, int>{{"RESOURCE_EXHAUSTED", 10}}));
  EXPECT_EQ(result.completion_tokens, 40u);
  EXPECT_EQ(result.latencies_ms.size(), 20u);
  EXPECT_TRUE(std::is_sorted(result.latencies_ms.begin(), result.latencies_ms.end()));
  for (const char* text : {"a", "bad", "c"}) EXPECT_EQ(asked.count(text), 10u);
}

TEST_F(LoadGeneratorTest, DoesNotCountTheWarmUp) {
  const LoadResult result = run({{.question = "a"}}, {.concurrency = 2, .num_requests = 5, .num_warm_up = 7});
  EXPECT_EQ(result.num_ok, 5);
  EXPECT_EQ(asked.size(), 12u);
}

TEST_F(LoadGeneratorTest, MeasuresFirstTextOfStreams) {
  const LoadOptions options{.concurrency = 1, .num_requests = 3, .stream = true};
  const LoadResult result = run({{.question = "a"}}, options);
  EXPECT_EQ(result.first_text_ms.size(), 3u);
  const auto json = nlohmann::json::parse(to_json(result, options));
  EXPECT_EQ(json["ok"], 3);
  for (const char* key : {"p50", "p90", "p99"}) {
    EXPECT_TRUE(json["latency_ms"][key].is_number());
    EXPECT_TRUE(json["first_text_ms"][key].is_number());
  }
}

TEST(PercentileTest, TakesTheNearestRank) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({4}, 0.99), 4);
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  EXPECT_EQ(percentile(hundred, 0.5), 50);
  EXPECT_EQ(percentile(hundred, 0.9), 90);
  EXPECT_EQ(percentile(hundred, 0.99), 99);
}

class QuestionFileTest : public testing::Test {
 protected:
  QuestionFileTest() : folder_(std::filesystem::path(testing::TempDir()) / ("questions." + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    write("picture.png", "bytes of a picture");
  }
  ~QuestionFileTest() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }
  std::string error_of(const std::string& text) {
    try {
      read_questions(write("pairs.jsonl", text));
    } catch (const ClientError& error) {
      return error.what();
    }
    return "";
  }

 private:
  const std::filesystem::path folder_;
};

TEST_F(QuestionFileTest, ReadsPathsBesideTheFileAndBase64) {
  const auto questions = read_questions(write("pairs.jsonl", R"({"image":"picture.png","question":"what?"}

{"image":"Zm9v","question":"which?","max_tokens":3,"other":1})"));
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions[0].image, "bytes of a picture");
  EXPECT_EQ(questions[0].question, "what?");
  EXPECT_EQ(questions[1].image, "foo");
  EXPECT_EQ(questions[1].max_tokens, 3);
}

TEST_F(QuestionFileTest, NamesTheLineThatIsWrong) {
  const std::string good = R"({"image":"picture.png","question":"what?"})"
                           "\n";
  for (const char* bad : {"{", "[]", R"({"image":"picture.png"})", R"({"image":1,"question":"a"})",
                          R"({"image":"no such!","question":"a"})", R"({"image":"","question":"a"})",
                          R"({"image":"noSuchFile","question":"a"})", R"({"image":"Zm9=","question":"a"})"}) {
    EXPECT_NE(error_of(good + bad).find("pairs.jsonl:2: "), std::string::npos) << bad;
  }
  EXPECT_NE(error_of("\n").find("no questions"), std::string::npos);
}

TEST(EventLinesTest, DoesNotCareHowTheStreamWasCut) {
  const std::string stream =
      ": keepalive\n\ndata: one\n\ndata:two\r\n\r\nevent: x\ndata: a\ndata: b\n\ndata: unfinished";
  for (size_t cut = 1; cut <= stream.size(); ++cut) {
    EventLines lines;
    std::vector<std::string> events;
    for (size_t at = 0; at < stream.size(); at += cut) {
      for (std::string& data : lines.push(stream.substr(at, cut))) events.push_back(std::move(data));
    }
    EXPECT_EQ(events, (std::vector<std::string>{"one", "two", "a\nb"})) << cut;
  }
}

}  // namespace
}  // namespace sf::client
