#include "server/kserve/infer_statistics.h"

#include <algorithm>
#include <chrono>

namespace sf::server {
namespace {

void add(InferCounter& counter, double ms) {
  ++counter.count;
  counter.ns += static_cast<uint64_t>(std::max(0.0, ms) * 1e6);
}

uint64_t unix_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

}  // namespace

void InferStatistics::record_success(const std::string& name, const Summary& summary, double duration_s,
                                     size_t num_answers) {
  const Timings& timings = summary.timings;
  MutexLock lock(mutex_);
  InferCounts& counts = counts_[name];
  counts.last_inference_ms = unix_ms();
  counts.inferences += num_answers;
  add(counts.success, duration_s * 1e3);
  add(counts.queue, timings.queue_ms);
  add(counts.compute_input, timings.image_ms);
  add(counts.compute_infer, timings.prefill_ms + timings.decode_ms);
  add(counts.compute_output, 0);
}

void InferStatistics::record_failure(const std::string& name, double duration_s) {
  MutexLock lock(mutex_);
  add(counts_[name].fail, duration_s * 1e3);
}

InferCounts InferStatistics::of(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = counts_.find(name);
  return found == counts_.end() ? InferCounts{} : found->second;
}

}  // namespace sf::server
