// What the generator knows about each ViT token: the labels of the trainer's first phase.
//
//   DenseLabels labels = dense_labels(sample, 16);
//   const int colour = labels.colour[row * labels.columns + column];
//
// Every array is flat [rows, columns]; -1 where there is no label (no object centred in the token, or no other object).
// Where two centres fall into one token the first object keeps it. Thread-safe.
#pragma once

#include <vector>

#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {

struct DenseLabels {
  int rows = 0, columns = 0;
  std::vector<int> object;  // index into scene.objects
  std::vector<int> colour;  // Colour
  std::vector<int> shape;   // Shape
  std::vector<int> nearest_colour, nearest_shape;
  std::vector<int> furthest_colour, furthest_shape;
  std::vector<int> same_shape;  // 1..6, itself included
  std::vector<int> left_right;  // 0 left, 1 right
  std::vector<int> top_bottom;  // 0 top, 1 bottom
};

// `cell_px`: grid pixels along one token's side; divides the sample's sides.
DenseLabels dense_labels(const Sample& sample, int cell_px = 16);

}  // namespace sf::data
