#include "engine/model/routing_losses.h"

#include <cmath>

#include "engine/base/error.h"

namespace sf {
namespace {

// var / mean^2, for the square root of a zero variance has no gradient. The floor is for experts that nothing reaches.
at::Tensor squared_variation(const at::Tensor& values_E) {
  at::Tensor mean = values_E.mean();
  return (values_E - mean).square().mean() / (mean.square() + 1e-10);
}

at::Tensor balance_of(const at::Tensor& ids_TK, const at::Tensor& probs_TE) {
  const int64_t experts = probs_TE.size(1);
  at::Tensor shares = at::one_hot(ids_TK.flatten(), experts).to(probs_TE.dtype()).mean(0);
  return (shares * probs_TE.mean(0)).sum() * static_cast<double>(experts);
}

at::Tensor entropy(const at::Tensor& probs) { return -(probs * probs.clamp_min(1e-20).log()).sum(-1); }

// Mean of `loss(rows)` over the modalities that have tokens; `rows` indexes into T.
template <class Loss>
at::Tensor mean_over_modalities(const at::Tensor& is_image_T, const Loss& loss) {
  std::vector<at::Tensor> losses;
  for (int64_t modality : {0, 1}) {
    at::Tensor rows = is_image_T.eq(modality).nonzero().flatten();
    if (rows.size(0) > 0) losses.push_back(loss(rows));
  }
  SF_CHECK(!losses.empty(), "routing losses: no tokens");
  return at::stack(losses).mean();
}

}  // namespace

at::Tensor balance_loss(const Routing& routing) { return balance_of(routing.ids_TK, routing.probs_TE); }

at::Tensor router_z_loss(const Routing& routing) { return at::logsumexp(routing.logits_TE, {-1}).square().mean(); }

at::Tensor importance_loss(const Routing& routing) {
  at::Tensor gates_TE = at::zeros_like(routing.probs_TE).scatter(1, routing.ids_TK, routing.gates_TK);
  return squared_variation(gates_TE.sum(0));
}

at::Tensor load_loss(const Routing& routing) {
  SF_CHECK(routing.noisy_TE.defined(), "routing losses: the load loss needs the router's noise");
  const int64_t k = routing.ids_TK.size(1);
  at::Tensor threshold_T1 = std::get<0>(routing.noisy_TE.topk(k, 1)).narrow(1, k - 1, 1);
  at::Tensor z = (routing.logits_TE - threshold_T1) / routing.noise_std_TE.clamp_min(1e-9);
  return squared_variation(at::special_ndtr(z).mean(0));
}

at::Tensor modality_balance_loss(const Routing& routing, const at::Tensor& is_image_T) {
  return mean_over_modalities(is_image_T, [&](const at::Tensor& rows) {
    return balance_of(routing.ids_TK.index_select(0, rows), routing.probs_TE.index_select(0, rows));
  });
}

at::Tensor local_entropy_loss(const Routing& routing, const at::Tensor& is_image_T) {
  return mean_over_modalities(
      is_image_T, [&](const at::Tensor& rows) { return entropy(routing.probs_TE.index_select(0, rows)).mean(); });
}

at::Tensor global_entropy_loss(const Routing& routing, const at::Tensor& is_image_T, double min_experts) {
  return mean_over_modalities(is_image_T, [&](const at::Tensor& rows) {
    return at::relu(std::log(min_experts) - entropy(routing.probs_TE.index_select(0, rows).mean(0)));
  });
}

}  // namespace sf
