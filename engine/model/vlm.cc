#include "engine/model/vlm.h"

#include "engine/base/error.h"
#include "engine/model/initial_weights.h"

namespace sf {

Vlm::Vlm(const ModelConfig& config) : config_(config) {
  if (config.dtype != Dtype::kF32) {
    throw invalid_argument("config.json", "config.json: dtype ", config.dtype, " is not supported yet; supported: f32");
  }
  if (config.has_vision()) {
    vit_ = register_module("vision", std::make_shared<Vit>(config.vision));
    projector_ = register_module("projector", std::make_shared<Projector>(config));
    for (size_t i = 0; i < config.vision.deepstack_layers.size(); ++i) {
      deepstack_.push_back(register_module("deepstack" + std::to_string(i), std::make_shared<Projector>(config)));
    }
  }
  decoder_ = register_module("decoder", std::make_shared<Decoder>(config.decoder));
  if (config.modality_embedding) {
    modality_embedding_ = register_parameter("modality_embedding", randn_or_empty({2, config.decoder.width}) * 0.02);
  }
}

at::Tensor Vlm::encode_images(const at::Tensor& pixels, const std::vector<ImageBox>& boxes, VitMaps* maps) const {
  std::vector<at::Tensor> deepstack;
  at::Tensor x_BNW = vit_->encode(pixels, boxes, maps, &deepstack);
  return project(x_BNW, deepstack, pixels.size(2) / config_.vision.token_size,
                 pixels.size(3) / config_.vision.token_size);
}

at::Tensor Vlm::project(const at::Tensor& x_BNW, const std::vector<at::Tensor>& deepstack, int64_t rows,
                        int64_t columns) const {
  at::Tensor image_BPD = projector_->forward(vit_->features(x_BNW), rows, columns);
  if (modality_embedding_.defined()) image_BPD = image_BPD + modality_embedding_.select(0, 0);
  if (deepstack_.empty()) return image_BPD;
  std::vector<at::Tensor> parts = {image_BPD};
  for (size_t i = 0; i < deepstack_.size(); ++i) {
    parts.push_back(deepstack_[i]->forward(vit_->features(deepstack.at(i)), rows, columns));
  }
  return at::cat(parts, -1);
}

at::Tensor Vlm::injected(const at::Tensor& image) const {
  const int64_t width = config_.decoder.width;
  return image.size(-1) > width ? image.narrow(-1, width, image.size(-1) - width) : at::Tensor();
}

at::Tensor Vlm::embed_text(const at::Tensor& ids) const {
  at::Tensor x = decoder_->embed(ids);
  return modality_embedding_.defined() ? x + modality_embedding_.select(0, 1) : x;
}

int64_t Vlm::num_parameters() const {
  int64_t total = 0;
  for (const auto& parameter : parameters()) total += parameter.numel();
  return total;
}

int64_t Vlm::num_active_parameters() const {
  const MoeConfig& moe = config_.decoder.moe;
  int64_t experts = 0;
  for (const MoeLayer* layer : decoder_->moe_layers()) {
    for (const at::Tensor& weights : layer->experts().parameters()) experts += weights.numel();
  }
  return num_parameters() - experts + experts * moe.top_k / moe.num_experts;
}

torch::OrderedDict<std::string, at::Tensor> Vlm::vision_parameters() const {
  torch::OrderedDict<std::string, at::Tensor> out;
  if (!vit_) return out;
  for (const auto& item : vit_->named_parameters()) out.insert(std::string(kVisionPrefix) + item.key(), item.value());
  return out;
}

std::vector<at::Tensor> Vlm::balance_biases() const {
  std::vector<at::Tensor> biases;
  if (!config_.decoder.moe.bias_balancing) return biases;
  for (const MoeLayer* layer : decoder_->moe_layers()) biases.push_back(layer->router().balance_bias());
  return biases;
}

}  // namespace sf
