#include "server/http/chat_request.h"

#include <algorithm>
#include <iterator>

#include "engine/base/utf8.h"
#include "server/wire/base64.h"
#include "server/wire/json_parse.h"
#include "server/wire/logit_parameters.h"
#include "server/wire/parameters.h"
#include "server/wire/request_id.h"
#include "server/wire/unread_fields.h"

namespace sf::server {
namespace {

using nlohmann::json;

std::string checked_text(std::string text, const std::string& field) {
  if (!is_valid_utf8(text)) throw invalid_argument(field, field, ": not valid UTF-8");
  return text;
}

// What the images of one request may be.
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

// A message's role as the engine knows it. No model here was taught a role for tools, so what one returned is what the
// user says.
std::string read_role(const json& value, const std::string& field) {
  const std::string role = get_string(value, "role").value_or("");
  if (role == "developer") return "system";
  if (role == "tool" || role == "function") return "user";
  if (role == "system" || role == "user" || role == "assistant") return role;
  throw invalid_argument(field + ".role", field,
                         ".role: must be \"system\", \"developer\", \"user\", \"assistant\", \"tool\" or \"function\"");
}

// A call as the text that an assistant's turn of a conversation holds: {"name": ..., "arguments": ...}.
Part read_tool_call(const json& function, const std::string& field) {
  if (!function.is_object()) throw invalid_argument(field, field, ": must be an object");
  const std::optional<std::string> name = get_string(function, "name");
  if (!name) throw invalid_argument(field + ".name", field, ".name: missing");
  const std::string arguments = get_string(function, "arguments").value_or("{}");
  return {Part::Kind::kText, concat("{\"name\": ", json(*name).dump(), ", \"arguments\": ", arguments, "}")};
}

void read_tool_calls(const json& value, std::vector<Part>& parts, const std::string& field) {
  if (const json* call = find_value(value, "function_call")) {
    parts.push_back(read_tool_call(*call, field + ".function_call"));
  }
  const json* calls = find_value(value, "tool_calls");
  if (calls == nullptr) return;
  const std::string list = field + ".tool_calls";
  if (!calls->is_array() || calls->size() > kMaxParts) {
    throw invalid_argument(list, list, ": must be an array of at most ", kMaxParts, " calls");
  }
  for (size_t i = 0; i < calls->size(); ++i) {
    const json& call = (*calls)[i];
    const std::string name = concat(list, "[", i, "]");
    const json* function = call.is_object() ? find_value(call, "function") : nullptr;
    if (function == nullptr) throw invalid_argument(name + ".function", name, ".function: missing");
    parts.push_back(read_tool_call(*function, name + ".function"));
  }
}

void read_content(const json& content, std::vector<Part>& parts, ImageRules& rules, const std::string& field) {
  if (content.is_string()) {
    parts.push_back({Part::Kind::kText, checked_text(content.get<std::string>(), field)});
    return;
  }
  if (!content.is_array()) throw invalid_argument(field, field, ": must be a string or an array of parts");
  if (content.size() > kMaxParts) {
    throw invalid_argument(field, field, ": at most ", kMaxParts, " parts, got ", content.size());
  }
  for (size_t i = 0; i < content.size(); ++i) {
    parts.push_back(read_part(content[i], rules, concat(field, "[", i, "]")));
  }
}

Message read_message(const json& value, ImageRules& rules, const std::string& field) {
  if (!value.is_object()) throw invalid_argument(field, field, ": must be an object");
  Message message;
  message.role = read_role(value, field);
  for (const char* name : {"audio", "prefix"}) {
    const json* asked = find_value(value, name);
    if (asked != nullptr && *asked != false) throw_not_offered(field + "." + name, "it");
  }
  const json* content = find_value(value, "content");
  if (content != nullptr) {
    read_content(*content, message.parts, rules, field + ".content");
  } else if (message.role != "assistant") {
    throw invalid_argument(field + ".content", field, ".content: missing");
  }
  if (message.role == "assistant") read_tool_calls(value, message.parts, field);
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
  if (get_string(messages->back(), "role") != "user") {
    throw invalid_argument("messages", "messages: the last one must be the user's");
  }
  return out;
}

// Tools may be listed where none may be called: the answer is then the one without them.
void check_tools(const json& body, const char* list, const char* choice) {
  const json* const tools = find_value(body, list);
  const json* const chosen = find_value(body, choice);
  if (tools != nullptr && !tools->is_array()) throw invalid_argument(list, list, ": must be an array");
  const bool listed = tools != nullptr && !tools->empty();
  if (chosen != nullptr && *chosen == "none") return;
  if (listed) throw_not_offered(list, concat("calling tools (\"", choice, "\": \"none\" is taken)"));
  if (chosen != nullptr && *chosen != "auto") throw_not_offered(choice, "calling tools");
}

constexpr const char* kReadFields[] = {"function_call", "functions",  "logprobs",       "max_completion_tokens",
                                       "max_tokens",    "messages",   "model",          "n",
                                       "priority",      "seed",       "stop",           "stream",
                                       "temperature",   "timeout_ms", "tools",          "top_k",
                                       "tool_choice",   "top_p",      "stream_options", "top_logprobs"};

void check_unread_fields(const json& body) {
  for (const auto& [name, value] : body.items()) {
    const bool read = is_one_of(kReadFields, name) || is_one_of(kChoiceFields, name) || is_one_of(kLogitFields, name);
    if (!read) check_unread_field(name, value);
  }
  check_tools(body, "tools", "tool_choice");
  check_tools(body, "functions", "function_call");
}

// OpenAI's seed is signed; ours reaches to 2^64 - 1.
std::optional<uint64_t> get_seed(const json& body) {
  const json* seed = find_value(body, "seed");
  if (seed != nullptr && seed->is_number_unsigned()) return seed->get<uint64_t>();
  const std::optional<int64_t> value = get_integer(body, "seed");
  return value ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
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
  sampling.seed = get_seed(body).value_or(random_seed());
  apply_logit_parameters(read_logit_parameters(body), sampling);
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

// A name, or vLLM's number: 0 is its default, the lower the sooner.
bool is_batch(const json& body) {
  const json* const priority = find_value(body, "priority");
  if (priority == nullptr) return false;
  if (priority->is_number()) return get_integer(body, "priority").value_or(0) > 0;
  return check_batch_priority(get_string(body, "priority").value_or(""));
}

void read_stream_options(const json& body, ChatRequest& chat) {
  const json* const options = find_value(body, "stream_options");
  if (options == nullptr) return;
  if (!options->is_object()) throw invalid_argument("stream_options", "stream_options: must be an object");
  if (!chat.stream) throw invalid_argument("stream_options", "stream_options: only with \"stream\": true");
  chat.include_usage = get_bool(*options, "include_usage").value_or(false);
  if (get_bool(*options, "continuous_usage_stats").value_or(false)) {
    throw_not_offered("stream_options.continuous_usage_stats", "it");
  }
}

}  // namespace

ChatRequest read_chat_request(const json& body, const RequestLimits& limits, const FetchImage& fetch) {
  check_unread_fields(body);
  ChatRequest chat;
  chat.choices = read_chat_choices(body);
  AnswerRequest& request = chat.request;
  request.api = "openai";
  request.model = get_string(body, "model").value_or("");
  request.messages = read_messages(body, {limits, fetch});
  request.sampling = read_sampling(body);
  request.stop = check_stop(get_strings(body, "stop"));
  request.logprobs = get_bool(body, "logprobs").value_or(false);
  request.sampling.top_logprobs = read_top_logprobs(body, request.logprobs);
  request.choices = chat.choices.texts;
  if (is_batch(body)) request.priority = Priority::kBatch;
  if (const auto timeout = get_integer(body, "timeout_ms")) request.timeout_ms = check_timeout_ms(*timeout);
  const int64_t n = get_integer(body, "n").value_or(1);
  if (n < 1 || n > kMaxChoices) throw invalid_argument("n", "n: must be between 1 and ", kMaxChoices, ", got ", n);
  chat.n = static_cast<int>(n);
  chat.stream = get_bool(body, "stream").value_or(false);
  read_stream_options(body, chat);
  if (find_value(body, "max_completion_tokens")) chat.max_tokens_field = "max_completion_tokens";
  return chat;
}

Error in_chat_words(const Error& error, const ChatRequest& chat) {
  const auto named = [&](const std::string& name) {
    const std::string text = error.what();
    const bool begins = text.starts_with(error.field() + ":");
    return Error(error.code(), begins ? name + text.substr(error.field().size()) : text, name, error.reason());
  };
  if (error.field() == "question") return named("messages");
  if (error.field() == "max_tokens") return named(chat.max_tokens_field);
  if (error.field() == "choices" && !chat.choices.field.empty()) return named(chat.choices.field);
  return error;
}

}  // namespace sf::server
