// What config.json says of pictures and the image tokens that they become.
#include <nlohmann/json.hpp>

#include "engine/model/config.h"

namespace sf {

std::string preprocessor_json(const ImageConfig& image) {
  nlohmann::ordered_json json = {{"do_resize", true}, {"resample", "bicubic"}, {"antialias", true}};
  if (image.resize == "crop") {
    json.update({{"keep_aspect_ratio", true}, {"size", {{"shortest_edge", image.resize_side}}}, {"do_center_crop", true},
                 {"crop_size", {{"height", image.crop_side}, {"width", image.crop_side}}}, {"crop_offset", image.crop_offset}});
  } else {
    json.update({{"keep_aspect_ratio", true}, {"cell_size", image.cell_size}, {"max_cells", image.max_cells},
                 {"max_side_cells", image.max_side_cells}});
  }
  json["image_mean"] = image.mean;
  json["image_std"] = image.std;
  return json.dump(2) + "\n";
}

int projector_shuffle(const std::string& projector) { return projector == "shuffle2" ? 2 : 1; }

ImageTokenRule image_token_rule(const ModelConfig& config) {
  return {config.vision.features == "patches" ? 0 : 1, config.vision.features != "class"};
}

int max_image_tokens(const ModelConfig& config) {
  if (!config.has_vision()) return 0;
  const ImageConfig& image = config.image;
  const int side = image.crop_side / image.cell_size;
  return image.resize == "crop" ? image_token_rule(config).count(side, side) : image_token_rule(config).count(1, image.max_cells);
}

}  // namespace sf
