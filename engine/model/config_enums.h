// The switches of config.json that have a few named values: one enumeration each, and the file's word for every value.
// No torch and no JSON; engine/model/config.h uses them.
//
//   StemKind stem = StemKind::kPatch;
//   std::string_view word = config_word(stem);                         // "patch"; << writes the same
//   std::optional<StemKind> read = config_value<StemKind>("linear");   // nothing for a word that is unknown
//
// Thread-safe: the tables are immutable. A new value needs its row in config_enums.cc; a new enumeration also its
// config_choices() and, for the error that names its key, a row of the table in config.cc.
#pragma once

#include <optional>
#include <ostream>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/dtype.h"

namespace sf {

enum class StemKind {
  kConv,    // several convolutions
  kPatch,   // one of token_size x token_size, with norm, GELU and a 1x1 after it
  kLinear,  // that one alone (ViT, CLIP)
};
enum class PositionEmbedding {
  kAxes,   // a row's plus a column's
  kTable,  // one of every token of a grid
};
enum class VisionActivation {
  kGelu,       // erf
  kQuickGelu,  // x sigmoid(1.702 x), CLIP
  kGeluTanh,
  kRelu,
};
// What leaves the vision encoder.
enum class VisionFeatures {
  kPatches,
  kAll,    // the class token first
  kClass,  // the class token alone
};
enum class ExpertActivation {
  kSwiglu,  // w2(silu(w1 x) * w3 x)
  kGelu,    // w2 gelu(w1 x), exact
  kRelu,    // w2 relu(w1 x)
};
enum class RouterSoftmax {
  kAfter,   // over the scores of the top k (Mixtral)
  kBefore,  // over all scores (Switch; needed when top_k is 1)
};
// Which tokens keep a place where an expert overflows in training. Only kPosition is causal: in every other order a
// later token can take an earlier one's place.
enum class DropOrder {
  kPosition,       // earlier tokens first, whichever slot they come by
  kChoice,         // all first choices before all second ones, each by position (GShard, V-MoE)
  kProbability,    // by descending gate (Megatron's `probs`)
  kBatchPriority,  // as kChoice, but tokens by descending highest gate (V-MoE's batch priority routing)
};
// In training only.
enum class ExpertDropout {
  kOutput,  // zeroes an expert's output for a token (EOM, arXiv 2212.07571)
  kHidden,  // drops channels of the experts' hidden layer (Switch)
  kExpert,  // closes whole experts for a step, whose tokens are routed elsewhere
};
enum class PositionKind {
  kRope,
  kLearned,  // a table of max_context rows added to the tokens
};
enum class RopeKind {
  k1d,
  kMrope2d,  // an image token turns by its row and column (Qwen2-VL)
};
enum class NormKind {
  kRms,
  kLayer,  // LayerNorm with a bias
};
// How an image gets the size of its grid.
enum class ImageResize {
  kFit,      // the geometry is kept, the grid follows it
  kCrop,     // one square of it
  kStretch,  // all of it, pressed into that square
};
// Filter of the resize, antialiased.
enum class ImageResample { kBicubic, kBilinear };
// Where half of an odd rest goes when a square is cropped.
enum class ImageCropOffset {
  kEven,   // to the even number (torchvision, timm)
  kFloor,  // down (Hugging Face's CLIPImageProcessor)
};
// How vision tokens become image tokens, through a two-layer GELU MLP.
enum class ProjectorKind {
  kShuffle2,  // 2x2 vision tokens side by side
  kMlp,       // every token by itself
  kCls,       // the class token, the image's one image token
  kNone,      // the model reads no images: `image` and `vision` do not count
};

// Every value with its word, in the order in which messages list them. The argument only names the enumeration.
template <class E>
using ConfigChoices = std::vector<std::pair<E, std::string_view>>;
const ConfigChoices<StemKind>& config_choices(StemKind);
const ConfigChoices<PositionEmbedding>& config_choices(PositionEmbedding);
const ConfigChoices<VisionActivation>& config_choices(VisionActivation);
const ConfigChoices<VisionFeatures>& config_choices(VisionFeatures);
const ConfigChoices<ExpertActivation>& config_choices(ExpertActivation);
const ConfigChoices<RouterSoftmax>& config_choices(RouterSoftmax);
const ConfigChoices<DropOrder>& config_choices(DropOrder);
const ConfigChoices<ExpertDropout>& config_choices(ExpertDropout);
const ConfigChoices<PositionKind>& config_choices(PositionKind);
const ConfigChoices<RopeKind>& config_choices(RopeKind);
const ConfigChoices<NormKind>& config_choices(NormKind);
const ConfigChoices<ImageResize>& config_choices(ImageResize);
const ConfigChoices<ImageResample>& config_choices(ImageResample);
const ConfigChoices<ImageCropOffset>& config_choices(ImageCropOffset);
const ConfigChoices<ProjectorKind>& config_choices(ProjectorKind);
const ConfigChoices<Dtype>& config_choices(Dtype);  // those that a model can compute in

template <class E>
concept ConfigEnum = std::is_enum_v<E> && requires(E value) {
  config_choices(value);
};

template <ConfigEnum E>
std::string_view config_word(E value) {
  for (const auto& [known, word] : config_choices(value)) {
    if (known == value) return word;
  }
  return "?";  // no enumerator
}

template <ConfigEnum E>
std::optional<E> config_value(std::string_view word) {
  for (const auto& [value, known] : config_choices(E{})) {
    if (known == word) return value;
  }
  return std::nullopt;
}

template <ConfigEnum E>
std::ostream& operator<<(std::ostream& out, E value) {
  return out << config_word(value);
}

}  // namespace sf
