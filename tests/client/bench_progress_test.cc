#include "client/bench_progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace sf::client {
namespace {

class BenchProgressTest : public testing::Test {
 protected:
  BenchProgressOptions options(bool is_terminal) {
    return {&out_, is_terminal, [this] { return now_s_; }};
  }
  std::string said() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }
  std::ostringstream out_;
  double now_s_ = 100;
};

TEST_F(BenchProgressTest, ATerminalSeesRateAndRemainingTime) {
  BenchProgress progress(200, options(true));
  progress.update(20);
  now_s_ += 1.9;
  progress.update(90);
  EXPECT_EQ(said(), "") << "what ends within two seconds shows nothing";
  now_s_ += 0.1;
  progress.update(100);
  EXPECT_EQ(said(), "\rbench [############............] 100/200 requests, 50.0/s, 0:02 left\x1b[K");
  now_s_ += 0.05;
  progress.update(102);
  EXPECT_EQ(said(), "") << "redrawn ten times a second";
  now_s_ += 1.95;
  progress.update(200);
  EXPECT_EQ(said(), "\rbench [########################] 200/200 requests, 50.0/s, 0:04 in all\x1b[K");
  progress.finish();
  EXPECT_EQ(said().back(), '\n');
  progress.finish();
  EXPECT_EQ(said(), "");
}

TEST_F(BenchProgressTest, ElsewhereItIsALineNowAndThen) {
  BenchProgress progress(1000, options(false));
  for (int i = 1; i <= 11; ++i) {
    now_s_ += 1;
    progress.update(i * 10);
  }
  progress.finish();
  EXPECT_EQ(said(),
            "bench: 20/1000 requests, 10.0/s, 1:38 left\n"
            "bench: 70/1000 requests, 10.0/s, 1:33 left\n"
            "bench: 110/1000 requests, 10.0/s, 1:29 left\n");
}

TEST_F(BenchProgressTest, AnswersThatComeOutOfOrderDoNotTurnItBack) {
  BenchProgress progress(10, options(false));
  now_s_ += 2;
  progress.update(5);
  now_s_ += 5;
  progress.update(4);
  EXPECT_NE(said().rfind("5/10"), std::string::npos);
}

TEST_F(BenchProgressTest, WithoutAnAnswerThereIsNoEnd) {
  BenchProgress progress(10, options(false));
  now_s_ += 3;
  progress.update(0);
  EXPECT_EQ(said(), "bench: 0/10 requests, 0.0/s, no answer yet\n");
}

}  // namespace
}  // namespace sf::client
