#include "engine/import/clip_layer.h"

#include "engine/base/error.h"

namespace sf {

std::vector<ImportTensor> clip_layer(int64_t w, int64_t m, const std::string& ours, const std::string& theirs) {
  std::vector<ImportTensor> tensors;
  const auto copy = [&](const std::string& name, const std::string& source, const std::vector<int64_t>& shape) {
    tensors.push_back({ours + name, shape, {{theirs + source, shape}}});
  };
  const auto join = [&](const std::string& part, const std::vector<int64_t>& shape, const std::vector<int64_t>& each) {
    ImportTensor tensor{ours + "qkv_" + part, shape, {}};
    for (const char* head : {"q", "k", "v"}) {
      tensor.pieces.push_back({concat(theirs, "self_attn.", head, "_proj.", part), each});
    }
    tensors.push_back(std::move(tensor));
  };
  for (const char* norm : {"1", "2"}) {
    copy(concat("norm", norm, "_weight"), concat("layer_norm", norm, ".weight"), {w});
    copy(concat("norm", norm, "_bias"), concat("layer_norm", norm, ".bias"), {w});
  }
  join("weight", {3 * w, w}, {w, w});
  join("bias", {3 * w}, {w});
  copy("out_weight", "self_attn.out_proj.weight", {w, w});
  copy("out_bias", "self_attn.out_proj.bias", {w});
  copy("fc1_weight", "mlp.fc1.weight", {m, w});
  copy("fc1_bias", "mlp.fc1.bias", {m});
  copy("fc2_weight", "mlp.fc2.weight", {w, m});
  copy("fc2_bias", "mlp.fc2.bias", {w});
  return tensors;
}

}  // namespace sf
