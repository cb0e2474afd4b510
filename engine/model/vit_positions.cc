// The vision encoder's learned absolute positions, for every grid.
#include "engine/model/initial_weights.h"
#include "engine/model/vit.h"

namespace sf {

void Vit::make_positions() {
  const int64_t w = config_.width;
  if (config_.position_embedding == PositionEmbedding::kTable) {
    const int64_t rows = int64_t{config_.position_rows} * config_.position_columns + (config_.class_token ? 1 : 0);
    position_embedding_ = register_parameter("position_embedding", randn_or_empty({rows, w}) * 0.02);
    return;
  }
  row_embedding_ = register_parameter("row_embedding", randn_or_empty({config_.max_side, w}) * 0.02);
  column_embedding_ = register_parameter("column_embedding", randn_or_empty({config_.max_side, w}) * 0.02);
}

at::Tensor Vit::patch_positions(int64_t rows, int64_t columns) const {
  const int64_t w = config_.width;
  if (config_.position_embedding == PositionEmbedding::kAxes) {
    at::Tensor sum =
        row_embedding_.narrow(0, 0, rows).unsqueeze(1) + column_embedding_.narrow(0, 0, columns).unsqueeze(0);
    return sum.reshape({rows * columns, w});
  }
  const int64_t table_rows = config_.position_rows, table_columns = config_.position_columns;
  at::Tensor table = position_embedding_.narrow(0, config_.class_token ? 1 : 0, table_rows * table_columns);
  if (rows == table_rows && columns == table_columns) return table;
  // timm's resample_abs_pos_embed: antialiased bicubic (Keys, a = -0.5) between cell centres.
  at::Tensor grid = table.view({1, table_rows, table_columns, w}).permute({0, 3, 1, 2});
  at::Tensor resampled = at::_upsample_bicubic2d_aa(grid, at::IntArrayRef{rows, columns}, false);
  return resampled.permute({0, 2, 3, 1}).reshape({rows * columns, w});
}

}  // namespace sf
