#pragma once

#include "trainer/dense_heads.h"
#include "trainer/evaluator.h"
#include "trainer/optimizer.h"
#include "trainer/pretrain_vit.h"
#include "trainer/trainer.h"
#include "trainer/vision_checkpoint.h"

namespace sf::examples_trainer {

extern Vlm& model;
extern const data::SampleOptions images;
extern const int64_t token_size;
extern Vlm& vlm;
extern Vit& vit;
extern DenseHeads heads;
extern at::Tensor loss;
extern const at::Tensor pixels;
extern const std::vector<ImageBox> boxes;
extern const std::vector<data::Sample> samples;
extern const std::shared_ptr<const Tokenizer> tokenizer;
extern const OptimizerOptions options;
extern const int64_t step, first_step;
extern const uint64_t seed;
extern ModelConfig config;
extern bool stop_requested;

}  // namespace sf::examples_trainer
