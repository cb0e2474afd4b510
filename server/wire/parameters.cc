#include "server/wire/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace sf::server {
namespace {

constexpr int64_t kMaxCount = 1 << 20;

int64_t check_range(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw invalid_argument(name, name, ": must be between ", low, " and ", high, ", got ", value);
  }
  return value;
}

void require_utf8(std::string_view text, const std::string& field) {
  if (!is_valid_utf8(text)) throw invalid_argument(field, field, ": not valid UTF-8");
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos; }

template <typename T>
T parse_whole(std::string_view text, const std::string& name, const char* expected) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw invalid_argument(name, name, ": must be ", expected);
  }
  return value;
}

}  // namespace

int check_max_tokens(int64_t max_tokens) {
  if (max_tokens < 1) throw invalid_argument("max_tokens", "max_tokens: must be at least 1, got ", max_tokens);
  return static_cast<int>(std::min(max_tokens, kMaxCount));
}

float check_temperature(double temperature) {
  // Written so that NaN is refused too.
  if (!(temperature >= 0 && temperature <= 2)) {
    throw invalid_argument("temperature", "temperature: must be between 0 and 2, got ", temperature);
  }
  return static_cast<float>(temperature);
}

float check_top_p(double top_p) {
  if (!(top_p > 0 && top_p <= 1)) throw invalid_argument("top_p", "top_p: must be above 0 and at most 1, got ", top_p);
  return std::max(static_cast<float>(top_p), std::numeric_limits<float>::min());
}

int check_top_k(int64_t top_k) { return std::max(0, static_cast<int>(check_range("top_k", top_k, -1, kMaxCount))); }

int64_t check_timeout_ms(int64_t timeout_ms) { return check_range("timeout_ms", timeout_ms, 1, kMaxTimeoutMs); }

std::vector<std::string> check_stop(std::vector<std::string> stop) {
  if (stop.size() > kMaxStopStrings) {
    throw invalid_argument("stop", "stop: at most ", kMaxStopStrings, " strings, got ", stop.size());
  }
  for (const std::string& text : stop) {
    if (text.empty()) throw invalid_argument("stop", "stop: an empty string would end every answer");
    if (text.size() > kMaxStopBytes) {
      throw invalid_argument("stop", "stop: at most ", kMaxStopBytes, " bytes a string, got ", text.size());
    }
    require_utf8(text, "stop");
  }
  return stop;
}

std::vector<std::string> check_choices(std::vector<std::string> choices) {
  if (choices.size() < kMinChoices || choices.size() > kMaxChoiceStrings) {
    throw invalid_argument("choices", "choices: must be ", kMinChoices, " to ", kMaxChoiceStrings, " strings, got ",
                           choices.size());
  }
  for (const std::string& text : choices) {
    if (text.size() > kMaxChoiceBytes) {
      throw invalid_argument("choices", "choices: at most ", kMaxChoiceBytes, " bytes a string, got ", text.size());
    }
    require_utf8(text, "choices");
    if (blank(text)) throw invalid_argument("choices", "choices: none may be empty or only white space");
  }
  std::vector<std::string_view> sorted(choices.begin(), choices.end());
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw invalid_argument("choices", "choices: all must differ");
  }
  return choices;
}

std::string check_question(std::string question) {
  require_utf8(question, "question");
  if (blank(question)) {
    throw invalid_argument("question", "question: must not be empty");
  }
  return question;
}

bool check_batch_priority(std::string_view priority) {
  if (priority == "interactive") return false;
  if (priority == "batch") return true;
  throw invalid_argument("priority", "priority: must be \"interactive\" or \"batch\"");
}

int64_t parse_integer(std::string_view text, const std::string& name) {
  return parse_whole<int64_t>(text, name, "an integer");
}

uint64_t parse_unsigned(std::string_view text, const std::string& name) {
  return parse_whole<uint64_t>(text, name, "an integer that is not negative");
}

double parse_number(std::string_view text, const std::string& name) {
  const double value = parse_whole<double>(text, name, "a number");
  if (!std::isfinite(value)) throw invalid_argument(name, name, ": must be a finite number");
  return value;
}

bool parse_bool(std::string_view text, const std::string& name) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  throw invalid_argument(name, name, ": must be true or false");
}

}  // namespace sf::server
