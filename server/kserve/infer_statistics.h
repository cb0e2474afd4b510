// Counts and times of the requests that came over the Open Inference Protocol, by the name that they asked for: what
// ModelStatistics and GET /v2/models/stats show. perf_analyzer reads them before and after each window.
//
//   statistics.record_success("sparsefusion", summary, elapsed_s);
//   uint64_t ns = statistics.of("sparsefusion").queue.ns;
//
// Thread-safe. One for all frontends.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/base/mutex.h"
#include "server/scheduler/response_stream.h"

namespace sf::server {

struct InferCounter {
  uint64_t count = 0;
  uint64_t ns = 0;
};

struct InferCounts {
  uint64_t last_inference_ms = 0;  // since the Unix epoch; 0 = never
  uint64_t inferences = 0;         // answers made
  InferCounter success, fail;      // the whole request, as its frontend saw it
  InferCounter queue;
  InferCounter compute_input;   // decoding and resizing the image
  InferCounter compute_infer;   // prefill and decode
  InferCounter compute_output;  // nothing is done for it: counted, no time
};

class InferStatistics {
 public:
  // REQUIRES of all three: `name` is a served model's, so that there are never more than a few.
  // `num_answers`: of the one request.
  void record_success(const std::string& name, const Summary& summary, double duration_s, size_t num_answers = 1);
  void record_failure(const std::string& name, double duration_s);
  InferCounts of(const std::string& name) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, InferCounts> counts_ SF_GUARDED_BY(mutex_);
};

}  // namespace sf::server
