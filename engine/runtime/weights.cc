#include "engine/runtime/weights.h"

#include <cstring>
#include <optional>

#include "engine/base/error.h"
#include "engine/base/yield_to_requests.h"

namespace sf {
namespace {

Dtype dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Dtype::kF32;
    case at::kLong:
      return Dtype::kI64;
    default:
      throw Error(Code::kInternal, "weights: only f32 and i64 tensors are written");
  }
}

// The dtype of the file's elements where they can become the parameter's: its own, or a half for a float.
std::optional<at::ScalarType> readable_as(Dtype stored, const at::Tensor& target) {
  if (stored == dtype_of(target)) return target.scalar_type();
  if (target.scalar_type() != at::kFloat) return std::nullopt;
  if (stored == Dtype::kF16) return at::kHalf;
  if (stored == Dtype::kBF16) return at::kBFloat16;
  return std::nullopt;
}

}  // namespace

std::string serialize_tensors(const torch::OrderedDict<std::string, at::Tensor>& tensors) {
  std::vector<at::Tensor> alive;  // the views below point into these
  std::map<std::string, TensorView> views;
  for (const auto& item : tensors) {
    at::Tensor tensor = item.value().detach().cpu().contiguous();
    std::string_view bytes(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
    views[item.key()] = {dtype_of(tensor), tensor.sizes().vec(), bytes};
    alive.push_back(std::move(tensor));
  }
  return write_safetensors(views, {{"format", "pt"}});
}

void load_tensors(std::string_view file_bytes, const std::string& file_name,
                  const torch::OrderedDict<std::string, at::Tensor>& parameters, const std::string& prefix) {
  torch::NoGradGuard no_grad;
  const Safetensors file = Safetensors::parse(file_bytes, file_name);
  auto fail = [&](const std::string& name, const std::string& reason) {
    throw Error(Code::kInvalidArgument, concat(file_name, ": tensor ", name, " ", reason), name);
  };
  for (const auto& item : parameters) {
    yield_to_requests();
    const TensorView* view = file.find(item.key());
    if (!view) fail(item.key(), "is missing");
    at::Tensor target = item.value();
    const std::optional<at::ScalarType> stored = readable_as(view->dtype, target);
    if (!stored) fail(item.key(), "has another dtype than the model");
    if (at::IntArrayRef(view->shape) != target.sizes()) fail(item.key(), "has another shape than config.json says");
    at::Tensor copy = at::empty(target.sizes(), target.options().device(at::kCPU).dtype(*stored));
    if (!view->bytes.empty()) std::memcpy(copy.data_ptr(), view->bytes.data(), view->bytes.size());
    target.copy_(copy);
  }
  for (const auto& [name, view] : file.tensors()) {
    if (name.starts_with(prefix) && !parameters.contains(name))
      fail(name, "does not belong to the model of config.json");
  }
}

}  // namespace sf
