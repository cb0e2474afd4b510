// Logs: one JSON object a line, so that a machine can read them and a person still can.
//
//   start_logging({.level = LogLevel::kInfo});
//   log_event(LogLevel::kInfo, "version published", {{"version", 12}, {"digest", digest}});
//   {"time":"2026-01-31T09:15:02.123Z","level":"info","event":"version published","version":12,"digest":"5e..."}
//
// Thread-safe. Events are static text; what varies goes into fields. No image, prompt or answer is ever logged.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sf {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;  // lower ones are dropped
  bool to_stdout = false;            // stderr otherwise
};

class LogField {
 public:
  using Value = std::variant<bool, int64_t, uint64_t, double, std::string>;

  LogField(std::string key, bool value) : key_(std::move(key)), value_(value) {}
  LogField(std::string key, int value) : key_(std::move(key)), value_(int64_t{value}) {}
  LogField(std::string key, int64_t value) : key_(std::move(key)), value_(value) {}
  LogField(std::string key, uint64_t value) : key_(std::move(key)), value_(value) {}
  LogField(std::string key, double value) : key_(std::move(key)), value_(value) {}
  LogField(std::string key, std::string value) : key_(std::move(key)), value_(std::move(value)) {}
  LogField(std::string key, const char* value) : key_(std::move(key)), value_(std::string(value)) {}

  const std::string& key() const { return key_; }
  const Value& value() const { return value_; }

 private:
  std::string key_;
  Value value_;
};

// Effect: where log_event writes from now on; until then warnings and errors go to stderr. Call it early in main.
void start_logging(const LogOptions& options);

void log_event(LogLevel level, std::string_view event, const std::vector<LogField>& fields = {});

// The line that log_event writes, without its end. Strings that are not UTF-8 get U+FFFD; JSON has no NaN: it is null.
std::string log_line(LogLevel level, std::string_view event, const std::vector<LogField>& fields,
                     std::chrono::system_clock::time_point time);

// "debug", "info", "warning", "error". Errors: InvalidArgument for another name.
LogLevel log_level_of(std::string_view name);

}  // namespace sf
