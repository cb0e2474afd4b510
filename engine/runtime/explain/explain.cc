#include "engine/runtime/explain/explain.h"

#include <algorithm>
#include <limits>

#include "engine/runtime/explain/heatmap.h"
#include "engine/runtime/explain/occlusion.h"
#include "engine/runtime/logits_processors.h"
#include "engine/runtime/sampler.h"

namespace sf {
namespace {

constexpr double kMaxMapBytes = 1 << 30;

using Keep = DenseAttention::Keep;

void check_options(const ExplainedModel& model, const EnginePrompt& prompt, const ExplainOptions& o) {
  const DecoderConfig& decoder = model.vlm.config().decoder;
  const auto require = [](bool ok, const char* field, auto... message) {
    if (!ok) throw invalid_argument(field, message...);
  };
  require(!prompt.pixels.empty(), "image", "image: an explanation is of a picture, and the prompt has none");
  require(o.layer >= -1 && o.layer < decoder.num_layers, "layer", "layer: must be 0..", decoder.num_layers - 1,
          ", or -1 for the mean of all, got ", o.layer);
  require(o.head >= -1 && o.head < decoder.num_heads, "head", "head: must be 0..", decoder.num_heads - 1,
          ", or -1 for the mean of all, got ", o.head);
  const bool whole = o.layer == -1 && o.head == -1;
  require(whole || o.method == HeatmapMethod::kAttention, o.layer != -1 ? "layer" : "head",
          "layer and head: only method attention has them, got ", heatmap_method_name(o.method));
  require(o.max_tokens >= 1 && o.max_tokens <= kMaxExplainedTokens, "max_tokens", "max_tokens: must be 1..",
          kMaxExplainedTokens, " for an explanation, got ", o.max_tokens);
  require(o.lens_top >= 0 && o.lens_top <= kMaxLensTop, "lens_top", "lens_top: must be 0..", kMaxLensTop, ", got ",
          o.lens_top);
}

// Why this token rather than the next best one: the logit alone also credits whatever raises every answer of its kind.
at::Tensor margin_over_runner_up(const at::Tensor& logits_V, int token) {
  if (logits_V.size(0) < 2) return logits_V[token];
  at::Tensor others = logits_V.detach().clone();
  others[token].fill_(-std::numeric_limits<float>::infinity());
  return logits_V[token] - logits_V[others.argmax().item<int64_t>()];
}

// One explanation in the making. Lives for one call on one thread.
class Explainer {
 public:
  Explainer(const ExplainedModel& model, const EnginePrompt& prompt, const ExplainOptions& options,
            const ExplainCheck& check)
      : model_(model), options_(options), check_(check), sequence_(model, prompt), ids_(prompt.tokens.ids) {}

  Explanation run(const SamplingParams& sampling) {
    torch::NoGradGuard no_grad;
    check_();
    image_BPM_ = sequence_.encode(sequence_.pixels());
    generate(sampling);
    describe_image();
    trace();
    return std::move(out_);
  }

 private:
  int prompt_tokens() const { return sequence_.prompt_tokens(); }
  int64_t answer_tokens() const { return static_cast<int64_t>(out_.tokens.size()); }
  void generate(SamplingParams sampling);
  void describe_image();
  void check_memory(const DecoderConfig& decoder) const;
  void trace();
  void fill_routing(const RoutingTrace& routing);
  void fill_lens(const std::vector<at::Tensor>& layers_TD);
  at::Tensor onto_image(const at::Tensor& rows_RT, const std::vector<at::Tensor>& vision_steps) const;
  at::Tensor answer_rows(int64_t length) const;
  at::Tensor attention_weights(const std::vector<at::Tensor>& kept) const;
  at::Tensor rollout_weights(const std::vector<at::Tensor>& means, const VitMaps& vision) const;
  at::Tensor relevancy_weights(const std::vector<at::Tensor>& maps, const VitMaps& vision,
                               const at::Tensor& hidden_TD) const;
  void fill_heatmaps(const at::Tensor& weights_AP);

  const ExplainedModel& model_;
  const ExplainOptions& options_;
  const ExplainCheck& check_;
  ExplainSequence sequence_;
  std::vector<int> ids_;  // prompt, then the answer
  at::Tensor image_BPM_;
  Explanation out_;
};

// As the engine does it, token by token, but each time from the beginning.
void Explainer::generate(SamplingParams sampling) {
  const int room = model_.max_context - prompt_tokens();
  const int limit = std::min({sampling.max_tokens, options_.max_tokens, room});
  Detokenizer stream(model_.tokenizer);
  const std::vector<int> end_tokens = end_tokens_of(*model_.tokenizer);
  for (int i = 0; i < limit; ++i) {
    check_();
    at::Tensor logits = sequence_.next_logits(image_BPM_, ids_);
    const std::span<const int> ids(ids_);
    const auto prompt_size = static_cast<size_t>(prompt_tokens());
    const Sampled sampled = sample(logits, {{.params = sampling,
                                             .position = static_cast<int64_t>(ids_.size()),
                                             .prompt = ids.first(prompt_size),
                                             .answer = ids.subspan(prompt_size),
                                             .end_tokens = end_tokens}});
    if (!sampled.finite_S[0].item<bool>()) throw Error(Code::kInternal, "engine: the model's logits are not finite");
    const int id = static_cast<int>(sampled.ids_S[0].item<int64_t>());
    if (model_.tokenizer->is_end(id)) break;
    ids_.push_back(id);
    out_.tokens.push_back({stream.push(id), id, sampled.logprobs_S[0].item<float>(), {}});
  }
  if (!out_.tokens.empty()) out_.tokens.back().text += stream.finish();
  for (const ExplainedToken& token : out_.tokens) out_.answer += token.text;
}

void Explainer::describe_image() {
  const PixelValues& image = sequence_.image();
  out_.method = options_.method;
  out_.rows = image.grid.rows;
  out_.columns = image.grid.columns;
  out_.image = {.cell_size = model_.vlm.config().image.cell_size,
                .left = image.left,
                .top = image.top,
                .scaled_width = image.width,
                .scaled_height = image.height};
  out_.num_experts = model_.vlm.config().decoder.moe.num_experts;
  out_.top_k = model_.vlm.config().decoder.moe.top_k;
  out_.num_prompt_tokens = prompt_tokens();
}

void Explainer::check_memory(const DecoderConfig& decoder) const {
  const double tokens = double(ids_.size()), square = tokens * tokens;
  double floats = 3.0 * decoder.num_heads * square;  // one layer's scores, mask and map
  if (options_.method == HeatmapMethod::kRollout) floats += decoder.num_layers * square;
  if (options_.method == HeatmapMethod::kRelevancy) floats += 4.0 * decoder.num_layers * decoder.num_heads * square;
  if (floats * sizeof(float) > kMaxMapBytes) {
    throw Error(Code::kResourceExhausted,
                concat("method: ", heatmap_method_name(options_.method), " of ", ids_.size(), " tokens would keep ",
                       int64_t(floats * sizeof(float)) >> 20, " MiB of attention maps, more than ",
                       int64_t(kMaxMapBytes) >> 20),
                "method", Reason::kTooLarge);
  }
}

// The pass over prompt and answer that everything is read from.
void Explainer::trace() {
  check_();
  const HeatmapMethod method = options_.method;
  check_memory(model_.vlm.config().decoder);
  const bool gradients = method == HeatmapMethod::kRelevancy && answer_tokens() > 0;
  torch::AutoGradMode grad_mode(gradients);
  VitMaps vision;
  at::Tensor image_BPM = image_BPM_;
  if (options_.vision && (gradients || method == HeatmapMethod::kRollout)) {
    image_BPM = sequence_.encode(sequence_.pixels().clone().requires_grad_(gradients), &vision);
  } else if (gradients) {
    image_BPM = image_BPM_.clone().requires_grad_(true);
  }
  const Keep keep = gradients                             ? Keep::kMaps
                    : method == HeatmapMethod::kRollout   ? Keep::kHeadMean
                    : method == HeatmapMethod::kAttention ? Keep::kRows
                                                          : Keep::kNothing;
  DenseAttention attention(keep, prompt_tokens() - 1);
  RoutingTrace routing;
  std::vector<at::Tensor> layers_TD;
  at::Tensor hidden_TD = sequence_.forward(image_BPM, ids_, attention, &routing, &layers_TD);
  fill_routing(routing);
  if (answer_tokens() == 0) return;
  fill_lens(layers_TD);
  switch (method) {
    case HeatmapMethod::kAttention:
      return fill_heatmaps(attention_weights(attention.kept()));
    case HeatmapMethod::kRollout:
      return fill_heatmaps(rollout_weights(attention.kept(), vision));
    case HeatmapMethod::kRelevancy:
      return fill_heatmaps(relevancy_weights(attention.kept(), vision, hidden_TD));
    case HeatmapMethod::kOcclusion:
      return fill_heatmaps(occlusion_drops(sequence_, ids_, check_));
  }
}

void Explainer::fill_routing(const RoutingTrace& routing) {
  const size_t top_k = static_cast<size_t>(out_.top_k);
  for (size_t t = 0; t < ids_.size(); ++t) {
    TokenRouting token;
    token.text = model_.tokenizer->display_text(ids_[t]);
    token.image = sequence_.is_image_token(static_cast<int>(t));
    token.ids.resize(static_cast<size_t>(model_.vlm.config().decoder.num_layers));
    token.gates.resize(token.ids.size());
    for (size_t layer = 0; layer < routing.ids_TK.size(); ++layer) {
      if (!routing.ids_TK[layer].defined()) continue;
      const int64_t* ids = routing.ids_TK[layer].const_data_ptr<int64_t>() + t * top_k;
      const float* gates = routing.gates_TK[layer].const_data_ptr<float>() + t * top_k;
      token.ids[layer].assign(ids, ids + top_k);
      token.gates[layer].assign(gates, gates + top_k);
    }
    out_.routing.push_back(std::move(token));
  }
}

void Explainer::fill_lens(const std::vector<at::Tensor>& layers_TD) {
  if (options_.lens_top == 0) return;
  torch::NoGradGuard no_grad;
  const Decoder& decoder = model_.vlm.decoder();
  std::vector<at::Tensor> probs_AV;
  for (const at::Tensor& x_TD : layers_TD) {
    at::Tensor due = x_TD.detach().narrow(0, prompt_tokens() - 1, answer_tokens());
    probs_AV.push_back(at::softmax(decoder.logits(decoder.normalise(due)).to(at::kFloat), -1).cpu());
  }
  const int64_t count = std::min<int64_t>(options_.lens_top, probs_AV.empty() ? 0 : probs_AV[0].size(1));
  for (int64_t a = 0; a < answer_tokens(); ++a) {
    for (size_t layer = 0; layer < probs_AV.size(); ++layer) {
      at::Tensor probs_V = probs_AV[layer][a];
      LensLayer out{.answer_token = static_cast<int>(a), .layer = static_cast<int>(layer), .top = {}, .answer_rank = 0};
      auto [top, ids] = probs_V.topk(count);
      for (int64_t i = 0; i < count; ++i) {
        const int id = static_cast<int>(ids[i].item<int64_t>());
        out.top.push_back({model_.tokenizer->display_text(id), top[i].item<float>()});
      }
      out.answer_rank = 1 + static_cast<int>(probs_V.gt(probs_V[out_.tokens[a].id]).sum().item<int64_t>());
      out_.logit_lens.push_back(std::move(out));
    }
  }
}

// One-hot rows [A, T] of where each answer token was due.
at::Tensor Explainer::answer_rows(int64_t length) const {
  at::Tensor due = at::arange(prompt_tokens() - 1, prompt_tokens() - 1 + answer_tokens(), at::kLong);
  return at::one_hot(due, length).to(at::kFloat).to(model_.device);
}

at::Tensor Explainer::attention_weights(const std::vector<at::Tensor>& kept) const {
  at::Tensor sum;
  for (size_t layer = 0; layer < kept.size(); ++layer) {
    if (options_.layer != -1 && options_.layer != static_cast<int>(layer)) continue;
    at::Tensor rows_AT = options_.head == -1 ? kept[layer].mean(0) : kept[layer][options_.head];
    sum = sum.defined() ? sum + rows_AT : rows_AT;
  }
  return onto_image(sum.narrow(0, 0, answer_tokens()), {});
}

// Weights [R, T] of the decoder's tokens -> [R, P] of the image's cells, through the vision encoder where there are
// steps. Image tokens that stand for the whole image are its class token; without steps they say nothing of a place.
at::Tensor Explainer::onto_image(const at::Tensor& rows_RT, const std::vector<at::Tensor>& vision_steps) const {
  const ImageSpan& span = sequence_.image_span();
  const int64_t cells = int64_t{out_.rows} * out_.columns, whole = span.count - int64_t{span.rows} * span.columns;
  at::Tensor image_RI = rows_RT.narrow(1, span.begin, span.count);
  at::Tensor cells_RP =
      whole < span.count ? image_RI.narrow(1, whole, cells) : at::zeros({rows_RT.size(0), cells}, rows_RT.options());
  if (vision_steps.empty()) return cells_RP;
  at::Tensor vision_RN = cells_to_vision(cells_RP, out_.rows, out_.columns, vision_steps[0].size(0));
  if (whole > 0) vision_RN.select(1, 0) += image_RI.narrow(1, 0, whole).sum(1);
  return vision_to_cells(walk_back(vision_RN, vision_steps), out_.rows, out_.columns);
}

at::Tensor Explainer::rollout_weights(const std::vector<at::Tensor>& means, const VitMaps& vision) const {
  std::vector<at::Tensor> steps, vision_steps;
  for (const at::Tensor& mean_TT : means) steps.push_back(rollout_step(mean_TT));
  for (const at::Tensor& map_BHNN : vision) vision_steps.push_back(rollout_step(map_BHNN[0]));
  return onto_image(walk_back(answer_rows(means[0].size(0)), steps), vision_steps);
}

at::Tensor Explainer::relevancy_weights(const std::vector<at::Tensor>& maps, const VitMaps& vision,
                                        const at::Tensor& hidden_TD) const {
  at::Tensor logits_AV =
      model_.vlm.decoder().logits(hidden_TD.narrow(0, prompt_tokens() - 1, answer_tokens())).to(at::kFloat);
  std::vector<at::Tensor> inputs = maps;
  inputs.insert(inputs.end(), vision.begin(), vision.end());
  const at::Tensor rows_AT = answer_rows(maps[0].size(1));
  std::vector<at::Tensor> weights;
  for (int64_t a = 0; a < answer_tokens(); ++a) {
    check_();
    const at::Tensor score = margin_over_runner_up(logits_AV[a], out_.tokens[a].id);
    const auto gradients = torch::autograd::grad({score}, inputs, {}, /*retain_graph=*/true, /*create_graph=*/false,
                                                 /*allow_unused=*/true);
    torch::NoGradGuard no_grad;
    std::vector<at::Tensor> steps, vision_steps;
    for (size_t i = 0; i < inputs.size(); ++i) {
      at::Tensor gradient = gradients[i].defined() ? gradients[i] : at::zeros_like(inputs[i]);
      if (i < maps.size())
        steps.push_back(relevancy_step(inputs[i], gradient));
      else
        vision_steps.push_back(relevancy_step(inputs[i][0], gradient[0]));
    }
    weights.push_back(onto_image(walk_back(rows_AT.narrow(0, a, 1), steps), vision_steps));
  }
  return at::cat(weights);
}

void Explainer::fill_heatmaps(const at::Tensor& weights_AP) {
  for (int64_t a = 0; a < answer_tokens(); ++a) out_.tokens[a].heatmap = normalised_heatmap(weights_AP[a]);
}

}  // namespace

Explanation explain_answer(const ExplainedModel& model, const EnginePrompt& prompt, const SamplingParams& sampling,
                           const ExplainOptions& options, const ExplainCheck& check) {
  if (sampling.replay_routing) throw invalid_argument("routing", "routing: a replay cannot be explained");
  check_options(model, prompt, options);
  Explanation out = Explainer(model, prompt, options, check).run(sampling);
  out.image.width = prompt.image_sizes.back().first;
  out.image.height = prompt.image_sizes.back().second;
  return out;
}

}  // namespace sf
