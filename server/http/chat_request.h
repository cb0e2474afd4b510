// The body of POST /v1/chat/completions (OpenAI's schema) -> the service's request.
//
//   ChatRequest chat = read_chat_request(body, limits);      // throws Error naming the field
//
// What the schema knows and this server cannot do (tools, audio, JSON mode, penalties ...) is refused by name where it
// would change the answer, and ignored where it would not. Thread-safe.
#pragma once

#include <nlohmann/json.hpp>

#include "server/guard/image_source.h"
#include "server/guard/limits.h"
#include "server/service/service.h"

namespace sf::server {

inline constexpr int kMaxChoices = 8;  // n
inline constexpr int kMaxMessages = 64;
inline constexpr int kMaxParts = 64;   // of one message
inline constexpr int kMaxFetched = 4;  // pictures that one request names by URL

struct ChatRequest {
  AnswerRequest request;  // of the first choice; choice i samples with seed + i
  int n = 1;
  bool stream = false;
  bool include_usage = false;  // a last chunk with the usage
};

// Errors: InvalidArgument naming the field ("messages[0].content[1].image_url.url") and the limit.
// Blocks where `fetch` does: for at most kMaxFetched pictures.
ChatRequest read_chat_request(const nlohmann::json& body, const RequestLimits& limits, const FetchImage& fetch = {});

}  // namespace sf::server
