#include "engine/base/log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/error.h"

namespace sf {
namespace {

const auto kTime = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007));

TEST(LogTest, LineIsOneJsonObjectInOrder) {
  EXPECT_EQ(
      log_line(LogLevel::kInfo, "done",
               {{"version", 12}, {"share", 0.5}, {"ok", true}, {"name", "x"}, {"big", uint64_t{1} << 63}}, kTime),
      R"({"time":"2023-11-14T22:13:20.007Z","level":"info","event":"done","version":12,"share":0.5,"ok":true,"name":"x","big":9223372036854775808})");
}

TEST(LogTest, HostileStringsStayInsideTheirField) {
  const std::string line = log_line(
      LogLevel::kWarning, "odd",
      {{"id", std::string("a\"}\n{\"level\":\"x\xff\0", 17)}, {"nan", std::numeric_limits<double>::quiet_NaN()}},
      kTime);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["level"], "warning");
  EXPECT_TRUE(json["nan"].is_null());
}

TEST(LogTest, LevelsBelowTheLimitAreDropped) {
  testing::internal::CaptureStderr();
  start_logging({.level = LogLevel::kWarning});
  log_event(LogLevel::kInfo, "dropped");
  log_event(LogLevel::kError, "kept {} %s");  // format marks mean nothing
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("dropped"), std::string::npos);
  EXPECT_NE(text.find("\"event\":\"kept {} %s\"}\n"), std::string::npos);
}

TEST(LogTest, LevelNames) {
  EXPECT_EQ(log_level_of("debug"), LogLevel::kDebug);
  EXPECT_THROW(log_level_of("loud"), Error);
}

}  // namespace
}  // namespace sf
