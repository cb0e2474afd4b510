#include "server/http/chat_request.h"

#include "engine/base/utf8.h"
#include "server/guard/base64.h"
#include "server/guard/json_parse.h"
#include "server/guard/parameters.h"
#include "server/guard/request_id.h"

namespace sf::server {
namespace {

using nlohmann::json;

[[noreturn]] void throw_unsupported(const std::string& field, const std::string& what) {
  throw invalid_argument(field, field, ": ", what, " is not supported by this server");
}

std::string checked_text(std::string text, const std::string& field) {
  if (!is_valid_utf8(text)) throw invalid_argument(field, field, ": not valid UTF-8");
  return text;
}

// What the pictures of one request may be.
struct ImageRules {
  const RequestLimits& limits;
  const FetchImage& fetch;
  int num_fetched = 0;
};

// {"url": "data:..."}; a bare string is taken too.
Part read_image(const json& value, ImageRules& rules, const std::string& field) {
  // Not copied: it may be most of the body.
  const auto* url = value.is_object() ? find_string(value, "url") : value.get_ptr<const std::string*>();
  if (url == nullptr) throw invalid_argument(field, field, ": must be {\"url\": \"data:image/...;base64,...\"}");
  if (rules.fetch && is_image_url(*url)) {
    if (++rules.num_fetched > kMaxFetched) {
      throw invalid_argument(field, field, ": at most ", kMaxFetched, " pictures of a request may be URLs");
    }
    return {Part::Kind::kImage, rules.fetch(*url, field + ".url")};
  }
  if (!is_data_uri(*url)) throw invalid_argument(field, field, ".url: must be a data URI; no picture is fetched");
  return {Part::Kind::kImage, decode_image_text(*url, rules.limits.max_image_bytes, field)};
}

Part read_part(const json& value, ImageRules& rules, const std::string& field) {
  if (!value.is_object()) throw invalid_argument(field, field, ": must be an object");
  const std::string type = get_string(value, "type").value_or("");
  if (type == "text") {
    const std::optional<std::string> text = get_string(value, "text");
    if (!text) throw invalid_argument(field + ".text", field, ".text: missing");
    return {Part::Kind::kText, checked_text(*text, field + ".text")};
  }
  if (type != "image_url") {
    throw invalid_argument(field + ".type", field, ".type: must be \"text\" or \"image_url\"");
  }
  const json* image = find_value(value, "image_url");
  if (image == nullptr) throw invalid_argument(field + ".image_url", field, ".image_url: missing");
  return read_image(*image, rules, field + ".image_url");
}

Message read_message(const json& value, ImageRules& rules, const std::string& field) {
  if (!value.is_object()) throw invalid_argument(field, field, ": must be an object");
  Message message;
  message.role = get_string(value, "role").value_or("");
  if (message.role == "developer") message.role = "system";
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    throw invalid_argument(field + ".role", field,
                           ".role: must be \"system\", \"developer\", \"user\" or \"assistant\"");
  }
  if (const json* calls = find_value(value, "tool_calls"); calls != nullptr && !calls->empty()) {
    throw_unsupported(field + ".tool_calls", "calling tools");
  }
  const json* content = find_value(value, "content");
  if (content == nullptr) {
    if (message.role == "assistant") return message;
    throw invalid_argument(field + ".content", field, ".content: missing");
  }
  if (content->is_string()) {
    message.parts.push_back({Part::Kind::kText, checked_text(content->get<std::string>(), field + ".content")});
    return message;
  }
  if (!content->is_array()) {
    throw invalid_argument(field + ".content", field, ".content: must be a string or an array of parts");
  }
  if (content->size() > kMaxParts) {
    throw invalid_argument(field + ".content", field, ".content: at most ", kMaxParts, " parts, got ", content->size());
  }
  for (size_t i = 0; i < content->size(); ++i) {
    message.parts.push_back(read_part((*content)[i], rules, concat(field, ".content[", i, "]")));
  }
  return message;
}

std::vector<Message> read_messages(const json& body, ImageRules rules) {
  const json* messages = find_value(body, "messages");
  if (messages == nullptr) throw invalid_argument("messages", "messages: missing");
  if (!messages->is_array() || messages->empty() || messages->size() > kMaxMessages) {
    throw invalid_argument("messages", "messages: must be an array of 1 to ", kMaxMessages, " messages");
  }
  std::vector<Message> out;
  for (size_t i = 0; i < messages->size(); ++i) {
    out.push_back(read_message((*messages)[i], rules, concat("messages[", i, "]")));
  }
  return out;
}

void refuse_unsupported(const json& body) {
  for (const char* name : {"tools", "functions", "logit_bias", "audio", "web_search_options", "prediction"}) {
    if (const json* value = find_value(body, name); value != nullptr && !value->empty()) throw_unsupported(name, "it");
  }
  for (const char* name : {"presence_penalty", "frequency_penalty"}) {
    if (get_number(body, name).value_or(0) != 0) throw_unsupported(name, "a penalty other than 0");
  }
  if (const json* format = find_value(body, "response_format")) {
    if (!format->is_object()) throw invalid_argument("response_format", "response_format: must be an object");
    const std::string type = get_string(*format, "type").value_or("");
    if (type != "text") throw_unsupported("response_format", "a type other than \"text\"");
  }
  if (const json* modalities = find_value(body, "modalities"); modalities != nullptr && *modalities != json({"text"})) {
    throw_unsupported("modalities", "anything but [\"text\"]");
  }
}

SamplingParams read_sampling(const json& body) {
  SamplingParams sampling;
  std::optional<int64_t> max_tokens = get_integer(body, "max_completion_tokens");
  if (!max_tokens) max_tokens = get_integer(body, "max_tokens");
  if (max_tokens) sampling.max_tokens = check_max_tokens(*max_tokens);
  const std::optional<double> temperature = get_number(body, "temperature");
  sampling.temperature = temperature ? check_temperature(*temperature) : -1.0f;
  if (const auto top_p = get_number(body, "top_p")) sampling.top_p = check_top_p(*top_p);
  if (const auto top_k = get_integer(body, "top_k")) sampling.top_k = check_top_k(*top_k);
  // OpenAI's seed is signed.
  const std::optional<int64_t> seed = get_integer(body, "seed");
  sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  return sampling;
}

// Errors: InvalidArgument beyond kMaxTopLogprobs, or without logprobs.
int read_top_logprobs(const json& body, bool logprobs) {
  const int64_t top = get_integer(body, "top_logprobs").value_or(0);
  if (top < 0 || top > kMaxTopLogprobs) {
    throw invalid_argument("top_logprobs", "top_logprobs: must be between 0 and ", kMaxTopLogprobs, ", got ", top);
  }
  if (top > 0 && !logprobs) throw invalid_argument("top_logprobs", "top_logprobs: only with \"logprobs\": true");
  return static_cast<int>(top);
}

}  // namespace

ChatRequest read_chat_request(const json& body, const RequestLimits& limits, const FetchImage& fetch) {
  refuse_unsupported(body);
  ChatRequest chat;
  AnswerRequest& request = chat.request;
  request.api = "openai";
  request.model = get_string(body, "model").value_or("");
  request.messages = read_messages(body, {limits, fetch});
  request.sampling = read_sampling(body);
  request.stop = check_stop(get_strings(body, "stop"));
  request.logprobs = get_bool(body, "logprobs").value_or(false);
  request.sampling.top_logprobs = read_top_logprobs(body, request.logprobs);
  if (const auto priority = get_string(body, "priority"); priority && check_batch_priority(*priority)) {
    request.priority = Priority::kBatch;
  }
  if (const auto timeout = get_integer(body, "timeout_ms")) request.timeout_ms = check_timeout_ms(*timeout);
  const int64_t n = get_integer(body, "n").value_or(1);
  if (n < 1 || n > kMaxChoices) throw invalid_argument("n", "n: must be between 1 and ", kMaxChoices, ", got ", n);
  chat.n = static_cast<int>(n);
  chat.stream = get_bool(body, "stream").value_or(false);
  if (const json* options = find_value(body, "stream_options")) {
    if (!options->is_object()) throw invalid_argument("stream_options", "stream_options: must be an object");
    if (!chat.stream) throw invalid_argument("stream_options", "stream_options: only with \"stream\": true");
    chat.include_usage = get_bool(*options, "include_usage").value_or(false);
  }
  return chat;
}

}  // namespace sf::server
