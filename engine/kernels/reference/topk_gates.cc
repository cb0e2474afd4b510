#include <limits>

#include "engine/kernels/reference/reference.h"

namespace sf::reference {
namespace {

constexpr float kClosed = -std::numeric_limits<float>::infinity();  // score of an expert that takes no token

// Stable, because topk leaves the order of ties open.
std::tuple<at::Tensor, at::Tensor> sort_descending(const at::Tensor& values) {
  return at::sort(values, /*stable=*/true, /*dim=*/-1, /*descending=*/true);
}

}  // namespace

at::Tensor gates_of(const at::Tensor& scores_TE, const at::Tensor& ids_TK, const GateRule& rule) {
  if (rule.softmax_after) return at::softmax(scores_TE.gather(-1, ids_TK), -1);
  at::Tensor gates_TK = at::softmax(scores_TE, -1).gather(-1, ids_TK);
  return rule.renormalise ? gates_TK / gates_TK.sum(-1, true) : gates_TK;
}

Gates topk_gates(const at::Tensor& scores_TE, const at::Tensor& bias_E, const GateRule& rule) {
  const auto first = [&](const at::Tensor& sorted) { return sorted.narrow(-1, 0, rule.top_k); };
  at::Tensor ids_TK;
  if (bias_E.defined()) {
    // The bias moves by steps that suit scores of 0..1. Gates, and the order of slots, are those of the scores alone.
    const at::Tensor scores = scores_TE.detach();
    at::Tensor biased = (at::softmax(scores, -1) + bias_E.to(at::kFloat)).masked_fill(scores.eq(kClosed), kClosed);
    at::Tensor chosen = first(std::get<1>(sort_descending(biased)));
    ids_TK = chosen.gather(-1, std::get<1>(sort_descending(scores.gather(-1, chosen))));
  } else {
    ids_TK = first(std::get<1>(sort_descending(scores_TE.detach())));
  }
  return {ids_TK, gates_of(scores_TE, ids_TK, rule)};
}

}  // namespace sf::reference
