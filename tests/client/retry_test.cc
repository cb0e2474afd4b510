#include "client/retry.h"

#include <gtest/gtest.h>

#include <deque>

#include "tests/client/code_of.h"

namespace sf::client {
namespace {

using std::chrono::milliseconds;

// Fails as told, call by call, then answers.
class FailingClient final : public Client {
 public:
  explicit FailingClient(std::deque<ClientError> failures) : failures_(std::move(failures)) {}

  Answer ask(const Question& question) override {
    timeouts_ms.push_back(question.timeout_ms);
    fail();
    return {.answer = "circle"};
  }
  Answer ask_stream(const Question& question, const OnDelta& on_delta) override {
    if (says_something_first) on_delta("cir");
    return ask(question);
  }
  Explained explain(const ExplainQuestion& question) override {
    ask(question.question);
    return {};
  }
  bool is_healthy(bool) override { return true; }
  std::vector<Model> models() override {
    fail();
    return {{"sparsefusion", 3, "{}"}};
  }
  std::vector<ModelVersion> versions() override { return {}; }
  ExpertTable experts() override { return {}; }
  int64_t tell(VersionCommand, int64_t version) override {
    fail();
    return version;
  }

  bool says_something_first = false;
  std::vector<std::optional<int64_t>> timeouts_ms;

 private:
  void fail() {
    if (failures_.empty()) return;
    const ClientError error = failures_.front();
    failures_.pop_front();
    throw error;
  }
  std::deque<ClientError> failures_;
};

ClientError full(int64_t retry_after_ms) { return {"RESOURCE_EXHAUSTED", "the queue is full", 429, retry_after_ms}; }
ClientError away() { return {"UNAVAILABLE", "no answer"}; }
ClientError too_large() { return {"RESOURCE_EXHAUSTED", "image: 11 MiB, at most 10 MiB", 413}; }

class RetryTest : public testing::Test {
 protected:
  Client& client(std::deque<ClientError> failures, RetryOptions options = {}) {
    auto inner = std::make_unique<FailingClient>(std::move(failures));
    inner_ = inner.get();
    options.sleep = [this](milliseconds wait) { waits.push_back(wait.count()); };
    client_ = with_retries(std::move(inner), options);
    return *client_;
  }
  FailingClient& inner() { return *inner_; }

  std::vector<int64_t> waits;

 private:
  std::unique_ptr<Client> client_;
  FailingClient* inner_ = nullptr;
};

TEST_F(RetryTest, WaitsAsLongAsTheServerSays) {
  EXPECT_EQ(client({full(2000), full(1000)}).ask({}).answer, "circle");
  EXPECT_EQ(waits, (std::vector<int64_t>{2000, 1000}));
}

TEST_F(RetryTest, BacksOffWhereNobodyAnswers) {
  EXPECT_EQ(client({away(), away(), away()}).ask({}).answer, "circle");
  ASSERT_EQ(waits.size(), 3u);
  for (size_t i = 0; i < waits.size(); ++i) {
    EXPECT_GE(waits[i], 100 << i);
    EXPECT_LE(waits[i], 125 << i);
  }
}

TEST_F(RetryTest, GivesUpAfterTheLastAttemptWithItsError) {
  EXPECT_EQ(code_of([&] { client({full(1), full(1), away(), full(1), full(1)}).ask({}); }), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(waits.size(), 3u);
}

TEST_F(RetryTest, DoesNotAskAgainWhatCannotSucceed) {
  EXPECT_EQ(code_of([&] { client({too_large()}).ask({}); }), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(code_of([&] { client({{"INVALID_ARGUMENT", "bad", 400}}).ask({}); }), "INVALID_ARGUMENT");
  EXPECT_EQ(code_of([&] { client({{"DEADLINE_EXCEEDED", "late", 504}}).ask({}); }), "DEADLINE_EXCEEDED");
  EXPECT_TRUE(waits.empty());
}

TEST_F(RetryTest, DoesNotRepeatACommand) {
  EXPECT_EQ(code_of([&] { client({away()}).tell(VersionCommand::kRollback, 0); }), "UNAVAILABLE");
}

TEST_F(RetryTest, RepeatsAStreamOnlyBeforeItsFirstText) {
  const auto ignore = [](std::string_view) { return true; };
  EXPECT_EQ(client({full(1)}).ask_stream({}, ignore).answer, "circle");
  Client& talking = client({away()});
  inner().says_something_first = true;
  EXPECT_EQ(code_of([&] { talking.ask_stream({}, ignore); }), "UNAVAILABLE");
}

TEST_F(RetryTest, DoesNotWaitBeyondItsLimit) {
  EXPECT_EQ(code_of([&] { client({full(20000), full(20000)}).ask({}); }), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(waits, (std::vector<int64_t>{20000}));
}

TEST_F(RetryTest, SpendsTheQuestionsOwnTimeOverAllAttempts) {
  Client& patient = client({full(1000)});
  EXPECT_EQ(code_of([&] { patient.ask({.timeout_ms = 900}); }), "RESOURCE_EXHAUSTED");
  EXPECT_TRUE(waits.empty()) << "a wait that outlasts the deadline is none";
  client({full(1)}).ask({.timeout_ms = 60000});
  ASSERT_EQ(inner().timeouts_ms.size(), 2u);
  EXPECT_LE(*inner().timeouts_ms[1], 60000);
  EXPECT_GT(*inner().timeouts_ms[1], 0);
}

}  // namespace
}  // namespace sf::client
