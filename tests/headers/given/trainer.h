#pragma once

#include <iostream>

#include "trainer/checkpointer.h"
#include "trainer/dense_heads.h"
#include "trainer/evaluator.h"
#include "trainer/optimizer.h"
#include "trainer/packed_batch.h"
#include "trainer/pretrain_vit.h"
#include "trainer/task.h"
#include "trainer/tasks/registry.h"
#include "trainer/train_step.h"
#include "trainer/trainer.h"
#include "trainer/vision_checkpoint.h"

namespace sf::examples_trainer {

extern Vlm& model;
extern Vlm& vlm;
extern const std::shared_ptr<Vlm> start_model;
extern Vit& vit;
extern const Task& task;
extern const Tokenizer& tokenizer;
extern Optimizer optimizer;
extern const AuxiliaryHeads auxiliary;
extern const std::vector<Example> examples;
extern const PackedBatch batch;
extern ModelConfig config;
extern const PreprocessOptions pre;
extern const CheckpointContent content;
extern const OptimizerOptions options;
extern at::Tensor loss;
extern const at::Tensor pixels;
extern const std::vector<ImageBox> boxes;
extern const int64_t width, step, first_step;
extern bool stop_requested;
PackedBatch make_batch(int64_t step);

}  // namespace sf::examples_trainer
