// Heatmaps scored against the generator's object boxes (Zhang 2018, arXiv 1608.00507): does the maximum lie on the
// object that was asked about?
//
//   PointingScore score;
//   score.add(explanation, object_in_grid(scene.objects[question.object], explanation));
//
// Pure functions; a PointingScore is for one thread at a time.
#pragma once

#include <vector>

#include "engine/explain/explanation.h"
#include "trainer/tasks/sort_of_clevr/scene.h"

namespace sf {

// The object in cells: 0..columns and 0..rows.
struct ObjectInGrid {
  double x = 0, y = 0;  // centre
  double half_x = 0, half_y = 0;
};

// Where `object` of the explained image lies among its cells.
ObjectInGrid object_in_grid(const data::Object& object, const Explanation& e);

// Whether the middle of the cell is at most one cell from the object's centre, along both axes.
bool is_near(int cell, int columns, const ObjectInGrid& object);
// Whether the cell and the object's box overlap.
bool touches_box(int cell, int columns, const ObjectInGrid& object);

struct PointingScore {
  int images = 0, near = 0, in_box = 0;
  double near_chance = 0, in_box_chance = 0;  // sums over the images of the share of cells that would count

  // Counts one image by the mean of its tokens' heatmaps; no answer token is a miss.
  void add(const Explanation& e, const ObjectInGrid& object);
};

}  // namespace sf
