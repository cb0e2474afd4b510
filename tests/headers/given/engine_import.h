#pragma once

#include "engine/checkpoint/sharded_tensors.h"
#include "engine/import/hf_model.h"
#include "engine/import/hf_planner.h"
#include "engine/import/vision.h"

namespace sf::examples_engine_import {

extern const std::string bytes_of_data_pkl;
extern const HfConfig hf;
extern HfPlanner& planner;
extern const TensorSource& source;
extern const int64_t size;
extern char* const out;
extern const VisionImportFiles files;

}  // namespace sf::examples_engine_import
