#include "engine/runtime/expert_stats.h"

#include <cmath>

#include "engine/model/capacity.h"

namespace sf {

ExpertStats::ExpertStats(const DecoderConfig& config, double capacity_factor)
    : config_(config), layers_(routed_layers(config)), capacity_factor_(capacity_factor), seconds_(config.num_layers) {}

void ExpertStats::on_routed(int, const Routing& routing, const Dispatch&) {
  at::Tensor log_probs = at::log_softmax(routing.logits_TE, -1);
  at::Tensor entropy = -(routing.probs_TE * log_probs).sum(-1, true);
  routed_.push_back(at::cat({routing.ids_TK.to(at::kFloat), routing.gates_TK, entropy}, 1));
}

void ExpertStats::on_stage_begin(int, Stage) { stage_began_ = std::chrono::steady_clock::now(); }

void ExpertStats::on_stage_end(int layer, Stage stage) {
  const auto elapsed = std::chrono::steady_clock::now() - stage_began_;
  seconds_[layer][static_cast<int>(stage)] += std::chrono::duration<double>(elapsed).count();
}

void ExpertStats::count_layer(int layer, const float* row, const Batch& batch, HostStep& out) {
  const int experts = config_.moe.num_experts, k = config_.moe.top_k;
  const int64_t tokens = static_cast<int64_t>(batch.modality.size());
  const int64_t step_capacity = expert_capacity(tokens, experts, k, capacity_factor_);
  const int64_t window_capacity = capacity_of_window(config_.moe, capacity_factor_);
  std::vector<uint32_t> load(experts);
  MoeStepStats& moe = out.moe;
  int64_t token = 0;
  for (size_t p = 0; p < batch.parts.size(); ++p) {
    const BatchPart& part = batch.parts[p];
    CapacityWindow& window = part.sequence->window;
    for (int i = 0; i < part.count; ++i, ++token, row += 2 * k + 1) {
      window.begin_token(layer, part.begin + i);
      // A sequence with broken numbers is an error of its own; it must not spoil sums that everybody shares.
      const bool finite = std::isfinite(row[2 * k]);
      const bool reported = part.begin + i < part.sequence->counted;
      if (finite) moe.entropy_sum_nats[layer] += row[2 * k];
      for (int j = 0; j < k; ++j) {
        const int expert = static_cast<int>(row[j]);
        const int64_t cell = (int64_t{layer} * experts + expert) * kNumModalities + batch.modality[token];
        ++moe.tokens[cell];
        if (finite) moe.gate_mass[cell] += row[k + j];
        if (!reported) ++out.assigned[p];
        if (step_capacity > 0 && ++load[expert] > step_capacity) ++moe.overflow_step[cell];
        if (window.add(layer, expert, window_capacity)) {
          ++moe.overflow_request[cell];
          if (!reported) ++out.overflow[p];
        }
      }
    }
  }
  moe.capacity_tokens[layer] = static_cast<uint64_t>(step_capacity) * experts;
  moe.routed_tokens[layer] = static_cast<uint32_t>(tokens);
}

ExpertStats::HostStep ExpertStats::finish(const Batch& batch, const Sampled* sampled) {
  HostStep out;
  const int layers = config_.num_layers, routed = static_cast<int>(routed_.size()), experts = config_.moe.num_experts;
  const int64_t tokens = static_cast<int64_t>(batch.modality.size()), width = 2 * config_.moe.top_k + 1;
  std::vector<at::Tensor> pieces;
  for (const at::Tensor& layer : routed_) pieces.push_back(layer.flatten());
  if (sampled) {
    pieces.push_back(sampled->ids_S.to(at::kFloat));
    pieces.push_back(sampled->logprobs_S);
    pieces.push_back(sampled->finite_S.to(at::kFloat));
    if (sampled->details.defined()) pieces.push_back(sampled->details);
  }
  if (pieces.empty()) pieces.push_back(at::empty({0}));  // nothing routes and nothing is sampled
  const at::Tensor host = at::cat(pieces).cpu().contiguous();
  const float* values = host.const_data_ptr<float>();

  out.routing_LTW = host.narrow(0, 0, routed * tokens * width).view({routed, tokens, width});
  const int64_t cells = int64_t{layers} * experts * kNumModalities;
  out.moe.num_layers = layers;
  out.moe.num_experts = experts;
  out.moe.tokens.resize(cells);
  out.moe.gate_mass.resize(cells);
  out.moe.overflow_step.resize(cells);
  out.moe.overflow_request.resize(cells);
  out.moe.capacity_tokens.resize(layers);
  out.moe.entropy_sum_nats.resize(layers);
  out.moe.routed_tokens.resize(layers);
  out.assigned.resize(batch.parts.size());
  out.overflow.resize(batch.parts.size());
  for (int i = 0; i < routed; ++i) count_layer(layers_[i], values + i * tokens * width, batch, out);
  for (int layer = 0; layer < layers; ++layer) {
    out.moe.route_seconds.push_back(static_cast<float>(seconds_[layer][0]));
    out.moe.experts_seconds.push_back(static_cast<float>(seconds_[layer][1]));
    out.moe.combine_seconds.push_back(static_cast<float>(seconds_[layer][2]));
  }
  if (sampled) {
    const float* at = values + routed * tokens * width;
    const int64_t count = sampled->ids_S.size(0);
    for (int64_t s = 0; s < count; ++s) {
      out.tokens.push_back(static_cast<int>(at[s]));
      out.logprobs.push_back(at[count + s]);
      out.finite.push_back(at[2 * count + s] != 0);
    }
    if (sampled->details.defined()) out.details.assign(at + 3 * count, at + 3 * count + sampled->details.size(0));
  }
  return out;
}

}  // namespace sf
