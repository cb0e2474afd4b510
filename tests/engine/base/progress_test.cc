#include "engine/base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace sf {
namespace {

class ProgressTest : public testing::Test {
 protected:
  ProgressOptions options(bool is_terminal) {
    ProgressOptions options;
    options.out = &out_;
    options.is_terminal = is_terminal;
    options.seconds = [this] { return now_; };
    return options;
  }
  double now_ = 100;
  std::ostringstream out_;
};

TEST_F(ProgressTest, ShortWorkShowsNothing) {
  Progress progress("eval", 10, "images", options(true));
  for (int i = 1; i <= 10; ++i) {
    now_ += 0.19;
    progress.update(i);
  }
  progress.finish();
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgressTest, TerminalRedrawsOneLine) {
  Progress progress("eval", 8, "images", options(true));
  now_ += 4;
  progress.update(2, "accuracy 0.98");
  EXPECT_EQ(out_.str(), "\reval [######------------------] 25% 2/8 images, 0.50/s, ETA 0:12, accuracy 0.98\x1b[K");
  now_ += 0.05;
  progress.update(3);
  EXPECT_EQ(out_.str().find("3/8"), std::string::npos);  // too soon
  now_ += 3.95;
  progress.update(8);
  progress.finish();
  progress.finish();
  progress.update(9);
  const std::string text = out_.str();
  EXPECT_NE(text.find("100% 8/8 images, 1.00/s, 0:08\x1b[K\n"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST_F(ProgressTest, ElsewherePlainLinesEveryFewSeconds) {
  Progress progress("train", 100, "steps", options(false));
  for (int i = 1; i <= 20; ++i) {
    now_ += 1;
    progress.update(i);
  }
  const std::string text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);  // after 2, 7, 12 and 17 seconds
  EXPECT_EQ(text.substr(0, text.find('\n')), "train 2% 2/100 steps, 1.00/s, ETA 1:38");
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST_F(ProgressTest, ResumedWorkDoesNotCountIntoTheRate) {
  Progress progress("train", 100, "steps", options(false), 50);
  now_ += 10;
  progress.update(60);
  EXPECT_EQ(out_.str(), "train 60% 60/100 steps, 1.00/s, ETA 0:40\n");
}

TEST_F(ProgressTest, UnknownTotalShowsCountAndRate) {
  Progress progress("read", 0, "rows", options(false));
  now_ += 2;
  progress.update(500);
  EXPECT_EQ(out_.str(), "read 500 rows, 250/s\n");
}

TEST(FormatDurationTest, Edges) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(3599.4), "59:59");
  EXPECT_EQ(format_duration(3700), "1:01:40");
  EXPECT_EQ(format_duration(-5), "0:00");
}

}  // namespace
}  // namespace sf
