// Phase 2: one step of the whole model on packed questions. The forward pass is the class that serves.
//
//   Losses losses = forward_losses(vlm, batch, &auxiliary, {.dense = 0});
//   losses.total.backward();
//   optimizer.step(step);
//   step_balance_biases(vlm.balance_biases(), losses.report.layers, 1e-3);
//
// One thread only: the training thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "engine/model/vlm.h"
#include "trainer/dense_heads.h"
#include "trainer/packed_batch.h"

namespace sf {

struct LossOptions {
  // Of the router, means over layers (engine/model/routing_losses.h). Only the first two are computed at weight 0.
  double balance = 0.01;  // Switch's auxiliary loss
  double router_z = 0.001;
  double importance = 0;           // Shazeer's
  double load = 0;                 // Shazeer's, in V-MoE's form; needs a model with noise
  double modality = 0;             // the balance loss within the tokens of each modality
  double local_entropy = 0;        // LIMoE's: each token sure of its experts
  double global_entropy = 0;       // LIMoE's: each modality on half of the experts (two at least) or more
  double bias_update_rate = 1e-3;  // a step of balance_bias, where the model has one
  double alignment = 3.0;          // image tokens through the tied word embeddings name the objects centred in them
  double dense = 0.3;  // what the encoder's tokens say of the image (dense_heads.h), where the batch has labels
  double capacity_factor = 2.0;
};

// Routing of one forward pass in one of the decoder's layers that route.
struct LayerRouting {
  int layer = 0;
  std::vector<int64_t> expert_tokens;  // [experts, 2]: image, text
  int64_t assignments = 0;
  int64_t dropped = 0;
};

struct StepReport {
  double loss = 0, answer = 0, balance = 0, router_z = 0, alignment = 0, dense = 0;
  double importance = 0, load = 0, modality = 0, local_entropy = 0, global_entropy = 0;
  double grad_norm = 0;
  int64_t tokens = 0;
  std::vector<LayerRouting> layers;  // without the dense ones
};

struct Losses {
  at::Tensor total;
  StepReport report;
  at::Tensor answer_logits;  // [answer tokens, V]
};

// What training adds to the model for a task and throws away afterwards.
struct AuxiliaryHeads {
  AuxiliaryHeads(const ModelConfig& config, const Task& task, const Tokenizer& tokenizer);

  // Named as the training state has them; none where the task knows nothing of its images.
  torch::OrderedDict<std::string, at::Tensor> parameters() const;

  std::vector<int> words;     // token ids of the task's object words
  at::Tensor alignment_bias;  // of the alignment loss: objects are rare
  std::vector<DenseTarget> targets;
  std::optional<DenseHeads> dense;
};

// Forward and losses; the model's mode (train or eval) decides on router noise. `heads` may be null: the losses of the
// answers and the router alone.
Losses forward_losses(const Vlm& vlm, const PackedBatch& batch, const AuxiliaryHeads* heads,
                      const LossOptions& options);

// Effect: one step of each layer's bias (Vlm::balance_biases()), after an optimiser step, from the loads of that step.
void step_balance_biases(const std::vector<at::Tensor>& biases, const std::vector<LayerRouting>& layers, double rate);

// Which questions were answered token for token. With teacher forcing and an argmax that matches everywhere, greedy
// decoding gives the same answer, so this is exact.
std::vector<bool> answered(const PackedBatch& batch, const at::Tensor& answer_logits);

}  // namespace sf
