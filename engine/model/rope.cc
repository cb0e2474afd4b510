#include "engine/model/rope.h"

namespace sf {

RopeTable make_rope_table(const at::Tensor& positions_T, int64_t rotated, double theta) {
  auto options = positions_T.options().dtype(at::kFloat);
  at::Tensor exponents = at::arange(0, rotated, 2, options) / static_cast<double>(std::max<int64_t>(rotated, 1));
  at::Tensor angles = positions_T.to(at::kFloat).unsqueeze(1) * at::pow(theta, -exponents).unsqueeze(0);
  return {at::cos(angles), at::sin(angles), rotated};
}

at::Tensor apply_rope(const at::Tensor& x, const RopeTable& table) {
  if (table.rotated == 0) return x;
  const int64_t half = table.rotated / 2;
  at::Tensor first = x.narrow(-1, 0, half);
  at::Tensor second = x.narrow(-1, half, half);
  at::Tensor cos = table.cos_TC.unsqueeze(1);
  at::Tensor sin = table.sin_TC.unsqueeze(1);
  std::vector<at::Tensor> parts = {first * cos - second * sin, second * cos + first * sin};
  if (x.size(-1) > table.rotated) parts.push_back(x.narrow(-1, table.rotated, x.size(-1) - table.rotated));
  return at::cat(parts, -1);
}

}  // namespace sf
