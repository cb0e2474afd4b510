// The lines of a log: one JSON object each, so that a machine can read them and a person still can.
//
//   nlohmann::ordered_json line = log_line(LogLevel::kInfo, "version published");
//   line["version"] = 12;
//   write_log_line(stamped(log_text(line), now_s));
//
//     {"time":"2026-01-31T09:15:02.123Z","level":"info","event":"version published","version":12}
//
// Thread-safe. Events are static text; what varies goes into members. No image, prompt or answer is ever logged.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace sf {

enum class LogLevel { kInfo, kWarning, kError };

// Returns an object of the level and the event, in this order.
nlohmann::ordered_json log_line(LogLevel level, std::string_view event);

// On one line, without its end. Bytes that are not UTF-8 become U+FFFD; JSON has no NaN: it is null.
std::string log_text(const nlohmann::ordered_json& line);

// The same JSON object with `time` (RFC 3339, UTC, milliseconds) as its first member. REQUIRES: `line` is an object
// with a member.
std::string stamped(const std::string& line, double unix_s);

// Effect: standard error gets the object and a line's end in one write, so that lines of several threads never mix.
void write_log_line(const std::string& json);

}  // namespace sf
