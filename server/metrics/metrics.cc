#include "server/metrics/metrics.h"

#include <algorithm>

#include "server/metrics/process_stats.h"

namespace sf::server {
namespace {

const char* const kOther = "other";
const char* const kRestApis[] = {"rest", "openai", "kserve_rest"};
const char* const kRestCodes[] = {"200", "400", "401", "403", "404", "405", "408",
                                  "413", "415", "429", "499", "500", "503", "504"};
const char* const kGrpcApis[] = {"grpc", "kserve_grpc"};
const char* const kGrpcCodes[] = {"OK",        "CANCELLED",         "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
                                  "NOT_FOUND", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED",
                                  "INTERNAL",  "UNAVAILABLE",       "UNAUTHENTICATED",    "UNKNOWN"};
const char* const kAdminApi = "admin";  // commands, over HTTP and gRPC
const char* const kPhases[] = {"prepare", "queued", "prefill", "decode"};
const char* const kRejections[] = {"queue_full",       "draining",   "too_large",          "unsupported_type",
                                   "invalid_argument", "not_found",  "method_not_allowed", "deadline",
                                   "client_gone",      "rate_limit", "unauthenticated",    "permission_denied",
                                   "internal",         kOther};
const std::pair<const char*, const char*> kReloads[] = {
    {"success", "none"},          {"failure", "verify"}, {"failure", "load"},
    {"failure", "out_of_memory"}, {"failure", "warmup"}, {"failure", "canary"},
    {"failure", "machine_fault"}, {"failure", "store"},  {"refused", "score"}};
const char* const kReloadStages[] = {"verify", "load", "warmup", "canary", "publish"};

// The entry of `key`, or of the nearest "other" key that exists.
template <typename Map, typename Key>
auto& known(Map& map, const Key& key, const Key& other) {
  const auto found = map.find(key);
  return found != map.end() ? found->second : map.find(other)->second;
}

template <typename Map>
void add_pairs(SeriesList series, const Map& map, const char* first, const char* second) {
  for (const auto& [key, value] : map) series.add({{first, key.first}, {second, key.second}}, value);
}

}  // namespace

Metrics::Metrics(MetricsOptions options) : options_(std::move(options)) {
  const auto add_api = [this](const std::string& api, const auto& codes) SF_NO_THREAD_SAFETY_ANALYSIS {
    durations_.emplace(api, Histogram(first_token_edges()));
    requests_[{api, kOther}] = 0;
    for (const char* code : codes) requests_[{api, code}] = 0;
    for (const char* phase : kPhases) cancellations_[{api, phase}] = 0;
  };
  MutexLock lock(mutex_);
  for (const char* api : kRestApis) add_api(api, kRestCodes);
  for (const char* api : kGrpcApis) add_api(api, kGrpcCodes);
  add_api(kAdminApi, kRestCodes);
  for (const char* code : kGrpcCodes) requests_[{kAdminApi, code}] = 0;
  const char* const no_codes[] = {kOther};
  add_api(kOther, no_codes);
  for (const char* reason : kRejections) rejections_[reason] = 0;
  for (const auto& [result, reason] : kReloads) reloads_[{result, reason}] = 0;
  for (const char* result : {"exported", "dropped"}) spans_[result] = metric_exports_[result] = 0;
  for (const char* stage : kReloadStages) reload_stages_.emplace(stage, Histogram(first_token_edges()));
}

void Metrics::count_refused(const std::string& api, const std::string& code) {
  MutexLock lock(mutex_);
  const std::string known_api = durations_.contains(api) ? api : kOther;
  known(requests_, Pair{known_api, code}, Pair{known_api, kOther}) += 1;
}

void Metrics::count_request(const std::string& api, const std::string& code, double duration_s) {
  count_refused(api, code);
  MutexLock lock(mutex_);
  known(durations_, api, std::string(kOther)).observe(duration_s);
}

void Metrics::count_rejection(const std::string& reason) {
  MutexLock lock(mutex_);
  known(rejections_, reason, std::string(kOther)) += 1;
}

void Metrics::count_cancellation(const std::string& api, const std::string& phase) {
  MutexLock lock(mutex_);
  known(cancellations_, Pair{api, phase}, Pair{kOther, phase}) += 1;
}

void Metrics::count_spans(const std::string& result, double spans) {
  MutexLock lock(mutex_);
  spans_[result] += spans;
}

void Metrics::count_metric_export(const std::string& result) {
  MutexLock lock(mutex_);
  metric_exports_[result] += 1;
}

void Metrics::count_reload(const std::string& result, const std::string& reason) {
  MutexLock lock(mutex_);
  reloads_[{result, reason}] += 1;
}

void Metrics::set_store_up(bool up) {
  MutexLock lock(mutex_);
  store_up_ = up;
}

void Metrics::observe_reload(const std::string& stage, double seconds) {
  MutexLock lock(mutex_);
  reload_stages_.try_emplace(stage, Histogram(first_token_edges())).first->second.observe(seconds);
}

std::shared_ptr<VersionMetrics> Metrics::add_version(int64_t version, const ModelInfo& info) {
  MutexLock lock(mutex_);
  const auto same = std::find_if(versions_.begin(), versions_.end(),
                                 [&](const Entry& entry) { return entry.metrics->version() == version; });
  if (same != versions_.end() && same->metrics->digest() == info.digest) {
    same->retired_at_s = -1;
    return same->metrics;
  }
  // Two series with the same labels would make the scrape invalid: other bytes under the number start anew.
  if (same != versions_.end()) versions_.erase(same);
  versions_.push_back({std::make_shared<VersionMetrics>(options_.model, version, info, options_.expert_series), -1});
  return versions_.back().metrics;
}

void Metrics::retire_version(const VersionMetrics* metrics, double now_s) {
  MutexLock lock(mutex_);
  for (Entry& entry : versions_) {
    if (entry.metrics.get() == metrics) entry.retired_at_s = now_s;
  }
}

std::string Metrics::text(const LiveGauges& gauges, double now_s) {
  FamilySet families;
  MutexLock lock(mutex_);
  std::erase_if(versions_, [&](const Entry& entry) {
    return entry.retired_at_s >= 0 && now_s - entry.retired_at_s >= options_.retired_series_s;
  });
  collect_requests(families, gauges);
  for (const Entry& entry : versions_) entry.metrics->collect(families, entry.retired_at_s < 0);
  collect_reloads(families, gauges);
  families["sparsefusion_build_info"].add({{"version", options_.program_version}}, 1);
  collect_process(families);
  return families.text();
}

void Metrics::collect_requests(FamilySet& families, const LiveGauges& gauges) const {
  add_pairs(families["sparsefusion_requests_total"], requests_, "api", "code");
  add_pairs(families["sparsefusion_requests_cancelled_total"], cancellations_, "api", "phase");
  SeriesList rejections = families["sparsefusion_requests_rejected_total"];
  for (const auto& [reason, count] : rejections_) rejections.add({{"reason", reason}}, count);
  SeriesList inflight = families["sparsefusion_requests_inflight"];
  inflight.add({{"state", "preparing"}}, gauges.preparing);
  inflight.add({{"state", "waiting"}}, gauges.waiting);
  inflight.add({{"state", "running"}}, gauges.running);
  SeriesList spans = families["sparsefusion_trace_spans_total"];
  for (const auto& [result, count] : spans_) spans.add({{"result", result}}, count);
  SeriesList metric_exports = families["sparsefusion_otlp_metric_exports_total"];
  for (const auto& [result, count] : metric_exports_) metric_exports.add({{"result", result}}, count);
  families["sparsefusion_queue_depth"].add({}, gauges.queue_depth);
  families["sparsefusion_queue_tokens"].add({}, gauges.queue_tokens);
  SeriesList durations = families["sparsefusion_request_duration_seconds"];
  for (const auto& [api, histogram] : durations_) durations.add({{"api", api}}, histogram);
}

void Metrics::collect_reloads(FamilySet& families, const LiveGauges& gauges) const {
  SeriesList info = families["sparsefusion_model_info"];
  SeriesList step_age = families["sparsefusion_engine_last_step_age_seconds"];
  for (const LiveGauges::Version& version : gauges.versions) {
    const std::string number = std::to_string(version.version);
    info.add({{"model", options_.model},
              {"version", number},
              {"step", std::to_string(version.step)},
              {"digest", version.digest}},
             1);
    step_age.add({{"model", options_.model}, {"version", number}}, version.last_step_age_s);
  }
  add_pairs(families["sparsefusion_model_reloads_total"], reloads_, "result", "reason");
  SeriesList stages = families["sparsefusion_model_reload_seconds"];
  for (const auto& [stage, histogram] : reload_stages_) stages.add({{"stage", stage}}, histogram);
  families["sparsefusion_model_store_up"].add({}, store_up_ ? 1 : 0);
  families["sparsefusion_model_versions_live"].add({}, static_cast<double>(gauges.versions.size()));
  families["sparsefusion_model_checkpoint_age_seconds"].add({}, gauges.checkpoint_age_s);
}

}  // namespace sf::server
