#include "engine/base/log.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

namespace sf {
namespace {

TEST(LogTest, LineIsOneJsonObjectInOrder) {
  nlohmann::ordered_json line = log_line(LogLevel::kInfo, "done");
  line["version"] = 12;
  line["share"] = 0.5;
  line["name"] = "x";
  EXPECT_EQ(stamped(log_text(line), 1700000000.25),
            R"({"time":"2023-11-14T22:13:20.250Z","level":"info","event":"done","version":12,"share":0.5,"name":"x"})");
}

TEST(LogTest, LevelsHaveTheirNames) {
  EXPECT_EQ(log_text(log_line(LogLevel::kWarning, "a")), R"({"level":"warning","event":"a"})");
  EXPECT_EQ(log_text(log_line(LogLevel::kError, "a")), R"({"level":"error","event":"a"})");
}

TEST(LogTest, HostileStringsStayInsideTheirField) {
  nlohmann::ordered_json line = log_line(LogLevel::kWarning, "odd");
  line["id"] = std::string("a\"}\n{\"level\":\"x\xff\0", 17);
  line["nan"] = std::numeric_limits<double>::quiet_NaN();
  const std::string text = log_text(line);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["level"], "warning");
  EXPECT_TRUE(json["nan"].is_null());
}

TEST(LogTest, ALineIsWrittenAsItIs) {
  testing::internal::CaptureStderr();
  write_log_line("{\"event\":\"kept {} %s\"}");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "{\"event\":\"kept {} %s\"}\n");
}

}  // namespace
}  // namespace sf
