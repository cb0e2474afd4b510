// Everything that one model version counts. The scheduler's thread records once a step; a scrape reads.
//
//   VersionMetrics metrics("sparsefusion", 7, engine.info());
//   metrics.record_step({.step_seconds = 0.004, .batch_size = 3, .result = &result, ...});
//
// Thread-safe, with one lock a step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/mutex.h"
#include "engine/engine.h"
#include "server/metrics/expert_loads.h"
#include "server/metrics/expert_window.h"
#include "server/metrics/families.h"
#include "server/metrics/histogram.h"

namespace sf::server {

// What one step brought. Times in seconds.
struct StepSample {
  double step_seconds = 0;
  int batch_size = 0;
  const StepResult* result = nullptr;
  CacheUsage cache;
  uint64_t generated_tokens = 0;
  std::vector<double> first_token_s;  // of the requests whose first token this was, since their arrival
  std::vector<double> prefill_s;      // of the same, since they were admitted
  std::vector<double> inter_token_s;  // of the others that got a token
  std::vector<double> decode_s;       // of those that ended
  struct Answer {
    bool cut = false;  // at max_tokens or the context
    int prompt_tokens = 0, generated_tokens = 0;
  };
  std::vector<Answer> answers;  // that ended
};

// How finely a scrape shows the experts' counters.
enum class ExpertSeries {
  kAuto,   // kFull up to kMaxExpertSeries, else kLayer
  kFull,   // kSeriesPerExpert series an expert
  kLayer,  // as many a layer, without the label `expert`: the sum over its experts
  kOff,    // none
};
inline constexpr int64_t kSeriesPerExpert = 8;     // tokens and gate mass by modality; overflow by modality and scope
inline constexpr int64_t kMaxExpertSeries = 4096;  // of one version, by default

// Series of the experts' counters if all of them are shown.
int64_t count_expert_series(const ModelInfo& info);

// Thread-safe.
class VersionMetrics {
 public:
  VersionMetrics(std::string model, int64_t version, const ModelInfo& info,
                 ExpertSeries expert_series = ExpertSeries::kAuto);

  int64_t version() const { return version_; }
  const std::string& digest() const { return digest_; }
  void record_step(const StepSample& sample);
  void record_failed_step();
  void record_preemption();
  // A request that leaves the queue and begins to run.
  void record_admission(double queue_s, int prompt_tokens, int image_tokens);
  void record_image_decode(double seconds);

  // What the experts have done so far.
  ExpertLoads expert_loads() const;

  // Effect: adds this version's series, all of them from the first scrape on; the gauges of the caches only while
  // `live`.
  void collect(FamilySet& families, bool live) const;

 private:
  struct Layer {
    Layer(int num_experts, std::span<const int64_t> reference);
    // [experts, modality]; empty in a dense layer, which has no series.
    std::vector<double> tokens, gate_mass, overflow_step, overflow_request;
    double capacity = 0;
    Histogram route{layer_edges()}, experts{layer_edges()}, combine{layer_edges()};
    ExpertWindow window;
  };

  void record_moe(const MoeStepStats& moe) SF_REQUIRES(mutex_);
  void record_layer(const MoeStepStats& moe, size_t layer) SF_REQUIRES(mutex_);
  void collect_moe(FamilySet& families) const SF_REQUIRES(mutex_);
  void collect_experts(FamilySet& families, size_t layer) const SF_REQUIRES(mutex_);
  void collect_expert_sums(FamilySet& families, size_t layer) const SF_REQUIRES(mutex_);

  const std::string model_;
  const int64_t version_;
  const std::string digest_;
  const Labels labels_;  // model, version
  const int num_experts_;
  const ExpertSeries expert_series_;  // never kAuto
  mutable Mutex mutex_;
  std::vector<Layer> layers_ SF_GUARDED_BY(mutex_);
  Histogram first_token_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram inter_token_ SF_GUARDED_BY(mutex_){inter_token_edges()};
  Histogram queue_time_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram image_decode_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram image_encode_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram prefill_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram decode_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram step_duration_ SF_GUARDED_BY(mutex_){first_token_edges()};
  Histogram batch_size_ SF_GUARDED_BY(mutex_){batch_edges()};
  Histogram request_prompt_ SF_GUARDED_BY(mutex_){token_edges()};
  Histogram request_generated_ SF_GUARDED_BY(mutex_){token_edges()};
  uint64_t answers_stopped_ SF_GUARDED_BY(mutex_) = 0, answers_cut_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t prompt_tokens_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t image_tokens_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t generated_tokens_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t prefix_queries_ SF_GUARDED_BY(mutex_) = 0, prefix_hits_ SF_GUARDED_BY(mutex_) = 0;  // tokens
  uint64_t image_queries_ SF_GUARDED_BY(mutex_) = 0, image_hits_ SF_GUARDED_BY(mutex_) = 0;    // images
  uint64_t nonfinite_logits_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t preemptions_ SF_GUARDED_BY(mutex_) = 0;
  uint64_t failed_steps_ SF_GUARDED_BY(mutex_) = 0;
  CacheUsage cache_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
