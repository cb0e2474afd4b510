// One layer's recent routing: counts of about the last 8192 routed tokens, older ones fading out exponentially, and the
// four gauges made of them. Pure arithmetic.
//
//   ExpertWindow window(4, {});                                  // experts; no histogram to compare with
//   window.add(std::vector<double>{90, 10, 20, 8}, 70.0, 64);    // one step: 64 tokens to two experts each
//   if (const std::optional<ExpertWindow::Gauges> gauges = window.gauges()) use(gauges->imbalance);
//
// One thread at a time: VersionMetrics guards its own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sf::server {

class ExpertWindow {
 public:
  static constexpr double kWindowTokens = 8192;
  static constexpr uint64_t kMinTokens = 1024;  // fewer say nothing

  // `reference` is the layer's row of the manifest's histogram; empty where there is none.
  ExpertWindow(int num_experts, std::span<const int64_t> reference);

  // Effect: adds one step's assignments [experts] and entropies of `routed_tokens` tokens. Each older token's weight is
  // multiplied by exp(-routed_tokens / 8192).
  void add(std::span<const double> assignments, double entropy_sum_nats, uint64_t routed_tokens);

  struct Gauges {
    double entropy_nats = 0;
    double imbalance = 0;            // load of the busiest expert / mean load: 1 = even, E = one takes all
    int dead_experts = 0;            // less than one assignment left in the window
    std::optional<double> drift_js;  // nats, 0..ln 2; nothing without a reference
  };
  // Nothing before kMinTokens.
  std::optional<Gauges> gauges() const;

 private:
  std::vector<double> load_;       // [experts]
  std::vector<double> reference_;  // [experts], sums to 1; or empty
  double entropy_ = 0;
  double weight_ = 0;  // tokens in the window
  uint64_t total_tokens_ = 0;
};

// Jensen-Shannon divergence in nats of two distributions that sum to 1.
double jensen_shannon(std::span<const double> p, std::span<const double> q);

}  // namespace sf::server
