#include "engine/import/seemore.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace sf {
namespace {

using Json = nlohmann::ordered_json;
using Shape = std::vector<int64_t>;

constexpr double kNormEps = 1e-5;  // nn.LayerNorm's
constexpr int kTopK = 2;
const std::string kVision = "vision_encoder.", kDecoder = "decoder.";

struct SeemoreSizes {
  int64_t vision_width = 0, vision_layers = 0, vision_heads = 0, patch = 0, grid = 0;
  int64_t width = 0, layers = 0, heads = 0, experts = 0, vocab = 0, context = 0;
};

class SeemorePlanner {
 public:
  explicit SeemorePlanner(const TensorSource& source) : source_(source) { measure(); }

  SeemoreImport plan() {
    plan_vision();
    plan_decoder();
    return {config().dump(2) + "\n", sizes_.vocab, std::move(plan_)};
  }

 private:
  const Shape& shape_of(const std::string& name, size_t dimensions) const {
    const auto found = source_.tensors().find(name);
    if (found == source_.tensors().end()) {
      throw invalid_argument(name, "tensor ", name, " is missing: not a state_dict of the original SparseFusion");
    }
    const Shape& shape = found->second.shape;
    bool right = shape.size() == dimensions;
    for (const int64_t side : shape) right = right && side > 0 && side <= 1 << 20;
    if (!right)
      throw invalid_argument(name, "tensor ", name, " has not the ", dimensions, " sides that the original has");
    return shape;
  }

  // How many tensors prefix + 0 + suffix, prefix + 1 + suffix ... there are.
  int64_t count(const std::string& prefix, const std::string& suffix) const {
    int64_t n = 0;
    while (source_.tensors().contains(concat(prefix, n, suffix))) ++n;
    if (n == 0) throw invalid_argument(prefix + "0" + suffix, "tensor ", prefix, "0", suffix, " is missing");
    return n;
  }

  void measure() {
    const Shape& conv = shape_of(kVision + "patch_embedding.conv.weight", 4);
    const Shape& tokens = shape_of(kDecoder + "token_embedding_table.weight", 2);
    SeemoreSizes& s = sizes_;
    s.vision_width = conv[0];
    s.patch = conv[2];
    s.grid = static_cast<int64_t>(std::lround(std::sqrt(double(shape_of(kVision + "pos_embedding", 3)[1] - 1))));
    s.vision_layers = count(kVision + "blocks.", ".ln1.weight");
    s.vision_heads = count(kVision + "blocks.0.attn.heads.", ".key.weight");
    s.vocab = tokens[0];
    s.width = tokens[1];
    s.context = shape_of(kDecoder + "position_embedding_table.weight", 2)[0];
    s.layers = count(kDecoder + "sparseMoEBlocks.", ".ln1.weight");
    s.heads = count(kDecoder + "sparseMoEBlocks.0.attn.heads.", ".key.weight");
    s.experts = count(kDecoder + "sparseMoEBlocks.0.sparseMoE.experts.", ".net.0.weight");
    if (s.vision_width % s.vision_heads != 0 || s.width % s.heads != 0) {
      throw invalid_argument("attn.heads", "attn.heads: the width is no multiple of the number of heads");
    }
  }

  void add(const std::string& name, Shape shape, std::vector<ImportPiece> pieces) {
    plan_.tensors.push_back({name, std::move(shape), std::move(pieces)});
  }
  void copy(const std::string& name, const std::string& source, const Shape& shape) {
    add(name, shape, {{source, shape}});
  }

  // The heads' rows one after another.
  std::vector<ImportPiece> heads(const std::string& attention, const char* part, int64_t num_heads, int64_t width,
                                 float factor) const {
    std::vector<ImportPiece> pieces;
    for (int64_t h = 0; h < num_heads; ++h) {
      pieces.push_back({concat(attention, "heads.", h, ".", part, ".weight"), {width / num_heads, width}, factor});
    }
    return pieces;
  }

  void plan_vision() {
    const SeemoreSizes& s = sizes_;
    const int64_t w = s.vision_width, m = 4 * w, tokens = s.grid * s.grid + 1;
    add("vision.class_token", {w}, {{kVision + "cls_token", {1, 1, w}}});
    copy("vision.stem_weight0", kVision + "patch_embedding.conv.weight", {w, 3, s.patch, s.patch});
    copy("vision.stem_bias0", kVision + "patch_embedding.conv.bias", {w});
    add("vision.position_embedding", {tokens, w}, {{kVision + "pos_embedding", {1, tokens, w}}});
    copy("vision.norm_weight", kVision + "layer_norm.weight", {w});
    copy("vision.norm_bias", kVision + "layer_norm.bias", {w});
    // Our encoder divides scores by the root of a head's channels; the original by that of the whole width.
    const auto factor = static_cast<float>(1 / std::sqrt(double(s.vision_heads)));
    for (int64_t i = 0; i < s.vision_layers; ++i) {
      const std::string ours = concat("vision.block", i, "."), theirs = concat(kVision, "blocks.", i, ".");
      for (const char* n : {"1", "2"}) {
        copy(concat(ours, "norm", n, "_weight"), concat(theirs, "ln", n, ".weight"), {w});
        copy(concat(ours, "norm", n, "_bias"), concat(theirs, "ln", n, ".bias"), {w});
      }
      std::vector<ImportPiece> qkv = heads(theirs + "attn.", "query", s.vision_heads, w, factor);
      for (const char* part : {"key", "value"}) {
        for (ImportPiece& piece : heads(theirs + "attn.", part, s.vision_heads, w, 1)) qkv.push_back(std::move(piece));
      }
      add(ours + "qkv_weight", {3 * w, w}, std::move(qkv));
      add(ours + "qkv_bias", {3 * w}, {{"", {3 * w}}});
      copy(ours + "out_weight", theirs + "attn.proj.weight", {w, w});
      copy(ours + "out_bias", theirs + "attn.proj.bias", {w});
      copy(ours + "fc1_weight", theirs + "ffn.net.0.weight", {m, w});
      copy(ours + "fc1_bias", theirs + "ffn.net.0.bias", {m});
      copy(ours + "fc2_weight", theirs + "ffn.net.2.weight", {w, m});
      copy(ours + "fc2_bias", theirs + "ffn.net.2.bias", {w});
    }
    const std::string projector = kDecoder + "image_projection.net.";
    copy("projector.fc1_weight", projector + "0.weight", {m, w});
    copy("projector.fc1_bias", projector + "0.bias", {m});
    copy("projector.fc2_weight", projector + "2.weight", {s.width, m});
    copy("projector.fc2_bias", projector + "2.bias", {s.width});
  }

  void plan_decoder() {
    const SeemoreSizes& s = sizes_;
    const int64_t d = s.width;
    copy("decoder.embedding", kDecoder + "token_embedding_table.weight", {s.vocab, d});
    copy("decoder.positions", kDecoder + "position_embedding_table.weight", {s.context, d});
    copy("decoder.norm.weight", kDecoder + "ln_f.weight", {d});
    copy("decoder.norm.bias", kDecoder + "ln_f.bias", {d});
    copy("decoder.head", kDecoder + "lm_head.weight", {s.vocab, d});
    copy("decoder.head_bias", kDecoder + "lm_head.bias", {s.vocab});
    for (int64_t i = 0; i < s.layers; ++i)
      plan_layer(concat("decoder.block", i, "."), concat(kDecoder, "sparseMoEBlocks.", i, "."));
  }

  void plan_layer(const std::string& ours, const std::string& theirs) {
    const int64_t d = sizes_.width, e = sizes_.experts, f = 4 * d;
    for (const auto& [mine, his] : {std::pair("attention_norm.", "ln1."), std::pair("moe_norm.", "ln2.")}) {
      copy(concat(ours, mine, "weight"), concat(theirs, his, "weight"), {d});
      copy(concat(ours, mine, "bias"), concat(theirs, his, "bias"), {d});
    }
    const std::string attention = theirs + "attn.";
    add(ours + "attention.q_proj", {d, d}, heads(attention, "query", sizes_.heads, d, 1));
    add(ours + "attention.k_proj", {d, d}, heads(attention, "key", sizes_.heads, d, 1));
    add(ours + "attention.v_proj", {d, d}, heads(attention, "value", sizes_.heads, d, 1));
    copy(ours + "attention.o_proj", attention + "proj.weight", {d, d});
    copy(ours + "attention.o_bias", attention + "proj.bias", {d});
    const std::string router = theirs + "sparseMoE.router.", expert = theirs + "sparseMoE.experts.";
    copy(ours + "moe.router.weight", router + "topkroute_linear.weight", {e, d});
    copy(ours + "moe.router.bias", router + "topkroute_linear.bias", {e});
    copy(ours + "moe.router.noise_weight", router + "noise_linear.weight", {e, d});
    copy(ours + "moe.router.noise_bias", router + "noise_linear.bias", {e});
    std::vector<ImportPiece> up, up_bias, down, down_bias;
    for (int64_t i = 0; i < e; ++i) {
      up.push_back({concat(expert, i, ".net.0.weight"), {f, d}});
      up_bias.push_back({concat(expert, i, ".net.0.bias"), {f}});
      down.push_back({concat(expert, i, ".net.2.weight"), {d, f}});
      down_bias.push_back({concat(expert, i, ".net.2.bias"), {d}});
    }
    add(ours + "moe.experts.up", {e, f, d}, std::move(up));
    add(ours + "moe.experts.up_bias", {e, f}, std::move(up_bias));
    add(ours + "moe.experts.down", {e, d, f}, std::move(down));
    add(ours + "moe.experts.down_bias", {e, d}, std::move(down_bias));
  }

  Json config() const {
    const SeemoreSizes& s = sizes_;
    const int64_t side = s.grid * s.patch;
    Json vision = {{"token_size", s.patch},
                   {"stem", "linear"},
                   {"coordinates", false},
                   {"class_token", true},
                   {"position_embedding", "table"},
                   {"position_rows", s.grid},
                   {"position_columns", s.grid},
                   {"width", s.vision_width},
                   {"num_layers", s.vision_layers},
                   {"num_heads", s.vision_heads},
                   {"mlp_width", 4 * s.vision_width},
                   {"activation", "relu"},
                   {"residual_after_norm", true},
                   {"relative_bias", false},
                   {"max_side", s.grid},
                   {"norm_eps", kNormEps},
                   {"features", "class"}};
    Json moe = {{"num_experts", s.experts}, {"top_k", kTopK},       {"hidden", 4 * s.width},     {"activation", "relu"},
                {"expert_bias", true},      {"router_bias", true},  {"router_softmax", "after"}, {"noisy", true},
                {"noise_scale", 1.0},       {"noise_epsilon", 0.0}, {"capacity_factor", 0.0}};
    Json decoder = {{"vocab_size", s.vocab},
                    {"width", s.width},
                    {"num_layers", s.layers},
                    {"num_heads", s.heads},
                    {"num_kv_heads", s.heads},
                    {"head_dim", s.width / s.heads},
                    {"positions", "learned"},
                    {"norm", "layer"},
                    {"norm_eps", kNormEps},
                    {"residual_after_norm", true},
                    {"attention_out_bias", true},
                    {"attention_scale", 1 / std::sqrt(double(s.width))},
                    {"scale_embedding", false},
                    {"tied_head", false},
                    {"head_bias", true},
                    {"max_context", s.context},
                    {"moe", moe}};
    Json image = {{"cell_size", s.patch},        {"resize", "stretch"},
                  {"resample", "bilinear"},      {"resize_side", side},
                  {"crop_side", side},           {"max_cells", s.grid * s.grid},
                  {"max_side_cells", s.grid},    {"mean", {0.485, 0.456, 0.406}},
                  {"std", {0.229, 0.224, 0.225}}};
    return {{"model_type", "sparsefusion"},
            {"preset", "seed"},
            {"image", image},
            {"vision", vision},
            {"projector", "cls"},
            {"projector_norm", false},
            {"projector_hidden", 4 * s.vision_width},
            {"modality_embedding", false},
            {"decoder", decoder},
            {"prompt_template", "plain"}};
  }

  const TensorSource& source_;
  SeemoreSizes sizes_;
  ImportPlan plan_;
};

}  // namespace

SeemoreImport plan_seemore_import(const TensorSource& source) { return SeemorePlanner(source).plan(); }

}  // namespace sf
