// The vision encoder and its preprocessing against timm, transformers and PIL: the goldens of make_vision_goldens.py,
// and with SF_PARITY_FULL=DIR the full-size ones that it wrote there (--full).
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/checkpoint/convert_elements.h"
#include "engine/checkpoint/sharded_tensors.h"
#include "engine/image/preprocess.h"
#include "engine/import/vision.h"
#include "engine/model/vit.h"
#include "tests/support/paths.h"

namespace sf {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-4;      // of hidden states of magnitude 1: f32, other orders of summation
constexpr double kFullTolerance = 1e-4;  // the same after twelve layers of widths 384 and 768
constexpr double kGreyLevel = 1.01 / 255;

fs::path goldens() {
  const char* regenerated = std::getenv("SPARSEFUSION_PARITY_GOLDENS");
  return regenerated ? fs::path(regenerated) : fs::path(test::source_dir()) / "tests/parity/goldens";
}

// A golden file's tensors, as f32 or as bytes.
class Golden {
 public:
  explicit Golden(const fs::path& path)
      : bytes_(read_file(path, int64_t{1} << 30)), file_(Safetensors::parse(bytes_, path.string())) {}

  at::Tensor tensor(const std::string& name) const {
    const TensorView& view = file_.at(name);
    const std::vector<float> values = to_floats(view.bytes, view.dtype);
    return torch::tensor(values).view(view.shape);
  }
  Image image(const std::string& name) const {
    const TensorView& view = file_.at(name);
    return {static_cast<int>(view.shape[1]), static_cast<int>(view.shape[0]), {view.bytes.begin(), view.bytes.end()}};
  }
  std::string_view raw(const std::string& name) const { return file_.at(name).bytes; }
  const std::map<std::string, TensorView>& tensors() const { return file_.tensors(); }

 private:
  std::string bytes_;
  Safetensors file_;
};

// The whole way of a conversion: plan, check, written file, and the encoder that loads it.
struct Imported {
  VisionModelConfig config;
  std::shared_ptr<Vit> vit;
};

Imported imported(const std::string& from, const fs::path& path, const VisionImportOptions& options) {
  torch::NoGradGuard no_grad;
  const ShardedTensors source = ShardedTensors::of_file(path);
  const VisionImport import = from == "timm" ? import_timm(source, options, {}) : import_clip(source, options, {});
  check_plan(import.plan, source);
  const fs::path written = fs::temp_directory_path() / concat("sparsefusion-parity-", ::getpid(), ".safetensors");
  write_planned(import.plan, source, written, {});
  Imported out{parse_vision_config(import.config_json), nullptr};
  out.vit = std::make_shared<Vit>(out.config.vision);
  {
    const Golden weights(written);
    const auto parameters = out.vit->named_parameters();
    EXPECT_EQ(weights.tensors().size(), parameters.size());
    for (const auto& item : parameters) item.value().copy_(weights.tensor("vision." + item.key()));
  }
  fs::remove(written);
  return out;
}

at::Tensor encode(const Vit& vit, const at::Tensor& pixels) {
  torch::NoGradGuard no_grad;
  return vit.encode(pixels, std::vector<ImageBox>(pixels.size(0), {0, 0, int(pixels.size(3)), int(pixels.size(2))}));
}

void expect_close(const at::Tensor& ours, const at::Tensor& theirs, double tolerance, const std::string& what) {
  ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
  EXPECT_LT((ours - theirs).abs().max().item<double>(), tolerance) << what;
}

TEST(TimmParityTest, HiddenStatesAgree) {
  const Golden golden(goldens() / "timm_vit_outputs.safetensors");
  const Imported model = imported("timm", goldens() / "timm_vit.safetensors", {.num_heads = 2});
  EXPECT_EQ(model.config.image.resize_side, 35);  // floor(32 / 0.9)
  EXPECT_EQ(model.config.image.crop_side, 32);
  EXPECT_EQ(model.config.vision.norm_eps, 1e-6);
  expect_close(encode(*model.vit, golden.tensor("pixels")), golden.tensor("hidden"), kTolerance, "hidden");
}

TEST(TimmParityTest, PositionsResampledToOtherGridsAgree) {
  const Golden golden(goldens() / "timm_vit_outputs.safetensors");
  Imported model = imported("timm", goldens() / "timm_vit.safetensors", {.num_heads = 2, .image_size = 56});
  EXPECT_EQ(model.config.vision.position_rows, 4);
  expect_close(encode(*model.vit, golden.tensor("other_pixels")), golden.tensor("other_hidden"), kTolerance,
               "48x24 px");
  // The table alone: without blocks and norm, of black images, what is left is positions and the stem's bias.
  model.config.vision.num_layers = 0;
  model.config.vision.final_norm = false;
  Vit bare(model.config.vision);
  torch::NoGradGuard no_grad;
  for (auto& item : bare.named_parameters()) item.value().copy_(model.vit->named_parameters()[item.key()]);
  bare.named_parameters()["stem_bias0"].zero_();
  bare.named_parameters()["class_token"].zero_();
  for (auto [rows, columns] : {std::pair{6, 3}, {2, 7}, {4, 4}}) {
    const std::string name = concat("positions_", rows, "x", columns);
    expect_close(encode(bare, torch::zeros({1, 3, rows * 8, columns * 8})), golden.tensor(name), 1e-5, name);
  }
}

TEST(TimmParityTest, HalfPrecisionFilesBecomeTheirRoundedValues) {
  const Golden exact(goldens() / "timm_vit.safetensors");
  for (const auto& [name, relative] : {std::pair{"f16", 1.0 / 2048}, {"bf16", 1.0 / 256}}) {
    const Golden half(goldens() / concat("timm_vit_", name, ".safetensors"));
    for (const auto& [tensor, view] : half.tensors()) {
      const at::Tensor from = exact.tensor(tensor);
      EXPECT_TRUE(((half.tensor(tensor) - from).abs() <= from.abs() * relative + 1e-6).all().item<bool>())
          << name << " " << tensor;
    }
  }
}

TEST(ClipParityTest, HiddenStatesAgreeAtEveryFeatureLayer) {
  const Golden golden(goldens() / "clip_vit_outputs.safetensors");
  const at::Tensor pixels = golden.tensor("pixels");
  const fs::path path = goldens() / "clip_vit.safetensors";
  const Imported whole = imported("clip", path, {.num_heads = 2});
  EXPECT_EQ(whole.config.vision.norm_eps, 1e-5);
  EXPECT_EQ(whole.config.image.crop_offset, ImageCropOffset::kFloor);
  expect_close(encode(*whole.vit, pixels), golden.tensor("post_norm"), kTolerance, "post_norm");
  expect_close(encode(*whole.vit, pixels).select(1, 0), golden.tensor("pooler_output"), kTolerance, "pooler_output");
  const Imported last = imported("clip", path, {.num_heads = 2, .feature_layer = -1});
  expect_close(encode(*last.vit, pixels), golden.tensor("last_hidden_state"), kTolerance, "last_hidden_state");
  const Imported second = imported("clip", path, {.num_heads = 2, .feature_layer = -2});
  EXPECT_EQ(second.config.vision.num_layers, whole.config.vision.num_layers - 1);
  expect_close(encode(*second.vit, pixels), golden.tensor("second_to_last"), kTolerance, "second_to_last");
}

// The image itself within one grey level, the crop at the same pixel; the crops of the two libraries differ.
TEST(PreprocessingParityTest, CropsAreThoseOfTimmAndOfTransformers) {
  const Golden golden(goldens() / "pictures.safetensors");
  int images = 0, differing = 0;
  for (const auto& [name, view] : golden.tensors()) {
    if (name.rfind("picture_", 0) != 0) continue;
    ++images;
    const std::string size = name.substr(8);
    const Image image = golden.image(name);
    PreprocessOptions options;
    options.crop = true;
    options.cell_size = 8;
    options.crop_side = 32;
    options.resize_side = 37;
    options.mean = {0, 0, 0};
    options.std = {1, 1, 1};
    for (const auto& [prefix, offset] : {std::pair{"timm37_", CropOffset::kEven}, {"clip37_", CropOffset::kFloor}}) {
      options.crop_offset = offset;
      const PixelValues ours = preprocess(image, options);
      const std::string_view theirs = golden.raw(prefix + size);
      ASSERT_EQ(ours.values.size(), theirs.size());
      for (size_t i = 0; i < theirs.size(); ++i) {
        ASSERT_NEAR(ours.values[i], static_cast<float>(static_cast<uint8_t>(theirs[i])) / 255.0f, kGreyLevel)
            << prefix << size << " at " << i;
      }
    }
    differing += golden.raw("timm37_" + size) != golden.raw("clip37_" + size);
    options.resize_side = 35;
    options.crop_offset = CropOffset::kEven;
    options.mean = {0.5f, 0.4f, 0.3f};
    options.std = {0.5f, 0.25f, 0.2f};
    const PixelValues ours = preprocess(image, options);
    const at::Tensor theirs = golden.tensor("timm_" + size);
    at::Tensor scale = torch::tensor({0.5, 0.25, 0.2}).view({3, 1, 1});
    expect_close(torch::tensor(ours.values).view({3, 32, 32}) * scale, theirs * scale, kGreyLevel, "timm_" + size);
  }
  EXPECT_EQ(images, 9);
  EXPECT_GT(differing, 0);
}

// torchvision's Resize of a PIL image, which the original SparseFusion uses.
TEST(PreprocessingParityTest, AStretchedImageIsThatOfTheOriginal) {
  const Golden golden(goldens() / "pictures.safetensors");
  PreprocessOptions options;
  options.stretch = true;
  options.cell_size = 8;
  options.crop_side = 32;
  options.mean = {0, 0, 0};
  options.std = {1, 1, 1};
  int images = 0, otherwise = 0;
  for (const auto& [name, view] : golden.tensors()) {
    if (name.rfind("picture_", 0) != 0) continue;
    ++images;
    const std::string_view theirs = golden.raw("seed_" + name.substr(8));
    options.resample = ResampleFilter::kBilinear;
    const PixelValues ours = preprocess(golden.image(name), options);
    options.resample = ResampleFilter::kBicubic;
    const PixelValues other = preprocess(golden.image(name), options);
    ASSERT_EQ(ours.values.size(), theirs.size());
    for (size_t i = 0; i < theirs.size(); ++i) {  // theirs is [y, x, channel]
      const size_t at = i % 3 * 32 * 32 + i / 3;
      const float level = static_cast<float>(static_cast<uint8_t>(theirs[i])) / 255.0f;
      ASSERT_NEAR(ours.values[at], level, kGreyLevel) << name << " at " << i;
      otherwise += std::abs(other.values[at] - level) > 5 * kGreyLevel;
    }
  }
  EXPECT_EQ(images, 9);
  EXPECT_GT(otherwise, 1000) << "the filters cannot be told apart";
}

TEST(FullSizeParityTest, VitSmallAndClipBaseAgree) {
  const char* folder = std::getenv("SF_PARITY_FULL");
  if (folder == nullptr) GTEST_SKIP() << "SF_PARITY_FULL names no folder of make_vision_goldens.py --full";
  const fs::path full(folder);
  {
    const Golden golden(full / "timm_vit_full_outputs.safetensors");
    const Imported model = imported("timm", full / "timm_vit_full.safetensors", {});
    EXPECT_EQ(model.config.vision.num_heads, 6);
    EXPECT_EQ(model.config.image.resize_side, 248);
    expect_close(encode(*model.vit, golden.tensor("pixels")), golden.tensor("hidden"), kFullTolerance, "ViT-S/16");
    expect_close(encode(*model.vit, golden.tensor("other_pixels")), golden.tensor("other_hidden"), kFullTolerance,
                 "ViT-S/16 at 96 px");
  }
  const Golden golden(full / "clip_vit_full_outputs.safetensors");
  const Imported model = imported("clip", full / "clip_vit_full.safetensors", {});
  EXPECT_EQ(model.config.vision.num_heads, 12);
  expect_close(encode(*model.vit, golden.tensor("pixels")), golden.tensor("post_norm"), kFullTolerance, "CLIP-B/16");
}

}  // namespace
}  // namespace sf
