// The differential test: one request, every API, one answer. On the bundled model, whose answers mean something.
#include <gtest/gtest.h>

#include <set>

#include "engine/base/file.h"
#include "tests/engine/image/image_fixtures.h"
#include "tests/integration/live_server.h"
#include "tests/integration/ways_to_ask.h"
#include "tests/support/paths.h"

namespace sf::test {
namespace {

namespace fs = std::filesystem;

class AllApisTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>("all_apis");
    server_ = std::make_unique<LiveServer>(folder_->path(), fs::path(test::source_dir()) / "models/demo");
    ways_ = ways_to_ask(server_->http_port(), server_->grpc_target());
  }
  static void TearDownTestSuite() {
    ways_.clear();
    server_.reset();
    folder_.reset();
  }

  // Every way gives what the first one gives, once the image and the prompt are in the cache; returns it.
  static Outcome ask_everywhere(const client::Question& question) {
    ways_[0].ask(question);
    const Outcome expected = ways_[0].ask(question);
    for (const Way& way : ways_) EXPECT_EQ(way.ask(question), expected) << way.name;
    return expected;
  }
  // Every way fails with this code.
  static void expect_everywhere(const client::Question& question, const std::string& code, const char* what) {
    for (const Way& way : ways_) EXPECT_EQ(way.ask(question).code, code) << what << ", " << way.name;
  }
  static client::Question description() {
    client::Question question = scene_question(64);
    question.question = "describe the picture";
    return question;
  }

  static inline std::unique_ptr<ScratchFolder> folder_;
  static inline std::unique_ptr<LiveServer> server_;
  static inline std::vector<Way> ways_;
};

TEST_F(AllApisTest, AgreeOnAShortAnswer) {
  const Outcome answer = ask_everywhere(scene_question());
  EXPECT_EQ(answer.text, "circle");
  EXPECT_EQ(answer.finish_reason, "stop");
  EXPECT_GT(answer.version, 0);
  EXPECT_GT(answer.image_tokens, 0);
  EXPECT_GT(answer.prompt_tokens, answer.image_tokens);
  EXPECT_GE(answer.cached_tokens, answer.image_tokens);
}

TEST_F(AllApisTest, AgreeOnALongAnswerOnItsCutAndOnItsStop) {
  const Outcome whole = ask_everywhere(description());
  EXPECT_EQ(whole.finish_reason, "stop");
  EXPECT_GT(whole.completion_tokens, 8);
  client::Question cut = description();
  cut.max_tokens = 3;
  const Outcome first = ask_everywhere(cut);
  EXPECT_EQ(first.finish_reason, "length");
  EXPECT_EQ(first.completion_tokens, 3);
  EXPECT_TRUE(whole.text.starts_with(first.text)) << first.text;
  client::Question stopped = description();
  const size_t word = whole.text.find(' ', whole.text.size() / 2);
  ASSERT_NE(word, std::string::npos);
  stopped.stop = {whole.text.substr(word, whole.text.find(' ', word + 1) - word)};
  const Outcome before = ask_everywhere(stopped);
  EXPECT_EQ(before.finish_reason, "stop");
  EXPECT_EQ(before.text, whole.text.substr(0, whole.text.find(stopped.stop[0])));
}

TEST_F(AllApisTest, AgreeOnWhatASeedDraws) {
  client::Question question = description();
  question.temperature = 1.5f;  // a value that float, double and decimal text all hold
  std::set<std::string> drawn;
  for (const uint64_t seed : {uint64_t{7}, uint64_t{8}, uint64_t{1} << 40}) {
    question.seed = seed;
    drawn.insert(ask_everywhere(question).text);
  }
  EXPECT_EQ(drawn.size(), 3u) << "seeds that draw the same";
  question.top_p = 0.5f;
  question.top_k = 3;
  ask_everywhere(question);
}

TEST_F(AllApisTest, AgreeOnEveryExampleImage) {
  for (const char* file : {"wide.jpg", "night.webp", "dark.png", "tall.webp"}) {
    client::Question question = scene_question();
    question.image = read_file(fs::path(test::source_dir()) / "examples" / file, 1 << 22);
    question.question = "how many objects are there?";
    EXPECT_EQ(ask_everywhere(question).code, "OK") << file;
  }
}

TEST_F(AllApisTest, AgreeOnHowARequestFails) {
  const auto broken = [](const auto& change) {
    client::Question question = scene_question();
    change(question);
    return question;
  };
  using Q = client::Question;
  expect_everywhere(broken([](Q& q) { q.question = " \n"; }), "INVALID_ARGUMENT", "no question");
  expect_everywhere(broken([](Q& q) { q.image = "no picture"; }), "INVALID_ARGUMENT", "no picture");
  expect_everywhere(broken([](Q& q) { q.image.resize(q.image.size() / 2); }), "INVALID_ARGUMENT", "half a picture");
  expect_everywhere(broken([](Q& q) { q.image = fixtures::png({.width = 10'000, .height = 10'000}, ""); }),
                    "RESOURCE_EXHAUSTED", "too many pixels");
  expect_everywhere(broken([](Q& q) { q.max_tokens = 0; }), "INVALID_ARGUMENT", "max_tokens");
  expect_everywhere(broken([](Q& q) { q.temperature = 3.0f; }), "INVALID_ARGUMENT", "temperature");
  expect_everywhere(broken([](Q& q) { q.top_p = 0.0f; }), "INVALID_ARGUMENT", "top_p");
  expect_everywhere(broken([](Q& q) { q.stop = {std::string(300, 'x')}; }), "INVALID_ARGUMENT", "stop");
  expect_everywhere(broken([](Q& q) {
                      for (int i = 0; i < 600; ++i) q.question += " red";
                    }),
                    "INVALID_ARGUMENT", "longer than the context");
  expect_everywhere(broken([](Q& q) { q.model = "no-such-model"; }), "NOT_FOUND", "unknown model");
  EXPECT_EQ(ask_everywhere(scene_question()).text, "circle") << "the next request";
}

}  // namespace
}  // namespace sf::test
