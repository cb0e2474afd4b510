// Rotary positions (Su 2021, arXiv 2104.09864) in the half-split layout: channel i is paired with i + rotated/2.
// Only the first `rotated` channels of a head turn; the rest match by content at any distance.
#pragma once

#include <torch/torch.h>

namespace sf {

struct RopeTable {
  at::Tensor cos_TC;  // [T, rotated/2]
  at::Tensor sin_TC;
  int64_t rotated = 0;
};

// positions_T int64. `rotated` is even and at most the head's channels.
RopeTable make_rope_table(const at::Tensor& positions_T, int64_t rotated, double theta);

// x [T, heads, C] -> the same shape. Norms are kept, and scores depend on the difference of positions only.
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

}  // namespace sf
