#include "server/metrics/expert_window.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sf::server {
namespace {

std::vector<double> normalised(std::vector<double> values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  if (sum <= 0) return {};
  for (double& value : values) value /= sum;
  return values;
}

// p * ln(p / m), whose limit at p = 0 is 0.
double divergence_term(double p, double m) { return p > 0 ? p * std::log(p / m) : 0; }

}  // namespace

double jensen_shannon(std::span<const double> p, std::span<const double> q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double m = (p[i] + q[i]) / 2;
    sum += (divergence_term(p[i], m) + divergence_term(q[i], m)) / 2;
  }
  return std::max(sum, 0.0);
}

ExpertWindow::ExpertWindow(int num_experts, std::span<const int64_t> reference)
    : load_(static_cast<size_t>(num_experts)) {
  if (reference.size() == load_.size()) reference_ = normalised({reference.begin(), reference.end()});
}

void ExpertWindow::add(std::span<const double> assignments, double entropy_sum_nats, uint64_t routed_tokens) {
  if (routed_tokens == 0) return;
  const double fade = std::exp(-static_cast<double>(routed_tokens) / kWindowTokens);
  for (size_t e = 0; e < load_.size(); ++e) load_[e] = load_[e] * fade + assignments[e];
  entropy_ = entropy_ * fade + entropy_sum_nats;
  weight_ = weight_ * fade + static_cast<double>(routed_tokens);
  total_tokens_ += routed_tokens;
}

std::optional<ExpertWindow::Gauges> ExpertWindow::gauges() const {
  if (total_tokens_ < kMinTokens) return std::nullopt;
  Gauges gauges;
  gauges.entropy_nats = entropy_ / weight_;
  const double sum = std::accumulate(load_.begin(), load_.end(), 0.0);
  const double mean = sum / static_cast<double>(load_.size());
  if (mean > 0) gauges.imbalance = *std::max_element(load_.begin(), load_.end()) / mean;
  gauges.dead_experts =
      static_cast<int>(std::count_if(load_.begin(), load_.end(), [](double load) { return load < 1; }));
  if (!reference_.empty() && sum > 0) gauges.drift_js = jensen_shannon(normalised(load_), reference_);
  return gauges;
}

}  // namespace sf::server
