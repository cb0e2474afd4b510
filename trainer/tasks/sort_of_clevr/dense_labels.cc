#include "trainer/tasks/sort_of_clevr/dense_labels.h"

#include <algorithm>

#include "engine/base/error.h"

namespace sf::data {

DenseLabels dense_labels(const Sample& sample, int cell_px) {
  const int height = sample.pixels.grid.rows, width = sample.pixels.grid.columns;
  SF_REQUIRE(height > 0 && width > 0, "dense labels: the sample has no grid");
  const int pixels_per_row = static_cast<int>(sample.pixels.values.size()) / 3 / (height * width);
  int grid_cell = 1;
  while (grid_cell * grid_cell < pixels_per_row) ++grid_cell;
  SF_REQUIRE(cell_px > 0 && grid_cell % cell_px == 0, "dense labels: cell_px does not divide the grid's cell of ",
             grid_cell);

  DenseLabels labels;
  labels.rows = height * grid_cell / cell_px;
  labels.columns = width * grid_cell / cell_px;
  const size_t tokens = static_cast<size_t>(labels.rows) * labels.columns;
  for (auto* array :
       {&labels.object, &labels.colour, &labels.shape, &labels.nearest_colour, &labels.nearest_shape,
        &labels.furthest_colour, &labels.furthest_shape, &labels.same_shape, &labels.left_right, &labels.top_bottom}) {
    array->assign(tokens, -1);
  }
  const Scene& scene = sample.scene;
  for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
    if (!sample.visible(static_cast<size_t>(i), grid_cell)) continue;
    const int row = std::clamp(static_cast<int>(sample.centres[i].y) / cell_px, 0, labels.rows - 1);
    const int column = std::clamp(static_cast<int>(sample.centres[i].x) / cell_px, 0, labels.columns - 1);
    const size_t token = static_cast<size_t>(row) * labels.columns + column;
    if (labels.object[token] >= 0) continue;
    labels.object[token] = i;
    labels.colour[token] = scene.objects[i].colour;
    labels.shape[token] = scene.objects[i].shape;
    labels.same_shape[token] = same_shape_count(scene, i);
    labels.left_right[token] = left_of_centre(scene, i) ? 0 : 1;
    labels.top_bottom[token] = in_top_half(scene, i) ? 0 : 1;
    if (const int other = nearest(scene, i); other >= 0) {
      labels.nearest_colour[token] = scene.objects[other].colour;
      labels.nearest_shape[token] = scene.objects[other].shape;
    }
    if (const int other = furthest(scene, i); other >= 0) {
      labels.furthest_colour[token] = scene.objects[other].colour;
      labels.furthest_shape[token] = scene.objects[other].shape;
    }
  }
  return labels;
}

}  // namespace sf::data
