// What the parity tests of imported models share: a converted checkpoint, and logits from ids and pixels.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "engine/import/import_model.h"
#include "engine/runtime/checkpoint_model.h"
#include "tests/support/tiny_model.h"

namespace sf::test {

// Largest difference of an f32 logit: logits are of order 1 and the sums have a few hundred terms.
inline constexpr double kParityTolerance = 1e-4;

std::filesystem::path goldens();  // tests/parity/goldens, or $SPARSEFUSION_PARITY_GOLDENS

class Golden {
 public:
  explicit Golden(const std::string& name);  // NAME.golden.safetensors
  at::Tensor operator[](const std::string& tensor) const;

 private:
  std::string bytes_;
};

// The logits [T, V] of a whole prompt. `pixels` undefined: no image; else the tokens of `image_id` are its places.
at::Tensor logits_of(const CheckpointModel& model, const at::Tensor& ids, const at::Tensor& pixels = {});

// `count` tokens by the highest logit.
std::vector<int64_t> greedy_tokens(const CheckpointModel& model, at::Tensor ids, int count,
                                   const at::Tensor& pixels = {});

// Compares logits to kParityTolerance and greedy tokens exactly.
void expect_parity(const CheckpointModel& model, const std::string& golden_name);

}  // namespace sf::test
