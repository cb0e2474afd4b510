#include "trainer/tasks/sort_of_clevr/export_scenes.h"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "trainer/data/image_file.h"
#include "trainer/tasks/sort_of_clevr/non_scene.h"
#include "trainer/tasks/sort_of_clevr/renderer.h"
#include "trainer/tasks/sort_of_clevr/sample.h"

namespace sf::data {
namespace {

struct SceneImage {
  Scene scene;
  Image image;
};

SceneImage draw(Rng& rng, const ExportOptions& options) {
  int width = 75, height = 75;
  if (options.augment) draw_size(rng, rng.chance(0.5f) ? 1.f : rng.uniform(0.5f, 2), width, height);
  if (rng.chance(options.non_scene_fraction)) return {{width, height, {}}, render_non_scene(rng, width, height)};
  SceneOptions scene_options{
      .min_objects = options.min_objects, .max_objects = options.max_objects, .width = width, .height = height};
  if (options.augment)
    scene_options = varied_scene_options(rng, width, height, options.min_objects, options.max_objects);
  SceneImage image;
  image.scene = generate_scene(rng, scene_options);
  const Style style = options.augment ? random_style(rng) : plain_style();
  image.image = render(image.scene, style, rng);
  return image;
}

std::string file_name(int index) {
  std::ostringstream out;
  out << std::setw(6) << std::setfill('0') << index << ".png";
  return out.str();
}

}  // namespace

std::string jsonl_row(const std::string& image, const Scene& scene, const Question& question) {
  nlohmann::ordered_json row;
  row["image"] = image;
  row["question"] = question.text;
  row["answer"] = question.answer;
  row["kind"] = kind_name(question.kind);
  row["objects"] = nlohmann::ordered_json::array();
  for (const Object& object : scene.objects) {
    const float extent = half_extent(object);
    nlohmann::ordered_json entry;
    entry["colour"] = colour_word(object.colour);
    entry["shape"] = shape_word(object.shape);
    entry["box"] = {object.x - extent, object.y - extent, object.x + extent, object.y + extent};
    row["objects"].push_back(std::move(entry));
  }
  return row.dump();
}

void export_scenes(const std::filesystem::path& folder, const ExportOptions& options) {
  std::filesystem::create_directories(folder);
  std::string rows;
  for (int i = 0; i < options.count; ++i) {
    Rng rng(options.seed, static_cast<uint64_t>(i));
    const SceneImage image = draw(rng, options);
    write_file(folder / file_name(i), encode_png(image.image));
    for (const Question& question : sample_questions(rng, image.scene, options.questions)) {
      rows += jsonl_row(file_name(i), image.scene, question) + "\n";
    }
  }
  write_file(folder / "data.jsonl", rows);
}

}  // namespace sf::data
