#include "trainer/optimizer.h"

#include <cmath>
#include <map>
#include <numbers>

#include "engine/base/error.h"

namespace sf {
namespace {

bool decays(const std::string& name, const at::Tensor& parameter) {
  if (parameter.dim() < 2) return false;
  for (const char* part : {"embedding", "relative_bias", "router"}) {
    if (name.find(part) != std::string::npos) return false;
  }
  return true;
}

}  // namespace

double scheduled_rate(const OptimizerOptions& options, int64_t step) {
  if (step < options.warmup_steps) return options.learning_rate * double(step + 1) / double(options.warmup_steps);
  const double span = std::max<int64_t>(1, options.total_steps - options.warmup_steps);
  const double progress = std::min(1.0, double(step - options.warmup_steps) / span);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return options.learning_rate * (options.final_ratio + (1 - options.final_ratio) * cosine);
}

Optimizer::Optimizer(const torch::OrderedDict<std::string, at::Tensor>& parameters, OptimizerOptions options)
    : options_(std::move(options)) {
  for (const auto& item : parameters) {
    const double factor = options_.rate_factor(item.key());
    if (factor == 0) continue;
    const at::Tensor& p = item.value();
    slots_.push_back({item.key(), p, at::zeros_like(p), at::zeros_like(p), factor,
                      decays(item.key(), p) ? options_.weight_decay : 0.0});
  }
}

double Optimizer::step(int64_t step) {
  torch::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const Slot& slot : slots_) {
    if (slot.parameter.grad().defined()) norms.push_back(slot.parameter.grad().norm());
  }
  if (norms.empty()) return 0;
  const double norm = at::stack(norms).norm().item<double>();
  const double clip = norm > options_.clip_norm ? options_.clip_norm / norm : 1.0;
  if (std::isfinite(norm)) {
    ++updates_;
    const double rate = scheduled_rate(options_, step);
    const double correction1 = 1 - std::pow(options_.beta1, updates_);
    const double correction2 = std::sqrt(1 - std::pow(options_.beta2, updates_));
    for (Slot& slot : slots_) {
      at::Tensor gradient = slot.parameter.grad();
      if (!gradient.defined()) continue;
      if (clip != 1.0) gradient.mul_(clip);
      const double slot_rate = rate * slot.rate_factor;
      if (slot.weight_decay > 0) slot.parameter.mul_(1 - slot_rate * slot.weight_decay);
      slot.m.lerp_(gradient, 1 - options_.beta1);
      slot.v.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
      slot.parameter.addcdiv_(slot.m, (slot.v.sqrt() / correction2).add_(options_.epsilon), -slot_rate / correction1);
    }
  }
  for (Slot& slot : slots_) slot.parameter.mutable_grad() = at::Tensor();
  return norm;
}

std::vector<std::pair<std::string, at::Tensor>> Optimizer::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const Slot& slot : slots_) {
    state.emplace_back("m." + slot.name, slot.m);
    state.emplace_back("v." + slot.name, slot.v);
  }
  state.emplace_back("updates", at::full({1}, updates_, at::kLong));
  return state;
}

void Optimizer::load_state(const std::vector<std::pair<std::string, at::Tensor>>& state) {
  torch::NoGradGuard no_grad;
  std::map<std::string, at::Tensor> by_name(state.begin(), state.end());
  auto take = [&](const std::string& name, at::Tensor& target) {
    auto found = by_name.find(name);
    if (found == by_name.end() || found->second.sizes() != target.sizes()) {
      throw invalid_argument(name, "training state: tensor ", name, " is missing or has another shape");
    }
    target.copy_(found->second);
  };
  for (Slot& slot : slots_) {
    take("m." + slot.name, slot.m);
    take("v." + slot.name, slot.v);
  }
  at::Tensor updates = at::zeros({1}, at::kLong);
  take("updates", updates);
  updates_ = updates.item<int64_t>();
}

}  // namespace sf
