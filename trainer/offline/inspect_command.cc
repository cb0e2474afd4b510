#include <cstdio>

#include "engine/base/error.h"
#include "engine/checkpoint/checkpoint_reader.h"
#include "engine/runtime/checkpoint_model.h"
#include "trainer/offline/commands.h"

namespace sf {
namespace {

void row(const char* name, const std::string& value) { std::printf("%-22s %s\n", name, value.c_str()); }

std::string channels(const std::array<double, 3>& values) {
  if (values[0] == values[1] && values[1] == values[2]) return concat(values[0]);
  return concat(values[0], "/", values[1], "/", values[2]);
}

std::string preprocessing(const ImageConfig& image) {
  const std::string geometry =
      image.resize == "crop"
          ? concat("shorter side to ", image.resize_side, " px, centre crop of ", image.crop_side, " px")
          : concat("aspect ratio kept, at most ", image.max_cells, " cells of ", image.cell_size, " px");
  return concat("antialiased bicubic, ", geometry, ", mean ", channels(image.mean), ", std ", channels(image.std));
}

void print_histogram(const Manifest& manifest) {
  std::printf("\nexpert usage on the evaluation set (%% of a layer's assignments)\nlayer");
  if (manifest.expert_histogram.empty()) return;
  for (size_t e = 0; e < manifest.expert_histogram[0].size(); ++e) std::printf(" %7s", concat("e", e).c_str());
  for (size_t l = 0; l < manifest.expert_histogram.size(); ++l) {
    double total = 0;
    for (int64_t tokens : manifest.expert_histogram[l]) total += double(tokens);
    std::printf("\n%5zu", l);
    for (int64_t tokens : manifest.expert_histogram[l]) std::printf(" %6.1f%%", total > 0 ? 100.0 * double(tokens) / total : 0.0);
  }
  std::printf("\n");
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
  row("parameters", concat(model.vlm->num_parameters(), " total, ", model.vlm->num_active_parameters(), " active per token"));
  if (!c.has_vision()) row("vision encoder", "none: text alone");
  else row("vision encoder", concat(c.vision.num_layers, " layers, width ", c.vision.width, ", ", c.vision.num_heads, " heads, stem ",
                               c.vision.stem, ", ", c.vision.token_size, " px a token", c.vision.relative_bias ? ", relative bias" : "",
                               c.vision.class_token ? ", class token" : "", ", positions ", c.vision.position_embedding, ", ", c.vision.activation));
  if (c.has_vision()) row("projector", concat(c.projector, ", at most ", max_image_tokens(c), " image tokens a picture"));
  row("decoder", concat(d.num_layers, " layers, width ", d.width, ", ", d.num_heads, " heads (", d.num_kv_heads, " kv) of ", d.head_dim,
                        ", vocabulary ", d.vocab_size, ", context ", d.max_context, ", norm ", d.norm, ", positions ",
                        d.positions == "rope" ? "rope " + d.rope : d.positions, d.tied_head ? ", tied head" : ""));
  row("experts", concat(d.moe.num_experts, ", top-", d.moe.top_k, ", hidden ", d.moe.hidden, ", softmax ", d.moe.router_softmax,
                        " top-k, capacity factor ", d.moe.capacity_factor));
  if (c.has_vision()) row("preprocessing", preprocessing(c.image));
  row("tokenizer", concat(checkpoint.has_file("tokenizer.model") ? "SentencePiece, " : "characters, ", model.tokenizer->vocab_size(),
                          " pieces; prompt template ", c.prompt_template));
  for (const auto& [name, score] : checkpoint.manifest().scores) row(concat("score ", name).c_str(), concat(score));
  print_histogram(checkpoint.manifest());
  return 0;
}

}  // namespace sf
