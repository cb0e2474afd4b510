// Everything that the server counts, and one scrape of it. Series are bounded whatever clients send: an unknown label
// value is counted as "other".
//
//   Metrics metrics({.model = "sparsefusion", .program_version = "0.1.0"});
//   std::shared_ptr<VersionMetrics> version = metrics.add_version(7, engine.info());
//   metrics.count_request("rest", "200", 0.012);
//   std::string text = metrics.text(gauges, now_s);
//
// Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/mutex.h"
#include "server/metrics/version_metrics.h"

namespace sf::server {

struct MetricsOptions {
  std::string model = "sparsefusion";  // label `model`
  std::string program_version;
  double retired_series_s = 300;  // how long a freed version's series stay
  ExpertSeries expert_series = ExpertSeries::kAuto;
};

// What is read at the moment of the scrape and counted nowhere.
struct LiveGauges {
  struct Version {
    int64_t version = 0;
    std::string digest;
    int64_t step = 0;
    double last_step_age_s = 0;
  };
  int preparing = 0, waiting = 0, running = 0;  // requests
  int queue_depth = 0, queue_tokens = 0;
  std::vector<Version> versions;
  double checkpoint_age_s = 0;  // of the served version; 0 while there is none
};

class Metrics {
 public:
  explicit Metrics(MetricsOptions options);

  // `code`: the HTTP status, or gRPC's name of the code.
  void count_request(const std::string& api, const std::string& code, double duration_s);
  // A refused request that never took time: no duration is observed.
  void count_refused(const std::string& api, const std::string& code);
  void count_rejection(const std::string& reason);
  // phase: prepare, queued, prefill, decode.
  void count_cancellation(const std::string& api, const std::string& phase);
  // result: success, failure, refused. reason: none, verify, load, out_of_memory, machine_fault,
  // warmup, canary, score, store.
  void count_reload(const std::string& result, const std::string& reason);
  // Whether the store is there and can be read.
  void set_store_up(bool up);
  // stage: verify, load, warmup, canary, publish.
  void observe_reload(const std::string& stage, double seconds);

  // result: exported, dropped.
  void count_spans(const std::string& result, double spans);
  void count_metric_export(const std::string& result);

  // Effect: series of `version` from the next scrape on. A version that comes back with the same bytes counts on.
  std::shared_ptr<VersionMetrics> add_version(int64_t version, const ModelInfo& info);
  // Effect: the series vanish `retired_series_s` after `now_s`, unless the version is added again.
  void retire_version(const VersionMetrics* metrics, double now_s);

  // Prometheus text format 0.0.4. Forgets versions whose time has come.
  std::string text(const LiveGauges& gauges, double now_s);

 private:
  using Pair = std::pair<std::string, std::string>;
  struct Entry {
    std::shared_ptr<VersionMetrics> metrics;
    double retired_at_s = -1;  // negative: live
  };

  void collect_requests(FamilySet& families, const LiveGauges& gauges) const SF_REQUIRES(mutex_);
  void collect_reloads(FamilySet& families, const LiveGauges& gauges) const SF_REQUIRES(mutex_);

  const MetricsOptions options_;
  Mutex mutex_;
  std::map<Pair, double> requests_ SF_GUARDED_BY(mutex_);       // {api, code}
  std::map<Pair, double> cancellations_ SF_GUARDED_BY(mutex_);  // {api, phase}
  std::map<std::string, double> rejections_ SF_GUARDED_BY(mutex_);
  std::map<Pair, double> reloads_ SF_GUARDED_BY(mutex_);                // {result, reason}
  std::map<std::string, double> spans_ SF_GUARDED_BY(mutex_);           // {result}
  std::map<std::string, double> metric_exports_ SF_GUARDED_BY(mutex_);  // {result}
  std::map<std::string, Histogram> durations_ SF_GUARDED_BY(mutex_);    // by api
  std::map<std::string, Histogram> reload_stages_ SF_GUARDED_BY(mutex_);
  std::vector<Entry> versions_ SF_GUARDED_BY(mutex_);
  bool store_up_ SF_GUARDED_BY(mutex_) = true;
};

}  // namespace sf::server
