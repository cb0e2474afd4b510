#include "trainer/tracking/training_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "engine/base/expert_load.h"

namespace sf {

using prometheus::BuildCounter;
using prometheus::BuildGauge;

struct TrainingMetrics::Families {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Gauge>& loss =
      BuildGauge().Name("sparsefusion_train_loss").Help("Loss of the last step, by part").Register(registry);
  prometheus::Family<prometheus::Gauge>& accuracy =
      BuildGauge()
          .Name("sparsefusion_train_accuracy")
          .Help("Exact-match accuracy of the last evaluation, by kind of question")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& tokens = BuildCounter()
                                                        .Name("sparsefusion_train_tokens_total")
                                                        .Help("Tokens trained on, padding left out")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& steps =
      BuildCounter().Name("sparsefusion_train_steps_total").Help("Optimiser steps").Register(registry);
  prometheus::Family<prometheus::Counter>& expert_tokens = BuildCounter()
                                                               .Name("sparsefusion_train_expert_tokens_total")
                                                               .Help("Expert assignments by layer, expert and modality")
                                                               .Register(registry);
  prometheus::Family<prometheus::Gauge>& dropped =
      BuildGauge()
          .Name("sparsefusion_train_dropped_ratio")
          .Help("Share of the last step's assignments above the experts' capacity")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& violation =
      BuildGauge()
          .Name("sparsefusion_train_max_violation_ratio")
          .Help("Largest expert load of the last step over the mean, minus one")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& dead = BuildGauge()
                                                    .Name("sparsefusion_train_dead_experts")
                                                    .Help("Experts that the last step gave no token")
                                                    .Register(registry);
  prometheus::Gauge& checkpoint_step = BuildGauge()
                                           .Name("sparsefusion_train_checkpoint_step")
                                           .Help("Step of the last published checkpoint")
                                           .Register(registry)
                                           .Add({});
  prometheus::Counter& all_tokens = tokens.Add({});
  prometheus::Counter& all_steps = steps.Add({});
};

// Every family is there from the first scrape; of layers and experts only the first are known before the first step.
TrainingMetrics::TrainingMetrics(const std::vector<std::string>& kinds) : families_(std::make_unique<Families>()) {
  Families& f = *families_;
  for (const char* part : {"total", "answer", "balance", "router_z", "alignment", "dense", "importance", "load",
                           "modality", "local_entropy", "global_entropy"})
    f.loss.Add({{"part", part}});
  for (const std::string& kind : kinds) f.accuracy.Add({{"kind", kind}});
  for (const char* modality : {"image", "text"})
    f.expert_tokens.Add({{"layer", "0"}, {"expert", "0"}, {"modality", modality}});
  for (auto* family : {&f.dropped, &f.violation, &f.dead}) family->Add({{"layer", "0"}});
}

TrainingMetrics::~TrainingMetrics() = default;

void TrainingMetrics::on_step(int64_t, const StepReport& report) {
  Families& f = *families_;
  f.loss.Add({{"part", "total"}}).Set(report.loss);
  f.loss.Add({{"part", "answer"}}).Set(report.answer);
  f.loss.Add({{"part", "balance"}}).Set(report.balance);
  f.loss.Add({{"part", "router_z"}}).Set(report.router_z);
  f.loss.Add({{"part", "alignment"}}).Set(report.alignment);
  f.loss.Add({{"part", "dense"}}).Set(report.dense);
  f.loss.Add({{"part", "importance"}}).Set(report.importance);
  f.loss.Add({{"part", "load"}}).Set(report.load);
  f.loss.Add({{"part", "modality"}}).Set(report.modality);
  f.loss.Add({{"part", "local_entropy"}}).Set(report.local_entropy);
  f.loss.Add({{"part", "global_entropy"}}).Set(report.global_entropy);
  f.all_tokens.Increment(static_cast<double>(report.tokens));
  f.all_steps.Increment();
  for (const LayerRouting& layer : report.layers) {
    const std::string name = std::to_string(layer.layer);
    const size_t experts = layer.expert_tokens.size() / 2;
    std::vector<int64_t> tokens;
    for (size_t e = 0; e < experts; ++e) {
      const int64_t image = layer.expert_tokens[2 * e], text = layer.expert_tokens[2 * e + 1];
      f.expert_tokens.Add({{"layer", name}, {"expert", std::to_string(e)}, {"modality", "image"}})
          .Increment(double(image));
      f.expert_tokens.Add({{"layer", name}, {"expert", std::to_string(e)}, {"modality", "text"}})
          .Increment(double(text));
      tokens.push_back(image + text);
    }
    const ExpertLoad load = expert_load(tokens);
    f.dropped.Add({{"layer", name}}).Set(layer.assignments ? double(layer.dropped) / double(layer.assignments) : 0);
    f.violation.Add({{"layer", name}}).Set(load.max_violation);
    f.dead.Add({{"layer", name}}).Set(load.dead_experts);
  }
}

void TrainingMetrics::on_evaluated(const TaskEvaluation& evaluation) {
  for (const auto& [kind, accuracy] : evaluation.accuracy) families_->accuracy.Add({{"kind", kind}}).Set(accuracy);
}

void TrainingMetrics::on_published(int64_t step) { families_->checkpoint_step.Set(double(step)); }

std::string TrainingMetrics::text() const {
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace sf
