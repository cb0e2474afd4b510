// OpenAI's chat.completion and chat.completion.chunk objects, as JSON text.
//
// Plain values and pure functions.
#pragma once

#include <string>
#include <vector>

#include "server/http/answer_json.h"
#include "server/service/wait_for_answer.h"

namespace sf::server {

struct ChatHead {
  AnswerHead answer;
  int64_t created_unix = 0;
};

// Prompt tokens count once, whatever the number of choices: they are one prompt.
Usage total_usage(const std::vector<const Summary*>& summaries);

// REQUIRES: every choice has a summary.
std::string chat_json(const ChatHead& head, const std::vector<WholeAnswer>& choices, const Usage& usage, bool logprobs);

// Chunks of one choice: its role, a delta with its tokens (written where `logprobs`), its end.
std::string chat_role_chunk(const ChatHead& head, int index);
std::string chat_delta_chunk(const ChatHead& head, int index, const Event& event, bool logprobs);
std::string chat_end_chunk(const ChatHead& head, int index, FinishReason reason);
// The chunk of stream_options.include_usage: no choices.
std::string chat_usage_chunk(const ChatHead& head, const Usage& usage);

}  // namespace sf::server
