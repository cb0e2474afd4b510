// Many requests through one engine without a server: prepare, admit, step until all are answered. What the server is
// measured against.
//
//   std::vector<OfflineAnswer> answers = run_offline(*engine, requests, {.batch = 32});
//
// One thread only: the engine's.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

namespace sf {

struct OfflineRequest {
  std::string image;  // encoded bytes; empty = none
  std::string question;
  SamplingParams sampling;
};

struct OfflineAnswer {
  std::string text;
  std::string error;  // empty = answered
  int prompt_tokens = 0;
  int completion_tokens = 0;
  double seconds = 0;  // from the start of its preparation to its last token
};

struct OfflineOptions {
  int batch = 32;            // sequences at once
  int prefill_tokens = 512;  // prompt tokens of one step at most; a prompt is never split below this
};

// Effect: answers in the order of the requests. Decoding and preprocessing happen here, on this thread.
std::vector<OfflineAnswer> run_offline(Engine& engine, const std::vector<OfflineRequest>& requests,
                                       const OfflineOptions& options);

}  // namespace sf
