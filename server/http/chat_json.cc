#include "server/http/chat_json.h"

#include <nlohmann/json.hpp>

namespace sf::server {
namespace {

using json = nlohmann::ordered_json;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

json head_json(const ChatHead& head, const char* object) {
  return {{"id", "chatcmpl-" + head.answer.id},
          {"object", object},
          {"created", head.created_unix},
          {"model", head.answer.model},
          {"model_version", head.answer.model_version},
          {"system_fingerprint", concat("version-", head.answer.model_version)}};
}

const char* reason_text(FinishReason reason) { return reason == FinishReason::kStop ? "stop" : "length"; }

json token_json(const std::string& text, float logprob) {
  json bytes = json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", logprob}, {"bytes", bytes}};
}

json logprobs_json(const std::vector<TokenLogprob>& tokens) {
  json content = json::array();
  for (const TokenLogprob& token : tokens) {
    json entry = token_json(token.text, token.logprob);
    entry["top_logprobs"] = json::array();
    for (const TokenAlternative& other : token.top)
      entry["top_logprobs"].push_back(token_json(other.text, other.logprob));
    content.push_back(std::move(entry));
  }
  return {{"content", content}, {"refusal", nullptr}};
}

json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}, {"image_tokens", usage.image_tokens}}}};
}

std::string chunk(const ChatHead& head, json choice) {
  json body = head_json(head, "chat.completion.chunk");
  body["choices"] = json::array({std::move(choice)});
  return dump(body);
}

json chunk_choice(int index, json delta, json finish_reason = nullptr) {
  return {{"index", index}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", finish_reason}};
}

}  // namespace

Usage total_usage(const std::vector<const Summary*>& summaries) {
  Usage usage;
  for (const Summary* summary : summaries) {
    usage.image_tokens = summary->usage.image_tokens;
    usage.prompt_tokens = summary->usage.prompt_tokens;
    usage.cached_tokens = std::max(usage.cached_tokens, summary->usage.cached_tokens);
    usage.completion_tokens += summary->usage.completion_tokens;
  }
  return usage;
}

std::string chat_json(const ChatHead& head, const std::vector<WholeAnswer>& choices, const Usage& usage,
                      bool logprobs) {
  json body = head_json(head, "chat.completion");
  json list = json::array();
  for (size_t i = 0; i < choices.size(); ++i) {
    const Summary& summary = *choices[i].summary;
    list.push_back({{"index", i},
                    {"message", {{"role", "assistant"}, {"content", choices[i].text}, {"refusal", nullptr}}},
                    {"logprobs", logprobs ? logprobs_json(choices[i].tokens) : json(nullptr)},
                    {"finish_reason", reason_text(summary.finish_reason)}});
  }
  body["choices"] = list;
  body["usage"] = usage_json(usage);
  return dump(body);
}

std::string chat_role_chunk(const ChatHead& head, int index) {
  return chunk(head, chunk_choice(index, {{"role", "assistant"}, {"content", ""}}));
}

std::string chat_delta_chunk(const ChatHead& head, int index, const Event& event, bool logprobs) {
  json choice = chunk_choice(index, {{"content", event.text}});
  if (logprobs) choice["logprobs"] = logprobs_json(event.tokens);
  return chunk(head, std::move(choice));
}

std::string chat_end_chunk(const ChatHead& head, int index, FinishReason reason) {
  return chunk(head, chunk_choice(index, json::object(), reason_text(reason)));
}

std::string chat_usage_chunk(const ChatHead& head, const Usage& usage) {
  json body = head_json(head, "chat.completion.chunk");
  body["choices"] = json::array();
  body["usage"] = usage_json(usage);
  return dump(body);
}

}  // namespace sf::server
