#include "server/wire/logit_parameters.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "server/wire/json_parse.h"
#include "server/wire/parameters.h"

namespace sf::server {
namespace {

using nlohmann::json;

constexpr int64_t kMaxMinTokens = 1 << 20;
constexpr size_t kMaxBiasText = 64 * kMaxLogitBiases;  // of a form's field, before it is parsed

float check_number(const char* name, double value, double low, double high) {
  // Written so that NaN is refused too.
  if (!(value >= low && value <= high)) {
    throw invalid_argument(name, name, ": must be between ", low, " and ", high, ", got ", value);
  }
  return static_cast<float>(value);
}

// {"1234": -100, ...}: a token's id and what is added to its logit.
std::map<int64_t, double> read_bias(const json& value) {
  const std::string name = "logit_bias";
  if (!value.is_object()) throw invalid_argument(name, "logit_bias: must be an object of numbers by token id");
  if (value.size() > kMaxLogitBiases) {
    throw invalid_argument(name, "logit_bias: at most ", kMaxLogitBiases, " tokens, got ", value.size());
  }
  std::map<int64_t, double> bias;
  for (const auto& [id, amount] : value.items()) {
    if (!amount.is_number()) throw invalid_argument(name, "logit_bias: must be an object of numbers by token id");
    if (!bias.emplace(parse_integer(id, name), amount.get<double>()).second) {
      throw invalid_argument(name, "logit_bias: a token is given twice");
    }
  }
  return bias;
}

}  // namespace

LogitParameters read_logit_parameters(const json& body) {
  LogitParameters parameters;
  parameters.min_tokens = get_integer(body, "min_tokens");
  parameters.ignore_eos = get_bool(body, "ignore_eos");
  parameters.presence_penalty = get_number(body, "presence_penalty");
  parameters.frequency_penalty = get_number(body, "frequency_penalty");
  parameters.repetition_penalty = get_number(body, "repetition_penalty");
  if (const json* bias = find_value(body, "logit_bias"); bias != nullptr && !bias->empty()) {
    parameters.logit_bias = read_bias(*bias);
  }
  return parameters;
}

bool set_logit_parameter(LogitParameters& parameters, const std::string& name, const std::string& text) {
  if (name == "min_tokens") {
    parameters.min_tokens = parse_integer(text, name);
  } else if (name == "ignore_eos") {
    parameters.ignore_eos = parse_bool(text, name);
  } else if (name == "presence_penalty") {
    parameters.presence_penalty = parse_number(text, name);
  } else if (name == "frequency_penalty") {
    parameters.frequency_penalty = parse_number(text, name);
  } else if (name == "repetition_penalty") {
    parameters.repetition_penalty = parse_number(text, name);
  } else if (name == "logit_bias") {
    if (text.size() > kMaxBiasText) throw invalid_argument(name, "logit_bias: at most ", kMaxBiasText, " bytes");
    try {
      parameters.logit_bias = read_bias(parse_json_object(text, 2));
    } catch (const Error& error) {
      if (error.field() == name) throw;
      throw invalid_argument(name, "logit_bias: must be the JSON text of an object of numbers by token id");
    }
  } else {
    return false;
  }
  return true;
}

void apply_logit_parameters(const LogitParameters& parameters, SamplingParams& sampling) {
  if (const auto min = parameters.min_tokens) {
    if (*min < 0 || *min > kMaxMinTokens) {
      throw invalid_argument("min_tokens", "min_tokens: must be between 0 and ", kMaxMinTokens, ", got ", *min);
    }
    sampling.min_tokens = static_cast<int>(*min);
  }
  sampling.ignore_eos = parameters.ignore_eos.value_or(false);
  if (const auto value = parameters.presence_penalty) {
    sampling.presence_penalty = check_number("presence_penalty", *value, -2, 2);
  }
  if (const auto value = parameters.frequency_penalty) {
    sampling.frequency_penalty = check_number("frequency_penalty", *value, -2, 2);
  }
  if (const auto value = parameters.repetition_penalty) {
    sampling.repetition_penalty = check_number("repetition_penalty", *value, 0.1, 10);
  }
  if (parameters.logit_bias.size() > kMaxLogitBiases) {
    throw invalid_argument("logit_bias", "logit_bias: at most ", kMaxLogitBiases, " tokens, got ",
                           parameters.logit_bias.size());
  }
  for (const auto& [id, amount] : parameters.logit_bias) {
    if (id < 0 || id > std::numeric_limits<int>::max()) {
      throw invalid_argument("logit_bias", "logit_bias: not a token's id: ", id);
    }
    sampling.logit_bias.emplace_back(static_cast<int>(id), check_number("logit_bias", amount, -100, 100));
  }
}

}  // namespace sf::server
