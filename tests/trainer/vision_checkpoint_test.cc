// An encoder of timm's on its whole way: converted, given to a training run, frozen or fine-tuned.
#include "trainer/vision_checkpoint.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/checkpoint/store.h"
#include "engine/image/image.h"
#include "engine/import/import_encoder.h"
#include "engine/runtime/checkpoint_model.h"
#include "engine/runtime/prompt_maker.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_model.h"
#include "trainer/checkpointer.h"
#include "trainer/tasks/registry.h"
#include "trainer/trainer.h"

namespace sf {
namespace {

const std::string kTimmFile = test::source_dir() + "/tests/parity/goldens/timm_vit.safetensors";

// The golden ViT (width 32, 2 blocks, 8 px patches) at 64 px: 8 x 8 tokens.
void convert(const std::filesystem::path& directory, VisionImportOptions vision = {}) {
  vision.num_heads = 2;
  vision.image_size = 64;
  ImportOptions options;
  options.source = kTimmFile;
  options.destination = directory;
  import_encoder(import_timm, options, vision);
}

TrainOptions short_run(const std::filesystem::path& store) {
  TrainOptions options;
  options.model = "toy";
  options.out = store.string();
  options.steps = 2;
  options.batch_size = 2;
  options.questions = 2;
  options.evaluate_every = 100;
  options.publish = "all";
  options.threads = 1;
  return options;
}

CheckpointModel trained(const TrainOptions& options) {
  TrainSink sink;
  sink.message = [](const std::string&) {};
  sink.step = [](int64_t, int64_t, const StepReport& report) { EXPECT_TRUE(std::isfinite(report.loss)); };
  sink.evaluated = [](int64_t, const TaskEvaluation&) {};
  sink.published = [](int64_t, int64_t, double) {};
  const auto task = make_task({.evaluation_images = 1});
  train(options, *task, sink, [] { return false; });
  return load_checkpoint_model(open_checkpoint(list_versions(options.out).back().path));
}

// Names of the encoder's tensors that differ from the converted ones.
std::vector<std::string> changed(const CheckpointModel& model, const std::filesystem::path& encoder) {
  Vlm before(model.config);
  load_encoder(open_vision_checkpoint(encoder), before);
  const auto were = before.named_parameters();
  std::vector<std::string> names;
  for (const auto& item : model.vlm->named_parameters()) {
    if (item.key().starts_with("vision.") && !item.value().equal(were[item.key()])) names.push_back(item.key());
  }
  return names;
}

TEST(VisionCheckpointTest, AFrozenEncoderStaysAndAFineTunedOneMoves) {
  test::TempFolder folder;
  const std::filesystem::path encoder = folder.path() / "encoder";
  convert(encoder);
  TrainOptions options = short_run(folder.path() / "frozen");
  options.vit_init = encoder.string();
  options.freeze_vit = true;
  const CheckpointModel frozen = trained(options);
  EXPECT_EQ(frozen.config.image.resize, ImageResize::kCrop);
  EXPECT_EQ(frozen.config.vision.position_embedding, PositionEmbedding::kTable);
  EXPECT_EQ(max_image_tokens(frozen.config), 16);  // shuffle2 of 8 x 8
  EXPECT_TRUE(changed(frozen, encoder).empty()) << changed(frozen, encoder)[0];
  const VerifiedCheckpoint version = open_checkpoint(list_versions(options.out).back().path);
  const std::string state = read_training_state(version.path(), version.manifest(), "state.safetensors");
  const Safetensors tensors = Safetensors::parse(state, "state.safetensors");
  EXPECT_EQ(tensors.find("m.vision.class_token"), nullptr);
  EXPECT_NE(tensors.find("m.projector.fc1_weight"), nullptr);

  options = short_run(folder.path() / "tuned");
  options.vit_init = (encoder / "model.safetensors").string();  // the file stands for its directory
  options.projector = "mlp";
  const CheckpointModel tuned = trained(options);
  EXPECT_EQ(max_image_tokens(tuned.config), 64);
  const std::vector<std::string> moved = changed(tuned, encoder);
  EXPECT_EQ(std::count(moved.begin(), moved.end(), "vision.position_embedding"), 1);
  EXPECT_EQ(std::count(moved.begin(), moved.end(), "vision.stem_weight0"), 1);
  EXPECT_GT(moved.size(), 20u);
}

TEST(VisionCheckpointTest, AResumedRunGoesOnWithTheEncoderFrozen) {
  test::TempFolder folder;
  const std::filesystem::path encoder = folder.path() / "encoder";
  convert(encoder, {.features = "class"});
  TrainOptions options = short_run(folder.path() / "store");
  options.vit_init = encoder.string();
  options.freeze_vit = true;
  options.steps = 1;
  EXPECT_EQ(max_image_tokens(trained(options).config), 1);  // the class token
  options.resume = true;
  options.steps = 2;
  EXPECT_TRUE(changed(trained(options), encoder).empty());
}

TEST(VisionCheckpointTest, AWholeModelsEncoderCanBeTaken) {
  test::TempFolder folder;
  ModelConfig config = test::tiny_config();
  use_encoder(config, open_vision_checkpoint(test::source_dir() + "/models/demo").config);
  EXPECT_EQ(config.image.cell_size, 32);
  EXPECT_EQ(config.image.max_cells, 36);
  Vlm vlm(config);
  load_encoder(open_vision_checkpoint(test::source_dir() + "/models/demo"), vlm);
  const CheckpointModel demo = load_checkpoint_model(open_checkpoint(test::source_dir() + "/models/demo"));
  EXPECT_TRUE(vlm.named_parameters()["vision.block0.qkv_weight"].equal(
      demo.vlm->named_parameters()["vision.block0.qkv_weight"]));
}

// The server checks a new version with images made of the trainer's pixels: they must come to the same pixels again.
TEST(GoldenImageTest, PreprocessesToThePixelsThatItWasMadeOf) {
  ImageConfig crop;
  crop.resize = ImageResize::kCrop;
  crop.cell_size = 16;
  crop.crop_side = 64;
  crop.mean = {0.4, 0.5, 0.6};
  for (int resize_side : {64, 65, 67, 71}) {
    for (const ImageCropOffset offset : {ImageCropOffset::kEven, ImageCropOffset::kFloor}) {
      crop.resize_side = resize_side;
      crop.crop_offset = offset;
      const PixelValues pixels = preprocess(decode_image(test::random_image(3, 90, 75), {}), preprocess_options(crop));
      EXPECT_EQ(preprocess(image_of(pixels, crop), preprocess_options(crop)).values, pixels.values)
          << resize_side << offset;
    }
  }
  const ImageConfig fit;
  const PixelValues pixels = preprocess(decode_image(test::random_image(3, 90, 75), {}), preprocess_options(fit));
  const Image image = image_of(pixels, fit);
  EXPECT_EQ(image.width, pixels.grid.columns * fit.cell_size);
  const PixelValues again = preprocess(image, preprocess_options(fit));
  // The padding's grey of 0.5 lies between two levels.
  for (size_t i = 0; i < pixels.values.size(); ++i) ASSERT_NEAR(again.values[i], pixels.values[i], 0.6 / 255 / 0.25);
}

TEST(VisionCheckpointTest, SaysWhatIsNoEncoder) {
  test::TempFolder folder;
  auto refusal = [](const std::function<void()>& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(refusal([&] { open_vision_checkpoint(kTimmFile); }).find("sparsefusion-model convert --from timm"),
            std::string::npos);
  EXPECT_NE(refusal([&] { convert(folder.path()); }).find("is there already"), std::string::npos);
  ImportOptions options;
  options.source = kTimmFile;
  options.destination = folder.path() / "odd";
  EXPECT_NE(refusal([&] { import_encoder(import_timm, options, {.num_heads = 2, .image_size = 60}); }).find("multiple"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(options.destination));
  convert(folder.path() / "encoder");
  EXPECT_NE(refusal([&] { load_checkpoint_model(open_checkpoint(folder.path() / "encoder")); }).find("--vit-init"),
            std::string::npos);
  TrainOptions train_options = short_run(folder.path() / "store");
  train_options.vit_init = (folder.path() / "encoder").string();
  train_options.init = test::source_dir() + "/models/demo";
  EXPECT_NE(refusal([&] { trained(train_options); }).find("--init"), std::string::npos);
}

}  // namespace
}  // namespace sf
