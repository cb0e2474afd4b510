#include <algorithm>

#include "client/answer_json.h"

namespace sf::client {

using nlohmann::json;

Explained explained_from(const json& object) {
  try {
    const json& image = object.at("image");
    Explained out{.id = object.at("id"),
                  .answer = object.at("answer"),
                  .model = object.at("model"),
                  .method = object.at("method"),
                  .model_version = object.at("model_version"),
                  .image_width = image.at("width"),
                  .image_height = image.at("height"),
                  .rows = image.at("grid").at(0),
                  .columns = image.at("grid").at(1)};
    const json& experts = object.at("experts");
    size_t row = experts.at("prompt_tokens").get<size_t>();
    for (const json& token : object.at("tokens")) {
      const auto heatmap = token.at("heatmap").get<std::vector<float>>();
      Explained::Token& to = out.tokens.emplace_back();
      to.text = token.at("text");
      to.logprob = token.at("logprob");
      to.cell = static_cast<int>(std::max_element(heatmap.begin(), heatmap.end()) - heatmap.begin());
      if (row < experts.at("tokens").size())
        to.experts = experts["tokens"][row++].at("ids").get<decltype(to.experts)>();
    }
    return out;
  } catch (const json::exception&) {
    throw ClientError("INTERNAL", "the server sent no explanation");
  }
}

}  // namespace sf::client
