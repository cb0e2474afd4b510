#include "engine/model/rope.h"

namespace sf {
namespace {

// [T, 3] -> [T, half]: which position each pair of channels turns by. Qwen2-VL's sections are 16, 24, 24 of 64 pairs.
at::Tensor position_of_pairs(const at::Tensor& positions_T3, int64_t half) {
  const int64_t time = half * 16 / 64, row = half * 24 / 64;
  auto section = [&](int64_t component, int64_t pairs) {
    return positions_T3.select(1, component).unsqueeze(1).expand({positions_T3.size(0), pairs});
  };
  return at::cat({section(0, time), section(1, row), section(2, half - time - row)}, 1);
}

}  // namespace

RopeTable make_rope_table(const at::Tensor& positions, const RopeOptions& options) {
  const int64_t half = options.rotated / 2;
  auto floats = positions.options().dtype(at::kFloat);
  at::Tensor exponents =
      at::arange(0, options.rotated, 2, floats) / static_cast<double>(std::max<int64_t>(options.rotated, 1));
  at::Tensor turns = positions.dim() == 2 ? position_of_pairs(positions, half) : positions.unsqueeze(1);
  at::Tensor angles = turns.to(at::kFloat) * at::pow(options.theta, -exponents).unsqueeze(0);
  return {at::cos(angles), at::sin(angles), options.rotated, options.interleaved};
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  if (table.rotated == 0) return x;
  const int64_t half = table.rotated / 2;
  at::Tensor cos = table.cos_TC.unsqueeze(1), sin = table.sin_TC.unsqueeze(1);
  at::Tensor turning = x.narrow(-1, 0, table.rotated);
  std::vector<at::Tensor> parts;
  if (table.interleaved) {
    at::Tensor pairs = turning.unflatten(-1, {half, 2});
    at::Tensor first = pairs.select(-1, 0), second = pairs.select(-1, 1);
    parts = {at::stack({first * cos - second * sin, second * cos + first * sin}, -1).flatten(-2)};
  } else {
    at::Tensor first = turning.narrow(-1, 0, half), second = turning.narrow(-1, half, half);
    parts = {first * cos - second * sin, second * cos + first * sin};
  }
  if (x.size(-1) > table.rotated) parts.push_back(x.narrow(-1, table.rotated, x.size(-1) - table.rotated));
  return parts.size() == 1 ? parts[0] : at::cat(parts, -1);
}

}  // namespace sf
