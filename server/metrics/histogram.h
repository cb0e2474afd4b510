// A Prometheus histogram without a lock of its own, and the edges that the server's histograms have.
//
//   Histogram durations(first_token_edges());
//   durations.observe(0.012);
//   families["sparsefusion_step_duration_seconds"].add({{"version", "7"}}, durations);
//
// One thread at a time: what holds it guards it.
#pragma once

#include <cstdint>
#include <vector>

namespace sf::server {

// Upper bounds, ascending; +Inf is implied. vLLM's edges, so that dashboards compare, preceded by 0.1 0.2 0.5 1 2 5 ms,
// because a small model on a CPU lives there.
const std::vector<double>& first_token_edges();  // vLLM's time to first token
const std::vector<double>& inter_token_edges();  // vLLM's inter-token latency
const std::vector<double>& layer_edges();        // 10 us to 1 s: parts of one layer
const std::vector<double>& batch_edges();        // sequences in a step
const std::vector<double>& token_edges();        // vLLM's prompt and answer lengths

class Histogram {
 public:
  // REQUIRES: `edges` outlives this.
  explicit Histogram(const std::vector<double>& edges) : edges_(&edges), counts_(edges.size() + 1) {}
  void observe(double value, uint64_t times = 1);

  const std::vector<double>& edges() const { return *edges_; }
  // One more than the edges; the last counts what is above them all. Not cumulative.
  const std::vector<uint64_t>& counts() const { return counts_; }
  double sum() const { return sum_; }

 private:
  const std::vector<double>* edges_;
  std::vector<uint64_t> counts_;
  double sum_ = 0;
};

}  // namespace sf::server
