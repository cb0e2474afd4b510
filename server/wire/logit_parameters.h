// The fields of a request that change the model's logits, the same on every API: which there are, their ranges, and
// what they become.
//
//   LogitParameters logits = read_logit_parameters(body);     // REST; forms: set_logit_parameter(logits, name, text)
//   apply_logit_parameters(logits, request.sampling);
//
// Thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/engine.h"

namespace sf::server {

inline constexpr size_t kMaxLogitBiases = 1024;

inline constexpr const char* kLogitFields[] = {"frequency_penalty", "ignore_eos",       "logit_bias",
                                               "min_tokens",        "presence_penalty", "repetition_penalty"};

struct LogitParameters {
  std::optional<int64_t> min_tokens;
  std::optional<bool> ignore_eos;
  std::optional<double> presence_penalty, frequency_penalty, repetition_penalty;
  std::map<int64_t, double> logit_bias;  // by token id
};

// Errors: InvalidArgument naming a field of the wrong type.
LogitParameters read_logit_parameters(const nlohmann::json& body);

// A form's field. Returns false for a name that is none of these. Errors: as above.
bool set_logit_parameter(LogitParameters& parameters, const std::string& name, const std::string& text);

// Errors: InvalidArgument naming a field that is out of range:
//   min_tokens 0 .. 2^20, presence_penalty and frequency_penalty -2 .. 2, repetition_penalty 0.1 .. 10,
//   logit_bias at most kMaxLogitBiases entries of -100 .. 100.
void apply_logit_parameters(const LogitParameters& parameters, SamplingParams& sampling);

}  // namespace sf::server
