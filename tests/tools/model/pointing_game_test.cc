#include "tools/model/pointing_game.h"

#include <gtest/gtest.h>

namespace sf {
namespace {

// 6 x 6 cells of 32 pixels over an image of 75 x 75, as the paper's.
Explanation paper_grid(std::vector<std::vector<float>> heatmaps) {
  Explanation e;
  e.rows = e.columns = 6;
  e.image = {
      .width = 75, .height = 75, .cell_size = 32, .left = 0, .top = 0, .scaled_width = 192, .scaled_height = 192};
  for (auto& heatmap : heatmaps) e.tokens.push_back({"x", 1, 0, std::move(heatmap)});
  return e;
}

std::vector<float> peak_at(int cell) {
  std::vector<float> heatmap(36, 0.01f);
  heatmap[cell] = 0.65f;
  return heatmap;
}

TEST(PointingGameTest, ObjectsLieInCells) {
  const Explanation e = paper_grid({});
  const ObjectInGrid o = object_in_grid({data::kRed, data::kCircle, 37.5f, 12.5f, 5, 0}, e);
  EXPECT_DOUBLE_EQ(o.x, 3);
  EXPECT_DOUBLE_EQ(o.y, 1);
  EXPECT_NEAR(o.half_x, 0.4, 1e-9);
}

TEST(PointingGameTest, PaddingMovesObjects) {
  Explanation e = paper_grid({});
  e.image = {
      .width = 100, .height = 50, .cell_size = 32, .left = 0, .top = 16, .scaled_width = 64, .scaled_height = 32};
  const ObjectInGrid o = object_in_grid({data::kRed, data::kCircle, 50, 25, 5, 0}, e);
  EXPECT_DOUBLE_EQ(o.x, 1);
  EXPECT_DOUBLE_EQ(o.y, 1);
}

TEST(PointingGameTest, NearIsOneCellFromTheCentreAlongBothAxes) {
  const ObjectInGrid o{3.0, 1.0, 0.4, 0.4};  // on a corner of four cells: all four are near, their neighbours are not
  int near = 0;
  for (int cell = 0; cell < 36; ++cell) near += is_near(cell, 6, o);
  EXPECT_EQ(near, 4);
  EXPECT_TRUE(is_near(0 * 6 + 2, 6, o));
  EXPECT_TRUE(is_near(1 * 6 + 3, 6, o));
  EXPECT_FALSE(is_near(1 * 6 + 4, 6, o));
  EXPECT_TRUE(is_near(14, 6, {2.5, 3.4, 0.4, 0.4}));   // 0.9 below the cell's middle
  EXPECT_FALSE(is_near(14, 6, {2.5, 3.6, 0.4, 0.4}));  // 1.1
}

TEST(PointingGameTest, TheBoxCountsTheCellsItTouches) {
  const ObjectInGrid inside{2.5, 2.5, 0.4, 0.4}, across{3.1, 2.5, 0.4, 0.4};
  int touched = 0;
  for (int cell = 0; cell < 36; ++cell) touched += touches_box(cell, 6, inside);
  EXPECT_EQ(touched, 1);
  EXPECT_TRUE(touches_box(14, 6, inside));
  EXPECT_TRUE(touches_box(14, 6, across));
  EXPECT_TRUE(touches_box(15, 6, across));
  EXPECT_FALSE(touches_box(16, 6, across));
}

TEST(PointingGameTest, ScoresTheMeanOfTheAnswersTokens) {
  // The first token's peak is higher, the others agree on cell 15.
  PointingScore score;
  const ObjectInGrid o{3.5, 2.5, 0.4, 0.4};
  score.add(paper_grid({peak_at(0), peak_at(15), peak_at(15)}), o);
  EXPECT_EQ(score.near, 1);
  EXPECT_EQ(score.in_box, 1);
  score.add(paper_grid({peak_at(0)}), o);
  score.add(paper_grid({}), o);  // no answer: a miss
  EXPECT_EQ(score.images, 3);
  EXPECT_EQ(score.near, 1);
  EXPECT_NEAR(score.in_box_chance, 3.0 / 36, 1e-9);
}

TEST(PointingGameTest, ChanceOverManyPlacesIsThatOfTheIssue) {
  data::Rng rng(1);
  PointingScore score;
  const Explanation e = paper_grid({peak_at(17)});
  for (int i = 0; i < 400; ++i) {
    const data::Scene scene = data::generate_scene(rng, {});
    score.add(e, object_in_grid(scene.objects[0], e));
  }
  EXPECT_NEAR(score.near_chance / 400, 0.11, 0.01);
}

}  // namespace
}  // namespace sf
