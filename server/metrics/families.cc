#include "server/metrics/families.h"

#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>

#include "engine/base/error.h"

namespace sf::server {
namespace {

constexpr auto kCounter = prometheus::MetricType::Counter;
constexpr auto kGauge = prometheus::MetricType::Gauge;
constexpr auto kHistogram = prometheus::MetricType::Histogram;

void set_labels(const Labels& labels, prometheus::ClientMetric& metric) {
  metric.label.reserve(labels.size());
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
}

}  // namespace

const std::vector<FamilyInfo>& family_infos() {
  static const std::vector<FamilyInfo> infos = {
      // requests
      {"sparsefusion_requests_total", kCounter, "Requests answered, by API and by HTTP status or gRPC code."},
      {"sparsefusion_requests_rejected_total", kCounter, "Requests refused before they were queued, by reason."},
      {"sparsefusion_requests_cancelled_total", kCounter,
       "Requests whose client left, by API and by the phase they were in."},
      {"sparsefusion_requests_inflight", kGauge, "Requests in the server now: preparing, waiting or running."},
      {"sparsefusion_queue_depth", kGauge, "Requests that hold a place in the queue."},
      {"sparsefusion_queue_tokens", kGauge, "Prompt tokens reserved by the requests in the queue."},
      {"sparsefusion_trace_spans_total", kCounter, "Spans for the trace collector, by what became of them."},
      {"sparsefusion_otlp_metric_exports_total", kCounter,
       "Batches of metrics for the collector, by what became of them."},
      // latency
      {"sparsefusion_request_duration_seconds", kHistogram, "Time from a request's arrival to the end of its answer."},
      {"sparsefusion_time_to_first_token_seconds", kHistogram, "Time from a request's arrival to its first token."},
      {"sparsefusion_inter_token_latency_seconds", kHistogram, "Time between two tokens of one answer."},
      {"sparsefusion_queue_time_seconds", kHistogram, "Time a prepared request waited before it began to run."},
      {"sparsefusion_image_decode_seconds", kHistogram, "Time to decode and resize a request's images."},
      {"sparsefusion_image_encode_seconds", kHistogram, "Time of the vision tower for one image."},
      {"sparsefusion_prefill_seconds", kHistogram, "Time from a request's first step to its first token."},
      {"sparsefusion_decode_seconds", kHistogram, "Time from a request's first token to its last."},
      {"sparsefusion_step_duration_seconds", kHistogram, "Time of one engine step."},
      {"sparsefusion_batch_size", kHistogram, "Sequences in one engine step."},
      // tokens and caches
      {"sparsefusion_prompt_tokens_total", kCounter, "Prompt tokens of the requests that ran, image tokens included."},
      {"sparsefusion_generated_tokens_total", kCounter, "Tokens generated."},
      {"sparsefusion_image_tokens_total", kCounter, "Image tokens of the requests that ran."},
      {"sparsefusion_request_prompt_tokens", kHistogram,
       "Prompt tokens of one answered request, image tokens included."},
      {"sparsefusion_request_generated_tokens", kHistogram, "Tokens generated for one answered request."},
      {"sparsefusion_answers_total", kCounter,
       "Answers by why they ended: stop (the model was done) or length (cut at max_tokens or the context)."},
      {"sparsefusion_kv_cache_usage_ratio", kGauge,
       "Share of the KV cache's pages that sequences use; pages kept for their prefix alone count as free."},
      {"sparsefusion_prefix_cache_queries_total", kCounter,
       "Prompt tokens looked up in the prefix cache, once a request."},
      {"sparsefusion_prefix_cache_hits_total", kCounter, "Prompt tokens taken from the prefix cache."},
      {"sparsefusion_image_cache_queries_total", kCounter,
       "Images looked up among the cached prefixes, once a request."},
      {"sparsefusion_image_cache_hits_total", kCounter, "Images that were neither encoded nor computed again."},
      {"sparsefusion_nonfinite_logits_total", kCounter, "Logit rows that held a NaN or an infinity."},
      {"sparsefusion_preemptions_total", kCounter, "Sequences that gave up their pages and were computed again."},
      {"sparsefusion_step_failures_total", kCounter, "Engine steps that failed as a whole."},
      // mixture of experts
      {"sparsefusion_moe_expert_tokens_total", kCounter, "Tokens routed to an expert."},
      {"sparsefusion_moe_expert_gate_mass_total", kCounter, "Sum of the gates of the tokens routed to an expert."},
      {"sparsefusion_moe_overflow_tokens_total", kCounter,
       "Assignments above an expert's capacity: scope=step over the whole batch, scope=request over the request's own "
       "windows."},
      {"sparsefusion_moe_capacity_tokens_total", kCounter,
       "Assignments that a layer's experts had capacity for (scope=step)."},
      {"sparsefusion_moe_layer_seconds", kHistogram, "Time of one stage of a MoE layer in one step."},
      {"sparsefusion_moe_router_entropy_nats", kGauge,
       "Mean entropy of the router's distribution over the last 8192 tokens."},
      {"sparsefusion_moe_load_imbalance_ratio", kGauge,
       "Load of the busiest expert over the mean load, last 8192 tokens."},
      {"sparsefusion_moe_dead_experts", kGauge, "Experts that got no token in the last 8192 of the layer."},
      {"sparsefusion_moe_routing_drift_js", kGauge,
       "Jensen-Shannon divergence (nats) of the live load from the manifest's histogram, last 8192 tokens."},
      // reload
      {"sparsefusion_model_info", kGauge, "The versions that are loaded; always 1."},
      {"sparsefusion_model_reloads_total", kCounter, "Versions that were tried, by result and reason."},
      {"sparsefusion_model_reload_seconds", kHistogram, "Time of one stage of a reload."},
      {"sparsefusion_model_store_up", kGauge,
       "1 while the store of --model is there and can be read, 0 while it is gone, unreadable or has lost its versions."},
      {"sparsefusion_model_versions_live", kGauge,
       "Versions in memory: the one served and those that finish requests."},
      {"sparsefusion_model_checkpoint_age_seconds", kGauge, "Age of the served checkpoint since it was written."},
      // process
      {"sparsefusion_engine_last_step_age_seconds", kGauge,
       "Time since the last step while there is work; 0 when idle."},
      {"sparsefusion_build_info", kGauge, "The build; always 1."},
      {"process_resident_memory_bytes", kGauge, "Resident memory size in bytes."},
      {"process_open_fds", kGauge, "Number of open file descriptors."},
      {"process_start_time_seconds", kGauge, "Start time of the process since the Unix epoch in seconds."},
      {"process_cpu_seconds_total", kCounter, "Total user and system CPU time spent in seconds."},
  };
  return infos;
}

void SeriesList::add(const Labels& labels, double value) {
  prometheus::ClientMetric& metric = family_->metric.emplace_back();
  set_labels(labels, metric);
  if (family_->type == kCounter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

void SeriesList::add(const Labels& labels, const Histogram& histogram) {
  prometheus::ClientMetric& metric = family_->metric.emplace_back();
  set_labels(labels, metric);
  uint64_t cumulative = 0;
  for (size_t i = 0; i < histogram.counts().size(); ++i) {
    cumulative += histogram.counts()[i];
    const bool last = i == histogram.edges().size();
    metric.histogram.bucket.push_back(
        {cumulative, last ? std::numeric_limits<double>::infinity() : histogram.edges()[i]});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = histogram.sum();
}

FamilySet::FamilySet() {
  families_.reserve(family_infos().size());
  for (const FamilyInfo& info : family_infos()) {
    index_.emplace(info.name, families_.size());
    families_.push_back({info.name, info.help, info.type, {}});
  }
}

SeriesList FamilySet::operator[](std::string_view name) {
  const auto found = index_.find(name);
  SF_CHECK(found != index_.end(), "metrics: unknown family ", name);
  return SeriesList(&families_[found->second]);
}

std::string FamilySet::text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_);
  return out.str();
}

}  // namespace sf::server
