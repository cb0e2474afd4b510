#include "tests/support/example_images.h"

#include <nlohmann/json.hpp>

#include "tests/support/encode_image.h"
#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/non_scene.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"

namespace sf::test {
namespace {

using data::Kind;
using data::Rgb;
using data::Scene;

constexpr float kClearMargin = 4;

bool is_clear(const Scene& scene) {
  for (int i = 0; i < static_cast<int>(scene.objects.size()); ++i) {
    if (data::left_right_margin(scene, i) < kClearMargin || data::top_bottom_margin(scene, i) < kClearMargin ||
        data::nearest_margin(scene, i) < kClearMargin || data::furthest_margin(scene, i) < kClearMargin) {
      return false;
    }
  }
  return true;
}

// Every scene has a red object.
Scene clear_scene(data::Rng& rng, int objects, int width, int height, float half) {
  data::SceneOptions options{.min_objects = objects, .max_objects = objects, .width = width, .height = height};
  options.min_half = half * 0.9f;
  options.max_half = half * 1.1f;
  options.mixed_sizes = 1;
  for (;;) {
    Scene scene = data::generate_scene(rng, options);
    if (static_cast<int>(scene.objects.size()) == objects && data::find_colour(scene, data::kRed) >= 0 &&
        is_clear(scene))
      return scene;
  }
}

data::Style style_with(Rgb background, std::array<Rgb, data::kNumColours> colours) {
  data::Style style = data::plain_style();
  style.background = style.background2 = background;
  style.colours = colours;
  return style;
}

constexpr std::array<Rgb, 6> kVivid = {
    {{220, 20, 20}, {20, 160, 60}, {30, 80, 220}, {255, 150, 20}, {128, 128, 128}, {250, 220, 30}}};
constexpr std::array<Rgb, 6> kBright = {
    {{255, 70, 60}, {60, 210, 90}, {70, 140, 255}, {255, 160, 40}, {160, 160, 160}, {255, 235, 70}}};

data::Question refused(std::string text, Kind kind) {
  data::Question question;
  question.kind = kind;
  question.text = std::move(text);
  question.answer = data::kRefusal;
  return question;
}

std::vector<data::Question> questions_about(data::Rng& rng, const Scene& scene, const char* off_topic) {
  const int n = static_cast<int>(scene.objects.size());
  std::vector<data::Question> questions;
  const auto ask = [&](Kind kind, int object, data::Phrasing phrasing) {
    questions.push_back(data::make_question(rng, scene, kind, object, phrasing));
  };
  const auto plain = data::Phrasing::kCanonical;
  if (n == 0) {
    for (const char* text : {"what shape is the red object?", "describe the picture",
                             "is the blue object on the left or right?", off_topic}) {
      questions.push_back(refused(text, data::kNonScene));
    }
    return questions;
  }
  ask(data::kShape, data::find_colour(scene, data::kRed), plain);
  for (const Kind kind : {data::kLeftRight, data::kTopBottom, data::kCount}) ask(kind, rng.below(n), plain);
  if (n > 1) {
    for (const Kind kind : {data::kClosestShape, data::kFurthestShape, data::kClosestColour, data::kFurthestColour})
      ask(kind, rng.below(n), plain);
  }
  for (const Kind kind : {data::kDescribe, data::kAbsentColour}) ask(kind, -1, plain);
  questions.push_back(refused(off_topic, data::kOffTopic));
  return questions;
}

std::string encode(const std::string& file, const Image& image) {
  if (file.ends_with(".jpg")) return encode_jpeg(image, 90);
  if (file.ends_with(".webp")) return encode_webp(image, 90);
  return data::encode_png(image);
}

}  // namespace

std::vector<ExampleImage> example_images() {
  struct Plan {
    const char* file;
    int objects, width, height;
    float half;
    data::Style style;
    const char* off_topic;
  };
  std::vector<Plan> plans = {
      {"scene.png", 6, 300, 300, 0.068f, style_with({255, 255, 255}, kVivid), "what is the capital of France?"},
      {"paper.png", 6, 75, 75, 0.067f, data::plain_style(), "who are you?"},
      {"dark.png", 5, 320, 240, 0.075f, style_with({18, 20, 32}, kBright), "is there a dog in the picture?"},
      {"wide.jpg", 4, 480, 240, 0.09f, style_with({245, 240, 225}, kVivid), "what is two plus two?"},
      {"tall.webp", 4, 240, 440, 0.08f, style_with({214, 232, 250}, kVivid), "what time is it?"},
      {"outlined.png", 3, 400, 300, 0.08f, style_with({255, 255, 255}, kBright), "how old is the man?"},
      {"night.webp", 2, 256, 256, 0.09f, style_with({0, 0, 0}, kBright), "hello"},
      {"chart.png", 0, 320, 240, 0, {}, "what does the text say?"},
  };
  plans[1].style.antialias = false;
  plans[5].style.outline = 0.1f;
  std::vector<ExampleImage> images;
  for (size_t i = 0; i < plans.size(); ++i) {
    const Plan& plan = plans[i];
    data::Rng rng(20, i);
    ExampleImage image;
    image.file = plan.file;
    if (plan.objects > 0) {
      image.scene = clear_scene(rng, plan.objects, plan.width, plan.height, plan.half);
      image.image = data::render(image.scene, plan.style, rng);
    } else {
      image.scene = {plan.width, plan.height, {}};
      image.image = data::render_non_scene(rng, data::NonScene::kBarChart, plan.width, plan.height);
    }
    image.bytes = encode(image.file, image.image);
    image.questions = questions_about(rng, image.scene, plan.off_topic);
    images.push_back(std::move(image));
  }
  return images;
}

std::string example_questions(const std::vector<ExampleImage>& images) {
  std::string lines;
  for (const ExampleImage& image : images) {
    for (const data::Question& question : image.questions) {
      nlohmann::ordered_json row;
      row["image"] = image.file;
      row["question"] = question.text;
      row["answer"] = question.answer;
      lines += row.dump() + "\n";
    }
  }
  return lines;
}

}  // namespace sf::test
