#include "server/metrics/version_metrics.h"

#include <algorithm>
#include <utility>

namespace sf::server {
namespace {

const char* const kModalityNames[kNumModalities] = {"image", "text"};

Labels with(Labels labels, std::initializer_list<std::pair<std::string, std::string>> more) {
  labels.insert(labels.end(), more);
  return labels;
}

std::span<const int64_t> row_of(const std::vector<int64_t>& histogram, size_t layer, size_t num_experts) {
  const size_t begin = layer * num_experts;
  if (begin + num_experts > histogram.size()) return {};
  return std::span(histogram).subspan(begin, num_experts);
}

// Adds row `layer` of a flat [layers, n] array; an engine that does not measure it leaves the array empty.
template <typename T>
void add_row(const std::vector<T>& flat, size_t layer, std::vector<double>& sums) {
  const size_t begin = layer * sums.size();
  if (begin + sums.size() > flat.size()) return;
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(flat[begin + i]);
}

template <typename T>
T at_or_zero(const std::vector<T>& values, size_t index) {
  return index < values.size() ? values[index] : T{};
}

void observe_stage(const std::vector<float>& seconds, size_t layer, Histogram& histogram) {
  if (layer < seconds.size()) histogram.observe(seconds[layer]);
}

ExpertSeries resolve(ExpertSeries wanted, const ModelInfo& info) {
  if (wanted != ExpertSeries::kAuto) return wanted;
  return count_expert_series(info) <= kMaxExpertSeries ? ExpertSeries::kFull : ExpertSeries::kLayer;
}

// Of a flat [experts, modality] array.
double sum_over_experts(const std::vector<double>& values, size_t modality) {
  double sum = 0;
  for (size_t i = modality; i < values.size(); i += kNumModalities) sum += values[i];
  return sum;
}

}  // namespace

VersionMetrics::Layer::Layer(int num_experts, std::span<const int64_t> reference)
    : tokens(static_cast<size_t>(num_experts) * kNumModalities),
      gate_mass(tokens.size()),
      overflow_step(tokens.size()),
      overflow_request(tokens.size()),
      window(num_experts, reference) {}

int64_t count_expert_series(const ModelInfo& info) {
  const int64_t moe_layers = info.num_layers - std::ssize(info.dense_layers);
  return std::max<int64_t>(moe_layers, 0) * info.num_experts * kSeriesPerExpert;
}

VersionMetrics::VersionMetrics(std::string model, int64_t version, const ModelInfo& info, ExpertSeries expert_series)
    : model_(std::move(model)),
      version_(version),
      digest_(info.digest),
      labels_{{"model", model_}, {"version", std::to_string(version)}},
      num_experts_(info.num_experts),
      expert_series_(resolve(expert_series, info)) {
  for (int layer = 0; layer < info.num_layers; ++layer) {
    const bool dense = std::ranges::find(info.dense_layers, layer) != info.dense_layers.end();
    layers_.emplace_back(dense ? 0 : num_experts_,
                         row_of(info.expert_histogram, static_cast<size_t>(layer), static_cast<size_t>(num_experts_)));
  }
}

void VersionMetrics::record_step(const StepSample& sample) {
  MutexLock lock(mutex_);
  step_duration_.observe(sample.step_seconds);
  batch_size_.observe(sample.batch_size);
  for (double seconds : sample.first_token_s) first_token_.observe(seconds);
  for (double seconds : sample.prefill_s) prefill_.observe(seconds);
  for (double seconds : sample.inter_token_s) inter_token_.observe(seconds);
  for (double seconds : sample.decode_s) decode_.observe(seconds);
  for (const StepSample::Answer& answer : sample.answers) {
    ++(answer.cut ? answers_cut_ : answers_stopped_);
    request_prompt_.observe(answer.prompt_tokens);
    request_generated_.observe(answer.generated_tokens);
  }
  generated_tokens_ += sample.generated_tokens;
  cache_ = sample.cache;
  const StepResult& result = *sample.result;
  prefix_queries_ += static_cast<uint64_t>(std::max(result.prefix_cache_queries, 0));
  prefix_hits_ += static_cast<uint64_t>(std::max(result.prefix_cache_hits, 0));
  image_queries_ += static_cast<uint64_t>(std::max(result.image_cache_queries, 0));
  image_hits_ += static_cast<uint64_t>(std::max(result.image_cache_hits, 0));
  nonfinite_logits_ += static_cast<uint64_t>(std::max(result.nonfinite_logits, 0));
  if (result.images_encoded > 0) {
    image_encode_.observe(result.image_encode_seconds / result.images_encoded,
                          static_cast<uint64_t>(result.images_encoded));
  }
  record_moe(result.moe);
}

void VersionMetrics::record_moe(const MoeStepStats& moe) {
  if (moe.num_experts != num_experts_) return;
  const size_t num_layers = std::min(layers_.size(), static_cast<size_t>(std::max(moe.num_layers, 0)));
  for (size_t layer = 0; layer < num_layers; ++layer) record_layer(moe, layer);
}

void VersionMetrics::record_layer(const MoeStepStats& moe, size_t layer) {
  Layer& sums = layers_[layer];
  if (sums.tokens.empty()) return;  // dense
  add_row(moe.tokens, layer, sums.tokens);
  add_row(moe.gate_mass, layer, sums.gate_mass);
  add_row(moe.overflow_step, layer, sums.overflow_step);
  add_row(moe.overflow_request, layer, sums.overflow_request);
  sums.capacity += static_cast<double>(at_or_zero(moe.capacity_tokens, layer));
  observe_stage(moe.route_seconds, layer, sums.route);
  observe_stage(moe.experts_seconds, layer, sums.experts);
  observe_stage(moe.combine_seconds, layer, sums.combine);

  std::vector<double> by_modality(sums.tokens.size());
  add_row(moe.tokens, layer, by_modality);
  std::vector<double> assignments(static_cast<size_t>(num_experts_));
  for (size_t i = 0; i < by_modality.size(); ++i) assignments[i / kNumModalities] += by_modality[i];
  sums.window.add(assignments, at_or_zero(moe.entropy_sum_nats, layer), at_or_zero(moe.routed_tokens, layer));
}

void VersionMetrics::record_failed_step() {
  MutexLock lock(mutex_);
  ++failed_steps_;
}

void VersionMetrics::record_preemption() {
  MutexLock lock(mutex_);
  ++preemptions_;
}

void VersionMetrics::record_admission(double queue_s, int prompt_tokens, int image_tokens) {
  MutexLock lock(mutex_);
  queue_time_.observe(queue_s);
  prompt_tokens_ += static_cast<uint64_t>(prompt_tokens);
  image_tokens_ += static_cast<uint64_t>(image_tokens);
}

void VersionMetrics::record_image_decode(double seconds) {
  MutexLock lock(mutex_);
  image_decode_.observe(seconds);
}

ExpertLoads VersionMetrics::expert_loads() const {
  ExpertLoads loads{.version = version_, .layers = {}};
  MutexLock lock(mutex_);
  for (const Layer& layer : layers_) {
    LayerLoad& row = loads.layers.emplace_back();
    row.window = layer.window.gauges();
    row.experts.resize(layer.tokens.size() / kNumModalities);
    for (size_t i = 0; i < layer.tokens.size(); ++i) {
      row.experts[i / kNumModalities][i % kNumModalities] = {layer.tokens[i], layer.gate_mass[i],
                                                             layer.overflow_request[i]};
    }
  }
  return loads;
}

void VersionMetrics::collect(FamilySet& families, bool live) const {
  MutexLock lock(mutex_);
  families["sparsefusion_time_to_first_token_seconds"].add(labels_, first_token_);
  families["sparsefusion_inter_token_latency_seconds"].add(labels_, inter_token_);
  families["sparsefusion_queue_time_seconds"].add(labels_, queue_time_);
  families["sparsefusion_image_decode_seconds"].add(labels_, image_decode_);
  families["sparsefusion_image_encode_seconds"].add(labels_, image_encode_);
  families["sparsefusion_prefill_seconds"].add(labels_, prefill_);
  families["sparsefusion_decode_seconds"].add(labels_, decode_);
  families["sparsefusion_step_duration_seconds"].add(labels_, step_duration_);
  families["sparsefusion_batch_size"].add(labels_, batch_size_);
  families["sparsefusion_request_prompt_tokens"].add(labels_, request_prompt_);
  families["sparsefusion_request_generated_tokens"].add(labels_, request_generated_);
  SeriesList answers = families["sparsefusion_answers_total"];
  answers.add(with(labels_, {{"finish_reason", "stop"}}), static_cast<double>(answers_stopped_));
  answers.add(with(labels_, {{"finish_reason", "length"}}), static_cast<double>(answers_cut_));
  const std::pair<const char*, uint64_t> counters[] = {
      {"sparsefusion_prompt_tokens_total", prompt_tokens_},
      {"sparsefusion_generated_tokens_total", generated_tokens_},
      {"sparsefusion_image_tokens_total", image_tokens_},
      {"sparsefusion_prefix_cache_queries_total", prefix_queries_},
      {"sparsefusion_prefix_cache_hits_total", prefix_hits_},
      {"sparsefusion_image_cache_queries_total", image_queries_},
      {"sparsefusion_image_cache_hits_total", image_hits_},
      {"sparsefusion_nonfinite_logits_total", nonfinite_logits_},
      {"sparsefusion_preemptions_total", preemptions_},
      {"sparsefusion_step_failures_total", failed_steps_},
  };
  for (const auto& [name, value] : counters) families[name].add(labels_, static_cast<double>(value));
  if (live) {
    families["sparsefusion_kv_cache_usage_ratio"].add(
        labels_, cache_.total_pages > 0 ? static_cast<double>(cache_.used_pages) / cache_.total_pages : 0.0);
  }
  collect_moe(families);
}

void VersionMetrics::collect_moe(FamilySet& families) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    if (layer.tokens.empty()) continue;
    const Labels labels = with(labels_, {{"layer", std::to_string(l)}});
    families["sparsefusion_moe_capacity_tokens_total"].add(labels, layer.capacity);
    SeriesList stages = families["sparsefusion_moe_layer_seconds"];
    stages.add(with(labels, {{"stage", "route"}}), layer.route);
    stages.add(with(labels, {{"stage", "experts"}}), layer.experts);
    stages.add(with(labels, {{"stage", "combine"}}), layer.combine);
    if (const auto gauges = layer.window.gauges()) {
      families["sparsefusion_moe_router_entropy_nats"].add(labels, gauges->entropy_nats);
      families["sparsefusion_moe_load_imbalance_ratio"].add(labels, gauges->imbalance);
      families["sparsefusion_moe_dead_experts"].add(labels, gauges->dead_experts);
      if (gauges->drift_js) families["sparsefusion_moe_routing_drift_js"].add(labels, *gauges->drift_js);
    }
    if (expert_series_ == ExpertSeries::kFull) collect_experts(families, l);
    if (expert_series_ == ExpertSeries::kLayer) collect_expert_sums(families, l);
  }
}

void VersionMetrics::collect_expert_sums(FamilySet& families, size_t l) const {
  const Layer& layer = layers_[l];
  for (size_t modality = 0; modality < kNumModalities; ++modality) {
    const Labels labels = with(labels_, {{"layer", std::to_string(l)}, {"modality", kModalityNames[modality]}});
    families["sparsefusion_moe_expert_tokens_total"].add(labels, sum_over_experts(layer.tokens, modality));
    families["sparsefusion_moe_expert_gate_mass_total"].add(labels, sum_over_experts(layer.gate_mass, modality));
    SeriesList overflow = families["sparsefusion_moe_overflow_tokens_total"];
    overflow.add(with(labels, {{"scope", "step"}}), sum_over_experts(layer.overflow_step, modality));
    overflow.add(with(labels, {{"scope", "request"}}), sum_over_experts(layer.overflow_request, modality));
  }
}

void VersionMetrics::collect_experts(FamilySet& families, size_t l) const {
  const Layer& layer = layers_[l];
  SeriesList tokens = families["sparsefusion_moe_expert_tokens_total"];
  SeriesList gate_mass = families["sparsefusion_moe_expert_gate_mass_total"];
  SeriesList overflow = families["sparsefusion_moe_overflow_tokens_total"];
  for (size_t i = 0; i < layer.tokens.size(); ++i) {
    const Labels labels = with(labels_, {{"layer", std::to_string(l)},
                                         {"expert", std::to_string(i / kNumModalities)},
                                         {"modality", kModalityNames[i % kNumModalities]}});
    tokens.add(labels, layer.tokens[i]);
    gate_mass.add(labels, layer.gate_mass[i]);
    overflow.add(with(labels, {{"scope", "step"}}), layer.overflow_step[i]);
    overflow.add(with(labels, {{"scope", "request"}}), layer.overflow_request[i]);
  }
}

}  // namespace sf::server
