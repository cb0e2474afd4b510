// A question about an image as a frontend read it, before it is believed; and the one place where it becomes the
// service's request, so that REST and gRPC share ranges, defaults and error texts.
//
//   AnswerFields fields;
//   fields.image = bytes;
//   fields.question = "what shape is the red object?";
//   auto stream = service.submit(make_answer_request(std::move(fields), request_id, "rest", &service));
//
// Thread-safe: plain values and free functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/service/service.h"
#include "server/wire/logit_parameters.h"
#include "server/wire/parameters.h"
#include "server/wire/request_id.h"

namespace sf::server {

// Of an explain request only.
struct ExplainFields {
  std::optional<std::string> method, format;
  std::optional<int64_t> layer, head, lens_top, token;
};

struct AnswerFields {
  std::optional<std::string> image;  // encoded bytes
  std::optional<std::string> question;
  std::optional<int64_t> max_tokens, top_k, timeout_ms;
  std::optional<double> temperature, top_p;
  std::optional<uint64_t> seed;
  LogitParameters logits;
  std::optional<std::string> priority;
  std::vector<std::string> stop;
  std::optional<std::vector<std::string>> choices;
  std::string model;
  bool record_routing = false;
  std::optional<RoutingRecord> replay_routing;
  bool stream = false;
  bool explained = false;  // an answer's explanation is wanted too
  ExplainFields explain;
  size_t body_bytes = 0;
};

// True before a model is there.
inline bool reads_images(const Service& service) {
  const std::vector<ModelDescription> models = service.models();
  return models.empty() || models.front().info.max_image_tokens > 0;
}

// `service`: whose model answers; an image may be left out where it reads none. Null: an image is needed.
// Thread-safe. Errors: InvalidArgument naming the field that is missing or out of range.
inline AnswerRequest make_answer_request(AnswerFields fields, std::string request_id, std::string api,
                                         const Service* service = nullptr) {
  const bool text_alone = !fields.image && service && !reads_images(*service);
  if (!text_alone && (!fields.image || fields.image->empty()))
    throw invalid_argument("image", "image: missing or empty");
  if (!fields.question) throw invalid_argument("question", "question: missing");

  AnswerRequest request;
  request.request_id = std::move(request_id);
  request.api = std::move(api);
  request.model = std::move(fields.model);
  Message& message = request.messages.emplace_back();
  message.role = "user";
  if (fields.image) message.parts.push_back({Part::Kind::kImage, std::move(*fields.image)});
  message.parts.push_back({Part::Kind::kText, check_question(std::move(*fields.question))});
  SamplingParams& sampling = request.sampling;
  if (fields.max_tokens) sampling.max_tokens = check_max_tokens(*fields.max_tokens);
  sampling.temperature = fields.temperature ? check_temperature(*fields.temperature) : -1.0f;
  if (fields.top_p) sampling.top_p = check_top_p(*fields.top_p);
  if (fields.top_k) sampling.top_k = check_top_k(*fields.top_k);
  sampling.seed = fields.seed ? *fields.seed : random_seed();
  apply_logit_parameters(fields.logits, sampling);
  request.stop = check_stop(std::move(fields.stop));
  if (fields.choices) request.choices = check_choices(std::move(*fields.choices));
  if (fields.priority && check_batch_priority(*fields.priority)) request.priority = Priority::kBatch;
  if (fields.timeout_ms) request.timeout_ms = check_timeout_ms(*fields.timeout_ms);
  sampling.record_routing = fields.record_routing;
  if (fields.replay_routing) {
    sampling.replay_routing = std::make_shared<const RoutingRecord>(std::move(*fields.replay_routing));
  }
  request.body_bytes = fields.body_bytes;
  return request;
}

}  // namespace sf::server
