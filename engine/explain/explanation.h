// What an answer was based on: a heatmap over the image for every answer token, the experts of every token, and what
// each layer would have predicted. Torch-free: the engine fills it in, servers and programs print it.
//
//   Explanation e = engine.explain(*prompt, sampling, {.method = HeatmapMethod::kRelevancy}, [] {});
//   float weight = e.tokens[0].heatmap[row * e.columns + column];
//
// Plain values and pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sf {

enum class HeatmapMethod {
  kAttention,  // the answer row of the attention maps themselves
  kRollout,    // attention with the residual, multiplied through the layers (Abnar 2020, arXiv 2005.00928)
  kRelevancy,  // the same with attention times its gradient, positive part (Chefer 2021, arXiv 2103.15679)
  kOcclusion,  // how much less likely the token is with a part of the image painted over (Zeiler 2014, arXiv
               // 1311.2901)
};
inline constexpr HeatmapMethod kHeatmapMethods[] = {HeatmapMethod::kAttention, HeatmapMethod::kRollout,
                                                    HeatmapMethod::kRelevancy, HeatmapMethod::kOcclusion};

std::string_view heatmap_method_name(HeatmapMethod method);  // "attention" ...
// Errors: InvalidArgument (field "method") listing the names.
HeatmapMethod parse_heatmap_method(std::string_view name);

inline constexpr int kMaxExplainedTokens = 64;
inline constexpr int kMaxLensTop = 20;

struct ExplainOptions {
  HeatmapMethod method = HeatmapMethod::kRelevancy;
  int layer = -1;       // attention: of the decoder, from 0; -1 = the mean of all
  int head = -1;        // attention: -1 = the mean of all
  bool vision = true;   // rollout and relevancy: go on through the vision encoder's attention, down to the pixels
  int lens_top = 5;     // guesses of every layer; 0 = no logit lens
  int max_tokens = 32;  // of the answer, at most kMaxExplainedTokens; the request's own max_tokens counts too
};

// Called between pieces of work of a few milliseconds to some tens of them; throws to give up (deadline, client gone).
using ExplainCheck = std::function<void()>;

struct ExplainedToken {
  std::string text;  // joined they are the answer; empty while a character is incomplete
  int id = 0;
  float logprob = 0;           // natural, as the engine's
  std::vector<float> heatmap;  // [rows * columns], row-major, >= 0, sum 1; even where nothing stands out
};

// Experts by falling gate.
struct TokenRouting {
  std::string text;  // the piece; "<image>" for a cell of the image
  bool image = false;
  std::vector<std::vector<int>> ids;      // [layers][top_k]; empty for a dense layer
  std::vector<std::vector<float>> gates;  // [layers][top_k]
};

// What the residual stream behind one layer says, through the final norm and the output matrix, where the token was
// due.
struct LensLayer {
  struct Guess {
    std::string token;  // the piece
    float prob = 0;
  };
  int answer_token = 0;  // index into Explanation::tokens
  int layer = 0;
  std::vector<Guess> top;
  int answer_rank = 0;  // 1 = this layer's first guess
};

// Pixels. The image as the model saw it sits at [left, left + scaled_width) x [top, top + scaled_height) of a grid of
// rows x columns cells of cell_size; what is around it is padding.
struct ImageInGrid {
  int width = 0, height = 0;  // as sent, upright
  int cell_size = 0;
  int left = 0, top = 0, scaled_width = 0, scaled_height = 0;
};

struct Explanation {
  std::string answer;
  HeatmapMethod method = HeatmapMethod::kRelevancy;
  int rows = 0, columns = 0;  // of the image tokens
  ImageInGrid image;
  std::vector<ExplainedToken> tokens;  // of the answer, without the stop token
  int num_experts = 0, top_k = 0;
  std::vector<TokenRouting> routing;  // prompt tokens, then the answer's
  int num_prompt_tokens = 0;
  std::vector<LensLayer> logit_lens;  // by answer token, then by layer
};

}  // namespace sf
