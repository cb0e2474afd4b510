#include "client/answer_json.h"

namespace sf::client {
namespace {

using nlohmann::json;

const char* code_of_status(int status) {
  switch (status) {
    case 400:
    case 415:
      return "INVALID_ARGUMENT";
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 405:
      return "UNIMPLEMENTED";
    case 413:
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 499:
      return "CANCELLED";
    case 503:
      return "UNAVAILABLE";
    case 504:
      return "DEADLINE_EXCEEDED";
    default:
      return status >= 500 ? "INTERNAL" : "UNKNOWN";
  }
}

}  // namespace

Answer answer_from(const json& object) {
  try {
    const json& usage = object.at("usage");
    const json& moe = object.at("moe");
    const json& timings = object.at("timings");
    return {.id = object.at("id"),
            .answer = object.at("answer"),
            .model = object.at("model"),
            .finish_reason = object.at("finish_reason"),
            .model_version = object.at("model_version"),
            .image_tokens = usage.at("image_tokens"),
            .prompt_tokens = usage.at("prompt_tokens"),
            .completion_tokens = usage.at("completion_tokens"),
            .cached_tokens = usage.at("cached_tokens"),
            .assigned_tokens = moe.at("assigned_tokens"),
            .overflow_tokens = moe.at("overflow_tokens"),
            .queue_ms = timings.at("queue_ms"),
            .image_ms = timings.at("image_ms"),
            .prefill_ms = timings.at("prefill_ms"),
            .decode_ms = timings.at("decode_ms"),
            .total_ms = timings.at("total_ms")};
  } catch (const json::exception&) {
    throw ClientError("INTERNAL", "the server sent no answer object");
  }
}

ClientError error_from(const std::string& body, int http_status) {
  std::string message = "HTTP status " + std::to_string(http_status);
  const json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.contains("error")) {
    const json& error = parsed["error"];
    if (error.is_string()) message = error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      message = error["message"].get<std::string>();
    }
  }
  return ClientError(code_of_status(http_status), message, http_status);
}

std::string to_json(const Answer& answer) {
  nlohmann::ordered_json body = {{"id", answer.id},
                                 {"answer", answer.answer},
                                 {"model", answer.model},
                                 {"model_version", answer.model_version},
                                 {"finish_reason", answer.finish_reason}};
  body["usage"] = {{"image_tokens", answer.image_tokens},
                   {"prompt_tokens", answer.prompt_tokens},
                   {"completion_tokens", answer.completion_tokens},
                   {"cached_tokens", answer.cached_tokens}};
  body["moe"] = {{"assigned_tokens", answer.assigned_tokens}, {"overflow_tokens", answer.overflow_tokens}};
  body["timings"] = {{"queue_ms", answer.queue_ms},
                     {"image_ms", answer.image_ms},
                     {"prefill_ms", answer.prefill_ms},
                     {"decode_ms", answer.decode_ms},
                     {"total_ms", answer.total_ms}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sf::client
