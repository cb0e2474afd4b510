// The `parameters` of an inference request, typed as they came, and what they mean.
//
//   InferParameters parameters = read_infer_parameters({{"max_tokens", int64_t{5}}, {"priority", uint64_t{2}}});
//
// The rule for names: those of POST /v1/answer mean the same here (`logit_bias` as JSON text); `timeout` is in
// microseconds and `priority` a number (0 or 1 interactive, above it batch) or a text; `stream` must say what is so
// anyway; `binary_data_output` and `triton_enable_empty_final_response` are the protocol's; what else begins with
// `triton_`, and `headers`, is ignored; a sequence (`sequence_id` ...) is refused; for every other name
// server/wire/unread_fields.h decides.
//
// Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/service/answer_fields.h"

namespace sf::server {

using InferValue = std::variant<bool, int64_t, uint64_t, double, std::string, std::vector<std::string>>;
using InferParameterMap = std::map<std::string, InferValue>;

// A stranger's name as a message may quote it.
inline std::string excerpt(const std::string& name) { return name.substr(0, 128); }

struct InferParameters {
  AnswerFields fields;                // all but image, question and model
  bool binary_output = false;         // HTTP: outputs that say nothing themselves are wanted as binary
  std::optional<bool> stream;         // whether the client expects its answer in parts
  bool empty_final_response = false;  // streams: the last response carries no output
};

// Thread-safe. Errors: InvalidArgument naming the parameter. Ranges are checked by make_answer_request.
InferParameters read_infer_parameters(const InferParameterMap& map);

}  // namespace sf::server
