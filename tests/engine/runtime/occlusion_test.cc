// Painted parts of an image and what they cost the answer.
#include "engine/runtime/explain/occlusion.h"

#include <gtest/gtest.h>

#include "tests/engine/runtime/explain_parts.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf {
namespace {

constexpr double kFallTolerance = 1e-4;  // of log-probabilities: f32, other shapes round differently

const ExplainCheck kUnchecked = [] {};

TEST(OcclusionTest, PaintingOverEmptyGroundChangesNothing) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(11);
  // A white image with one object in the top left corner.
  data::Scene scene{64, 64, {{data::kRed, data::kSquare, 8, 8, 6, 0}}};
  data::Rng rng(1);
  const std::string png = encode_png(data::render(scene, data::plain_style(), rng));
  test::ExplainParts parts(
      *vlm, {{"user", {{Part::Kind::kImage, png}, {Part::Kind::kText, "what shape is the red object?"}}}});
  std::vector<int> ids = parts.prompt->tokens.ids;
  ids.push_back(7);
  int checks = 0;
  const at::Tensor drops = occlusion_drops(parts.sequence, ids, [&] { ++checks; });
  const GridSize grid = parts.sequence.image().grid;
  ASSERT_EQ(drops.sizes(), (std::vector<int64_t>{1, grid.rows * grid.columns}));
  EXPECT_GT(checks, 1);
  // No window over the last cell reaches the object.
  EXPECT_NEAR(drops[0][grid.rows * grid.columns - 1].item<double>(), 0, 1e-5);
  EXPECT_GE(drops.min().item<double>(), 0);
}

TEST(OcclusionTest, IsTheFallOfTheTokensLogProbability) {
  torch::NoGradGuard no_grad;
  const auto vlm = test::tiny_vlm(11);
  data::Rng rng(1);
  const data::Scene scene{64, 64, {{data::kBlue, data::kCircle, 8, 8, 6, 0}}};  // in the corner cell
  const std::string png = encode_png(data::render(scene, data::plain_style(), rng));
  test::ExplainParts parts(*vlm, {{"user", {{Part::Kind::kImage, png}, {Part::Kind::kText, "count blue"}}}});
  const GridSize grid = parts.sequence.image().grid;
  const int64_t cell = vlm->config().image.cell_size;
  const std::vector<int>& ids = parts.prompt->tokens.ids;
  const auto logprobs = [&](const at::Tensor& pixels) {
    return at::log_softmax(parts.sequence.next_logits(parts.sequence.encode(pixels), ids), 1)[0];
  };
  const at::Tensor whole = logprobs(parts.sequence.pixels());
  // By hand: the windows over the corner cell, of which one is wholly, two half and one a quarter on it.
  at::Tensor falls = at::zeros_like(whole);
  double weights = 0;
  ASSERT_GT(grid.rows, 1);
  for (int64_t dy : {int64_t{0}, cell / 2}) {
    for (int64_t dx : {int64_t{0}, cell / 2}) {
      at::Tensor painted = parts.sequence.pixels().clone();
      painted.slice(2, dy, dy + cell).slice(3, dx, dx + cell).fill_((1.0 - 0.5) / 0.25);  // white
      const double weight = double((cell - dy) * (cell - dx));
      falls += weight * (whole - logprobs(painted)).clamp_min(0);
      weights += weight;
    }
  }
  falls /= weights;
  const int most = static_cast<int>(falls.argmax().item<int64_t>()),
            least = static_cast<int>(falls.argmin().item<int64_t>());
  ASSERT_GT(falls[most].item<double>(), 20 * kFallTolerance);  // else the test would see nothing
  for (int token : {most, least}) {
    std::vector<int> answered = ids;
    answered.push_back(token);
    EXPECT_NEAR(occlusion_drops(parts.sequence, answered, kUnchecked)[0][0].item<double>(), falls[token].item<double>(),
                kFallTolerance);
  }
}

}  // namespace
}  // namespace sf
