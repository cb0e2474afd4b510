// The body of POST /v1/chat/completions (OpenAI's schema) -> the service's request.
//
//   ChatRequest chat = read_chat_request(body, limits);      // throws Error naming the field
//
// What this server cannot do (calling tools, audio, JSON mode ...) is refused by name where it would change the answer,
// and ignored where it would not: server/wire/unread_fields.h has the table. Thread-safe.
#pragma once

#include <nlohmann/json.hpp>

#include "server/http/chat_choices.h"
#include "server/service/service.h"
#include "server/wire/image_source.h"
#include "server/wire/limits.h"

namespace sf::server {

inline constexpr int kMaxChoices = 8;  // n
inline constexpr int kMaxMessages = 64;
inline constexpr int kMaxParts = 64;   // of one message
inline constexpr int kMaxFetched = 4;  // images that one request names by URL

struct ChatRequest {
  AnswerRequest request;  // of the first choice; choice i samples with seed + i
  int n = 1;
  bool stream = false;
  bool include_usage = false;                   // a last chunk with the usage
  ChatChoices choices;                          // of request.choices
  const char* max_tokens_field = "max_tokens";  // the name that it came under
};

// Errors: InvalidArgument naming the field ("messages[0].content[1].image_url.url") and the limit.
// Blocks where `fetch` does: for at most kMaxFetched images.
ChatRequest read_chat_request(const nlohmann::json& body, const RequestLimits& limits, const FetchImage& fetch = {});

// An error of the service, which knows a question and choices, with the field that `chat` has for them.
Error in_chat_words(const Error& error, const ChatRequest& chat);

}  // namespace sf::server
