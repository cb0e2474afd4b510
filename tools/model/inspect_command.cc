#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/expert_load.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/checkpoint_model.h"
#include "tools/model/commands.h"

namespace sf {
namespace {

void row(const char* name, const std::string& value) { std::printf("%-22s %s\n", name, value.c_str()); }

std::string channels(const std::array<double, 3>& values) {
  if (values[0] == values[1] && values[1] == values[2]) return concat(values[0]);
  return concat(values[0], "/", values[1], "/", values[2]);
}

std::string preprocessing(const ImageConfig& image) {
  const std::string geometry =
      image.resize == ImageResize::kStretch ? concat("pressed into ", image.crop_side, " x ", image.crop_side, " px")
      : image.resize == ImageResize::kCrop
          ? concat("shorter side to ", image.resize_side, " px, centre crop of ", image.crop_side, " px")
          : concat("aspect ratio kept, at most ", image.max_cells, " cells of ", image.cell_size, " px");
  return concat("antialiased ", image.resample, ", ", geometry, ", mean ", channels(image.mean), ", std ",
                channels(image.std));
}

std::string join_layers(const std::vector<int>& layers) {
  std::string text;
  for (int layer : layers) text += concat(text.empty() ? "" : ", ", layer);
  return text;
}

void print_usage(size_t layer, const char* tokens, const std::vector<int64_t>& assignments) {
  const ExpertLoad load = expert_load(assignments);
  std::printf("%5zu %-6s", layer, tokens);
  for (int64_t count : assignments) {
    std::printf(" %6.1f%%", load.assignments > 0 ? 100.0 * double(count) / double(load.assignments) : 0.0);
  }
  std::printf(" %8.3f %8.3f %8.3f %5d\n", load.max_violation, load.cv_squared, load.entropy_ratio, load.dead_experts);
}

// A layer's row; where the checkpoint has them, one of its image tokens and one of its text tokens below.
void print_histogram(const Manifest& manifest, const DecoderConfig& decoder) {
  if (manifest.expert_histogram.empty() || routed_layers(decoder).empty())
    return;  // never evaluated: an imported model
  std::printf("\nexpert usage on the evaluation set (%% of the row's assignments)\nlayer tokens");
  for (size_t e = 0; e < manifest.expert_histogram[0].size(); ++e) std::printf(" %7s", concat("e", e).c_str());
  std::printf(" %8s %8s %8s %5s\n", "max vio", "CV^2", "H/ln E", "dead");
  for (size_t l = 0; l < manifest.expert_histogram.size(); ++l) {
    if (is_dense(decoder, static_cast<int>(l))) continue;
    print_usage(l, "all", manifest.expert_histogram[l]);
    if (manifest.image_expert_histogram.empty()) continue;
    const std::vector<int64_t>& image = manifest.image_expert_histogram[l];
    std::vector<int64_t> text = manifest.expert_histogram[l];
    for (size_t e = 0; e < text.size(); ++e) text[e] -= image[e];
    print_usage(l, "image", image);
    print_usage(l, "text", text);
  }
}

}  // namespace

int inspect_command(const OfflineCommandOptions& options) {
  const VerifiedCheckpoint checkpoint = open_checkpoint(options.model);
  const CheckpointModel model = load_checkpoint_model(checkpoint);
  const ModelConfig& c = model.config;
  const DecoderConfig& d = c.decoder;
  row("digest", checkpoint.digest());
  row("step", concat(checkpoint.manifest().step));
  row("model", concat(c.model_type, " (preset ", c.preset, ")"));
  row("parameters",
      concat(model.vlm->num_parameters(), " total, ", model.vlm->num_active_parameters(), " active per token"));
  if (!c.has_vision())
    row("vision encoder", "none: text alone");
  else
    row("vision encoder",
        concat(c.vision.num_layers, " layers, width ", c.vision.width, ", ", c.vision.num_heads, " heads, stem ",
               c.vision.stem, ", ", c.vision.token_size, " px a token", c.vision.relative_bias ? ", relative bias" : "",
               c.vision.class_token ? ", class token" : "", ", positions ", c.vision.position_embedding, ", ",
               c.vision.activation));
  if (c.has_vision())
    row("projector", concat(c.projector, ", at most ", max_image_tokens(c), " image tokens a picture"));
  row("decoder",
      concat(d.num_layers, " layers, width ", d.width, ", ", d.num_heads, " heads (", d.num_kv_heads, " kv) of ",
             d.head_dim, ", vocabulary ", d.vocab_size, ", context ", d.max_context, ", norm ", d.norm, ", positions ",
             d.positions == PositionKind::kRope ? concat("rope ", d.rope) : concat(d.positions),
             d.tied_head ? ", tied head" : ""));
  row("experts", concat(d.moe.num_experts, ", top-", d.moe.top_k, ", hidden ", d.moe.hidden, ", softmax ",
                        d.moe.router_softmax, " top-k, capacity factor ", d.moe.capacity_factor));
  if (!d.dense_layers.empty()) row("dense layers", concat(join_layers(d.dense_layers), ", hidden ", d.dense_hidden));
  if (!c.vision.deepstack_layers.empty()) {
    row("injected features",
        concat("of vision layers ", join_layers(c.vision.deepstack_layers), " behind the decoder's first layers"));
  }
  if (c.has_vision()) row("preprocessing", preprocessing(c.image));
  row("tokenizer", concat(checkpoint.has_file("tokenizer.model") ? "SentencePiece, " : "characters, ",
                          model.tokenizer->vocab_size(), " pieces; prompt template ", c.prompt_template));
  row("router and training",
      concat(d.moe.activation, d.moe.expert_bias ? " with biases" : "", ", shared hidden ", d.moe.shared_hidden,
             d.moe.renormalise ? ", gates renormalised" : "", d.moe.bias_balancing ? ", bias balancing" : "",
             ", drop order ", d.moe.drop_order, ", ", d.moe.dropout, " dropout ", d.moe.dropout_rate));
  for (const auto& [name, score] : checkpoint.manifest().scores) row(concat("score ", name).c_str(), concat(score));
  print_histogram(checkpoint.manifest(), d);
  return 0;
}

}  // namespace sf
