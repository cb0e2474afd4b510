// Logits processors: what a request changes in a row of logits before a token is taken from it, in vLLM's order.
//
//   if (changes_logits(context)) logits_V = process_logits(logits_V, context);
//
//     z[t] = -inf                     of every end token, with ignore_eos and before min_tokens
//     z[t] += logit_bias[t]
//     z[t] = z[t] / r, if z[t] > 0, else z[t] * r      r = repetition_penalty; t in the prompt or the answer
//     z[t] -= frequency_penalty * count(t) + presence_penalty * [count(t) > 0]      counts in the answer alone
//
// A row at a time, so no request changes another's. Thread-safe.
#pragma once

#include <span>
#include <vector>

#include <torch/torch.h>

#include "engine/engine.h"
#include "engine/text/tokenizer.h"

namespace sf {

// Views: valid as long as what they look at.
struct LogitsContext {
  const SamplingParams& params;
  std::span<const int> prompt = {}, answer = {};  // tokens so far
  std::span<const int> end_tokens = {};
};

// False for a request that leaves the logits as they are.
bool changes_logits(const LogitsContext& context);

// [V] f32 -> a tensor of its own, on the same device. Ids outside the vocabulary are skipped.
at::Tensor process_logits(const at::Tensor& logits_V, const LogitsContext& context);

// Every token that ends an answer.
std::vector<int> end_tokens_of(const Tokenizer& tokenizer);

}  // namespace sf
