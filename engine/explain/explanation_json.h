// The Explain object of the APIs as JSON text.
//
//   std::string json = explanation_json(explanation, {{"model_version", 3}}).dump();
//
// Thread-safe.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/explain/explanation.h"

namespace sf {

// `head` is put first: what the caller adds of its own (id, model, version).
nlohmann::ordered_json explanation_json(const Explanation& explanation,
                                        nlohmann::ordered_json head = nlohmann::ordered_json::object());

}  // namespace sf
