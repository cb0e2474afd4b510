#include "tools/model/pointing_game.h"

#include <algorithm>
#include <cmath>

#include "engine/explain/overlay.h"

namespace sf {

ObjectInGrid object_in_grid(const data::Object& object, const Explanation& e) {
  const ImageInGrid& p = e.image;
  const double across = double(p.scaled_width) / p.width / p.cell_size,
               down = double(p.scaled_height) / p.height / p.cell_size;
  const double half = data::half_extent(object);
  return {double(p.left) / p.cell_size + object.x * across, double(p.top) / p.cell_size + object.y * down,
          half * across, half * down};
}

bool is_near(int cell, int columns, const ObjectInGrid& object) {
  const double x = cell % columns + 0.5, y = cell / columns + 0.5;
  return std::abs(x - object.x) <= 1 && std::abs(y - object.y) <= 1;
}

bool touches_box(int cell, int columns, const ObjectInGrid& object) {
  const double x = cell % columns + 0.5, y = cell / columns + 0.5;
  return std::abs(x - object.x) < object.half_x + 0.5 && std::abs(y - object.y) < object.half_y + 0.5;
}

void PointingScore::add(const Explanation& e, const ObjectInGrid& object) {
  ++images;
  const int cells = e.rows * e.columns;
  for (int cell = 0; cell < cells; ++cell) {
    near_chance += double(is_near(cell, e.columns, object)) / cells;
    in_box_chance += double(touches_box(cell, e.columns, object)) / cells;
  }
  const std::vector<float> heatmap = mean_heatmap(e);
  if (heatmap.empty()) return;
  const int peak = static_cast<int>(std::max_element(heatmap.begin(), heatmap.end()) - heatmap.begin());
  near += is_near(peak, e.columns, object);
  in_box += touches_box(peak, e.columns, object);
}

}  // namespace sf
