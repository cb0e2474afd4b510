#include "engine/model/vit.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace sf {
namespace {

VisionConfig vit_config() {
  VisionConfig config;
  config.width = 24;
  config.stem_channels = {8, 16};
  config.num_heads = 2;
  config.mlp_width = 32;
  config.num_layers = 2;
  return config;
}

// One convolution of `pixels` x `pixels`: small pictures have many tokens.
VisionConfig patch_config(int pixels) {
  VisionConfig config = vit_config();
  config.stem = "patch";
  config.token_size = pixels;
  return config;
}

TEST(VitTest, TakesEveryGridUpToMaxSide) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(1);
  const VisionConfig config = patch_config(4);
  Vit vit(config);
  for (int rows = 1; rows <= config.max_side; ++rows) {
    for (int columns = 1; columns <= config.max_side; ++columns) {
      at::Tensor pixels = torch::randn({1, 3, rows * 4, columns * 4});
      at::Tensor x = vit.forward(pixels, {{0, 0, columns * 4, rows * 4}});
      ASSERT_EQ(x.sizes(), at::IntArrayRef({1, rows * columns, config.width}));
      ASSERT_TRUE(x.isfinite().all().item<bool>()) << rows << " x " << columns;
    }
  }
  EXPECT_THROW(vit.forward(torch::zeros({1, 3, 19 * 4, 4}), {{0, 0, 4, 76}}), Error);
  EXPECT_THROW(vit.forward(torch::zeros({2, 3, 4, 4}), {{0, 0, 4, 4}}), Error);  // one box for two pictures
}

TEST(VitTest, ABatchEqualsItsPicturesAlone) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  Vit vit(vit_config());
  for (auto [rows, columns] : {std::pair{12, 12}, {8, 16}, {18, 2}, {1, 1}}) {
    at::Tensor pixels = torch::randn({2, 3, rows * 16, columns * 16});
    const std::vector<PictureBox> boxes = {{0, 0, columns * 16, rows * 16}, {3, 1, columns * 16 - 5, rows * 16 - 2}};
    at::Tensor both = vit.forward(pixels, boxes);
    EXPECT_EQ(both.sizes(), at::IntArrayRef({2, rows * columns, 24}));
    EXPECT_TRUE(at::allclose(both.narrow(0, 1, 1), vit.forward(pixels.narrow(0, 1, 1), {boxes[1]}), 1e-4, 1e-4));
  }
}

TEST(VitTest, TrainingAndServingAttentionAgree) {
  torch::manual_seed(5);
  Vit vit(vit_config());
  for (auto& item : vit.named_parameters()) {
    if (item.key().find("relative_bias") != std::string::npos) torch::nn::init::normal_(item.value(), 0, 0.5);
  }
  at::Tensor pixels = torch::randn({1, 3, 64, 96});
  const std::vector<PictureBox> boxes = {{0, 0, 96, 64}};
  at::Tensor training = vit.forward(pixels, boxes).detach();
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(vit.forward(pixels, boxes), training, 1e-4, 1e-5));
}

// A second encoder without coordinate channels is shown, as picture, what the first one's coordinates must be: pixel
// centres over -1..1 of the box, also outside it.
TEST(VitTest, CoordinatesRunOverThePicturesBox) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(3);
  VisionConfig with = patch_config(4), without = patch_config(4);
  without.coordinates = false;
  Vit vit(with), shown(without);
  const auto from = vit.named_parameters(), to = shown.named_parameters();
  for (const auto& item : from) {
    if (item.key() != "stem_weight0") to[item.key()].copy_(item.value());
  }
  from["stem_weight0"].narrow(1, 1, 2).zero_();  // green and blue
  to["stem_weight0"].copy_(from["stem_weight0"].index_select(1, torch::tensor({0, 3, 4})));
  const int64_t height = 20, width = 28;
  for (const PictureBox& box : {PictureBox{0, 0, 28, 20}, PictureBox{5, 0, 18, 20}, PictureBox{0, 9, 28, 2}}) {
    at::Tensor pixels = torch::randn({1, 3, height, width}), picture = pixels.clone();
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        picture[0][1][y][x] = 2 * (x + 0.5 - box.left) / box.width - 1;
        picture[0][2][y][x] = 2 * (y + 0.5 - box.top) / box.height - 1;
      }
    }
    EXPECT_TRUE(at::allclose(vit.forward(pixels, {box}), shown.forward(picture, {box}), 1e-4, 1e-4)) << box.left << " " << box.top;
  }
}

}  // namespace
}  // namespace sf
