// Several images in one prompt, and the shapes of image tokens other than a grid of cells: one class token, a crop.
#include <gtest/gtest.h>

#include "engine/runtime/prompt_maker.h"
#include "engine/runtime/torch_engine.h"
#include "engine/text/sentencepiece_tokenizer.h"
#include "tests/support/tiny_model.h"

namespace sf {
namespace {

constexpr double kImagesTolerance = 1e-4;  // of log-probabilities: f32, other batch shapes round differently

// The tiny model, its configuration changed by `change`, as an engine.
struct Loaded {
  explicit Loaded(const std::function<void(ModelConfig&)>& change) {
    torch::NoGradGuard no_grad;
    ModelConfig config = test::tiny_config();
    change(config);
    torch::manual_seed(21);
    vlm = std::make_shared<Vlm>(parse_model_config(to_json(config)));
    for (auto& item : vlm->named_parameters()) {
      if (item.value().dim() == 2) item.value().mul_(2);
    }
    vlm->eval();
    test::write_checkpoint_of(*vlm, folder.path());
    engine = make_torch_engine(open_checkpoint(folder.path()), {.threads = 1, .kv_cache_mib = 1});
  }

  // The first tokens of the answer and their log-probabilities, the prompt computed in chunks.
  std::pair<std::vector<int>, std::vector<float>> answer(const std::vector<Message>& messages, int chunk) const {
    const SequenceId id = engine->admit(engine->prepare(messages), {});
    std::pair<std::vector<int>, std::vector<float>> out;
    while (out.first.size() < 4) {
      const SequenceStepResult step =
          engine->step({{{id, std::min(chunk, engine->tokens_to_compute(id))}}}).sequences[0];
      EXPECT_FALSE(step.error) << step.error->what();
      out.first.insert(out.first.end(), step.tokens.begin(), step.tokens.end());
      out.second.insert(out.second.end(), step.logprobs.begin(), step.logprobs.end());
    }
    engine->release(id);
    return out;
  }

  test::TempFolder folder;
  std::shared_ptr<Vlm> vlm;
  std::unique_ptr<Engine> engine;
};

std::vector<Message> ask(const std::vector<std::string>& images) {
  Message message{"user", {}};
  for (const std::string& image : images) message.parts.push_back({Part::Kind::kImage, image});
  message.parts.push_back({Part::Kind::kText, "what shape is the red object?"});
  return {message};
}

std::string square() { return test::random_image(1, 80, 80); }
std::string wide() { return test::random_image(2, 160, 80); }

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kImagesTolerance);
}

TEST(EngineImagesTest, TwoImagesHaveTheirSpansInOrder) {
  const Loaded model([](ModelConfig& config) { config.image.max_images = 2; });
  const PromptMaker maker(load_sentencepiece(test::tiny_tokenizer_model()), model.vlm->config(), {});
  const auto prompt = maker.make(ask({square(), wide()}));
  ASSERT_EQ(prompt->tokens.images.size(), 2u);
  const ImageSpan first = prompt->tokens.images[0], second = prompt->tokens.images[1];
  EXPECT_EQ(std::tuple(first.begin, first.count, first.rows, first.columns), std::tuple(0, 36, 6, 6));
  EXPECT_EQ(std::tuple(second.begin, second.count, second.rows, second.columns), std::tuple(36, 32, 4, 8));
  EXPECT_EQ(prompt->num_image_tokens(), 68);
  EXPECT_EQ(maker.estimate_cost(ask({square(), wide()})).image_tokens, 68);
  EXPECT_THROW(maker.make(ask({square(), wide(), square()})), Error);
}

TEST(EngineImagesTest, TwoImagesInChunksGiveTheWholePromptsAnswerAndTheirOrderMatters) {
  const Loaded model([](ModelConfig& config) { config.image.max_images = 2; });
  const auto whole = model.answer(ask({square(), wide()}), 1000);
  for (int chunk : {1, 17, 36, 50}) {
    const auto chunked = model.answer(ask({square(), wide()}), chunk);
    EXPECT_EQ(chunked.first, whole.first);
    expect_near(chunked.second, whole.second);
  }
  for (const auto& other : {ask({wide(), square()}), ask({square(), square()}), ask({wide(), wide()})}) {
    EXPECT_GT(std::abs(model.answer(other, 1000).second[0] - whole.second[0]), 10 * kImagesTolerance);
  }
}

// The training's forward pass on the same tokens: each image's image tokens in its place, then the text.
TEST(EngineImagesTest, TwoImagesAgreeWithTheModelItself) {
  torch::NoGradGuard no_grad;
  const Loaded model([](ModelConfig& config) { config.image.max_images = 2; });
  const Vlm& vlm = *model.vlm;
  const PromptMaker maker(load_sentencepiece(test::tiny_tokenizer_model()), vlm.config(), {});
  const auto prompt = maker.make(ask({square(), wide()}));
  std::vector<at::Tensor> parts;
  for (const PixelValues& values : prompt->pixels) {
    at::Tensor pixels = torch::tensor(values.values).view({1, 3, values.grid.rows * 32, values.grid.columns * 32});
    parts.push_back(vlm.encode_images(pixels, {{values.left, values.top, values.width, values.height}})[0]);
  }
  const std::vector<int>& ids = prompt->tokens.ids;
  parts.push_back(
      vlm.embed_text(torch::tensor(std::vector<int64_t>(ids.begin() + prompt->num_image_tokens(), ids.end()))));
  DecoderInput input;
  input.x_TD = at::cat(parts);
  const int64_t length = input.x_TD.size(0);
  input.positions_T = at::arange(length);
  PackedAttention attention(at::full({1, length, length}, -std::numeric_limits<float>::infinity()).triu(1));
  at::Tensor logits = vlm.decoder().logits(vlm.decoder().forward(input, attention).narrow(0, length - 1, 1));
  const auto answer = model.answer(ask({square(), wide()}), 1000);
  EXPECT_EQ(logits.argmax().item<int64_t>(), answer.first[0]);
  EXPECT_NEAR(at::log_softmax(logits, 1).max().item<double>(), answer.second[0], kImagesTolerance);
}

TEST(EngineImagesTest, TheClassTokenAloneIsOneImageToken) {
  const Loaded model([](ModelConfig& config) { set_projector(config, ProjectorKind::kCls); });
  EXPECT_EQ(model.engine->info().max_image_tokens, 1);
  const auto prompt = model.engine->prepare(ask({wide()}));
  EXPECT_EQ(prompt->num_image_tokens(), 1);
  const auto whole = model.answer(ask({wide()}), 1000);
  expect_near(model.answer(ask({wide()}), 2).second, whole.second);
  EXPECT_GT(std::abs(model.answer(ask({square()}), 1000).second[0] - whole.second[0]), kImagesTolerance);
  model.engine->warm_up();
}

TEST(EngineImagesTest, ACroppedImageWithAllFeaturesHasTheGridsTokensAndTheClassToken) {
  const Loaded model([](ModelConfig& config) {
    set_projector(config, ProjectorKind::kMlp);
    config.vision.class_token = true;
    config.vision.features = VisionFeatures::kAll;
    config.image.resize = ImageResize::kCrop;
    config.image.resize_side = 71;
    config.image.crop_side = 64;
  });
  EXPECT_EQ(model.engine->info().max_image_tokens, 17);
  EXPECT_EQ(model.engine->info().image_size, 64);
  for (const std::string& image : {square(), wide()}) {
    EXPECT_EQ(model.engine->prepare(ask({image}))->num_image_tokens(), 17);
    EXPECT_EQ(model.engine->estimate_cost(ask({image})).image_tokens, 17);
    expect_near(model.answer(ask({image}), 5).second, model.answer(ask({image}), 1000).second);
  }
  const PromptMaker maker(load_sentencepiece(test::tiny_tokenizer_model()), model.vlm->config(), {});
  const ImageSpan span = maker.make(ask({wide()}))->tokens.images[0];
  EXPECT_EQ(std::tuple(span.count, span.rows, span.columns), std::tuple(17, 4, 4));
  model.engine->warm_up();
}

}  // namespace
}  // namespace sf
