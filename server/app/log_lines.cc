#include "server/app/log_lines.h"

#include <cmath>

#include "engine/base/log.h"

namespace sf::server {

std::string trouble_log_line(const std::string& event, const std::string& message) {
  nlohmann::ordered_json line = log_line(LogLevel::kWarning, event);
  line["message"] = message;
  return log_text(line);
}

std::string certificate_log_line(const CertificateSet& set) {
  nlohmann::ordered_json line = log_line(LogLevel::kInfo, "certificate");
  line["serial"] = set.serial;
  line["not_after"] = set.not_after;
  return log_text(line);
}

std::string reload_log_line(const ReloadEvent& event) {
  const bool is_good = event.result == "success" || event.result == "recovered";
  const LogLevel bad = event.reason == kStoreReason ? LogLevel::kError : LogLevel::kWarning;
  nlohmann::ordered_json line = log_line(is_good ? LogLevel::kInfo : bad, "reload");
  line["version"] = event.version;
  line["result"] = event.result;
  line["reason"] = event.reason;
  if (!event.message.empty()) line["message"] = event.message;
  line["seconds"] = std::round(event.seconds * 1e6) / 1e6;
  return log_text(line);
}

}  // namespace sf::server
