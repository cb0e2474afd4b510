#include "client/explain_messages.h"

#include <algorithm>
#include <iterator>

namespace sf::client {
namespace {

namespace wire = sparsefusion::v1;

// By the numbers of wire::HeatmapMethod.
constexpr const char* kMethods[] = {"", "attention", "rollout", "relevancy", "occlusion"};

}  // namespace

void set_explain_options(const ExplainQuestion& question, wire::ExplainRequest& message) {
  const auto method = std::find(std::begin(kMethods), std::end(kMethods), question.method);
  if (method == std::end(kMethods)) {
    throw ClientError("INVALID_ARGUMENT", "method: must be attention, rollout, relevancy or occlusion");
  }
  message.set_method(static_cast<wire::HeatmapMethod>(method - std::begin(kMethods)));
  if (question.layer) message.set_layer(*question.layer);
  if (question.head) message.set_head(*question.head);
  if (question.lens_top) message.set_lens_top(*question.lens_top);
  if (question.token) message.set_token(*question.token);
  message.set_picture(question.image);
}

Explained explained_of(const wire::ExplainResponse& message) {
  const size_t method = static_cast<size_t>(message.method());
  Explained out{.id = message.id(),
                .answer = message.answer(),
                .model = message.model(),
                .method = method < std::size(kMethods) ? kMethods[method] : "",
                .model_version = message.model_version(),
                .image_width = message.image().width(),
                .image_height = message.image().height(),
                .rows = message.image().rows(),
                .columns = message.image().columns()};
  int row = message.experts().prompt_tokens();
  for (const wire::ExplainedToken& token : message.tokens()) {
    Explained::Token& to = out.tokens.emplace_back();
    to.text = token.text();
    to.logprob = token.logprob();
    const auto& heatmap = token.heatmap();
    to.cell = static_cast<int>(std::max_element(heatmap.begin(), heatmap.end()) - heatmap.begin());
    if (row >= message.experts().tokens_size()) continue;
    for (const wire::LayerExperts& layer : message.experts().tokens(row++).layers()) {
      to.experts.emplace_back(layer.ids().begin(), layer.ids().end());
    }
  }
  out.png = message.png();
  return out;
}

}  // namespace sf::client
