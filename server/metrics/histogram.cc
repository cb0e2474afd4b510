#include "server/metrics/histogram.h"

#include <algorithm>

namespace sf::server {

const std::vector<double>& first_token_edges() {
  static const std::vector<double> edges = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04,
                                            0.06,   0.08,   0.1,    0.25,  0.5,   0.75,  1,    2.5,  5,
                                            7.5,    10,     20,     40,    80,    160,   640,  2560};
  return edges;
}

const std::vector<double>& inter_token_edges() {
  static const std::vector<double> edges = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05,
                                            0.075,  0.1,    0.15,   0.2,   0.3,   0.4,   0.5,  0.75,  1,
                                            2.5,    5,      7.5,    10,    20,    40,    80};
  return edges;
}

const std::vector<double>& layer_edges() {
  static const std::vector<double> edges = {0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002,
                                            0.005,   0.01,    0.02,    0.05,   0.1,    0.25,   1};
  return edges;
}

const std::vector<double>& batch_edges() {
  static const std::vector<double> edges = {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 128};
  return edges;
}

const std::vector<double>& token_edges() {
  static const std::vector<double> edges = {1,   2,    5,    10,   20,    50,    100,   200,
                                            500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};
  return edges;
}

void Histogram::observe(double value, uint64_t times) {
  const auto edge = std::lower_bound(edges_->begin(), edges_->end(), value);
  counts_[static_cast<size_t>(edge - edges_->begin())] += times;
  sum_ += value * static_cast<double>(times);
}

}  // namespace sf::server
