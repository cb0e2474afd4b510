// What the MoE layers did in one step, counted. Routing stays on the device during the forward pass; finish() brings
// all layers over in one copy, together with the sampled tokens.
//
//   ExpertStats stats(config, factor);
//   at::Tensor hidden_TD = vlm.decoder().forward(input, attention, &stats);
//   ExpertStats::HostStep step = stats.finish(batch, &sampled);
//
// One thread only; one object a step.
#pragma once

#include <array>
#include <chrono>
#include <vector>

#include "engine/engine.h"
#include "engine/model/moe_layer.h"
#include "engine/runtime/batch.h"
#include "engine/runtime/sampler.h"

namespace sf {

class ExpertStats : public MoeObserver {
 public:
  ExpertStats(const DecoderConfig& config, double capacity_factor);

  void on_routed(int layer, const Routing& routing, const Dispatch& d) override;
  void on_stage_begin(int layer, Stage stage) override;
  void on_stage_end(int layer, Stage stage) override;

  struct HostStep {
    std::vector<int> tokens;  // sampled, one per sampling part
    std::vector<float> logprobs;
    std::vector<bool> finite;
    std::vector<float> details;  // Sampled::details
    MoeStepStats moe;
    // Per part, of the tokens from Sequence::counted on: the others were reported before. Overflow of scope `request`.
    std::vector<uint32_t> assigned, overflow;
    // f32 on the host, a row for each layer that routes, W = 2K+1: ids, gates and entropy of every token.
    at::Tensor routing_LTW;
  };
  // Effect: the one device-to-host copy; advances each sequence's capacity windows. `sampled` may be null.
  HostStep finish(const Batch& batch, const Sampled* sampled);

 private:
  void count_layer(int layer, const float* row, const Batch& batch, HostStep& out);

  DecoderConfig config_;
  std::vector<int> layers_;  // that route
  double capacity_factor_;
  std::vector<at::Tensor> routed_;  // of each of layers_ [T, 2K+1]: ids, gates, entropy
  std::vector<std::array<double, 3>> seconds_;
  std::chrono::steady_clock::time_point stage_began_;
};

}  // namespace sf
