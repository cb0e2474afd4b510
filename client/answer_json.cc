#include "client/answer_json.h"

#include <charconv>

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

std::optional<int64_t> milliseconds_of(const std::string& seconds) {
  int64_t value = 0;
  const char* end = seconds.data() + seconds.size();
  const auto [stop, error] = std::from_chars(seconds.data(), end, value);
  if (error != std::errc() || stop != end || value < 0 || value > 86400) return std::nullopt;
  return value * 1000;
}

}  // namespace

Answer answer_from(const json& object) {
  try {
    const json& usage = object.at("usage");
    const json& moe = object.at("moe");
    const json& timings = object.at("timings");
    std::vector<Answer::Choice> choices;
    for (const json& choice : object.value("choices", json::array())) {
      choices.push_back({choice.at("text"), choice.at("probability")});
    }
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
            .total_ms = timings.at("total_ms"),
            .choices = std::move(choices)};
  } catch (const json::exception&) {
    throw ClientError("INTERNAL", "the server sent no answer object");
  }
}

std::vector<ModelVersion> versions_from(const json& list) {
  try {
    const auto text = [](const json& value) { return value.is_null() ? std::string() : value.get<std::string>(); };
    std::vector<ModelVersion> versions;
    for (const json& row : list.at("data")) {
      ModelVersion version{.version = row.at("version"),
                           .state = row.at("state"),
                           .reason = text(row.at("reason")),
                           .message = text(row.at("message")),
                           .pinned = row.at("pinned"),
                           .step = row.at("step"),
                           .digest = text(row.at("digest"))};
      if (!row.at("score").is_null()) version.score = row.at("score").get<double>();
      versions.push_back(std::move(version));
    }
    return versions;
  } catch (const json::exception&) {
    throw ClientError("INTERNAL", "the server sent no list of versions");
  }
}

ExpertTable experts_from(const json& object) {
  try {
    ExpertTable table{.model_version = object.at("model_version")};
    for (const json& layer : object.at("layers")) {
      const int number = layer.at("layer");
      for (const json& expert : layer.at("experts")) {
        const json& image = expert.at("image");
        const json& text = expert.at("text");
        table.rows.push_back({number, expert.at("expert"), image.at("tokens"), text.at("tokens"),
                              image.at("gate_mass").get<double>() + text.at("gate_mass").get<double>(),
                              image.at("overflow_tokens").get<double>() + text.at("overflow_tokens").get<double>()});
      }
      const json& window = layer.at("window");
      if (window.is_null()) continue;
      ExpertWindow gauges{number, window.at("router_entropy_nats"), window.at("load_imbalance_ratio"),
                          window.at("dead_experts")};
      if (!window.at("routing_drift_js").is_null()) gauges.drift_js = window.at("routing_drift_js").get<double>();
      table.windows.push_back(gauges);
    }
    return table;
  } catch (const json::exception&) {
    throw ClientError("INTERNAL", "the server sent no expert loads");
  }
}

ClientError error_from(const std::string& body, int http_status, const std::string& retry_after) {
  std::string message = "HTTP status " + std::to_string(http_status);
  const json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.contains("error")) {
    const json& error = parsed["error"];
    if (error.is_string()) message = error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      message = error["message"].get<std::string>();
    }
  }
  return ClientError(code_of_status(http_status), message, http_status, milliseconds_of(retry_after));
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
  for (const Answer::Choice& choice : answer.choices) {
    body["choices"].push_back({{"text", choice.text}, {"probability", choice.probability}});
  }
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sf::client
