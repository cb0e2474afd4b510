// Rotary positions (Su 2021, arXiv 2104.09864) in the half-split layout: channel i is paired with i + rotated/2; or
// interleaved: 2i with 2i + 1. Only the first `rotated` channels of a head turn; the rest match by content at any
// distance.
//
//   RopeTable table = make_rope_table(positions, {.rotated = 64, .theta = 1e6});
//   q_THC = apply_rope(q_THC, table);
//
// Plain values and pure functions.
#pragma once

#include <torch/torch.h>

namespace sf {

struct RopeOptions {
  int64_t rotated = 0;  // even, at most the head's channels
  double theta = 10000.0;
  bool interleaved = false;
};

struct RopeTable {
  at::Tensor cos_TC;  // [T, rotated/2]
  at::Tensor sin_TC;
  int64_t rotated = 0;
  bool interleaved = false;
};

// positions int64: [T], or [T, 3] of (time, row, column) for M-RoPE (Qwen2-VL, arXiv 2409.12191): the pairs of a head
// are split in sections of 2:3:3 that turn by the three components. Text has all three equal, and then it is 1-D RoPE.
RopeTable make_rope_table(const at::Tensor& positions, const RopeOptions& options);

// x [T, heads, C] -> the same shape. Norms are kept, and scores depend on the difference of positions only.
at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table);

}  // namespace sf
