#include "server/kserve/infer_parameters.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "server/wire/parameters.h"
#include "server/wire/unread_fields.h"

namespace sf::server {
namespace {

constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

[[noreturn]] void throw_type(const std::string& name, const char* expected) {
  throw invalid_argument(name, name, ": must be ", expected);
}

int64_t as_integer(const std::string& name, const InferValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return *number;
  if (const auto* number = std::get_if<uint64_t>(&value)) {
    if (*number > static_cast<uint64_t>(kMaxInt64)) throw invalid_argument(name, name, ": out of range");
    return static_cast<int64_t>(*number);
  }
  // 2^53: beyond it a double no longer names one whole number.
  if (const auto* number = std::get_if<double>(&value);
      number != nullptr && std::trunc(*number) == *number && std::abs(*number) <= 9007199254740992.0) {
    return static_cast<int64_t>(*number);
  }
  throw_type(name, "an integer");
}

uint64_t as_unsigned(const std::string& name, const InferValue& value) {
  if (const auto* number = std::get_if<uint64_t>(&value)) return *number;
  const int64_t number = as_integer(name, value);
  if (number < 0) throw invalid_argument(name, name, ": must not be negative, got ", number);
  return static_cast<uint64_t>(number);
}

double as_number(const std::string& name, const InferValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return *number;
  if (const auto* number = std::get_if<int64_t>(&value)) return static_cast<double>(*number);
  if (const auto* number = std::get_if<uint64_t>(&value)) return static_cast<double>(*number);
  throw_type(name, "a number");
}

bool as_bool(const std::string& name, const InferValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  throw_type(name, "true or false");
}

std::vector<std::string> as_strings(const std::string& name, const InferValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return {*text};
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) return *texts;
  throw_type(name, "a string or an array of strings");
}

// Triton's levels: 0 is the default, 1 the highest.
std::string as_priority(const std::string& name, const InferValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return as_unsigned(name, value) <= 1 ? "interactive" : "batch";
}

// Microseconds, rounded up so that a short one does not become none; 0 is none. However long, it is the server's own
// limit at most.
std::optional<int64_t> as_timeout_ms(const std::string& name, const InferValue& value) {
  const uint64_t microseconds = as_unsigned(name, value);
  if (microseconds == 0) return std::nullopt;
  const uint64_t milliseconds = microseconds / 1000 + (microseconds % 1000 != 0 ? 1 : 0);
  return std::min(static_cast<int64_t>(milliseconds), kMaxTimeoutMs);
}

void refuse_sequence(const std::string& name, const InferValue& value) {
  const bool absent = value == InferValue(int64_t{0}) || value == InferValue(uint64_t{0}) ||
                      value == InferValue(false) || value == InferValue(std::string());
  if (!absent) throw invalid_argument(name, name, ": sequences are not supported by this model");
}

// What changes the logits. `logit_bias` is the JSON text of an object, since no parameter is one.
bool set_logits(LogitParameters& logits, const std::string& name, const InferValue& value) {
  if (name == "min_tokens") {
    logits.min_tokens = as_integer(name, value);
  } else if (name == "ignore_eos") {
    logits.ignore_eos = as_bool(name, value);
  } else if (name == "presence_penalty") {
    logits.presence_penalty = as_number(name, value);
  } else if (name == "frequency_penalty") {
    logits.frequency_penalty = as_number(name, value);
  } else if (name == "repetition_penalty") {
    logits.repetition_penalty = as_number(name, value);
  } else if (name == "logit_bias") {
    const std::vector<std::string> text = as_strings(name, value);
    if (text.size() != 1) throw_type(name, "the JSON text of an object");
    set_logit_parameter(logits, name, text.front());
  } else {
    return false;
  }
  return true;
}

// A sampling parameter into its place. Returns false for a name that is none.
bool set_sampling(AnswerFields& fields, const std::string& name, const InferValue& value) {
  if (name == "max_tokens") {
    fields.max_tokens = as_integer(name, value);
  } else if (name == "temperature") {
    fields.temperature = as_number(name, value);
  } else if (name == "top_p") {
    fields.top_p = as_number(name, value);
  } else if (name == "top_k") {
    fields.top_k = as_integer(name, value);
  } else if (name == "seed") {
    fields.seed = as_unsigned(name, value);
  } else if (name == "stop") {
    fields.stop = as_strings(name, value);
  } else {
    return set_logits(fields.logits, name, value);
  }
  return true;
}

// Names of other servers are taken with a value that changes nothing, as on every route.
void check_unread(const std::string& name, const InferValue& value) {
  try {
    check_unread_field(name, std::visit([](const auto& held) { return nlohmann::json(held); }, value));
  } catch (const Error& error) {
    throw invalid_argument(error.field(), "parameters: ", error.what());
  }
}

}  // namespace

InferParameters read_infer_parameters(const InferParameterMap& map) {
  InferParameters parameters;
  for (const auto& [name, value] : map) {
    if (set_sampling(parameters.fields, name, value)) continue;
    if (name == "priority") {
      parameters.fields.priority = as_priority(name, value);
    } else if (name == "timeout") {
      parameters.fields.timeout_ms = as_timeout_ms(name, value);
    } else if (name == "binary_data_output") {
      parameters.binary_output = as_bool(name, value);
    } else if (name == "stream") {
      parameters.stream = as_bool(name, value);
    } else if (name == "triton_enable_empty_final_response") {
      parameters.empty_final_response = as_bool(name, value);
    } else if (name.starts_with("sequence_")) {
      refuse_sequence(name, value);
    } else if (name != "headers" && !name.starts_with("triton_")) {
      check_unread(name, value);
    }
  }
  return parameters;
}

}  // namespace sf::server
