#include "engine/runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/runtime/logits_processors.h"

namespace sf {
namespace {

constexpr float kLeastTemperature = 1e-6f;  // below it sampling is greedy, and its reciprocal would overflow

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// One sampled row: [V] -> scalar id.
at::Tensor sample_row(const at::Tensor& logits_V, const SamplingRow& row) {
  const int64_t vocab = logits_V.size(0);
  // From the highest logit down, so that a small temperature cannot make the best ones equally infinite.
  at::Tensor tempered = (logits_V - logits_V.max()) / std::max(row.params.temperature, kLeastTemperature);
  auto [sorted, order] = at::sort(tempered, /*stable=*/true, /*dim=*/0, /*descending=*/true);
  at::Tensor probs = at::softmax(sorted, 0);
  at::Tensor cut = (probs.cumsum(0) - probs).ge(row.params.top_p);
  if (row.params.top_k > 0 && row.params.top_k < vocab)
    cut.narrow(0, row.params.top_k, vocab - row.params.top_k).fill_(true);
  cut.select(0, 0).fill_(false);
  std::vector<float> gumbel(vocab);
  for (int64_t v = 0; v < vocab; ++v) {
    gumbel[v] = static_cast<float>(-std::log(-std::log(counter_uniform(row.params.seed, row.position, v))));
  }
  at::Tensor noise = torch::tensor(gumbel).to(logits_V.device()).index_select(0, order);
  at::Tensor scores = (sorted + noise).masked_fill(cut, -std::numeric_limits<float>::infinity());
  return order.index_select(0, scores.argmax(0, /*keepdim=*/true)).squeeze(0);
}

at::Tensor details_of(const at::Tensor& logprobs_SV, const std::vector<SamplingRow>& rows) {
  std::vector<at::Tensor> pieces;
  for (size_t s = 0; s < rows.size(); ++s) {
    const at::Tensor logprobs_V = logprobs_SV[static_cast<int64_t>(s)];
    if (const int top = rows[s].params.top_logprobs; top > 0) {
      const auto [values, ids] = logprobs_V.topk(std::min<int64_t>(top, logprobs_V.size(0)));
      pieces.push_back(ids.to(at::kFloat));
      pieces.push_back(values);
    }
    if (rows[s].candidates.empty()) continue;
    const at::Tensor ids = torch::tensor(rows[s].candidates, at::kInt).to(logprobs_V.device());
    pieces.push_back(logprobs_V.index_select(0, ids));
  }
  return pieces.empty() ? at::Tensor() : at::cat(pieces);
}

}  // namespace

double counter_uniform(uint64_t seed, uint64_t position, uint64_t index) {
  const uint64_t key = mix(mix(seed + 0x9e3779b97f4a7c15ull) ^ (position * 0xd1342543de82ef95ull + 1));
  const uint64_t bits = mix(key + index * 0x9e3779b97f4a7c15ull);
  return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
}

Sampled sample(const at::Tensor& logits_SV, const std::vector<SamplingRow>& rows) {
  Sampled out;
  out.ids_S = logits_SV.argmax(1);
  for (size_t s = 0; s < rows.size(); ++s) {
    const SamplingRow& row = rows[s];
    const LogitsContext context{row.params, row.prompt, row.answer, row.end_tokens};
    const bool changed = changes_logits(context);
    if (!changed && row.params.temperature <= 0) continue;
    const at::Tensor logits_V = changed ? process_logits(logits_SV[s], context) : logits_SV[s];
    out.ids_S[s].copy_(row.params.temperature > 0 ? sample_row(logits_V, row) : logits_V.argmax());
  }
  const at::Tensor logprobs_SV = at::log_softmax(logits_SV, 1);
  out.logprobs_S = logprobs_SV.gather(1, out.ids_S.unsqueeze(1)).squeeze(1);
  out.details = details_of(logprobs_SV, rows);
  out.finite_S = logits_SV.isfinite().all(1);
  return out;
}

}  // namespace sf
