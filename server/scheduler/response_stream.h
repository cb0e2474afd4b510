// What one request gets back: a queue of text deltas that ends in exactly one terminal event. The scheduler pushes, one
// frontend's thread reads.
//
//   for (Event event = stream->next(); !event.finished; event = stream->next()) write(event.text);
//   stream->cancel();   // the client is gone: the slot is free within two decode steps
//
// One thread only, but for cancel().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/engine.h"

namespace sf::server {

enum class FinishReason { kStop, kLength };

struct Usage {
  int image_tokens = 0;
  int prompt_tokens = 0;  // image tokens included
  int completion_tokens = 0;
  int cached_tokens = 0;
};

struct Timings {
  double queue_ms = 0, image_ms = 0, prefill_ms = 0, decode_ms = 0, total_ms = 0;
};

// One of the strings that the answer was chosen from.
struct ChoiceProbability {
  std::string text;
  double probability = 0;  // before temperature; all of them sum to 1
};

// Everything known at the end of an answer.
struct Summary {
  FinishReason finish_reason = FinishReason::kStop;
  Usage usage;
  uint64_t assigned_tokens = 0;  // expert assignments of this request
  uint64_t overflow_tokens = 0;  // of them above the capacity of scope `request`
  Timings timings;
  std::shared_ptr<const RoutingRecord> routing;  // if the request asked for it
  std::vector<ChoiceProbability> choices = {};   // if the request gave any, in its order
};

// A token that might have come instead.
struct TokenAlternative {
  std::string text;  // what it would have added to the answer; as the vocabulary writes it where that is nothing
  float logprob = 0;
};

// One generated token, for those who asked for log-probabilities.
struct TokenLogprob {
  std::string text;   // what the token added to the answer; empty where it ends in the middle of a character
  float logprob = 0;  // natural logarithm, of the distribution before temperature
  std::vector<TokenAlternative> top = {};  // the likeliest ones, by falling probability; as many as were asked for
};

struct Event {
  std::string text = {};                  // whole UTF-8 characters; may be empty
  std::vector<TokenLogprob> tokens = {};  // of the text and of what is held back; empty unless asked for
  bool finished = false;  // the terminal event: no text, and exactly one of `summary` and `error` is set
  std::optional<Summary> summary = {};
  std::optional<Error> error = {};
};

class ResponseStream {
 public:
  virtual ~ResponseStream() = default;
  // Blocks until the next event. Deltas that wait are merged into one only if `merge_pending`.
  // REQUIRES: no call after the terminal event.
  virtual Event next(bool merge_pending = false) = 0;
  // As next, but gives nothing after `timeout_ms` without an event, so that a frontend can look whether its client is
  // alive.
  virtual std::optional<Event> next_for(int timeout_ms, bool merge_pending = false) = 0;
  // Thread-safe, idempotent; the terminal event is then Error(kCancelled) unless the answer had already ended.
  virtual void cancel() = 0;
  // The version that answers, fixed at submit.
  virtual int64_t model_version() const = 0;
};

}  // namespace sf::server
