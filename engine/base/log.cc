#include "engine/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <cmath>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {
namespace {

constexpr const char* kLoggerName = "sparsefusion";
constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> make_logger(const LogOptions& options) {
  spdlog::sink_ptr sink;
  if (options.to_stdout) {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  auto logger = std::make_shared<spdlog::logger>(kLoggerName, std::move(sink));
  logger->set_pattern("%v");
  logger->set_level(spdlog_level(options.level));
  logger->flush_on(spdlog::level::debug);
  return logger;
}

std::string timestamp(std::chrono::system_clock::time_point time) {
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const std::time_t unix_seconds = seconds.count();
  std::tm parts{};
  gmtime_r(&unix_seconds, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  const int milliseconds = static_cast<int>((since_epoch - seconds).count());
  std::snprintf(text + length, sizeof(text) - length, ".%03dZ", milliseconds);
  return text;
}

}  // namespace

void start_logging(const LogOptions& options) {
  spdlog::drop(kLoggerName);
  spdlog::register_logger(make_logger(options));
}

void log_event(LogLevel level, std::string_view event, const std::vector<LogField>& fields) {
  std::shared_ptr<spdlog::logger> logger = spdlog::get(kLoggerName);
  if (logger == nullptr) logger = make_logger({.level = LogLevel::kWarning});
  if (!logger->should_log(spdlog_level(level))) return;
  const std::string line = log_line(level, event, fields, std::chrono::system_clock::now());
  logger->log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

std::string log_line(LogLevel level, std::string_view event, const std::vector<LogField>& fields,
                     std::chrono::system_clock::time_point time) {
  nlohmann::ordered_json line = {
      {"time", timestamp(time)}, {"level", kLevelNames[static_cast<size_t>(level)]}, {"event", event}};
  for (const LogField& field : fields) {
    std::visit([&](const auto& value) { line[field.key()] = value; }, field.value());
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

LogLevel log_level_of(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  throw invalid_argument("log-level", "log level must be debug, info, warning or error, got '", name, "'");
}

}  // namespace sf
