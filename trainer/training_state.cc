#include "trainer/training_state.h"

#include <filesystem>

#include "engine/base/error.h"
#include "engine/base/file.h"
#include "engine/runtime/weights.h"

namespace sf {
namespace {

torch::OrderedDict<std::string, at::Tensor> all_tensors(const torch::OrderedDict<std::string, at::Tensor>& parameters,
                                                        const Optimizer& optimizer, const at::Tensor& step) {
  torch::OrderedDict<std::string, at::Tensor> tensors;
  for (const auto& item : parameters) tensors.insert("p." + item.key(), item.value());
  for (const auto& [name, tensor] : optimizer.state()) tensors.insert(name, tensor);
  tensors.insert("step", step);
  return tensors;
}

}  // namespace

std::string training_state_bytes(const torch::OrderedDict<std::string, at::Tensor>& parameters,
                                 const Optimizer& optimizer, int64_t step) {
  return serialize_tensors(all_tensors(parameters, optimizer, at::full({1}, step, at::kLong)));
}

int64_t restore_training_state(std::string_view bytes, const torch::OrderedDict<std::string, at::Tensor>& parameters,
                               Optimizer& optimizer) {
  at::Tensor step = at::zeros({1}, at::kLong);
  auto tensors = all_tensors(parameters, optimizer, step);
  for (auto& item : tensors) {
    if (item.key() == "updates") item.value() = item.value().clone();
  }
  load_tensors(bytes, "training state", tensors);
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& item : tensors) {
    if (item.key().rfind("p.", 0) != 0 && item.key() != "step") state.emplace_back(item.key(), item.value());
  }
  optimizer.load_state(state);
  return step.item<int64_t>();
}

}  // namespace sf
