#include "server/app/log_lines.h"

#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

namespace sf::server {

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

std::string trouble_log_line(const std::string& event, const std::string& message) {
  const nlohmann::ordered_json line = {{"level", "warning"}, {"event", event}, {"message", message}};
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string certificate_log_line(const CertificateSet& set) {
  const nlohmann::ordered_json line = {
      {"level", "info"}, {"event", "certificate"}, {"serial", set.serial}, {"not_after", set.not_after}};
  return line.dump();
}

std::string reload_log_line(const ReloadEvent& event) {
  const bool is_good = event.result == "success" || event.result == "recovered";
  nlohmann::ordered_json line = {{"level", is_good                        ? "info"
                                           : event.reason == kStoreReason ? "error"
                                                                          : "warning"},
                                 {"event", "reload"},
                                 {"version", event.version},
                                 {"result", event.result},
                                 {"reason", event.reason}};
  if (!event.message.empty()) line["message"] = event.message;
  line["seconds"] = std::round(event.seconds * 1e6) / 1e6;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void write_log_line(const std::string& json) {
  const std::string line = json + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace sf::server
