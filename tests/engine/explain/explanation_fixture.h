// A small explanation made by hand: one answer token over a grid of 2 x 3 cells, two layers, four experts.
#pragma once

#include "engine/explain/explanation.h"

namespace sf::test {

inline Explanation small_explanation() {
  Explanation e;
  e.answer = "red";
  e.method = HeatmapMethod::kOcclusion;
  e.rows = 2;
  e.columns = 3;
  e.image = {.width = 60, .height = 40, .cell_size = 32, .left = 0, .top = 0, .scaled_width = 96, .scaled_height = 64};
  e.tokens = {{"red", 7, -0.25f, {0, 0, 0.125f, 0, 0.25f, 0.625f}}};
  e.num_experts = 4;
  e.top_k = 2;
  for (int cell = 0; cell < 6; ++cell)
    e.routing.push_back({"<image>", true, {{0, 1}, {cell % 2, 3}}, {{0.75f, 0.25f}, {0.5f, 0.5f}}});
  e.routing.push_back({" red", false, {{2, 3}, {3, 0}}, {{0.5f, 0.5f}, {1, 0}}});
  e.num_prompt_tokens = 6;
  e.logit_lens = {{0, 0, {{"?", 0.5f}, {" red", 0.25f}}, 2}, {0, 1, {{" red", 0.75f}}, 1}};
  return e;
}

}  // namespace sf::test
