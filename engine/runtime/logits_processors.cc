#include "engine/runtime/logits_processors.h"

#include <limits>
#include <map>

namespace sf {
namespace {

bool masks_ends(const LogitsContext& context) {
  const auto answered = static_cast<int64_t>(context.answer.size());
  return context.params.ignore_eos || answered < context.params.min_tokens;
}

bool counts_answer(const SamplingParams& params) {
  return params.presence_penalty != 0 || params.frequency_penalty != 0;
}

at::Tensor ids_on(const std::vector<int64_t>& ids, const at::Tensor& like) {
  return torch::tensor(ids, at::kLong).to(like.device());
}

at::Tensor values_on(const std::vector<float>& values, const at::Tensor& like) {
  return torch::tensor(values, at::kFloat).to(like.device());
}

// Effect: penalises the tokens of prompt and answer, each once, by how often the answer has it.
void add_penalties(at::Tensor& logits_V, const LogitsContext& context) {
  const SamplingParams& params = context.params;
  std::map<int, int> counts;  // in the answer; 0: in the prompt alone
  if (params.repetition_penalty != 1) {
    for (const int id : context.prompt) counts[id];
  }
  for (const int id : context.answer) ++counts[id];
  std::vector<int64_t> ids;
  std::vector<float> penalties;
  for (const auto& [id, count] : counts) {
    if (id < 0 || id >= logits_V.size(0)) continue;
    ids.push_back(id);
    penalties.push_back(params.frequency_penalty * static_cast<float>(count) +
                        (count > 0 ? params.presence_penalty : 0.0f));
  }
  if (ids.empty()) return;
  const at::Tensor index = ids_on(ids, logits_V);
  at::Tensor values = logits_V.index_select(0, index);
  if (const float r = params.repetition_penalty; r != 1) values = at::where(values > 0, values / r, values * r);
  logits_V.index_copy_(0, index, values - values_on(penalties, logits_V));
}

void add_bias(at::Tensor& logits_V, const std::vector<std::pair<int, float>>& bias) {
  std::vector<int64_t> ids;
  std::vector<float> values;
  for (const auto& [id, value] : bias) {
    if (id < 0 || id >= logits_V.size(0)) continue;
    ids.push_back(id);
    values.push_back(value);
  }
  if (!ids.empty()) logits_V.index_add_(0, ids_on(ids, logits_V), values_on(values, logits_V));
}

}  // namespace

bool changes_logits(const LogitsContext& context) {
  const SamplingParams& params = context.params;
  return masks_ends(context) || !params.logit_bias.empty() || params.repetition_penalty != 1 || counts_answer(params);
}

at::Tensor process_logits(const at::Tensor& logits_V, const LogitsContext& context) {
  at::Tensor out = logits_V.clone();
  if (masks_ends(context)) {
    std::vector<int64_t> ends;
    for (const int id : context.end_tokens) {
      if (id >= 0 && id < out.size(0)) ends.push_back(id);
    }
    if (!ends.empty()) out.index_fill_(0, ids_on(ends, out), -std::numeric_limits<float>::infinity());
  }
  add_bias(out, context.params.logit_bias);
  if (context.params.repetition_penalty != 1 || counts_answer(context.params)) add_penalties(out, context);
  return out;
}

std::vector<int> end_tokens_of(const Tokenizer& tokenizer) {
  std::vector<int> ends;
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.is_end(id)) ends.push_back(id);
  }
  return ends;
}

}  // namespace sf
