#include "engine/base/log.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace sf {

nlohmann::ordered_json log_line(LogLevel level, std::string_view event) {
  constexpr std::array<std::string_view, 3> kLevels = {"info", "warning", "error"};
  return {{"level", kLevels[static_cast<size_t>(level)]}, {"event", event}};
}

std::string log_text(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string stamped(const std::string& line, double unix_s) {
  const auto milliseconds = static_cast<int64_t>(std::floor(unix_s * 1e3));
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
  char time[48];
  std::snprintf(time, sizeof(time), "%s.%03dZ", date, static_cast<int>(milliseconds % 1000));
  return std::string("{\"time\":\"") + time + "\"," + line.substr(1);
}

void write_log_line(const std::string& json) {
  const std::string line = json + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace sf
