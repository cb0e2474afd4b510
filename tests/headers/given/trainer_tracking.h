#pragma once

#include "trainer/task.h"
#include "trainer/tracking/training_metrics.h"

namespace sf::examples_trainer_tracking {

extern const Task& task;
extern const TrainingMetrics& metrics;
extern const StepReport report;
extern const int64_t step;

}  // namespace sf::examples_trainer_tracking
