// The objects of POST /v1/answer and /v1/explain and the model objects of GET /v1/models, as JSON text.
//
// Plain values and pure functions.
#pragma once

#include <string>
#include <vector>

#include "server/service/service.h"

namespace sf::server {

// What is known of an answer from the moment it is submitted.
struct AnswerHead {
  std::string id;
  std::string model;
  int64_t model_version = 0;
};

// `explanation` may be null.
std::string answer_json(const AnswerHead& head, const std::string& text, const Summary& summary,
                        const ExplainResult* explanation = nullptr);
std::string explain_json(const AnswerHead& head, const Explanation& explanation);
// One event of a stream: {"id", "model", "model_version", "delta"}.
std::string delta_json(const AnswerHead& head, const std::string& delta);

// GET /version.
std::string version_json(const std::string& program_version);

std::string model_json(const ModelDescription& model);
std::string model_list_json(const std::vector<ModelDescription>& models);

}  // namespace sf::server
