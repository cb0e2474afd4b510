// The next token of every sequence that has one due. Draws come from a counter keyed by (request seed, position), so
// they depend on no other request.
//
//   Sampled sampled = sample(logits_SV, {{.params = sampling, .position = position}});   // a row a sequence
//
// Pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <torch/torch.h>

#include "engine/engine.h"

namespace sf {

struct SamplingRow {
  SamplingParams params;
  int64_t position = 0;              // of the token to be drawn
  std::vector<int> candidates = {};  // tokens whose log-probabilities are wanted as well
  // What params.changes_logits() looks at: tokens so far, and those that end an answer. Views, for the call alone.
  std::span<const int> prompt = {}, answer = {}, end_tokens = {};
};

struct Sampled {
  at::Tensor ids_S;       // int64, on the logits' device
  at::Tensor logprobs_S;  // f32, of the model's own distribution: untempered, and nothing of it changed
  at::Tensor finite_S;    // bool: whether the row's logits are all finite
  // f32, row after row: the row's top_logprobs tokens, their log-probabilities, those of its candidates. Ids are exact:
  // vocabularies are below 2^24. Undefined where no row asks for any.
  at::Tensor details;
};

// logits_SV f32; one row of parameters each. Rows that change their logits do so first (logits_processors.h), each on a
// copy of its own. temperature 0 takes the highest logit; otherwise top_k, then top_p cut the tempered distribution and
// Gumbel noise picks (equal to sampling from it).
Sampled sample(const at::Tensor& logits_SV, const std::vector<SamplingRow>& rows);

// Uniform in (0, 1): a hash of (seed, position, index). Pure.
double counter_uniform(uint64_t seed, uint64_t position, uint64_t index);

}  // namespace sf
