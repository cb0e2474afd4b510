// Waits for whole answers, and ends the wait once the client is gone.
//
//   const WholeAnswer answer = wait_for_answer(*stream, 20, client_left);
//   if (answer.error) throw *answer.error;
//   write(answer.text);
//
// One thread only: the streams' reader.
#pragma once

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/scheduler/response_stream.h"

namespace sf::server {

// Exactly one of `summary` and `error` is set.
struct WholeAnswer {
  std::string text;
  std::vector<TokenLogprob> tokens;  // empty unless asked for
  std::optional<Summary> summary;
  std::optional<Error> error;
};

// Blocks until the terminal event. `is_client_gone` is asked every `poll_interval_ms` and at every event; once it says
// yes the stream is cancelled and the result is Error(kCancelled).
template <typename IsClientGone>
WholeAnswer wait_for_answer(ResponseStream& stream, int poll_interval_ms, const IsClientGone& is_client_gone) {
  WholeAnswer answer;
  while (true) {
    std::optional<Event> event = stream.next_for(poll_interval_ms, /*merge_pending=*/true);
    if (event) {
      answer.text += event->text;
      std::move(event->tokens.begin(), event->tokens.end(), std::back_inserter(answer.tokens));
      if (event->finished) {
        answer.summary = std::move(event->summary);
        answer.error = std::move(event->error);
        return answer;
      }
    }
    if (is_client_gone()) {
      stream.cancel();
      answer.error = Error(Code::kCancelled, "the client closed the connection");
      return answer;
    }
  }
}

// `answers` are of all streams in their order, or `error` is set.
struct WholeAnswers {
  std::vector<WholeAnswer> answers;
  std::optional<Error> error;
};

// The same of several streams. Blocks until all have ended, or one has failed: the others are cancelled then.
template <typename IsClientGone>
WholeAnswers wait_for_all(const std::vector<std::shared_ptr<ResponseStream>>& streams, int poll_interval_ms,
                          const IsClientGone& is_client_gone) {
  WholeAnswers all;
  for (const auto& stream : streams) {
    all.answers.push_back(wait_for_answer(*stream, poll_interval_ms, is_client_gone));
    if (!all.answers.back().error) continue;
    all.error = std::move(all.answers.back().error);
    for (const auto& other : streams) {
      if (other != stream) other->cancel();
    }
    break;
  }
  return all;
}

}  // namespace sf::server
