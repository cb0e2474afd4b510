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

// One convolution of `pixels` x `pixels`: small images have many tokens.
VisionConfig patch_config(int pixels) {
  VisionConfig config = vit_config();
  config.stem = StemKind::kPatch;
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
  EXPECT_THROW(vit.forward(torch::zeros({2, 3, 4, 4}), {{0, 0, 4, 4}}), Error);  // one box for two images
}

TEST(VitTest, ABatchEqualsItsImagesAlone) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(2);
  Vit vit(vit_config());
  for (auto [rows, columns] : {std::pair{12, 12}, {8, 16}, {18, 2}, {1, 1}}) {
    at::Tensor pixels = torch::randn({2, 3, rows * 16, columns * 16});
    const std::vector<ImageBox> boxes = {{0, 0, columns * 16, rows * 16}, {3, 1, columns * 16 - 5, rows * 16 - 2}};
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
  const std::vector<ImageBox> boxes = {{0, 0, 96, 64}};
  at::Tensor training = vit.forward(pixels, boxes).detach();
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(vit.forward(pixels, boxes), training, 1e-4, 1e-5));
}

// A second encoder without coordinate channels is shown, as image, what the first one's coordinates must be: pixel
// centres over -1..1 of the box, also outside it.
TEST(VitTest, CoordinatesRunOverTheImagesBox) {
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
  for (const ImageBox& box : {ImageBox{0, 0, 28, 20}, ImageBox{5, 0, 18, 20}, ImageBox{0, 9, 28, 2}}) {
    at::Tensor pixels = torch::randn({1, 3, height, width}), image = pixels.clone();
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        image[0][1][y][x] = 2 * (x + 0.5 - box.left) / box.width - 1;
        image[0][2][y][x] = 2 * (y + 0.5 - box.top) / box.height - 1;
      }
    }
    EXPECT_TRUE(at::allclose(vit.forward(pixels, {box}), shown.forward(image, {box}), 1e-4, 1e-4))
        << box.left << " " << box.top;
  }
}

// As timm's and CLIP's encoders are built.
VisionConfig table_config() {
  VisionConfig config = vit_config();
  config.stem = StemKind::kLinear;
  config.token_size = 4;
  config.position_embedding = PositionEmbedding::kTable;
  config.position_rows = 3;
  config.position_columns = 5;
  config.class_token = true;
  config.coordinates = config.relative_bias = false;
  return config;
}

at::Tensor encode(const Vit& vit, const at::Tensor& pixels) {
  return vit.encode(pixels, std::vector<ImageBox>(pixels.size(0), {0, 0, int(pixels.size(3)), int(pixels.size(2))}));
}

TEST(VitTest, FeaturesAreThePatchesTheClassTokenOrAll) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(6);
  VisionConfig config = table_config();
  config.features = VisionFeatures::kAll;
  Vit vit(config);
  at::Tensor x = encode(vit, torch::randn({2, 3, 12, 20}));
  EXPECT_EQ(x.sizes(), at::IntArrayRef({2, 16, 24}));
  EXPECT_TRUE(vit.features(x).equal(x));
  EXPECT_TRUE(vit.patches(x).equal(x.narrow(1, 1, 15)));
  config.features = VisionFeatures::kClass;
  EXPECT_TRUE(Vit(config).features(x).equal(x.narrow(1, 0, 1)));
  config.features = VisionFeatures::kPatches;
  EXPECT_TRUE(Vit(config).features(x).equal(x.narrow(1, 1, 15)));
}

// Without blocks' mixing the table's row of a token is all that tells two tokens of a constant image apart.
TEST(VitTest, ATableIsResampledToOtherGridsAndKeepsAConstant) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(7);
  VisionConfig config = table_config();
  config.final_norm = false;
  Vit vit(config);
  at::Tensor table = vit.named_parameters()["position_embedding"];
  table.slice(0, 1).copy_(torch::randn({1, 24}).expand({15, 24}));
  at::Tensor own = encode(vit, torch::zeros({1, 3, 12, 20}));
  for (auto [rows, columns] : {std::pair{1, 1}, {3, 4}, {9, 2}, {18, 18}}) {
    at::Tensor other = encode(vit, torch::zeros({1, 3, rows * 4, columns * 4}));
    EXPECT_EQ(other.size(1), 1 + rows * columns);
    at::Tensor spread = other.slice(1, 1) - other.narrow(1, 1, 1);
    EXPECT_LT(spread.abs().max().item<double>(), 1e-4) << rows << "x" << columns;  // f32, weights that sum to 1
  }
  table.slice(0, 1).copy_(torch::randn({15, 24}));
  at::Tensor now = encode(vit, torch::zeros({1, 3, 12, 20}));
  EXPECT_FALSE(at::allclose(now, own, 1e-3, 1e-3));
}

TEST(VitTest, GradientsReachTheTableAlsoWhereItIsResampled) {
  torch::manual_seed(8);
  VisionConfig config = table_config();
  config.layer_scale = config.pre_norm = true;
  config.activation = VisionActivation::kQuickGelu;
  Vit vit(config);
  for (auto [rows, columns] : {std::pair{3, 5}, {6, 6}, {2, 2}}) {
    vit.zero_grad();
    encode(vit, torch::randn({2, 3, rows * 4, columns * 4})).square().sum().backward();
    for (const auto& item : vit.named_parameters()) {
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      if (item.key() != "position_embedding") continue;
      EXPECT_TRUE(item.value().grad().abs().sum(1).gt(0).all().item<bool>()) << rows << "x" << columns;
    }
  }
}

// One step of the table moves the output as its gradient says.
TEST(VitTest, TheTablesGradientIsThatOfFiniteDifferences) {
  torch::manual_seed(9);
  Vit vit(table_config());
  vit.to(at::kDouble);
  at::Tensor pixels = torch::randn({1, 3, 24, 16}, at::kDouble), weight = torch::randn({1, 25, 24}, at::kDouble);
  auto loss = [&] { return (encode(vit, pixels) * weight).sum(); };
  loss().backward();
  at::Tensor table = vit.named_parameters()["position_embedding"];
  torch::NoGradGuard no_grad;
  const double step = 1e-5;
  for (auto [row, column] : {std::pair{0, 3}, {1, 0}, {8, 11}, {15, 23}}) {
    table[row][column] += step;
    const double above = loss().item<double>();
    table[row][column] -= 2 * step;
    const double below = loss().item<double>();
    table[row][column] += step;
    EXPECT_NEAR((above - below) / (2 * step), table.grad()[row][column].item<double>(), 1e-6);
  }
}

TEST(VitTest, TheClassTokenHasNoBiasAndTrainsAsItServes) {
  torch::manual_seed(10);
  VisionConfig config = vit_config();
  config.class_token = true;
  config.num_layers = 1;
  Vit vit(config);
  for (auto& item : vit.named_parameters()) {
    if (item.key().find("relative_bias") != std::string::npos) torch::nn::init::normal_(item.value(), 0, 0.5);
  }
  at::Tensor pixels = torch::randn({1, 3, 48, 32});
  at::Tensor training = encode(vit, pixels).detach();
  EXPECT_EQ(training.size(1), 7);
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(encode(vit, pixels), training, 1e-4, 1e-5));
  for (auto& item : vit.named_parameters()) {
    if (item.key().find("relative_bias") != std::string::npos) item.value().zero_();
  }
  at::Tensor without = encode(vit, pixels);
  EXPECT_TRUE(at::allclose(without.select(1, 0), training.select(1, 0), 1e-4, 1e-5));  // in one layer it sees no bias
  EXPECT_FALSE(at::allclose(without.slice(1, 1), training.slice(1, 1), 1e-3, 1e-3));
}

TEST(VitTest, ActivationsFollowTheirFormulas) {
  torch::NoGradGuard no_grad;
  torch::manual_seed(11);
  VisionConfig config = table_config();
  config.num_layers = 1;
  config.final_norm = false;
  config.layer_scale = true;
  at::Tensor pixels = torch::randn({1, 3, 12, 20});
  Vit reference(config);
  for (auto& item : reference.named_parameters()) {
    if (item.key().find("scale1") != std::string::npos) item.value().zero_();  // attention adds nothing
    if (item.key().find("scale2") != std::string::npos) item.value().fill_(0.5);
  }
  auto outputs = [&](VisionActivation activation) {
    config.activation = activation;
    Vit vit(config);
    const auto from = reference.named_parameters(), to = vit.named_parameters();
    for (const auto& item : from) to[item.key()].copy_(item.value());
    return encode(vit, pixels);
  };
  config.num_layers = 0;
  Vit tokens(config);
  for (auto& item : tokens.named_parameters()) item.value().copy_(reference.named_parameters()[item.key()]);
  config.num_layers = 1;
  const auto p = reference.named_parameters();
  at::Tensor x = encode(tokens, pixels);
  at::Tensor h = at::linear(at::layer_norm(x, {24}, p["block0.norm2_weight"], p["block0.norm2_bias"], config.norm_eps),
                            p["block0.fc1_weight"], p["block0.fc1_bias"]);
  auto expected = [&](const at::Tensor& active) {
    return x + 0.5 * at::linear(active, p["block0.fc2_weight"], p["block0.fc2_bias"]);
  };
  EXPECT_TRUE(at::allclose(outputs(VisionActivation::kGelu), expected(h * 0.5 * (1 + at::erf(h / std::sqrt(2.0)))),
                           1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(outputs(VisionActivation::kQuickGelu), expected(h / (1 + at::exp(-1.702 * h))), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(outputs(VisionActivation::kGeluTanh),
                           expected(h * 0.5 * (1 + at::tanh(std::sqrt(2 / M_PI) * (h + 0.044715 * h.pow(3))))), 1e-4,
                           1e-5));
}

}  // namespace
}  // namespace sf
