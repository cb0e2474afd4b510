// The ranges of a request's parameters, the same on every API: one function a parameter, each returns what it was given
// or throws InvalidArgument naming the field and the limit. Thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sf::server {

inline constexpr size_t kMaxStopStrings = 16;
inline constexpr size_t kMaxStopBytes = 256;
inline constexpr int64_t kMaxTimeoutMs = 24 * 3600 * 1000;
inline constexpr size_t kMinChoices = 2, kMaxChoiceStrings = 64, kMaxChoiceBytes = 256;

int check_max_tokens(int64_t max_tokens);  // from 1; what is above 2^20 means that, the engine cuts it to the context
float check_temperature(double temperature);   // 0 .. 2
float check_top_p(double top_p);               // (0, 1]
int check_top_k(int64_t top_k);                // -1 or 0 (all: 0 is returned) .. 2^20
int64_t check_timeout_ms(int64_t timeout_ms);  // 1 .. 24 h; the service cuts it to request_timeout_s
// At most kMaxStopStrings, each of 1 .. kMaxStopBytes bytes of UTF-8.
std::vector<std::string> check_stop(std::vector<std::string> stop);
// kMinChoices to kMaxChoiceStrings different ones, each of 1 .. kMaxChoiceBytes bytes of UTF-8, not only white space.
std::vector<std::string> check_choices(std::vector<std::string> choices);
// Not empty, UTF-8, and not only white space.
std::string check_question(std::string question);
// True for "batch", false for "interactive".
bool check_batch_priority(std::string_view priority);

// What a form field says as text. Errors: InvalidArgument naming `name` unless all of `text` is the number.
int64_t parse_integer(std::string_view text, const std::string& name);
uint64_t parse_unsigned(std::string_view text, const std::string& name);
double parse_number(std::string_view text, const std::string& name);
bool parse_bool(std::string_view text, const std::string& name);  // true|false|1|0

}  // namespace sf::server
